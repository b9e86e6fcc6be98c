//! `ferrowire bench`: what carrying frames costs, beside other ways to carry them, all in one run.
//!
//! A [`design`] is a way to carry frames; set up between two hosts of its own it is a [`site`]. A [`measure`] is traffic on it
//! ([`tcp`], [`flood`], [`echo`], each to a [`far`] process, and [`iperf`]) and what [`cpu`] says that it took. [`rounds`] puts all of that in turn, from a thread of its
//! own, and [`results`] makes of it what [`table`] and [`plot`] show. As with the demo, whatever ends the process ends the daemons, and nothing
//! that was made has a name outside.

mod cpu;
mod design;
mod echo;
mod ethtool;
mod far;
mod flood;
mod iperf;
mod load;
mod machine;
mod measure;
mod naive;
mod plot;
mod ppp;
mod results;
mod rounds;
mod site;
mod table;
mod tcp;
mod threads;
mod underlay;

use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use l2tp_io::signals::{Signal, Signals};

use crate::stage::interruption::interrupted;
use crate::stage::progress::Progress;
use design::Design;
pub(crate) use far::{FarArgs, run as run_far};
use machine::Machine;
use measure::{Sample, Test};
use results::{LeftOut, Results};
use rounds::{News, Place, Plan};
use site::Site;
use underlay::Underlay;

/// How often signals are looked at.
const TICK: Duration = Duration::from_millis(100);

/// What the bench is told.
#[derive(clap::Args)]
pub(crate) struct BenchArgs {
    /// How often everything is measured; the medians are shown
    #[arg(long, value_name = "N", default_value = "5", value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
    /// How long each test of each design is measured in each round, in seconds
    #[arg(long, value_name = "S", default_value = "1", value_parser = seconds)]
    seconds: Duration,
    /// Only these designs: names as in the table, or what names begin with ("user"); "veth" always is one
    #[arg(long, value_name = "DESIGN", value_delimiter = ',')]
    only: Vec<String>,
    /// Only these tests
    #[arg(long, value_name = "TEST", value_delimiter = ',', value_enum)]
    tests: Vec<Test>,
    /// Only this kind of wire between the hosts
    #[arg(long, value_name = "KIND", value_delimiter = ',', value_enum)]
    underlay: Vec<Underlay>,
    /// Write everything that was measured to a file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw the ratios to a file, as SVG
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Tell what came of each run as it comes
    #[arg(short, long)]
    verbose: bool,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text.parse().map_err(|_| "not a number".to_owned())?;
    let duration = Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())?;
    let possible = Duration::from_millis(50)..=Duration::from_secs(3600);
    if possible.contains(&duration) { Ok(duration) } else { Err("0.05 to 3600 seconds".to_owned()) }
}

/// How the rounds ended.
enum End {
    Complete,
    Interrupted(Signal),
}

/// Runs the bench: 0 when everything was measured, 1 when anything failed, 128 and the signal's number after one. To be called
/// while the process has one thread.
pub(crate) fn run(args: &BenchArgs) -> ExitCode {
    match perform(args) {
        Ok(End::Complete) => ExitCode::SUCCESS,
        Ok(End::Interrupted(signal)) => interrupted("bench", signal),
        Err(error) => {
            tell(&format!("ferrowire: {error:#}\n"));
            ExitCode::FAILURE
        }
    }
}

fn perform(args: &BenchArgs) -> anyhow::Result<End> {
    let designs = designs(&args.only)?;
    let files = Files::create(args)?;
    ensure!(
        rustix::process::geteuid().is_root(),
        "it needs root, for namespaces, devices and large socket buffers: sudo ferrowire bench"
    );
    let signals = Signals::block().context("cannot block signals")?;
    let plan = Plan {
        underlays: or_all(&args.underlay, &[Underlay::Veth, Underlay::Nic]),
        tests: or_all(
            &args.tests,
            &[Test::Tcp1, Test::Tcp4, Test::Udp64, Test::Mix, Test::Light, Test::Full],
        ),
        rounds: args.rounds,
        duration: args.seconds,
    };
    let progress = Progress::new();
    let (sites, left_out) = build(&designs, &progress)?;
    let mut results = Results::new(Machine::here(), args.rounds, args.seconds.as_secs_f64(), left_out);
    let sites = Arc::new(sites);
    let (news, runner) = spawn(&sites, &plan)?;
    let end = follow(&news, &signals, &progress, args.verbose, &mut results)?;
    if let End::Interrupted(_) = end {
        // The rounds are in the middle of something; the process takes them, and all that was made, with it.
        return Ok(end);
    }
    drop(progress);
    runner.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
    let concluded = conclude(files, &plan, &mut results);
    let mut sites = Arc::try_unwrap(sites).map_err(|_| anyhow::anyhow!("the rounds go on"))?;
    concluded.and(Site::end(&mut sites))?;
    Ok(end)
}

