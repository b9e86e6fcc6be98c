//! A program's L2TPIP socket: its calls by the door, its messages by the descriptor.

use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use l2tp_abi::Errno;
use l2tp_abi::envelope::Envelope;
use l2tp_abi::genl::ferrowire::socket::{SocketAnswer, SocketCall, SocketRequest};
use l2tp_abi::sockaddr::{SockaddrL2tpip, SockaddrL2tpip6};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::door::Door;
use crate::host::Host;

pub(crate) struct L2tpipSocket {
    door: Door,
    pub(crate) descriptor: OwnedFd,
    pub(crate) number: u64,
}

pub(crate) fn address(address: &str, conn_id: u32) -> Vec<u8> {
    match address.parse().unwrap() {
        IpAddr::V4(address) => SockaddrL2tpip { address, conn_id }.emit(),
        IpAddr::V6(address) => SockaddrL2tpip6 { flowinfo: [0; 4], address, scope_id: 0, conn_id }.emit(),
    }
}

/// A control message for a connection, with text behind its header.
pub(crate) fn control(conn_id: u32, text: &str) -> Vec<u8> {
    let length = u16::try_from(12 + text.len()).unwrap().to_be_bytes();
    [&[0xc8, 3][..], &length, &conn_id.to_be_bytes(), &[0; 4], text.as_bytes()].concat()
}

impl L2tpipSocket {
    /// `domain`: 2 or 10.
    pub(crate) fn open(host: &Host, domain: u16) -> Self {
        let mut door = host.door();
        let request = SocketRequest { socket: None, call: SocketCall::Open(domain) };
        let (answer, descriptor) = door.call(request, &[]).unwrap();
        let SocketAnswer::Opened(number) = answer else { panic!("{answer:?}") };
        Self { door, descriptor: descriptor.unwrap(), number }
    }

    pub(crate) fn bound(host: &Host, local: &str, conn_id: u32) -> Self {
        let domain = if local.contains(':') { 10 } else { 2 };
        let mut socket = Self::open(host, domain);
        socket.call(SocketCall::Bind(&address(local, conn_id))).unwrap();
        socket
    }

    pub(crate) fn connected(host: &Host, local: (&str, u32), peer: (&str, u32)) -> Self {
        let mut socket = Self::bound(host, local.0, local.1);
        socket.connect(peer.0, peer.1);
        socket
    }

    pub(crate) fn connect(&mut self, peer: &str, conn_id: u32) {
        self.call(SocketCall::Connect(&address(peer, conn_id))).unwrap();
    }

    /// By its number.
    pub(crate) fn call(&mut self, call: SocketCall<'_>) -> Result<SocketAnswer, Errno> {
        let request = SocketRequest { socket: Some(self.number), call };
        self.door.call(request, &[]).map(|(answer, _)| answer)
    }

    /// Writes a message for an address or for the peer.
    pub(crate) fn write(&self, to: Option<&str>, message: &[u8]) {
        let envelope = Envelope { address: to.map(|to| to.parse().unwrap()), ..Envelope::TO_PEER };
        rustix::io::write(&self.descriptor, &[&envelope.emit(), message].concat()).unwrap();
    }

    /// The next message and its sender, if one comes within two seconds.
    pub(crate) fn read(&self) -> Option<(IpAddr, Vec<u8>)> {
        self.waits(2).then(|| {
            let mut buffer = vec![0; 70_000];
            let length = rustix::io::read(&self.descriptor, &mut buffer).unwrap();
            let (envelope, message) = Envelope::split(&buffer[..length]).unwrap();
            assert_eq!(envelope.conn_id, 0);
            (envelope.address.unwrap(), message.to_vec())
        })
    }

    /// Whether a message comes within so many seconds.
    pub(crate) fn waits(&self, seconds: i64) -> bool {
        let timeout = Timespec { tv_sec: seconds, tv_nsec: 0 };
        poll(&mut [PollFd::new(&self.descriptor, PollFlags::IN)], Some(&timeout)).unwrap() > 0
    }
}

impl AsFd for L2tpipSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}
