//! `ferrowire daemon`: the subsystem of one network namespace.

mod caller;
mod service;
mod trace;

use std::io::Write;

use anyhow::Context;
use l2tp_io::netns::NetNs;
use l2tp_io::signals::Signals;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use service::Service;

/// More threads than this only get into each other's way.
const WORKERS_MAX: usize = 4;

/// What the daemon is told.
#[derive(clap::Args)]
pub(crate) struct DaemonArgs {
    /// Serve the network namespace that "ip netns add NAME" made, instead of this one
    #[arg(long, value_name = "NAME")]
    netns: Option<String>,
    /// Threads that carry frames; by default one a processor, up to four
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// Write the kernel's tracepoints to stderr; slows every packet with a sequence number
    #[arg(long)]
    trace: bool,
    /// End when the process that started this one ends
    #[arg(long, hide = true)]
    die_with_parent: bool,
}

/// Serves until SIGTERM or SIGINT.
pub(crate) fn run(args: &DaemonArgs) -> anyhow::Result<()> {
    if args.die_with_parent {
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))
            .context("cannot ask to end with the parent process")?;
    }
    if args.trace {
        trace::begin()?;
    }
    let signals = Signals::block().context("cannot block signals")?;
    if let Some(name) = &args.netns {
        let netns = NetNs::open_named(name).with_context(|| {
            format!("there is no network namespace {name:?}: make it with \"ip netns add {name}\"")
        })?;
        netns.enter().with_context(|| format!("cannot enter network namespace {name:?}"))?;
    }
    allow_many_descriptors();
    let workers = args.workers.unwrap_or_else(default_workers);
    let mut service = Service::open(signals, workers)?;
    say_ready(args.netns.as_deref());
    let result = service.run();
    service.close();
    result
}

/// A session holds one descriptor, its device: take as many as the host lets this process have.
fn allow_many_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    // Raising the soft limit up to the hard one is always allowed.
    let _: Result<(), _> = setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

fn default_workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(WORKERS_MAX)
}

/// Tells whoever waits for it, on stdout, that requests are answered from now on.
fn say_ready(netns: Option<&str>) {
    let place =
        netns.map_or_else(|| "this network namespace".to_owned(), |name| format!("network namespace {name}"));
    // Nobody may be reading; the daemon serves all the same.
    let _: std::io::Result<()> = writeln!(std::io::stdout(), "ferrowire: ready, serving {place}");
}
