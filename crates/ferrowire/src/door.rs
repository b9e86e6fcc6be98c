//! The caller's side of the door: requests to the daemon of this network namespace.

use std::io;

use l2tp_io::door::{DoorStream, MAX_MESSAGE};

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
