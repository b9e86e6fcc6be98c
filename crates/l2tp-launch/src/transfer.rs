//! What a trapped call sends, and where it receives to: the arguments of eight system calls in one form each.

use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Instant;

use rustix::fs::OFlags;
use rustix::net::RecvFlags;
use rustix::net::sockopt::{Timeout, socket_timeout};

use crate::filter::Syscall;
use crate::notify::{Answer, Call};
use crate::remote::{MESSAGE_SIZE, Memory, MessageHeader, Part, TAKEN_MAX, room};
use crate::task::Process;

/// Bytes of an address that are looked at (`struct sockaddr_storage`).
const NAME_MAX: usize = 128;

/// The bits of a socket's type that are the type, without flags (`SOCK_TYPE_MASK`).
pub(crate) const SOCK_TYPE_MASK: u32 = 0xf;

/// A trapped call on a socket of ours.
pub(crate) struct Use<'a> {
    pub(crate) call: &'a Call,
    pub(crate) process: Rc<Process>,
    pub(crate) memory: Memory,
    /// Our copy of the socket, for as long as the call is handled.
    pub(crate) socket: OwnedFd,
    /// What the kernel calls it (`SO_COOKIE`); never used again for another.
    pub(crate) cookie: u64,
}

impl Use<'_> {
    /// Until when a receive may wait (`SO_RCVTIMEO`); `None`: for ever.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        let timeout = socket_timeout(&self.socket, Timeout::Recv).ok().flatten();
        timeout.and_then(|timeout| Instant::now().checked_add(timeout))
    }
}

/// A datagram that a program sends.
pub(crate) struct Outgoing {
    pub(crate) bytes: Vec<u8>,
    /// Where to, if it says so.
    pub(crate) name: Option<Vec<u8>>,
}

impl Outgoing {
    /// Reads it, or the first of several, from the arguments of a call that sends; `None` if there is none.
    ///
    /// # Errors
    /// Those of the caller's memory.
    pub(crate) fn read(at: &Use<'_>) -> io::Result<Option<Self>> {
        let call = at.call;
        let name_at = |address: u64, length: u32| -> io::Result<Option<Vec<u8>>> {
            let length = usize::try_from(length).unwrap_or(NAME_MAX).min(NAME_MAX);
            if address == 0 { Ok(None) } else { at.memory.read(address, length).map(Some) }
        };
        let buffer = vec![Part { address: call.address(1), size: call.size(2) }];
        let (parts, name) = match call.syscall {
            Syscall::Sendmmsg if call.word(2) == 0 => return Ok(None),
            Syscall::Sendto => (buffer, name_at(call.address(4), call.word(5))?),
            Syscall::Writev => (at.memory.read_parts(call.address(1), call.size(2))?, None),
            Syscall::Sendmsg | Syscall::Sendmmsg => {
                let header = MessageHeader::read(at.memory, call.address(1))?;
                let name = name_at(header.name, header.name_length)?;
                (header.parts, name)
            }
            _ => (buffer, None),
        };
        Ok(Some(Self { bytes: at.memory.gather(&parts)?, name }))
    }

    /// The answer to the call when all of it was sent.
    ///
    /// # Errors
    /// Those of the caller's memory.
    pub(crate) fn done(&self, at: &Use<'_>) -> io::Result<Answer> {
        if at.call.syscall != Syscall::Sendmmsg {
            return Ok(Answer::length(self.bytes.len()));
        }
        let length = u32::try_from(self.bytes.len()).unwrap_or(u32::MAX);
        at.memory.write(at.call.address(1) + MESSAGE_SIZE, &length.to_ne_bytes())?;
        // One message a call is allowed; the program sends the rest with the next.
        Ok(Answer::Return(1))
    }
}

/// Where a received datagram goes, in the memory of the caller.
pub(crate) struct Incoming {
    parts: Vec<Part>,
    pub(crate) flags: RecvFlags,
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

impl Incoming {
    /// Reads it from the arguments of a call that receives; `None` if there is no room for any.
    ///
    /// # Errors
    /// Those of the caller's memory.
    pub(crate) fn read(at: &Use<'_>) -> io::Result<Option<Self>> {
        let (call, memory) = (at.call, at.memory);
        if call.syscall == Syscall::Recvmmsg && call.word(2) == 0 {
            return Ok(None);
        }
        let flags = |index| RecvFlags::from_bits_retain(call.word(index));
        let buffer = || vec![Part { address: call.address(1), size: call.size(2) }];
        let plain = |parts, flags, name| Self { parts, flags, name, length: None };
        Ok(Some(match call.syscall {
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
        }))
    }

    /// Whether the caller does not wait for a datagram.
    pub(crate) fn is_nonblocking(&self, at: &Use<'_>) -> bool {
        self.flags.contains(RecvFlags::DONTWAIT)
            || rustix::fs::fcntl_getfl(&at.socket).is_ok_and(|flags| flags.contains(OFlags::NONBLOCK))
    }

    fn message(header: MessageHeader, flags: RecvFlags, length: Option<u64>) -> Self {
        Self { parts: header.parts.clone(), flags, name: Name::Header(header), length }
    }

    /// Bytes that there is room for.
    pub(crate) fn room(&self) -> usize {
        room(&self.parts).min(TAKEN_MAX)
    }

    /// Writes a datagram of `size` bytes, of which `bytes` had room, and the address of its sender; says what the call
    /// returns.
    ///
    /// # Errors
    /// Those of the caller's memory.
    pub(crate) fn write(&self, memory: Memory, from: &[u8], bytes: &[u8], size: usize) -> io::Result<usize> {
        memory.scatter(&self.parts, bytes)?;
        let cut = size > bytes.len();
        self.name.write(memory, from, cut)?;
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

    fn write(&self, memory: Memory, from: &[u8], cut: bool) -> io::Result<()> {
        let size = u32::try_from(from.len()).unwrap_or_default();
        let fitting = |room: u32| from.get(..usize::try_from(room).unwrap_or_default()).unwrap_or(from);
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
