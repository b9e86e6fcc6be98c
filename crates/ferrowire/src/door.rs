//! The caller's side: requests to the daemon of this network namespace, or to the kernel where that has L2TP itself.

use std::io;

use l2tp_io::door::{DoorStream, MAX_MESSAGE};
use l2tp_io::genl::GenericNetlink;

use crate::l2tp::Door;

/// The abstract name at which a daemon listens, one in every network namespace.
pub(crate) const NAME: &[u8] = b"ferrowire";

/// A connection that is made with the first request, so that a command that needs no daemon works without one.
#[derive(Default)]
pub(crate) struct Connection {
    stream: Option<DoorStream>,
    buffer: Vec<u8>,
}

impl Connection {
    fn stream(&mut self) -> io::Result<&DoorStream> {
        match &mut self.stream {
            Some(stream) => Ok(stream),
            none => Ok(none.insert(DoorStream::connect(NAME)?)),
        }
    }
}

impl Door for Connection {
    fn request(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream()?.send(bytes, &[])
    }

    fn reply(&mut self) -> io::Result<Vec<u8>> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.resize(MAX_MESSAGE, 0);
        let mut descriptors = Vec::new();
        let length = self.stream()?.recv(&mut buffer, &mut descriptors)?;
        let datagram = buffer.get(..length).unwrap_or_default().to_vec();
        self.buffer = buffer;
        Ok(datagram)
    }
}

/// The kernel's own subsystem: the same bytes over netlink.
pub(crate) struct Kernel(GenericNetlink);

impl Kernel {
    /// A socket of the namespace of the calling thread.
    pub(crate) fn open() -> io::Result<Self> {
        GenericNetlink::open().map(Self)
    }
}

impl Door for Kernel {
    fn request(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.send(bytes)
    }

    fn reply(&mut self) -> io::Result<Vec<u8>> {
        self.0.recv()
    }
}
