//! The way to the subsystem: requests to the daemon of a network namespace, in the name of the programs that make them.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use l2tp_abi::genl::GenlHeader;
use l2tp_abi::genl::ctrl::{FamilyMessage, get_family};
use l2tp_abi::genl::ferrowire::socket::{SocketAnswer, SocketRequest};
use l2tp_abi::genl::ferrowire::{
    Actor, FERROWIRE_CMD_ACT, FERROWIRE_GENL_NAME, FERROWIRE_GENL_VERSION, Request,
};
use l2tp_abi::genl::l2tp::L2TP_GENL_NAME;
use l2tp_abi::nl::{
    Ack, Header, Message, Messages, NLM_F_ACK, NLM_F_MULTI, NLM_F_REQUEST, NLMSG_DONE, NLMSG_OVERRUN,
    done_errno,
};
use l2tp_io::door::{DoorStream, MAX_MESSAGE, NAME};
use l2tp_io::linger::Linger;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::family::Ids;

/// How long a daemon may take for a part of an answer. A create waits for its device, for a fraction of a second at most.
const PATIENCE: Duration = Duration::from_secs(10);
/// The sequence number of the mark behind a request; what says in whose name it is made, in front of it, has 0.
const MARK: u32 = 1;
/// Bytes of answers to one request; the largest is a dump of all sessions.
const ANSWERS_MAX: usize = 64 << 20;

/// The supervisor itself, as one who asks.
const OURSELVES: Actor = Actor { port: 0, privileged: true, options: 0 };

/// A connection to the daemon.
pub(crate) struct Door {
    stream: DoorStream,
    buffer: Vec<u8>,
    linger: Linger,
    /// Under which ids it serves the family "l2tp".
    pub(crate) ids: Ids,
    /// The id of the family "ferrowire".
    own: u16,
}

impl Door {
    /// Connects to the daemon of the namespace of the calling thread, and asks for its ids.
    ///
    /// # Errors
    /// `ECONNREFUSED` when there is none.
    pub(crate) fn open() -> io::Result<Self> {
        let stream = DoorStream::connect(NAME)?;
        stream.set_timeout(Some(PATIENCE))?;
        let mut door = Self {
            stream,
            buffer: vec![0; MAX_MESSAGE],
            linger: Linger::default(),
            ids: Ids::default(),
            own: 0,
        };
        door.ids = Ids::of(&door.family(L2TP_GENL_NAME)?);
        door.own = door.family(FERROWIRE_GENL_NAME)?.id;
        Ok(door)
    }

    /// Makes a request in the name of `actor`, with the descriptor that it names beside it, and waits until all of the
    /// answer is here: of a dump, everything.
    ///
    /// # Errors
    /// When the daemon went away or fell silent after it had the request: whether it was carried out is not known. The
    /// door is of no more use then.
    pub(crate) fn ask(
        &mut self,
        actor: Actor,
        request: &[u8],
        descriptor: Option<&OwnedFd>,
    ) -> io::Result<Vec<Vec<u8>>> {
        let mut datagram = Request::Act(actor).emit(self.own, 0);
        datagram.extend_from_slice(request);
        datagram.resize(datagram.len().next_multiple_of(4), 0);
        self.mark_end(&mut datagram);
        let descriptors: Vec<_> = descriptor.iter().map(|descriptor| descriptor.as_fd()).collect();
        self.stream.send(&datagram, &descriptors)?;
        self.collect()
    }

    /// Whether the daemon has hung up.
    pub(crate) fn is_gone(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let mut watched = [PollFd::new(&self.stream, PollFlags::empty())];
        poll(&mut watched, Some(&now))
            .is_ok_and(|_| watched.iter().any(|fd| fd.revents().contains(PollFlags::HUP)))
    }

