//! A program at the door: requests and answers as bytes.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use l2tp_abi::Errno;
use l2tp_abi::genl::ctrl::{FamilyMessage, get_family};
use l2tp_abi::genl::ferrowire::socket::{SocketAnswer, SocketRequest};
use l2tp_abi::genl::ferrowire::{self, FERROWIRE_GENL_NAME};
use l2tp_abi::genl::l2tp::{
    L2TP_GENL_MCGROUP, L2TP_GENL_NAME, Request, SessionKey, SessionMessage, Stats, TunnelMessage,
};
use l2tp_abi::nl::{Ack, Message, Messages, NLMSG_ERROR, done_errno};
use l2tp_io::door::{DoorStream, MAX_MESSAGE};
use l2tp_mgmt::netlink::FERROWIRE_FAMILY_ID;

/// The abstract name of the door.
pub(crate) const NAME: &[u8] = b"ferrowire";

/// A blocking connection.
pub(crate) struct Door {
    stream: DoorStream,
    buffer: Vec<u8>,
    family: u16,
    seq: u32,
}

impl Door {
    /// Connects in the namespace of the calling thread.
    pub(crate) fn open() -> Self {
        let stream = DoorStream::connect(NAME).unwrap();
        rustix::net::sockopt::set_socket_timeout(
            &stream,
            rustix::net::sockopt::Timeout::Recv,
            Some(Duration::from_secs(20)),
        )
        .unwrap();
        let mut door = Self { stream, buffer: vec![0; MAX_MESSAGE], family: 0, seq: 0 };
        door.family = door.find(L2TP_GENL_NAME).id;
        door
    }

    fn find(&mut self, name: &str) -> FamilyMessage {
        let mut family = None;
        self.talk(&get_family(name, 1), None, |message| family = FamilyMessage::parse(message)).unwrap();
        family.unwrap()
    }

    /// Joins the multicast group "l2tp".
    pub(crate) fn join(&mut self) {
        let groups = self.find(L2TP_GENL_NAME).groups;
        let group = groups.iter().find(|(name, _)| name == L2TP_GENL_MCGROUP).unwrap().1;
        let family = self.find(FERROWIRE_GENL_NAME).id;
        self.talk(&ferrowire::Request::Join(group).emit(family, 1), None, |_| {}).unwrap();
    }

    /// The next notification, of a tunnel: its command and id.
    pub(crate) fn hear_of_tunnel(&mut self) -> (u8, u32) {
        let length = self.stream.recv(&mut self.buffer, &mut Vec::new()).unwrap();
        let message = Messages::new(&self.buffer[..length]).next().unwrap();
        let (cmd, tunnel) = TunnelMessage::parse(&message).unwrap();
        (cmd, tunnel.conn_id)
    }

    /// Sends a request and gives each message of the answer to `each`.
    pub(crate) fn ask(&mut self, request: &Request, each: impl FnMut(&Message<'_>)) -> Result<(), Errno> {
        self.seq += 1;
        let request = request.emit(self.family, self.seq);
        self.talk(&request, None, each)
    }

    /// Sends a request beside which a descriptor goes.
    pub(crate) fn ask_with(&mut self, request: &Request, descriptor: impl AsFd) -> Result<(), Errno> {
        self.seq += 1;
        let request = request.emit(self.family, self.seq);
        self.talk(&request, Some(descriptor.as_fd()), |_| {})
    }

    /// The request as bytes, for those who do something else with them.
    pub(crate) fn bytes(&self, request: &Request) -> Vec<u8> {
        request.emit(self.family, 0)
    }

    /// Calls a socket of the daemon's; the answer, and the descriptor that came with it.
    pub(crate) fn call(
        &mut self,
        request: SocketRequest<'_>,
        beside: &[BorrowedFd<'_>],
    ) -> Result<(SocketAnswer, Option<OwnedFd>), Errno> {
        self.seq += 1;
        let mut answer = SocketAnswer::Done;
        let bytes = request.emit(FERROWIRE_FAMILY_ID, self.seq);
        let descriptors = self.exchange(&bytes, beside, |message| {
            answer = SocketAnswer::parse(message).unwrap();
        })?;
        Ok((answer, descriptors.into_iter().next()))
    }

    fn talk(
        &mut self,
        request: &[u8],
        descriptor: Option<BorrowedFd<'_>>,
        each: impl FnMut(&Message<'_>),
    ) -> Result<(), Errno> {
        self.exchange(request, descriptor.as_slice(), each).map(drop)
    }

    /// The descriptors that came with the answer.
    fn exchange(
        &mut self,
        request: &[u8],
        beside: &[BorrowedFd<'_>],
        mut each: impl FnMut(&Message<'_>),
    ) -> Result<Vec<OwnedFd>, Errno> {
        self.stream.send(request, beside).unwrap();
        let mut descriptors = Vec::new();
        loop {
            let length = self.stream.recv(&mut self.buffer, &mut descriptors).unwrap();
            assert!(length > 0, "the daemon hung up");
            for message in Messages::new(&self.buffer[..length]) {
                if let Some(errno) = done_errno(&message) {
                    return errno.map_or(Ok(descriptors), Err);
                }
                if message.header.kind == NLMSG_ERROR {
                    return Ack::parse(&message).unwrap().errno.map_or(Ok(descriptors), Err);
                }
                each(&message);
            }
        }
    }

    pub(crate) fn session(&mut self, conn_id: u32, session_id: u32) -> Result<SessionMessage, Errno> {
        let mut found = None;
        let request = Request::SessionGet(SessionKey::Ids { conn_id, session_id });
        self.ask(&request, |message| found = SessionMessage::parse(message))?;
        Ok(found.unwrap().1)
    }

    pub(crate) fn session_stats(&mut self, conn_id: u32, session_id: u32) -> Stats {
        self.session(conn_id, session_id).unwrap().stats
    }

    pub(crate) fn tunnel(&mut self, conn_id: u32) -> Result<TunnelMessage, Errno> {
        let mut found = None;
        self.ask(&Request::TunnelGet(conn_id), |message| found = TunnelMessage::parse(message))?;
        Ok(found.unwrap().1)
    }

    pub(crate) fn tunnel_stats(&mut self, conn_id: u32) -> Stats {
        self.tunnel(conn_id).unwrap().stats
    }
}
