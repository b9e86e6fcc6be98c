//! The door: an abstract Unix SEQPACKET socket, scoped by network namespace as netlink is (unix(7)). One message is
//! one datagram of bytes, with file descriptors beside it.
//!
//! An abstract name has no permissions: whoever listens asks [`crate::creds`] about every caller, and whoever connects
//! about the listener.

use crate::linger::Linger;
use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::net::sockopt;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, connect,
    listen, recvmsg, sendmsg, socket_with, socketpair,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::time::Duration;

/// The abstract name at which a daemon listens, one in every network namespace.
pub const NAME: &[u8] = b"ferrowire";

/// File descriptors that one message carries at most.
pub const MAX_FDS: usize = 16;

/// Bytes of the longest message, where the send buffer may be made large enough for it: with CAP_NET_ADMIN in the
/// first user namespace. Others are held to [`DoorStream::max_message`].
pub const MAX_MESSAGE: usize = 1 << 20;

/// Callers that may wait to be accepted; more are refused (`EAGAIN` without blocking, else they wait).
const BACKLOG: i32 = 128;

/// The listening side; never blocks.
pub struct DoorListener {
    descriptor: OwnedFd,
}

impl DoorListener {
    /// Opens the door `name` (without the leading NUL) in the namespace of the calling thread.
    ///
    /// # Errors
    /// `EADDRINUSE` when someone listens there already, `ENAMETOOLONG` above 107 bytes.
    pub fn bind(name: &[u8]) -> io::Result<Self> {
        let descriptor = seqpacket(SocketFlags::NONBLOCK)?;
        bind(&descriptor, &SocketAddrUnix::new_abstract_name(name)?)?;
        listen(&descriptor, BACKLOG)?;
        Ok(Self { descriptor })
    }

