//! `ferrowire demo`: two hosts in network namespaces of their own, four tunnels between them, real traffic, a report.
//!
//! [`crate::stage`] makes the hosts and starts a daemon in each; [`trial`] runs on a thread and tells what it does; the main
//! thread listens to it, to signals and to the clock. With `--ppp` the hosts run [`programs`] of others, and [`ppp`] tries
//! their call. Whatever ends the process ends the daemons and, as nothing that
//! was made has a name outside, all the rest.

mod ppp;
mod programs;
mod report;
mod stream;
mod trial;
mod tunnel;

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow, bail};
use l2tp_io::signals::{Signal, Signals};

use crate::stage::interruption::interrupted;
use crate::stage::progress::Progress;
use crate::stage::{Stage, host};
use ppp::Call;
use report::Report;
use trial::News;
use tunnel::PLANS;

/// How long the trials may take together, whatever the host is busy with.
const LIMIT: Duration = Duration::from_secs(16);
/// How often signals and the clock are looked at.
const TICK: Duration = Duration::from_millis(50);

/// Rows of the call: there and back.
const PPP_LINKS: usize = 2;

/// What the demo is told.
#[derive(clap::Args)]
pub(crate) struct DemoArgs {
    /// Report as one JSON object
    #[arg(long)]
    json: bool,
    /// The longest time for which TCP is sent over each link, in seconds
    #[arg(long, value_name = "S", default_value = "1", value_parser = clap::value_parser!(u64).range(1..=2))]
    seconds: u64,
    /// Instead of tunnels: a call of unmodified xl2tpd and pppd, which must be installed; as root
    #[arg(long)]
    ppp: bool,
}

/// As a shell says that there is no such program.
const NOT_INSTALLED: u8 = 127;

/// How the trials ended.
enum End {
    Complete,
    Interrupted(Signal),
}

/// Runs the demo: 0 when all went well, 1 when anything failed, 127 when the programs of `--ppp` are not installed, 128 and the
/// signal's number after one. To be called while the process has one thread.
pub(crate) fn run(args: &DemoArgs) -> ExitCode {
    let start = Instant::now();
    let mut report = Report { subject: args.ppp.then_some(ppp::SUBJECT), ..Report::default() };
    let missing = if args.ppp { programs::missing() } else { None };
    let failure = if missing.is_some() { ExitCode::from(NOT_INSTALLED) } else { ExitCode::FAILURE };
    let ended = missing.map_or_else(|| perform(args, &mut report), |missing| Err(anyhow!(missing)));
    match ended {
        Ok(End::Complete) => {}
        Ok(End::Interrupted(signal)) => return interrupted("demo", signal),
        Err(error) => report.fault = Some(format!("{error:#}")),
    }
    let links = if args.ppp { PPP_LINKS } else { PLANS.len() };
    report.conclude(1 + links, start.elapsed().as_secs_f64());
    let text = if args.json { report.json() } else { report.text() };
    let written = io::stdout().write_all(text.as_bytes());
    if report.ok && written.is_ok() { ExitCode::SUCCESS } else { failure }
}

fn perform(args: &DemoArgs, report: &mut Report) -> anyhow::Result<End> {
    let duration = Duration::from_secs(args.seconds);
    if args.ppp {
        return perform_call(duration, report);
    }
    let signals = Signals::block().context("cannot block signals")?;
    let stage = Arc::new(Stage::build()?);
    report.rootless = stage.rootless;
    let mut daemons = stage.start_daemons(&[])?;
    let news = spawn_trials(&stage, duration, trial::run)?;
    let end = follow(&news, &signals, report);
    let stopped = host::end_all(&mut daemons);
    end.and_then(|end| stopped.map(|()| end))
}

fn perform_call(duration: Duration, report: &mut Report) -> anyhow::Result<End> {
    let stage = Arc::new(Stage::build()?);
    report.rootless = stage.rootless;
    if stage.rootless {
        bail!(
            "--ppp needs root: pppd is set-uid, which does not work in a user namespace; to mend it: sudo ferrowire demo --ppp"
        );
    }
    let call = Call::start(&stage)?;
    // Not before: the programs would inherit it, and never hear that they are to end.
    let signals = Signals::block().context("cannot block signals")?;
    let news = spawn_trials(&stage, duration, ppp::run)?;
    let end = follow(&news, &signals, report);
    if report.has_faults() {
        report.fault = Some(call.last_words(&stage));
    }
    let ended = call.end(&stage);
    match end {
        // What did not end by itself has been killed, which is what was asked for.
        Ok(End::Interrupted(signal)) => Ok(End::Interrupted(signal)),
        end => end.and_then(|end| ended.map(|()| end)),
    }
}

/// What is done to the links, told as it is done.
type Trials = fn(&Stage, Duration, &Sender<News>) -> anyhow::Result<()>;

/// Starts the trials. They are not waited for: after a signal they may be in the middle of a stream, and they end with the process.
fn spawn_trials(stage: &Arc<Stage>, duration: Duration, trials: Trials) -> anyhow::Result<Receiver<News>> {
    let (sender, news) = channel();
    let stage = Arc::clone(stage);
    std::thread::Builder::new().name("trials".into()).spawn(move || {
        // Nobody listens any more after a signal.
        let _: Result<(), _> = trials(&stage, duration, &sender);
    })?;
    Ok(news)
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
