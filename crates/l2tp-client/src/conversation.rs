//! A request and its answer, message by message.

use std::io;
use std::os::fd::BorrowedFd;

use l2tp_abi::nl::{Ack, Message, Messages, NLMSG_ERROR, done_errno};

use crate::error::{Error, unreadable};

/// Flag of a dump's messages: objects came or went meanwhile (`NLM_F_DUMP_INTR`).
const NLM_F_DUMP_INTR: u16 = 0x10;

/// A way for datagrams of netlink messages to whoever serves the l2tp family. [`crate::Socket`] is the one that programs
/// use; tests may bring their own.
pub trait Transport {
    /// Sends one datagram. `descriptor` is the socket that a request in it names.
    ///
    /// # Errors
    /// Those of the socket.
    fn send(&mut self, datagram: &[u8], descriptor: Option<BorrowedFd<'_>>) -> io::Result<()>;

    /// Waits for one datagram. An empty one says that the other side is gone.
    ///
    /// # Errors
    /// `TimedOut` when none came in time; those of the socket.
    fn receive(&mut self) -> io::Result<Vec<u8>>;
}

impl<T: Transport + ?Sized> Transport for &mut T {
    fn send(&mut self, datagram: &[u8], descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
        (**self).send(datagram, descriptor)
    }

    fn receive(&mut self) -> io::Result<Vec<u8>> {
        (**self).receive()
    }
}

/// What an answer that is no refusal gives to think about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Warning {
    /// The server's words (`NLMSGERR_ATTR_MSG` of an acknowledgement).
    Said(String),
    /// Objects came or went during a dump: one may be missing, or told twice.
    DumpInterrupted,
}

/// One conversation: requests go one at a time, each with a sequence number of its own.
#[derive(Debug)]
pub(crate) struct Conversation<T> {
    transport: T,
    seq: u32,
    /// What was received last, and how far it is read.
    datagram: Vec<u8>,
    read: usize,
    /// Whether more of an answer is to come.
    is_open: bool,
    interrupted: bool,
    pub(crate) warnings: Vec<Warning>,
}

/// What a message of an answer is.
enum Part {
    /// One of what was asked for.
    Object,
    End(Option<Warning>),
}

impl<T: Transport> Conversation<T> {
    pub(crate) fn new(transport: T) -> Self {
        let (datagram, warnings) = (Vec::new(), Vec::new());
        Self { transport, seq: 0, datagram, read: 0, is_open: false, interrupted: false, warnings }
    }

    pub(crate) fn transport(&self) -> &T {
        &self.transport
    }

    pub(crate) fn transport_mut(&mut self) -> &mut T {
        &mut self.transport
    }

    pub(crate) fn into_transport(self) -> T {
        self.transport
    }

    /// Sends what `request` makes of a sequence number. What is left of the answer before is passed over first: the kernel
    /// makes one dump at a time for a socket.
    pub(crate) fn ask(
        &mut self,
        request: impl FnOnce(u32) -> Vec<u8>,
        descriptor: Option<BorrowedFd<'_>>,
    ) -> Result<(), Error> {
        while self.is_open {
            // Whether that request failed was its asker's to know.
            let _: Result<Option<()>, Error> = self.next(|_| Some(()));
        }
        self.seq = self.seq.wrapping_add(1);
        self.transport.send(&request(self.seq), descriptor)?;
        (self.is_open, self.interrupted) = (true, false);
        Ok(())
    }

    /// What `read` makes of the next message of the answer that it makes something of; `None` at the end of the answer.
    pub(crate) fn next<R>(
        &mut self,
        mut read: impl FnMut(&Message<'_>) -> Option<R>,
    ) -> Result<Option<R>, Error> {
        while self.is_open {
            let found = self.step(&mut read);
            if !matches!(found, Ok(None)) {
                self.is_open &= found.is_ok();
                return found;
            }
        }
        Ok(None)
    }

    /// Looks at one message.
    fn step<R>(&mut self, read: &mut impl FnMut(&Message<'_>) -> Option<R>) -> Result<Option<R>, Error> {
        let rest = self.datagram.get(self.read..).unwrap_or_default();
        let Some(message) = Messages::new(rest).next() else { return self.receive().map(|()| None) };
        self.read += message.bytes.len().next_multiple_of(4);
        if message.header.seq != self.seq {
            return Ok(None);
        }
        self.interrupted |= message.header.flags & NLM_F_DUMP_INTR != 0;
        match part(&message)? {
            Part::Object => Ok(read(&message)),
            Part::End(warning) => {
                self.is_open = false;
                self.warnings.extend(warning);
                self.warnings.extend(self.interrupted.then_some(Warning::DumpInterrupted));
                Ok(None)
            }
        }
    }

    fn receive(&mut self) -> Result<(), Error> {
        self.datagram = self.transport.receive()?;
        self.read = 0;
        if self.datagram.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it closed the connection").into());
        }
        if Messages::new(&self.datagram).next().is_none() {
            return Err(unreadable("not a netlink message"));
        }
        Ok(())
    }
}

fn part(message: &Message<'_>) -> Result<Part, Error> {
    if let Some(errno) = done_errno(message) {
        let refused = |errno| Err(Error::Refused { errno, message: None, offset: None });
        return errno.map_or(Ok(Part::End(None)), refused);
    }
    if message.header.kind != NLMSG_ERROR {
        return Ok(Part::Object);
    }
    let Ack { errno, message, offset, .. } =
        Ack::parse(message).ok_or_else(|| unreadable("an acknowledgement too short"))?;
    match errno {
        Some(errno) => Err(Error::Refused { errno, message, offset }),
        None => Ok(Part::End(message.map(Warning::Said))),
    }
}
