//! A program at the door.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::Duration;

use l2tp_abi::nl::{NETLINK_EXT_ACK, emit_overrun};
use l2tp_datapath::{Datapath, NetEngine, SystemHost};
use l2tp_io::door::DoorStream;
use l2tp_io::poller::{Event, Interest, Poller};
use l2tp_mgmt::netlink::{Client, ReplySink, Server};

/// Bytes that may wait for a program that does not read. What comes then is lost to it, as on a netlink socket whose
/// receive buffer is full, until it has read all that waits; a message of type `NLMSG_OVERRUN` follows there.
const OUTBOX_BYTES: usize = 1 << 20;

/// A connected program: what it asked, and what waits for it.
pub(super) struct Caller {
    /// Its place among the callers. Its port id may be another program's, for which it asks.
    number: u32,
    stream: DoorStream,
    client: Client,
    outbox: Outbox,
    /// What is waited for at its stream.
    watched: Interest,
}

/// A datagram for all who listen to a group.
#[derive(Clone)]
pub(super) struct Notification {
    pub(super) group: u32,
    pub(super) datagram: Vec<u8>,
}

impl Notification {
    pub(super) fn new(group: u32, datagram: &[u8]) -> Self {
        Self { group, datagram: datagram.to_vec() }
    }
}

/// Datagrams that the stream has no room for yet.
#[derive(Default)]
struct Outbox {
    datagrams: VecDeque<Datagram>,
    bytes: usize,
    /// Something was lost behind those that wait.
    overrun: bool,
}

/// A datagram on its way to a program, and the descriptor beside it.
struct Datagram {
    bytes: Vec<u8>,
    descriptor: Option<OwnedFd>,
}

/// Where the server's answers to one program go.
pub(super) struct Replies<'a> {
    outbox: &'a mut Outbox,
    heard: &'a mut Vec<Notification>,
    /// What only the edges can count and measure.
    edge: &'a Datapath,
}

impl ReplySink<OwnedFd> for Replies<'_> {
    fn reply(&mut self, datagram: &[u8], descriptor: Option<OwnedFd>) {
        self.outbox.push(datagram, descriptor);
    }

    fn notify(&mut self, group: u32, datagram: &[u8]) {
        self.heard.push(Notification::new(group, datagram));
    }

    fn losses(&self) -> Vec<(&'static str, u64)> {
        self.edge.losses()
    }

    fn longest_hold(&self) -> Duration {
        self.edge.longest_hold()
    }
}

impl Outbox {
    fn push(&mut self, datagram: &[u8], descriptor: Option<OwnedFd>) {
        // What came between must not be missing without a word.
        self.overrun |= self.bytes + datagram.len() > OUTBOX_BYTES;
        if !self.overrun {
            self.bytes += datagram.len();
            self.datagrams.push_back(Datagram { bytes: datagram.to_vec(), descriptor });
        }
    }

    /// Sends what the stream takes; behind the last, where something was lost, word of it to the program at `port`.
    fn flush(&mut self, stream: &DoorStream, port: u32) -> io::Result<()> {
        while let Some(datagram) = self.next(port) {
            let beside = datagram.descriptor.as_ref().map(AsFd::as_fd);
            match stream.send(&datagram.bytes, beside.as_slice()) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
            self.bytes -= datagram.bytes.len();
            self.datagrams.pop_front();
        }
        Ok(())
    }

    fn next(&mut self, port: u32) -> Option<&Datagram> {
        if self.datagrams.is_empty() && std::mem::take(&mut self.overrun) {
            let mut word = Vec::new();
            emit_overrun(&mut word, port);
            self.push(&word, None);
        }
        self.datagrams.front()
    }
}

impl Caller {
    pub(super) fn new(stream: DoorStream, number: u32, user: u32, privileged: bool) -> Self {
        let mut client = Client::new(number, privileged).of_user(user);
        // Whoever comes through this door reads why a request was refused. The option exists: it cannot fail.
        let _: Result<(), _> = client.set_option(NETLINK_EXT_ACK, 1);
        Self { number, stream, client, outbox: Outbox::default(), watched: Interest::Read }
    }

    pub(super) fn number(&self) -> u32 {
        self.number
    }

    /// Has `poller` wait for requests, or, while the program does not read its answers, for room for them.
    ///
    /// # Errors
    /// Those of epoll_ctl(2).
    pub(super) fn watch(&mut self, poller: &Poller) -> io::Result<()> {
        let wanted = if self.outbox.datagrams.is_empty() { Interest::Read } else { Interest::Write };
        if wanted != self.watched {
            poller.modify(&self.stream, self.number.into(), wanted)?;
            self.watched = wanted;
        }
        Ok(())
    }

