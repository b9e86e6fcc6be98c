//! The calls that make and shape a socket.

use std::io;

use l2tp_abi::genl::ferrowire::socket::{ADDRESS_MAX, SocketAnswer, SocketCall, SocketRequest};
use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType};

use super::Endpoint;
use crate::filter::Syscall;
use crate::notify::{Answer, Call};
use crate::supervisor::Supervisor;
use crate::transfer::{SOCK_TYPE_MASK, Use};

/// Bytes of the longest option that is taken.
const OPTION_MAX: usize = 256;

impl Supervisor {
    /// socket(2). Of other types the kernel says what is to be said; a raw socket stays the kernel's.
    pub(crate) fn open_l2tpip(&mut self, call: &Call) -> io::Result<Answer> {
        if SocketType::from_raw(call.word(1) & SOCK_TYPE_MASK) != SocketType::DGRAM {
            return Ok(Answer::Continue);
        }
        let process = self.tasks.process(call.thread)?;
        let identity = self.namespaces.of_thread(call.thread)?;
        self.sweep_soon();
        let family = u16::try_from(call.word(0)).map(AddressFamily::from_raw).map_err(|_| Errno::INVAL)?;
        let request = SocketRequest { socket: None, call: SocketCall::Open(family.as_raw()) };
        let Some(namespace) = self.namespaces.get_mut(identity) else { return Ok(Answer::Continue) };
        let Some(door) = namespace.door(&mut self.starter) else { return Ok(Answer::Continue) };
        let (number, socket) = match door.call(&request) {
            Ok(Ok((SocketAnswer::Opened(number), Some(socket)))) => (number, socket),
            Ok(Err(errno)) => return Ok(Answer::Fail(errno)),
            _ => {
                namespace.lose_door();
                return Ok(Answer::Continue);
            }
        };
        self.endpoints.insert(number, &socket, Endpoint { namespace: identity, family })?;
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
            Syscall::Bind => {
                let address = address(at)?;
                Ok(self.carry_out(at, endpoint, SocketCall::Bind(&address)).map_or_else(Answer::Fail, done))
            }
            Syscall::Connect => {
                let address = address(at)?;
                Ok(self
                    .carry_out(at, endpoint, SocketCall::Connect(&address))
                    .map_or_else(Answer::Fail, done))
            }
            Syscall::Getsockname => self.tell_name(at, endpoint, SocketCall::Name),
            Syscall::Getpeername => self.tell_name(at, endpoint, SocketCall::Peer),
            Syscall::Setsockopt => self.set_control_option(at, endpoint),
            Syscall::Getsockopt => self.get_control_option(at, endpoint),
            Syscall::Ioctl => self.count_bytes(at),
            Syscall::Listen | Syscall::Accept | Syscall::Accept4 => Ok(Answer::Fail(Errno::OPNOTSUPP)),
            Syscall::Dup | Syscall::Fcntl => self.duplicate(at, self.window.l2tpip()),
            _ => Ok(Answer::Continue),
        }
    }

    /// Has the daemon carry out a call; without it the socket is dead.
    pub(super) fn carry_out(
        &mut self,
        at: &Use<'_>,
        endpoint: Endpoint,
        call: SocketCall<'_>,
    ) -> Result<SocketAnswer, Errno> {
        let namespace = self.namespaces.get_mut(endpoint.namespace).ok_or(Errno::CONNREFUSED)?;
        let door = namespace.door(&mut self.starter).ok_or(Errno::CONNREFUSED)?;
        match door.call(&SocketRequest { socket: Some(at.cookie), call }) {
            Ok(answer) => answer.map(|(answer, _)| answer),
            Err(_) => {
                namespace.lose_door();
                Err(Errno::CONNREFUSED)
            }
        }
    }

    /// getsockname(2), getpeername(2).
    fn tell_name(&mut self, at: &Use<'_>, endpoint: Endpoint, call: SocketCall<'_>) -> io::Result<Answer> {
        let name = match self.carry_out(at, endpoint, call) {
            Ok(SocketAnswer::Address(name)) => name,
            Ok(_) => return Ok(Answer::Fail(Errno::INVAL)),
            Err(errno) => return Ok(Answer::Fail(errno)),
        };
        tell(at, at.call.address(1), at.call.address(2), &name, Length::Whole)
    }

    /// setsockopt(2). What the daemon does not know is tried on the pair: timeouts, and what does no harm there.
    fn set_control_option(&mut self, at: &Use<'_>, endpoint: Endpoint) -> io::Result<Answer> {
        let value = at.memory.read(at.call.address(3), at.call.size(4).min(OPTION_MAX))?;
        let call = SocketCall::Set { level: at.call.word(1), option: at.call.word(2), value: &value };
        Ok(match self.carry_out(at, endpoint, call) {
            Err(Errno::NOPROTOOPT) if is_socket_level(at) => Answer::Continue,
            result => result.map_or_else(Answer::Fail, done),
        })
    }

    /// getsockopt(2).
    fn get_control_option(&mut self, at: &Use<'_>, endpoint: Endpoint) -> io::Result<Answer> {
        let call = SocketCall::Get { level: at.call.word(1), option: at.call.word(2) };
        match self.carry_out(at, endpoint, call) {
            Ok(SocketAnswer::Value(value)) => {
                tell(at, at.call.address(3), at.call.address(4), &value, Length::AsCut)
            }
            Ok(_) => Ok(Answer::Fail(Errno::INVAL)),
            Err(Errno::NOPROTOOPT) if is_socket_level(at) => Ok(Answer::Continue),
            Err(errno) => Ok(Answer::Fail(errno)),
        }
    }
}

/// What is told of the length of something for which there was too little room.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Length {
    /// All of it: names.
    Whole,
    /// As much as there was room for: options.
    AsCut,
}

/// Writes `value` to `place` and its length to `length`, where the caller says how much room there is.
fn tell(at: &Use<'_>, place: u64, length: u64, value: &[u8], told: Length) -> io::Result<Answer> {
    let room = i32::from_ne_bytes(at.memory.read_array(length)?);
    let Ok(room) = usize::try_from(room) else { return Ok(Answer::Fail(Errno::INVAL)) };
    let cut = value.get(..room).unwrap_or(value);
    let size = u32::try_from(if told == Length::Whole { value.len() } else { cut.len() }).unwrap_or_default();
    at.memory.write(place, cut)?;
    at.memory.write(length, &size.to_ne_bytes())?;
    Ok(Answer::Return(0))
}

/// The address of bind(2) and connect(2).
fn address(at: &Use<'_>) -> io::Result<Vec<u8>> {
    at.memory.read(at.call.address(1), at.call.size(2).min(usize::from(ADDRESS_MAX)))
}

fn is_socket_level(at: &Use<'_>) -> bool {
    at.call.int(1) == libc::SOL_SOCKET
}

fn done(_: SocketAnswer) -> Answer {
    Answer::Return(0)
}
