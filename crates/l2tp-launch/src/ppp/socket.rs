//! PPPoL2TP sockets: socket(2), connect(2), names, options.

use std::io;
use std::os::fd::OwnedFd;

use l2tp_abi::genl::ferrowire::socket::{SocketAnswer, SocketCall};
use l2tp_abi::ppp::SOL_PPPOL2TP;
use l2tp_abi::sockaddr::{AF_PPPOX, PX_PROTO_OL2TP, SockaddrPppol2tp};
use rustix::io::Errno;
use rustix::net::SocketFlags;

use crate::endpoint::{Endpoint, Kind, address};
use crate::filter::Syscall;
use crate::notify::{Answer, Call};
use crate::remote::Length;
use crate::supervisor::Supervisor;
use crate::transfer::{SOCK_TYPE_MASK, Use};

/// The highest protocol of the family (`PX_MAX_PROTO`).
const PX_MAX_PROTO: u32 = 3;
/// Types of sockets that the kernel knows (`SOCK_MAX`).
const SOCK_MAX: u32 = 11;
/// Bytes of an option, a C `int`.
const INT: usize = 4;

impl Supervisor {
    /// socket(2) of the family. Of other protocols the kernel says what is to be said.
    pub(crate) fn open_pppol2tp(&mut self, call: &Call) -> io::Result<Answer> {
        let flags = SocketFlags::from_bits_retain(call.word(1) & !SOCK_TYPE_MASK);
        let known = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        if !known.contains(flags) || call.word(1) & SOCK_TYPE_MASK >= SOCK_MAX {
            return Ok(Answer::Continue);
        }
        match call.word(2) {
            PX_PROTO_OL2TP => {}
            protocol if protocol > PX_MAX_PROTO => return Ok(Answer::Fail(Errno::PROTOTYPE)),
            _ => return Ok(Answer::Continue),
        }
        let end = match self.open_endpoint(call, Kind::Pppol2tp, SocketCall::Open(AF_PPPOX))? {
            Ok(end) => end,
            Err(answer) => return Ok(answer),
        };
        rustix::io::ioctl_fionbio(&end, flags.contains(SocketFlags::NONBLOCK))?;
        self.give_lowest(call, &end, flags.contains(SocketFlags::CLOEXEC))
    }

    /// A call on a socket, but ioctl(2).
    pub(super) fn use_pppol2tp(&mut self, at: &Use<'_>, endpoint: Endpoint) -> io::Result<Answer> {
        match at.call.syscall {
            Syscall::Connect => self.connect_session(at, endpoint),
            Syscall::Getsockname => self.tell_name(at, endpoint, SocketCall::Name),
            Syscall::Getpeername => self.tell_name(at, endpoint, SocketCall::Peer),
            Syscall::Setsockopt => self.set_session_option(at, endpoint),
            Syscall::Getsockopt => self.get_session_option(at, endpoint),
            Syscall::Bind | Syscall::Listen | Syscall::Accept | Syscall::Accept4 | Syscall::Shutdown => {
                Ok(Answer::Fail(Errno::OPNOTSUPP))
            }
            _ => Ok(Answer::Continue),
        }
    }

    /// connect(2): what the caller has open at the number in the address may become the tunnel's socket.
    fn connect_session(&mut self, at: &Use<'_>, endpoint: Endpoint) -> io::Result<Answer> {
        let address = address(at)?;
        let tunnel = named_descriptor(at, &address);
        Ok(self.perform(at, endpoint, SocketCall::Connect(&address), tunnel.as_ref()))
    }

    /// setsockopt(2) at our level; at that of sockets it is the pair's.
    fn set_session_option(&mut self, at: &Use<'_>, endpoint: Endpoint) -> io::Result<Answer> {
        let (level, option) = (at.call.word(1), at.call.word(2));
        if level != SOL_PPPOL2TP {
            return Ok(Answer::Continue);
        }
        // An int in C: negative is too short as well.
        if !usize::try_from(at.call.int(4)).is_ok_and(|length| length >= INT) {
            return Ok(Answer::Fail(Errno::INVAL));
        }
        let value = at.memory.read(at.call.address(3), INT)?;
        Ok(self.perform(at, endpoint, SocketCall::Set { level, option, value: &value }, None))
    }

    /// getsockopt(2): ours, and what the pair would say of itself.
    fn get_session_option(&mut self, at: &Use<'_>, endpoint: Endpoint) -> io::Result<Answer> {
        let (level, option) = (at.call.word(1), at.call.word(2));
        let (place, length) = (at.call.address(3), at.call.address(4));
        if level != SOL_PPPOL2TP {
            let Some(value) = own_kind(at.call.int(1), at.call.int(2)) else { return Ok(Answer::Continue) };
            return at.memory.tell(place, length, &value.to_ne_bytes(), Length::AsCut);
        }
        if at.memory.room(length)?.is_none() {
            return Ok(Answer::Fail(Errno::INVAL));
        }
        match self.carry_out(at, endpoint, SocketCall::Get { level, option }, None) {
            Ok(SocketAnswer::Value(value)) => at.memory.tell(place, length, &value, Length::AsCut),
            Ok(_) => Ok(Answer::Fail(Errno::INVAL)),
            Err(errno) => Ok(Answer::Fail(errno)),
        }
    }
}

/// What a socket says it is: the type is always the same, whichever was asked for (`pppol2tp_create`).
fn own_kind(level: i32, option: i32) -> Option<u32> {
    match (level, option) {
        (libc::SOL_SOCKET, libc::SO_TYPE) => Some(libc::SOCK_STREAM.cast_unsigned()),
        (libc::SOL_SOCKET, libc::SO_PROTOCOL) => Some(PX_PROTO_OL2TP),
        (libc::SOL_SOCKET, libc::SO_DOMAIN) => Some(AF_PPPOX.into()),
        _ => None,
    }
}

/// What the caller has open at the number in the address.
fn named_descriptor(at: &Use<'_>, address: &[u8]) -> Option<OwnedFd> {
    let number = SockaddrPppol2tp::parse(address)?.fd;
    if number < 0 { None } else { at.process.descriptor(number).ok() }
}