/// The designs that the words mean; all where there are none.
fn designs(words: &[String]) -> anyhow::Result<Vec<Design>> {
    for word in words {
        if !Design::ALL.iter().any(|design| design.is_meant_by(word)) {
            let names: Vec<String> = Design::ALL.iter().map(Design::to_string).collect();
            bail!("--only {word}: there is no such design; there are {}", names.join(", "));
        }
    }
    let wanted = |design: &Design| {
        *design == Design::Veth || words.is_empty() || words.iter().any(|word| design.is_meant_by(word))
    };
    Ok(Design::ALL.into_iter().filter(wanted).collect())
}

fn or_all<T: Copy>(some: &[T], all: &[T]) -> Vec<T> {
    if some.is_empty() { all.to_vec() } else { some.to_vec() }
}

/// Sets all designs up, and says which could not be.
fn build(designs: &[Design], progress: &Progress) -> anyhow::Result<(Vec<Site>, Vec<LeftOut>)> {
    let (mut sites, mut left_out) = (Vec::new(), Vec::new());
    for design in designs {
        progress.show(&format!("building {design}"));
        match Site::build(*design) {
            Ok(site) => sites.push(site),
            Err(error) if *design == Design::Veth => return Err(error),
            Err(error) => left_out.push(LeftOut { design: *design, why: format!("{error:#}") }),
        }
    }
    Ok((sites, left_out))
}

type Runner = std::thread::JoinHandle<anyhow::Result<()>>;

fn spawn(sites: &Arc<Vec<Site>>, plan: &Plan) -> anyhow::Result<(Receiver<News>, Runner)> {
    let (sender, news) = channel();
    let (sites, plan) = (Arc::clone(sites), plan.clone());
    let rounds = move || rounds::run(&sites, &plan, &sender);
    let runner = std::thread::Builder::new().name("rounds".into()).spawn(rounds)?;
    Ok((news, runner))
}

/// Collects what the rounds tell until they are through, or a signal comes.
fn follow(
    news: &Receiver<News>,
    signals: &Signals,
    progress: &Progress,
    verbose: bool,
    results: &mut Results,
) -> anyhow::Result<End> {
    loop {
        if let Some(signal) = signals.read()? {
            return Ok(End::Interrupted(signal));
        }
        match news.recv_timeout(TICK) {
            Ok(News::Doing(what)) => progress.show(&what),
            Ok(News::Done(place, outcome)) => {
                if verbose {
                    tell(&one(&place, &outcome));
                }
                results.add(place, outcome);
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Ok(End::Complete),
        }
    }
}

/// A line of one run.
fn one(place: &Place, outcome: &anyhow::Result<Sample>) -> String {
    let Place { underlay, test, design } = place;
    let what = format!("{} {} {design}", underlay.name(), test.name());
    match outcome {
        Ok(sample) => format!(
            "{what}: {} bytes, {} packets, {:.3} s, CPU {:.3} s, others {:.3} s\n",
            sample.bytes, sample.packets, sample.seconds, sample.cpu_seconds, sample.foreign_seconds
        ),
        Err(error) => format!("{what}: {error:#}\n"),
    }
}

/// Shows the results and writes the files.
fn conclude(files: Files, plan: &Plan, results: &mut Results) -> anyhow::Result<()> {
    results.conclude();
    let text = table::text(results, &plan.underlays, &plan.tests);
    io::stdout().write_all(text.as_bytes()).context("cannot write to stdout")?;
    if let Some(mut file) = files.json {
        file.write_all(results.json()?.as_bytes()).context("cannot write the JSON")?;
    }
    if let Some(mut file) = files.svg {
        let picture = plot::svg(results, &plan.underlays, &plan.tests);
        file.write_all(picture.as_bytes()).context("cannot write the SVG")?;
    }
    let faults = results.rows.iter().map(|row| row.faults.len()).sum::<usize>();
    ensure!(faults == 0, "{faults} runs failed: see above");
    Ok(())
}

/// The files that are asked for, made before anything is measured: better found out at once that one cannot be.
struct Files {
    json: Option<File>,
    svg: Option<File>,
}

impl Files {
    fn create(args: &BenchArgs) -> anyhow::Result<Self> {
        let create = |path: &PathBuf| {
            File::create(path).with_context(|| format!("cannot make the file {}", path.display()))
        };
        Ok(Self {
            json: args.json.as_ref().map(create).transpose()?,
            svg: args.svg.as_ref().map(create).transpose()?,
        })
    }
}

fn tell(text: &str) {
    // Nobody is left to be told when stderr is gone.
    let _: io::Result<()> = io::stderr().write_all(text.as_bytes());
}