    /// The next caller, if one waits. Its stream does not block either.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE` when no descriptor is free: the caller stays in the queue, so wait before the next try.
    pub fn accept(&self) -> io::Result<Option<DoorStream>> {
        loop {
            match accept_with(&self.descriptor, SocketFlags::CLOEXEC | SocketFlags::NONBLOCK) {
                Ok(stream) => return Ok(Some(DoorStream::from(stream))),
                Err(Errno::AGAIN) => return Ok(None),
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

impl AsFd for DoorListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// One caller's connection, either end of it.
#[derive(Debug)]
pub struct DoorStream {
    descriptor: OwnedFd,
}

impl DoorStream {
    /// Knocks at the door `name` in the namespace of the calling thread. The stream blocks.
    ///
    /// # Errors
    /// `ECONNREFUSED` when nobody listens. `PermissionDenied`, with words that say what to do, when the listener is neither
    /// root nor our own user nor holds the namespace: descriptors and requests are not for everybody who took the name.
    pub fn connect(name: &[u8]) -> io::Result<Self> {
        let descriptor = seqpacket(SocketFlags::empty())?;
        connect(&descriptor, &SocketAddrUnix::new_abstract_name(name)?)?;
        crate::creds::server::check(descriptor.as_fd())?;
        Ok(Self::from(descriptor))
    }

    /// Two streams that are each other's other side.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`, `ENOMEM` of socketpair(2).
    pub fn pair() -> io::Result<(Self, Self)> {
        let (near, far) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        Ok((Self::from(near), Self::from(far)))
    }

    /// Takes an end of a pair that this process inherited under a number, and keeps it from programs that it starts.
    /// Nobody else in this process may use the number.
    ///
    /// # Errors
    /// `EBADF` when nothing is open under the number, `ENOTSOCK` or `EPROTOTYPE` when it is no SEQPACKET socket.
    pub fn inherit(number: RawFd) -> io::Result<Self> {
        if number < 0 {
            return Err(Errno::BADF.into());
        }
        // SAFETY: the caller says that the number is ours; if nothing is open there, every call on it says so.
        let inherited = unsafe { BorrowedFd::borrow_raw(number) };
        if sockopt::socket_type(inherited)? != SocketType::SEQPACKET {
            return Err(Errno::PROTOTYPE.into());
        }
        fcntl_setfd(inherited, FdFlags::CLOEXEC)?;
        // SAFETY: a socket is open under the number, and nobody else owns it.
        Ok(Self::from(unsafe { OwnedFd::from_raw_fd(number) }))
    }

    /// Makes the stream block, or not.
    ///
    /// # Errors
    /// Those of ioctl(2): none in practice.
    pub fn set_nonblocking(&self, nonblocking: bool) -> io::Result<()> {
        Ok(rustix::io::ioctl_fionbio(&self.descriptor, nonblocking)?)
    }

    /// Sets how long sending and receiving wait at most; `None`: as long as it takes.
    ///
    /// # Errors
    /// `InvalidInput` for no time at all.
    pub fn set_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        crate::sockopt::set_timeout(&self.descriptor, timeout)
    }

    /// Bytes of the longest message that this end can send: [`MAX_MESSAGE`], or what the host's limit on send buffers
    /// (twice net.core.wmem_max) leaves a process without CAP_NET_ADMIN.
    ///
    /// # Errors
    /// Those of getsockopt(2): none in practice.
    pub fn max_message(&self) -> io::Result<usize> {
        // unix_dgram_sendmsg keeps 32 bytes for itself.
        let room = sockopt::socket_send_buffer_size(&self.descriptor)?.saturating_sub(32);
        Ok(room.min(MAX_MESSAGE))
    }

    /// Receives one message into `buffer`, appends its descriptors (at most [`MAX_FDS`], close-on-exec) to `fds`, and
    /// returns its length; 0 when the other side has hung up.
    ///
    /// # Errors
    /// `WouldBlock` when nothing waits, or came in time; `EMSGSIZE` for a message longer than the buffer, or with more descriptors
    /// than allowed or than this process may open: the message is gone, its descriptors are closed, the stream goes
    /// on. `ECONNRESET` when the other side hung up with messages unread.
    pub fn recv(&self, buffer: &mut [u8], fds: &mut Vec<OwnedFd>) -> io::Result<usize> {
        self.recv_with(buffer, fds, RecvFlags::empty())
    }

    /// As [`DoorStream::recv`], for what will soon be here: looks for a moment before it sleeps.
    ///
    /// # Errors
    /// As [`DoorStream::recv`].
    pub fn recv_awake(
        &self,
        buffer: &mut [u8],
        fds: &mut Vec<OwnedFd>,
        linger: &mut Linger,
    ) -> io::Result<usize> {
        let is_nothing = |error: &io::Error| error.kind() == io::ErrorKind::WouldBlock;
        let look = || match self.recv_with(buffer, fds, RecvFlags::DONTWAIT) {
            Err(error) if is_nothing(&error) => None,
            received => Some(received),
        };
        linger.find(look).unwrap_or_else(|| self.recv(buffer, fds))
    }

    fn recv_with(&self, buffer: &mut [u8], fds: &mut Vec<OwnedFd>, flags: RecvFlags) -> io::Result<usize> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut parts = [IoSliceMut::new(buffer)];
        let flags = flags | RecvFlags::CMSG_CLOEXEC;
        let message =
            rustix::io::retry_on_intr(|| recvmsg(&self.descriptor, &mut parts, &mut control, flags))?;
        let kept = fds.len();
        for entry in control.drain() {
            if let RecvAncillaryMessage::ScmRights(received) = entry {
                fds.extend(received);
            }
        }
        let cut = message.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC);
        if cut || fds.len() > kept + MAX_FDS {
            fds.truncate(kept);
            return Err(Errno::MSGSIZE.into());
        }
        Ok(message.bytes)
    }

    /// Sends one message with descriptors; the receiver gets copies. An empty message cannot be told from a hang-up.
    ///
    /// # Errors
    /// `EMSGSIZE` above [`DoorStream::max_message`] bytes or [`MAX_FDS`] descriptors; `WouldBlock` when the receiver
    /// is behind; `EINVAL` for an empty message; `EPIPE` when the other side has hung up; `ETOOMANYREFS` when too
    /// many descriptors are on their way.
    pub fn send(&self, bytes: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        if bytes.is_empty() {
            return Err(Errno::INVAL.into());
        }
        if fds.len() > MAX_FDS || bytes.len() > MAX_MESSAGE {
            return Err(Errno::MSGSIZE.into());
        }
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_FDS))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !control.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(Errno::MSGSIZE.into());
        }
        let parts = [IoSlice::new(bytes)];
        let flags = SendFlags::NOSIGNAL;
        rustix::io::retry_on_intr(|| sendmsg(&self.descriptor, &parts, &mut control, flags))?;
        Ok(())
    }
}

impl AsFd for DoorStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl From<DoorStream> for OwnedFd {
    fn from(stream: DoorStream) -> Self {
        stream.descriptor
    }
}

/// Takes a connected SEQPACKET socket: an end of a pair, or one that was inherited.
impl From<OwnedFd> for DoorStream {
    fn from(descriptor: OwnedFd) -> Self {
        // A message must fit the send buffer whole. Never an error: smaller messages still pass.
        let _smaller_is_no_error = sockopt::set_socket_send_buffer_size_force(&descriptor, MAX_MESSAGE)
            .or_else(|_| sockopt::set_socket_send_buffer_size(&descriptor, MAX_MESSAGE));
        Self { descriptor }
    }
}

fn seqpacket(flags: SocketFlags) -> io::Result<OwnedFd> {
    Ok(socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags | SocketFlags::CLOEXEC, None)?)
}

#[cfg(test)]
mod tests;
