//! The calls that make and shape a socket.

use std::io;

use l2tp_abi::genl::ferrowire::socket::{SocketAnswer, SocketCall};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use crate::endpoint::{Endpoint, Kind, address};
use crate::filter::{FIONREAD, Syscall};
use crate::notify::{Answer, Call};
use crate::remote::Length;
use crate::supervisor::Supervisor;
use crate::transfer::{SOCK_TYPE_MASK, Use};

/// Bytes of the longest option that is taken.
const OPTION_MAX: usize = 256;

/// Options of level SOL_SOCKET that the daemon does not know and that mean the same, or nothing, on the pair. Others, which
/// would have to act on the packets (`SO_BINDTODEVICE`, `SO_MARK`, filters), must not seem to work.
const ON_THE_PAIR: [i32; 8] = [
    libc::SO_REUSEADDR,
    libc::SO_REUSEPORT,
    libc::SO_BROADCAST,
    libc::SO_RCVTIMEO,
    libc::SO_SNDTIMEO,
    libc::SO_LINGER,
    libc::SO_KEEPALIVE,
    libc::SO_PRIORITY,
];

impl Supervisor {
    /// socket(2). Of other types the kernel says what is to be said; a raw socket stays the kernel's.
    pub(crate) fn open_l2tpip(&mut self, call: &Call) -> io::Result<Answer> {
        if SocketType::from_raw(call.word(1) & SOCK_TYPE_MASK) != SocketType::DGRAM {
            return Ok(Answer::Continue);
        }
        let process = self.tasks.process(call.thread)?;
        let family = u16::try_from(call.word(0)).map(AddressFamily::from_raw).map_err(|_| Errno::INVAL)?;
        let request = SocketCall::Open(family.as_raw());
        let socket = match self.open_endpoint(call, Kind::L2tpip(family), request)? {
            Ok(socket) => socket,
            Err(answer) => return Ok(answer),
        };
        let flags = SocketFlags::from_bits_retain(call.word(1));
        rustix::io::ioctl_fionbio(&socket, flags.contains(SocketFlags::NONBLOCK))?;
        let close_on_exec = flags.contains(SocketFlags::CLOEXEC);
        self.give_at(call, &process, &socket, self.window.l2tpip(), close_on_exec)
    }

    /// A call on a socket.
    pub(crate) fn use_l2tpip(&mut self, at: &Use<'_>, endpoint: Endpoint) -> io::Result<Answer> {
        match at.call.syscall {
            Syscall::Sendto | Syscall::Sendmsg | Syscall::Sendmmsg | Syscall::Write | Syscall::Writev => {
                self.send_control(at, endpoint)
            }
            Syscall::Recvfrom | Syscall::Recvmsg | Syscall::Recvmmsg | Syscall::Read | Syscall::Readv => {
                self.receive_control(at, endpoint)
            }
            Syscall::Bind => Ok(self.perform(at, endpoint, SocketCall::Bind(&address(at)?), None)),
            Syscall::Connect => Ok(self.perform(at, endpoint, SocketCall::Connect(&address(at)?), None)),
            Syscall::Getsockname => self.tell_name(at, endpoint, SocketCall::Name),
            Syscall::Getpeername => self.tell_name(at, endpoint, SocketCall::Peer),
            Syscall::Setsockopt => self.set_control_option(at, endpoint),
            Syscall::Getsockopt => self.get_control_option(at, endpoint),
            Syscall::Ioctl if at.call.word(1) == FIONREAD => self.count_bytes(at),
            Syscall::Listen | Syscall::Accept | Syscall::Accept4 => Ok(Answer::Fail(Errno::OPNOTSUPP)),
            Syscall::Shutdown => Ok(shut_down(at.call.int(1))),
            Syscall::Dup | Syscall::Fcntl => self.duplicate(at, self.window.l2tpip()),
            _ => Ok(Answer::Continue),
        }
    }

    /// setsockopt(2). What the daemon does not know is tried on the pair: timeouts, and what does no harm there.
    fn set_control_option(&mut self, at: &Use<'_>, endpoint: Endpoint) -> io::Result<Answer> {
        let value = at.memory.read(at.call.address(3), at.call.size(4).min(OPTION_MAX))?;
        let call = SocketCall::Set { level: at.call.word(1), option: at.call.word(2), value: &value };
        Ok(match self.carry_out(at, endpoint, call, None) {
            Err(Errno::NOPROTOOPT) if is_socket_level(at) && ON_THE_PAIR.contains(&at.call.int(2)) => {
                Answer::Continue
            }
            result => result.map_or_else(Answer::Fail, |_| Answer::Return(0)),
        })
    }

    /// getsockopt(2).
    fn get_control_option(&mut self, at: &Use<'_>, endpoint: Endpoint) -> io::Result<Answer> {
        let call = SocketCall::Get { level: at.call.word(1), option: at.call.word(2) };
        match self.carry_out(at, endpoint, call, None) {
            Ok(SocketAnswer::Value(value)) => {
                at.memory.tell(at.call.address(3), at.call.address(4), &value, Length::AsCut)
            }
            Ok(_) => Ok(Answer::Fail(Errno::INVAL)),
            Err(Errno::NOPROTOOPT) if is_socket_level(at) => Ok(Answer::Continue),
            Err(errno) => Ok(Answer::Fail(errno)),
        }
    }
}

/// shutdown(2), as of a socket without a peer (`inet_shutdown`). On the pair it would be the socket's end.
fn shut_down(how: i32) -> Answer {
    let known = [libc::SHUT_RD, libc::SHUT_WR, libc::SHUT_RDWR].contains(&how);
    Answer::Fail(if known { Errno::NOTCONN } else { Errno::INVAL })
}

fn is_socket_level(at: &Use<'_>) -> bool {
    at.call.int(1) == libc::SOL_SOCKET
}
