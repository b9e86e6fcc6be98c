//! A program at the door.

use std::collections::VecDeque;
use std::io;

use l2tp_abi::nl::NETLINK_EXT_ACK;
use l2tp_datapath::{NetEngine, SystemHost};
use l2tp_io::door::DoorStream;
use l2tp_io::poller::{Event, Interest};
use l2tp_mgmt::netlink::{Client, ReplySink, Server};

/// Bytes that may wait for a program that does not read. What comes then is lost to it, as on a netlink socket whose
/// receive buffer is full.
const OUTBOX_BYTES: usize = 1 << 20;

/// A connected program: what it asked, and what waits for it.
pub(super) struct Caller {
    stream: DoorStream,
    client: Client,
    outbox: Outbox,
}

/// A datagram for all who listen to a group.
pub(super) struct Notification {
    group: u32,
    datagram: Vec<u8>,
}

/// Datagrams that the stream has no room for yet.
#[derive(Default)]
struct Outbox {
    datagrams: VecDeque<Vec<u8>>,
    bytes: usize,
}

/// Where the server's answers to one program go.
struct Replies<'a> {
    outbox: &'a mut Outbox,
    heard: &'a mut Vec<Notification>,
}

impl ReplySink for Replies<'_> {
    fn reply(&mut self, datagram: &[u8]) {
        self.outbox.push(datagram);
    }

    fn notify(&mut self, group: u32, datagram: &[u8]) {
        self.heard.push(Notification { group, datagram: datagram.to_vec() });
    }
}

impl Outbox {
    fn push(&mut self, datagram: &[u8]) {
        if self.bytes + datagram.len() <= OUTBOX_BYTES {
            self.bytes += datagram.len();
            self.datagrams.push_back(datagram.to_vec());
        }
    }

    /// Sends what the stream takes.
    fn flush(&mut self, stream: &DoorStream) -> io::Result<()> {
        while let Some(datagram) = self.datagrams.front() {
            match stream.send(datagram, &[]) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            }
            self.bytes -= datagram.len();
            self.datagrams.pop_front();
        }
        Ok(())
    }
}

impl Caller {
    pub(super) fn new(stream: DoorStream, port: u32, privileged: bool) -> Self {
        let mut client = Client::new(port, privileged);
        // Whoever comes through this door reads why a request was refused. The option exists: it cannot fail.
        let _: Result<(), _> = client.set_option(NETLINK_EXT_ACK, 1);
        Self { stream, client, outbox: Outbox::default() }
    }

    pub(super) fn stream(&self) -> &DoorStream {
        &self.stream
    }

    pub(super) fn port(&self) -> u32 {
        self.client.port()
    }

    /// A program that does not read its answers is not asked for more requests.
    pub(super) fn interest(&self) -> Interest {
        if self.outbox.datagrams.is_empty() { Interest::Read } else { Interest::Write }
    }

    /// Takes a notification if it listens for it; says whether something waits for it now.
    pub(super) fn hear(&mut self, notification: &Notification) -> bool {
        if self.client.hears(notification.group) {
            self.outbox.push(&notification.datagram);
        }
        // An error shows with the next event.
        let _: io::Result<()> = self.outbox.flush(&self.stream);
        !self.outbox.datagrams.is_empty()
    }

    /// Answers a request, or goes on with what waits. False when the program is gone.
    pub(super) fn serve(
        &mut self,
        event: Event,
        engine: &mut NetEngine,
        host: &mut SystemHost,
        buffer: &mut [u8],
        heard: &mut Vec<Notification>,
    ) -> bool {
        if self.outbox.flush(&self.stream).is_err() {
            return false;
        }
        let mut datagram = None;
        if event.readable && self.outbox.datagrams.is_empty() {
            match self.stream.recv(buffer, &mut Vec::new()) {
                Ok(0) => return false,
                Ok(length) => datagram = buffer.get(..length),
                Err(error) if is_passing(&error) => {}
                Err(_) => return false,
            }
        }
        let replies = &mut Replies { outbox: &mut self.outbox, heard };
        let mut server = Server { engine, host, client: &mut self.client, replies };
        if let Some(datagram) = datagram {
            server.handle_datagram(datagram);
        }
        self.go_on(engine, host, heard).is_ok()
    }

    /// Sends, and fetches more of a dump for as long as all of it was taken.
    fn go_on(
        &mut self,
        engine: &mut NetEngine,
        host: &mut SystemHost,
        heard: &mut Vec<Notification>,
    ) -> io::Result<()> {
        loop {
            self.outbox.flush(&self.stream)?;
            if !self.outbox.datagrams.is_empty() || !self.client.is_dumping() {
                return Ok(());
            }
            let replies = &mut Replies { outbox: &mut self.outbox, heard };
            Server { engine, host, client: &mut self.client, replies }.continue_dump();
        }
    }
}

/// Errors that a program may cause by one message and that end nothing: too long, or with too many descriptors.
fn is_passing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::WouldBlock
        || error.raw_os_error() == Some(l2tp_abi::errno::Errno::EMSGSIZE.0)
}
