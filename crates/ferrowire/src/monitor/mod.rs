//! `ferrowire monitor`: tunnels and sessions as they come, change and go, a line each.

mod event;

use std::io::{self, Write};
use std::time::Duration;

use anyhow::Context;
use l2tp_client::{Error, Events};
use l2tp_io::poller::{self, Interest, Poller};
use l2tp_io::signals::Signals;

use crate::stats::explain;

const SIGNALS: u64 = 0;
const EVENTS: u64 = 1;

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
    let mut events = Events::door().map_err(explain)?;
    let poller = Poller::new().context("cannot make an epoll set")?;
    poller.add(&signals, SIGNALS, Interest::Read)?;
    poller.add(&events, EVENTS, Interest::Read)?;
    let mut woken = poller::Events::with_capacity(2);
    loop {
        match tell(&mut events, args.json) {
            // Whoever read the events has had enough.
            Err(error) if is_broken_pipe(&error) => return Ok(()),
            told => told?,
        }
        poller.wait(&mut woken, None).context("cannot wait for events")?;
        if woken.iter().any(|event| event.token == SIGNALS) {
            return Ok(());
        }
    }
}

/// Tells everything that has arrived.
fn tell(events: &mut Events, json: bool) -> anyhow::Result<()> {
    let mut out = io::stdout().lock();
    while let Some(event) = events.wait(Some(Duration::ZERO)).map_err(ended)? {
        let line = if json { event::json(&event) } else { event::text(&event) };
        writeln!(out, "{line}")?;
    }
    Ok(out.flush()?)
}

fn ended(error: Error) -> anyhow::Error {
    match error {
        Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => anyhow::Error::new(error),
        other => explain(other),
    }
}

fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
