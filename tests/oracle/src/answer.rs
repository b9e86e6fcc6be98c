//! What answers say.

use l2tp_abi::Errno;
use l2tp_abi::nl::{Ack, Messages, done_errno};

/// What came back for one request.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// From an acknowledgement, an error or the end of a dump.
    pub errno: Option<Errno>,
    /// What it says besides.
    pub text: Option<String>,
    /// The place of the attribute: bytes from the start of the request.
    pub offset: Option<u32>,
    /// The other messages, headers included.
    pub messages: Vec<Vec<u8>>,
}

/// Reads the datagrams that answer one request.
#[must_use]
pub fn answer(datagrams: &[Vec<u8>]) -> Answer {
    let mut answer = Answer { errno: None, text: None, offset: None, messages: Vec::new() };
    for message in datagrams.iter().flat_map(|datagram| Messages::new(datagram)) {
        if let Some(ack) = Ack::parse(&message) {
            answer.errno = ack.errno;
            answer.text = ack.message;
            answer.offset = ack.offset;
        } else if let Some(errno) = done_errno(&message) {
            answer.errno = errno;
        } else {
            answer.messages.push(message.bytes.to_vec());
        }
    }
    answer
}

impl Answer {
    /// The name of its error number, as the recording writes it.
    #[must_use]
    pub fn errno_name(&self) -> &'static str {
        self.errno.map_or("OK", |errno| errno.name().unwrap_or("?"))
    }
}