    /// The text of a dump of the family "ferrowire", of which `part` reads the messages.
    ///
    /// # Errors
    /// As [`Door::ask`]; the errno of a refusal.
    pub(crate) fn text(
        &mut self,
        request: Request,
        part: impl Fn(&Message<'_>) -> Option<String>,
    ) -> io::Result<String> {
        // In our own name: the last request was in that of a program, which may have had no privilege.
        let mut datagram = Request::Act(OURSELVES).emit(self.own, 0);
        datagram.extend(request.emit(self.own, 1));
        self.stream.send(&datagram, &[])?;
        let mut text = String::new();
        loop {
            let datagram = self.receive()?;
            for message in Messages::new(&datagram) {
                if let Some(errno) = Ack::parse(&message).and_then(|ack| ack.errno) {
                    return Err(io::Error::from_raw_os_error(errno.0));
                }
                if done_errno(&message).is_some() {
                    return Ok(text);
                }
                text.extend(part(&message));
            }
        }
    }

    /// A call of `actor` on what the daemon holds, with what it is about `beside` it: the answer and what came beside that, or
    /// why it failed.
    ///
    /// # Errors
    /// As [`Door::ask`].
    pub(crate) fn call(
        &mut self,
        actor: Actor,
        request: &SocketRequest<'_>,
        beside: Option<&OwnedFd>,
    ) -> io::Result<Result<(SocketAnswer, Option<OwnedFd>), Errno>> {
        let mut datagram = Request::Act(actor).emit(self.own, 0);
        datagram.extend(request.emit(self.own, 1));
        let descriptors: Vec<_> = beside.iter().map(|descriptor| descriptor.as_fd()).collect();
        self.stream.send(&datagram, &descriptors)?;
        let (mut answer, mut descriptors) = (SocketAnswer::Done, Vec::new());
        loop {
            let datagram = self.receive_with(&mut descriptors)?;
            for message in Messages::new(&datagram) {
                match Ack::parse(&message) {
                    Some(ack) if ack.request.seq == 1 => {
                        let result = ack.errno.map_or(Ok(()), |errno| Err(Errno::from_raw_os_error(errno.0)));
                        return Ok(result.map(|()| (answer, descriptors.pop())));
                    }
                    Some(ack) => refused(&ack)?,
                    None => answer = SocketAnswer::parse(&message).unwrap_or(answer),
                }
            }
        }
    }

    /// Joins the multicast group "l2tp": [`Door::hear`] then tells what is sent to it.
    ///
    /// # Errors
    /// As [`Door::text`].
    pub(crate) fn join(&mut self) -> io::Result<()> {
        self.stream.send(&Request::Join(self.ids.group).emit(self.own, 1), &[])?;
        let datagram = self.receive()?;
        match Messages::new(&datagram).next().and_then(|message| Ack::parse(&message)).map(|ack| ack.errno) {
            Some(None) => self.stream.set_nonblocking(true),
            Some(Some(errno)) => Err(io::Error::from_raw_os_error(errno.0)),
            None => Err(Errno::PROTO.into()),
        }
    }

    /// The next notification, if one is here.
    ///
    /// # Errors
    /// When the daemon is gone.
    pub(crate) fn hear(&mut self) -> io::Result<Option<Vec<u8>>> {
        match self.stream.recv(&mut self.buffer, &mut Vec::new()) {
            Ok(0) => Err(Errno::PIPE.into()),
            Ok(length) => Ok(self.buffer.get(..length).map(<[u8]>::to_vec)),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Appends a request that changes nothing and is acknowledged: when its acknowledgement is here, so is everything
    /// before it.
    fn mark_end(&self, datagram: &mut Vec<u8>) {
        let header = Header { kind: self.own, flags: NLM_F_REQUEST | NLM_F_ACK, seq: MARK, port: 0 };
        let genl = GenlHeader { cmd: FERROWIRE_CMD_ACT, version: FERROWIRE_GENL_VERSION, reserved: 0 };
        genl.begin(datagram, header).finish();
    }

    /// The answers up to the mark, and to the end of a dump that was begun before it.
    fn collect(&mut self) -> io::Result<Vec<Vec<u8>>> {
        let (mut answers, mut bytes, mut marked, mut dumping) = (Vec::new(), 0, false, false);
        while !marked || dumping {
            let datagram = self.receive()?;
            if let Some(ack) = self.own_ack(&datagram) {
                marked = ack.request.seq == MARK;
                if !marked {
                    refused(&ack)?;
                }
                continue;
            }
            for message in Messages::new(&datagram) {
                if message.header.kind == NLMSG_OVERRUN {
                    return Err(Errno::NOBUFS.into());
                }
                dumping = message.header.flags & NLM_F_MULTI != 0 && message.header.kind != NLMSG_DONE;
            }
            bytes += datagram.len();
            if bytes > ANSWERS_MAX {
                return Err(Errno::NOBUFS.into());
            }
            answers.push(datagram);
        }
        Ok(answers)
    }

    /// The answer to something of our own and not of the program's, if it is one.
    fn own_ack(&self, datagram: &[u8]) -> Option<Ack> {
        let first = Messages::new(datagram).next();
        first.and_then(|message| Ack::parse(&message)).filter(|ack| ack.request.kind == self.own)
    }

    fn family(&mut self, name: &str) -> io::Result<FamilyMessage> {
        self.stream.send(&get_family(name, 1), &[])?;
        let mut found = None;
        loop {
            let datagram = self.receive()?;
            for message in Messages::new(&datagram) {
                if Ack::parse(&message).is_some() {
                    return found.ok_or_else(|| Errno::PROTO.into());
                }
                found = found.or_else(|| FamilyMessage::parse(&message));
            }
        }
    }

    fn receive(&mut self) -> io::Result<Vec<u8>> {
        self.receive_with(&mut Vec::new())
    }

    fn receive_with(&mut self, descriptors: &mut Vec<OwnedFd>) -> io::Result<Vec<u8>> {
        let length = self.stream.recv_awake(&mut self.buffer, descriptors, &mut self.linger)?;
        if length == 0 {
            return Err(Errno::PIPE.into());
        }
        Ok(self.buffer.get(..length).unwrap_or_default().to_vec())
    }
}

/// The daemon does not let us speak for the program (`FERROWIRE_CMD_ACT`); what was asked is not done in its name.
fn refused(ack: &Ack) -> io::Result<()> {
    ack.errno.map_or(Ok(()), |errno| Err(io::Error::from_raw_os_error(errno.0)))
}

impl AsFd for Door {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use l2tp_abi::nl::{AckOptions, ExtAck, emit_ack};

    const OWN: u16 = 31;
    const PROGRAMS: u16 = 1023;

    /// A door, and what the daemon has of it.
    fn door() -> (Door, DoorStream) {
        let (stream, daemon) = DoorStream::pair().unwrap();
        stream.set_timeout(Some(PATIENCE)).unwrap();
        (
            Door {
                stream,
                buffer: vec![0; MAX_MESSAGE],
                linger: Linger::default(),
                ids: Ids::default(),
                own: OWN,
            },
            daemon,
        )
    }

    /// Answers a request of the family `kind`.
    fn answer(daemon: &DoorStream, kind: u16, seq: u32, errno: Option<Errno>) {
        let (mut request, mut out) = (Vec::new(), Vec::new());
        let header = Header { kind, flags: NLM_F_REQUEST, seq, port: 0 };
        GenlHeader { cmd: FERROWIRE_CMD_ACT, version: 1, reserved: 0 }.begin(&mut request, header).finish();
        let message = Messages::new(&request).next().unwrap();
        let errno = errno.map(|errno| l2tp_abi::Errno(errno.raw_os_error()));
        emit_ack(&mut out, &message, 0, AckOptions::default(), errno, &ExtAck::default());
        daemon.send(&out, &[]).unwrap();
    }

    #[test]
    fn the_answers_end_at_the_mark() {
        let (mut door, daemon) = door();
        answer(&daemon, PROGRAMS, 1, Some(Errno::NODEV));
        answer(&daemon, OWN, MARK, None);
        let answers = door.ask(OURSELVES, &[], None).unwrap();
        assert_eq!(answers.len(), 1);
        let errno = Ack::parse(&Messages::new(&answers[0]).next().unwrap()).unwrap().errno;
        assert_eq!(errno.map(|errno| errno.0), Some(libc::ENODEV));
    }

    /// Who may not speak for the program gets no answers of it: the mark is still to come, and is not awaited.
    #[test]
    fn a_refused_name_is_no_mark() {
        let (mut door, daemon) = door();
        answer(&daemon, OWN, 0, Some(Errno::PERM));
        answer(&daemon, PROGRAMS, 1, None);
        answer(&daemon, OWN, MARK, None);
        let refusal = door.ask(OURSELVES, &[], None).unwrap_err();
        assert_eq!(refusal.raw_os_error(), Some(libc::EPERM));
    }

    #[test]
    fn a_refused_name_makes_no_call() {
        let (mut door, daemon) = door();
        answer(&daemon, OWN, 0, Some(Errno::PERM));
        answer(&daemon, OWN, 1, None);
        let request =
            SocketRequest { socket: Some(7), call: l2tp_abi::genl::ferrowire::socket::SocketCall::Name };
        assert_eq!(door.call(OURSELVES, &request, None).unwrap_err().raw_os_error(), Some(libc::EPERM));
    }
}
