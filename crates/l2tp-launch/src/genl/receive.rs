//! What a program receives.
//!
//! Only when the head of the receive queue came from us is there anything to do: the sender must read as the kernel,
//! port id 0. Otherwise the call goes on, and blocks, fails and times out as the kernel wants.

use std::io;
use std::time::Instant;

use rustix::fs::OFlags;
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{RecvFlags, recvfrom};

use super::{Use, kernel_address};
use crate::filter::Syscall;
use crate::notify::Answer;
use crate::remote::{MESSAGE_SIZE, Memory, MessageHeader, Part, TAKEN_MAX, room};
use crate::supervisor::Supervisor;

/// Where a received datagram goes, in the memory of the caller.
struct Target {
    parts: Vec<Part>,
    flags: RecvFlags,
    name: Name,
    /// recvmmsg(2): where the length of its first message goes.
    length: Option<u64>,
}

/// Where the sender's address goes.
enum Name {
    Nowhere,
    /// recvfrom(2): the address, its length.
    Pair {
        address: u64,
        length: u64,
        room: u32,
    },
    /// recvmsg(2).
    Header(MessageHeader),
}

impl Target {
    fn read(at: &Use<'_>) -> io::Result<Self> {
        let (call, memory) = (at.call, at.memory);
        let flags = |index| RecvFlags::from_bits_retain(call.word(index));
        let buffer = || vec![Part { address: call.address(1), size: call.size(2) }];
        let plain = |parts, flags, name| Self { parts, flags, name, length: None };
        Ok(match call.syscall {
            Syscall::Recvfrom => {
                plain(buffer(), flags(3), Name::pair(memory, call.address(4), call.address(5))?)
            }
            Syscall::Recvmsg => Self::message(MessageHeader::read(memory, call.address(1))?, flags(2), None),
            Syscall::Recvmmsg => {
                let header = MessageHeader::read(memory, call.address(1))?;
                Self::message(header, flags(3), Some(call.address(1) + MESSAGE_SIZE))
            }
            Syscall::Readv => {
                plain(memory.read_parts(call.address(1), call.size(2))?, RecvFlags::empty(), Name::Nowhere)
            }
            _ => plain(buffer(), RecvFlags::empty(), Name::Nowhere),
        })
    }

    fn message(header: MessageHeader, flags: RecvFlags, length: Option<u64>) -> Self {
        Self { parts: header.parts.clone(), flags, name: Name::Header(header), length }
    }

    /// Writes a datagram of `size` bytes, of which `bytes` had room; says what the call returns.
    fn write(&self, memory: Memory, bytes: &[u8], size: usize) -> io::Result<usize> {
        memory.scatter(&self.parts, bytes)?;
        let cut = size > bytes.len();
        self.name.write(memory, cut)?;
        let told = if self.flags.contains(RecvFlags::TRUNC) { size } else { bytes.len() };
        let Some(length) = self.length else { return Ok(told) };
        memory.write(length, &u32::try_from(told).unwrap_or(u32::MAX).to_ne_bytes())?;
        Ok(1)
    }
}

impl Name {
    fn pair(memory: Memory, address: u64, length: u64) -> io::Result<Self> {
        if address == 0 || length == 0 {
            return Ok(Self::Nowhere);
        }
        Ok(Self::Pair { address, length, room: u32::from_ne_bytes(memory.read_array(length)?) })
    }

    fn write(&self, memory: Memory, cut: bool) -> io::Result<()> {
        let address = kernel_address();
        let size = u32::try_from(address.len()).unwrap_or_default();
        let fitting =
            |room: u32| address.get(..usize::try_from(room).unwrap_or_default()).unwrap_or(&address);
        match self {
            Self::Nowhere => Ok(()),
            Self::Pair { address, length, room } => {
                memory.write(*address, fitting(*room))?;
                memory.write(*length, &size.to_ne_bytes())
            }
            Self::Header(header) => {
                if header.name != 0 {
                    memory.write(header.name, fitting(header.name_length))?;
                }
                header.write_back(memory, size, if cut { libc::MSG_TRUNC.cast_unsigned() } else { 0 })
            }
        }
    }
}

impl Supervisor {
    /// The calls that receive.
    pub(crate) fn receive(&mut self, at: &Use<'_>) -> io::Result<Answer> {
        let Some(socket) = self.sockets.get_mut(at.cookie) else { return Ok(Answer::Continue) };
        let Some(namespace) = self.namespaces.get(socket.namespace) else { return Ok(Answer::Continue) };
        let target = Target::read(at)?;
        if at.call.syscall == Syscall::Recvmmsg && at.call.word(2) == 0 {
            return Ok(Answer::Continue);
        }
        socket.pump(namespace.injector());
        if socket.take_overrun() {
            return Ok(Answer::Fail(Errno::NOBUFS));
        }
        let (size, sender) = match peek(at) {
            Ok(head) => head,
            Err(Errno::AGAIN) if socket.must_wait_here() && !is_nonblocking(at, &target) => {
                return Ok(Answer::Wait(deadline(at)));
            }
            Err(Errno::AGAIN) => return Ok(Answer::Continue),
            // Told once, and that was to us.
            Err(error) => return Ok(Answer::Fail(error)),
        };
        if sender != namespace.injector().port || target.flags.contains(RecvFlags::ERRQUEUE) {
            return Ok(Answer::Continue);
        }
        let mut bytes = vec![0; size.min(room(&target.parts)).min(TAKEN_MAX)];
        let flags = (target.flags & RecvFlags::PEEK) | RecvFlags::DONTWAIT | RecvFlags::TRUNC;
        // Taken before the answer: a program that is faster than we would find it twice.
        let taken = recvfrom(&at.socket, bytes.as_mut_slice(), flags);
        socket.pump(namespace.injector());
        let Ok((_, size, _)) = taken else { return Ok(Answer::Continue) };
        if !self.listener.is_valid(at.call) {
            return Err(Errno::SRCH.into());
        }
        Ok(target.write(at.memory, &bytes, size).map_or(Answer::Fail(Errno::FAULT), Answer::length))
    }
}

impl super::Socket {
    /// Whether an empty socket's reader waits with us: it may be woken by a datagram of ours, whose sender must then be
    /// put right.
    fn must_wait_here(&self) -> bool {
        self.is_member || self.is_shared
    }
}

/// Until when a receive may wait (`SO_RCVTIMEO`); `None`: for ever.
fn deadline(at: &Use<'_>) -> Option<Instant> {
    let timeout = rustix::net::sockopt::socket_timeout(&at.socket, rustix::net::sockopt::Timeout::Recv);
    timeout.ok().flatten().and_then(|timeout| Instant::now().checked_add(timeout))
}

/// Size and sender of the datagram at the head of the queue.
fn peek(at: &Use<'_>) -> Result<(usize, u32), Errno> {
    let mut nothing = [0_u8; 1];
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT | RecvFlags::TRUNC;
    let (_, size, sender) = recvfrom(&at.socket, &mut nothing, flags)?;
    let sender = sender.and_then(|sender| SocketAddrNetlink::try_from(sender).ok());
    Ok((size, sender.map_or(0, |sender| sender.pid())))
}

fn is_nonblocking(at: &Use<'_>, target: &Target) -> bool {
    target.flags.contains(RecvFlags::DONTWAIT)
        || rustix::fs::fcntl_getfl(&at.socket).is_ok_and(|flags| flags.contains(OFlags::NONBLOCK))
}
