//! The two sockets that serve the l2tp family: Ferrowire's door and the kernel's netlink.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use l2tp_io::door::{DoorStream, MAX_MESSAGE, NAME};
use l2tp_io::genl::GenericNetlink;

use crate::conversation::Transport;

/// How long a request waits for each datagram of its answer, if nothing else is said.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// A socket to Ferrowire's daemon or to the kernel.
#[derive(Debug)]
pub struct Socket(Kind);

#[derive(Debug)]
enum Kind {
    Door { stream: DoorStream, buffer: Vec<u8>, beside: Option<OwnedFd> },
    Kernel(GenericNetlink),
}

impl Socket {
    /// To the daemon of the calling thread's network namespace.
    ///
    /// # Errors
    /// `ConnectionRefused` when no daemon serves it; those of socket(2).
    pub fn door() -> io::Result<Self> {
        Self::from(DoorStream::connect(NAME)?).with_timeout()
    }

    /// To the kernel, for the calling thread's network namespace.
    ///
    /// # Errors
    /// Those of socket(2). That the kernel has no L2TP shows with the first request only.
    pub fn kernel() -> io::Result<Self> {
        Self(Kind::Kernel(GenericNetlink::open()?)).with_timeout()
    }

    fn with_timeout(self) -> io::Result<Self> {
        self.set_timeout(Some(TIMEOUT))?;
        Ok(self)
    }

    /// Sets how long to wait for a datagram to come, and for one to leave; `None`: as long as it takes.
    ///
    /// # Errors
    /// `InvalidInput` for no time at all.
    pub fn set_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        match &self.0 {
            Kind::Door { stream, .. } => stream.set_timeout(timeout),
            Kind::Kernel(socket) => socket.set_timeout(timeout),
        }
    }

    /// Joins a multicast group of the kernel's; at the door that takes a request.
    pub(crate) fn join(&self, group: u32) -> io::Result<()> {
        match &self.0 {
            Kind::Door { .. } => Err(io::ErrorKind::Unsupported.into()),
            Kind::Kernel(socket) => socket.join(group),
        }
    }

    /// The descriptor that came beside a datagram since this was last asked.
    pub(crate) fn take_beside(&mut self) -> Option<OwnedFd> {
        match &mut self.0 {
            Kind::Door { beside, .. } => beside.take(),
            Kind::Kernel(_) => None,
        }
    }

    /// Whether it is the kernel's own.
    #[must_use]
    pub const fn is_kernel(&self) -> bool {
        matches!(self.0, Kind::Kernel(_))
    }
}

impl Transport for Socket {
    /// At the door the descriptor goes beside the datagram (`SCM_RIGHTS`); the kernel looks it up by its number.
    fn send(&mut self, datagram: &[u8], descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
        match &self.0 {
            Kind::Door { stream, .. } => stream.send(datagram, descriptor.as_slice()),
            Kind::Kernel(socket) => socket.send(datagram),
        }
        .map_err(in_time)
    }

    fn receive(&mut self) -> io::Result<Vec<u8>> {
        match &mut self.0 {
            Kind::Door { stream, buffer, beside } => {
                let mut descriptors = Vec::new();
                let length = stream.recv(buffer, &mut descriptors);
                *beside = descriptors.into_iter().next().or(beside.take());
                length.map(|length| buffer.get(..length).unwrap_or_default().to_vec())
            }
            Kind::Kernel(socket) => socket.recv(),
        }
        .map_err(in_time)
    }
}

/// A socket whose time is over says that it would block.
fn in_time(error: io::Error) -> io::Error {
    if error.kind() == io::ErrorKind::WouldBlock {
        return io::Error::new(io::ErrorKind::TimedOut, "nothing came in time");
    }
    error
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.0 {
            Kind::Door { stream, .. } => stream.as_fd(),
            Kind::Kernel(socket) => socket.as_fd(),
        }
    }
}

/// Takes a connection to a daemon, perhaps one that was inherited. It waits without end until told otherwise.
impl From<DoorStream> for Socket {
    fn from(stream: DoorStream) -> Self {
        Self(Kind::Door { stream, buffer: vec![0; MAX_MESSAGE], beside: None })
    }
}