    /// Takes a notification if it listens for it; says whether something waits for it now.
    pub(super) fn hear(&mut self, notification: &Notification) -> bool {
        if self.client.hears(notification.group) {
            self.outbox.push(&notification.datagram, None);
        }
        self.waits()
    }

    /// Some notifications to a group were lost on their way here: a program that listens is told. As [`Caller::hear`].
    pub(super) fn miss(&mut self, group: u32) -> bool {
        self.outbox.overrun |= self.client.hears(group);
        self.waits()
    }

    fn waits(&mut self) -> bool {
        // An error shows with the next event.
        let _: io::Result<()> = self.outbox.flush(&self.stream, self.client.port());
        !self.outbox.datagrams.is_empty()
    }

    /// Sends what waits, and takes a request into `buffer` if the program has read all of it: its length, and the descriptor
    /// beside it.
    ///
    /// # Errors
    /// When the program is gone.
    pub(super) fn receive(
        &mut self,
        event: Event,
        buffer: &mut [u8],
    ) -> io::Result<Option<(usize, Option<OwnedFd>)>> {
        self.flush()?;
        if !event.readable || !self.outbox.datagrams.is_empty() {
            return Ok(None);
        }
        let mut descriptors = Vec::new();
        match self.stream.recv(buffer, &mut descriptors) {
            Ok(0) => Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(length) => Ok(Some((length, descriptors.into_iter().next()))),
            Err(error) if is_passing(&error) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What serves it: its answers wait until [`Self::flush`].
    pub(super) fn serve(
        &mut self,
        engine: &mut NetEngine,
        host: &mut SystemHost,
        edge: &Datapath,
        heard: &mut Vec<Notification>,
        request: impl FnOnce(&mut Server<'_, SystemHost, Replies<'_>>),
    ) {
        let replies = &mut Replies { outbox: &mut self.outbox, heard, edge };
        request(&mut Server { engine, host, client: &mut self.client, replies, descriptor: None });
    }

    /// Sends what the program has room for.
    ///
    /// # Errors
    /// When the program is gone.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        self.outbox.flush(&self.stream, self.client.port())
    }

    /// Whether it has taken all of a dump that there is yet.
    pub(super) fn wants_more(&self) -> bool {
        self.outbox.datagrams.is_empty() && self.client.is_dumping()
    }
}

/// Errors that a program may cause by one message and that end nothing: too long, or with too many descriptors.
fn is_passing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
        || error.raw_os_error() == Some(l2tp_abi::errno::Errno::EMSGSIZE.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use l2tp_abi::nl::{Messages, NLMSG_OVERRUN};
    use l2tp_io::door::DoorListener;

    /// A caller's stream and the program's end of it, neither of which blocks.
    fn streams(name: &str) -> (DoorStream, DoorStream) {
        let name = format!("ferrowire-test-{name}-{}", std::process::id());
        let listener = DoorListener::bind(name.as_bytes()).unwrap();
        let program = DoorStream::connect(name.as_bytes()).unwrap();
        program.set_nonblocking(true).unwrap();
        (listener.accept().unwrap().unwrap(), program)
    }

    /// Everything that the program can read, by its first byte, and how many words of an overrun.
    fn read_all(program: &DoorStream) -> (Vec<u8>, usize) {
        let (mut buffer, mut marks, mut overruns) = (vec![0; 1 << 17], Vec::new(), 0);
        while let Ok(length) = program.recv(&mut buffer, &mut Vec::new()) {
            let first = Messages::new(&buffer[..length]).next();
            if first.is_some_and(|m| m.header.kind == NLMSG_OVERRUN && m.header.port == 77) {
                overruns += 1;
            } else {
                marks.push(buffer[0]);
            }
        }
        (marks, overruns)
    }

    #[test]
    fn who_does_not_read_is_told_what_it_missed_where_it_missed_it() {
        let (stream, program) = streams("overrun");
        let mut outbox = Outbox::default();
        for mark in 0..100 {
            outbox.push(&[mark; 60_000], None);
            outbox.flush(&stream, 77).unwrap();
            assert!(outbox.bytes <= OUTBOX_BYTES);
        }
        assert!(outbox.overrun);
        let (mut seen, mut overruns) = (Vec::new(), 0);
        while !outbox.datagrams.is_empty() || overruns == 0 {
            let (marks, words) = read_all(&program);
            assert!(overruns == 0 || marks.is_empty(), "nothing behind the word");
            seen.extend(marks);
            overruns += words;
            outbox.flush(&stream, 77).unwrap();
        }
        assert_eq!((overruns, outbox.bytes), (1, 0));
        assert!(seen.len() < 100 && seen.iter().copied().eq(0..u8::try_from(seen.len()).unwrap()));
        // And on it goes.
        outbox.push(&[100], None);
        outbox.flush(&stream, 77).unwrap();
        assert_eq!(read_all(&program), (vec![100], 0));
    }
}
