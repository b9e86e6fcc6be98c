//! `ferrowire monitor`: tunnels and sessions as they come, change and go, a line each.

mod event;

use std::io::{self, Write};

use anyhow::{Context, bail};
use l2tp_abi::genl::ctrl::FamilyMessage;
use l2tp_abi::genl::ferrowire::{DEATHS_GROUP, FERROWIRE_GENL_NAME, Request};
use l2tp_abi::genl::l2tp::{L2TP_GENL_MCGROUP, L2TP_GENL_NAME};
use l2tp_abi::nl::{Ack, Messages, NLMSG_ERROR};
use l2tp_io::door::{DoorStream, MAX_MESSAGE};
use l2tp_io::poller::{Events, Interest, Poller};
use l2tp_io::signals::Signals;

use crate::door::{Connection, NAME};
use crate::l2tp::{Client, Failure};
use crate::stats::explain;
use event::Event;

const SIGNALS: u64 = 0;
const STREAM: u64 = 1;

/// How events are told.
#[derive(clap::Args)]
pub(crate) struct MonitorArgs {
    /// One JSON object a line
    #[arg(long)]
    json: bool,
}

/// Writes events to stdout until SIGINT or SIGTERM, or nobody reads them.
pub(crate) fn run(args: &MonitorArgs) -> anyhow::Result<()> {
    let signals = Signals::block().context("cannot block signals")?;
    let stream = listen().map_err(explain)?;
    let poller = Poller::new().context("cannot make an epoll set")?;
    poller.add(&signals, SIGNALS, Interest::Read)?;
    poller.add(&stream, STREAM, Interest::Read)?;
    let mut monitor = Monitor { stream, json: args.json, buffer: vec![0; MAX_MESSAGE] };
    let mut events = Events::with_capacity(2);
    loop {
        poller.wait(&mut events, None).context("cannot wait for events")?;
        if events.iter().any(|event| event.token == SIGNALS) {
            return Ok(());
        }
        match monitor.tell() {
            // Whoever read the events has had enough.
            Err(error) if is_broken_pipe(&error) => return Ok(()),
            told => told?,
        }
    }
}

/// A connection that has asked for both groups. The answers come with the first events, so that none is missed between.
fn listen() -> Result<DoorStream, Failure> {
    let mut door = Connection::default();
    let mut client = Client::connect_to(&mut door, L2TP_GENL_NAME)?;
    let (l2tp, ferrowire) = (client.find_family(L2TP_GENL_NAME)?, client.find_family(FERROWIRE_GENL_NAME)?);
    let mut requests = Vec::new();
    for (family, group) in [(&l2tp, L2TP_GENL_MCGROUP), (&ferrowire, DEATHS_GROUP)] {
        requests.extend(Request::Join(group_id(family, group)?).emit(ferrowire.id, 1));
    }
    let stream = DoorStream::connect(NAME)?;
    stream.send(&requests, &[])?;
    stream.set_nonblocking(true)?;
    Ok(stream)
}

fn group_id(family: &FamilyMessage, name: &str) -> io::Result<u32> {
    let group = family.groups.iter().find(|(group, _)| group == name);
    group.map(|(_, id)| *id).ok_or_else(|| io::Error::other(format!("there is no group {name:?}")))
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

struct Monitor {
    stream: DoorStream,
    json: bool,
    buffer: Vec<u8>,
}

impl Monitor {
    /// Tells everything that has arrived.
    fn tell(&mut self) -> anyhow::Result<()> {
        let mut out = io::stdout().lock();
        loop {
            let length = match self.stream.recv(&mut self.buffer, &mut Vec::new()) {
                Ok(0) => bail!("the daemon has ended"),
                Ok(length) => length,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(out.flush()?),
                Err(error) => return Err(anyhow::Error::new(error).context("cannot talk to the daemon")),
            };
            for message in Messages::new(self.buffer.get(..length).unwrap_or_default()) {
                if message.header.kind == NLMSG_ERROR {
                    check_joined(Ack::parse(&message))?;
                } else if let Some(event) = Event::parse(&message) {
                    let line = if self.json { event.json() } else { event.text() };
                    writeln!(out, "{line}")?;
                }
            }
        }
    }
}

/// The answer to a request to join a group.
fn check_joined(ack: Option<Ack>) -> anyhow::Result<()> {
    match ack.and_then(|ack| Some((ack.errno?, ack.message))) {
        Some((errno, message)) => Err(explain(Failure::Refused { errno, message })),
        None => Ok(()),
    }
}
