//! `ferrowire demo`: two hosts in network namespaces of their own, four tunnels between them, real traffic, a report.
//!
//! [`stage`] makes the hosts and starts a daemon in each; [`trial`] runs on a thread and tells what it does; the main
//! thread listens to it, to signals and to the clock. Whatever ends the process ends the daemons and, as nothing that
//! was made has a name outside, all the rest.

mod host;
mod icmp;
mod ping;
mod report;
mod stage;
mod stream;
mod trial;
mod tunnel;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use l2tp_io::signals::{Signal, Signals};

use host::Daemon;
use report::Report;
use stage::Stage;
use trial::News;
use tunnel::PLANS;

/// How long the trials may take together, whatever the host is busy with.
const LIMIT: Duration = Duration::from_secs(16);
/// How often signals and the clock are looked at.
const TICK: Duration = Duration::from_millis(50);

/// What the demo is told.
#[derive(clap::Args)]
pub(crate) struct DemoArgs {
    /// Report as one JSON object
    #[arg(long)]
    json: bool,
    /// The longest time for which TCP is sent over each link, in seconds
    #[arg(long, value_name = "S", default_value = "1", value_parser = clap::value_parser!(u64).range(1..=2))]
    seconds: u64,
}

/// How the trials ended.
enum End {
    Complete,
    Interrupted(Signal),
}

/// Runs the demo: 0 when all went well, 1 when anything failed, 128 and the signal's number after one. To be called
/// while the process has one thread.
pub(crate) fn run(args: &DemoArgs) -> ExitCode {
    let start = Instant::now();
    let mut report = Report::default();
    match perform(args, &mut report) {
        Ok(End::Complete) => {}
        Ok(End::Interrupted(signal)) => return interrupted(signal),
        Err(error) => report.fault = Some(format!("{error:#}")),
    }
    report.conclude(1 + PLANS.len(), start.elapsed().as_secs_f64());
    let text = if args.json { report.json() } else { report.text() };
    let written = io::stdout().write_all(text.as_bytes());
    if report.ok && written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn perform(args: &DemoArgs, report: &mut Report) -> anyhow::Result<End> {
    let signals = Signals::block().context("cannot block signals")?;
    let stage = Arc::new(Stage::build()?);
    report.rootless = stage.rootless;
    let daemons = stage.start_daemons()?;
    let (sender, news) = channel();
    let duration = Duration::from_secs(args.seconds);
    // Not waited for: after a signal it may be in the middle of a stream, and it ends with the process.
    std::thread::Builder::new().name("trials".into()).spawn(move || {
        // Nobody listens any more after a signal.
        let _: Result<(), _> = trial::run(&stage, duration, &sender);
    })?;
    let end = follow(&news, &signals, report);
    let stopped = stop(daemons);
    end.and_then(|end| stopped.map(|()| end))
}

/// Collects what the trials tell until they are through, a signal comes, or they take too long.
fn follow(news: &Receiver<News>, signals: &Signals, report: &mut Report) -> anyhow::Result<End> {
    let deadline = Instant::now() + LIMIT;
    let progress = Progress::new();
    loop {
        if let Some(signal) = signals.read()? {
            return Ok(End::Interrupted(signal));
        }
        if Instant::now() > deadline {
            bail!("the trials were not through within {} s: the host is too busy", LIMIT.as_secs());
        }
        match news.recv_timeout(TICK) {
            Ok(News::Doing(what)) => progress.show(&what),
            Ok(News::Done(row)) => report.add(row),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(End::Complete),
        }
    }
}

/// Ends both daemons, at the same time.
fn stop(mut daemons: [Daemon; 2]) -> anyhow::Result<()> {
    daemons.iter().try_for_each(Daemon::terminate)?;
    daemons.iter_mut().try_for_each(Daemon::await_end)
}

fn interrupted(signal: Signal) -> ExitCode {
    // Nobody is left to be told when stderr is gone.
    let _: io::Result<()> =
        writeln!(io::stderr(), "ferrowire: interrupted; all that the demo made is removed");
    ExitCode::from(match signal {
        Signal::HangUp => 129,
        Signal::Interrupt => 130,
        Signal::Terminate => 143,
    })
}

/// The line on a terminal that says what is going on, and goes when it is over.
struct Progress {
    terminal: bool,
}

const CLEAR_LINE: &str = "\r\x1b[K";

impl Progress {
    fn new() -> Self {
        Self { terminal: io::stderr().is_terminal() }
    }

    fn show(&self, what: &str) {
        self.write(&format!("{CLEAR_LINE}{what} ..."));
    }

    fn write(&self, text: &str) {
        if self.terminal {
            // It is only decoration.
            let _: io::Result<()> = io::stderr().write_all(text.as_bytes());
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.write(CLEAR_LINE);
    }
}
