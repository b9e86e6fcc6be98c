//! `ferrowire daemon`: the subsystem of this network namespace, or of those that are named or handed in.
//!
//! [`overseer`] starts a [`service`] in each, [`running`] on a thread of its own, which answers [`caller`]s; an [`exchange`]
//! carries notifications between them. [`vigil`] sees when a namespace has died, which the daemon's own sockets and threads
//! would keep alive for ever.

mod caller;
mod exchange;
mod overseer;
mod running;
mod service;
mod trace;
mod vigil;

use std::io::Write;

use anyhow::{Context, ensure};
use l2tp_io::door::{DoorStream, NAME};
use l2tp_io::netns::NetNs;
use l2tp_io::netns::users::Sight;
use l2tp_io::signals::Signals;

use overseer::{Overseer, Term};
use service::Settings;

/// More threads than this only get into each other's way.
const WORKERS_MAX: usize = 4;

/// What the daemon is told.
#[derive(clap::Args)]
pub(crate) struct DaemonArgs {
    /// Serve the network namespace that "ip netns add NAME" made, instead of this one, until it is deleted; may be repeated
    #[arg(long, value_name = "NAME")]
    netns: Vec<String>,
    /// Threads that carry frames in each namespace; by default one a processor, up to four
    #[arg(long, value_name = "N")]
    workers: Option<usize>,
    /// Queues of each device, so that as many of these threads send what goes through it, a flow always by the same; each costs a
    /// descriptor, and a device with several 0.2 MiB. Takes CAP_BPF
    #[arg(long, value_name = "N", default_value_t = 1)]
    queues: usize,
    /// What carries sessions: the daemon's workers, BPF programs in the kernel's network stack, or whatever is best for each
    #[arg(long, value_name = "PATH", default_value = "auto")]
    path: crate::path::Word,
    /// Write the kernel's tracepoints to stderr; slows every packet with a sequence number
    #[arg(long)]
    trace: bool,
    /// Serve the namespaces that are handed in over this socket instead, as crates/l2tp-abi/src/control.rs says
    #[arg(long, value_name = "N", hide = true)]
    control_fd: Option<i32>,
    /// Another abstract name to listen at
    #[arg(long, value_name = "NAME", hide = true)]
    door: Option<String>,
    /// End when the process that started this one ends
    #[arg(long, hide = true)]
    die_with_parent: bool,
}

/// Serves until SIGTERM or SIGINT, or every named namespace is deleted.
pub(crate) fn run(args: &DaemonArgs) -> anyhow::Result<()> {
    if args.die_with_parent {
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::TERM))
            .context("cannot ask to end with the parent process")?;
    }
    if args.trace {
        trace::begin()?;
    }
    let signals = Signals::block().context("cannot block signals")?;
    let control = args.control_fd.map(DoorStream::inherit).transpose().context("--control-fd")?;
    l2tp_io::limits::allow_many_descriptors();
    let workers = args.workers.unwrap_or_else(default_workers).max(1);
    ensure!(
        (1..=workers).contains(&args.queues),
        "--queues {}: from 1 to the number of threads that carry frames, {workers} (--workers)",
        args.queues
    );
    let settings = Settings {
        door: args.door.as_ref().map_or(NAME, String::as_bytes).to_vec(),
        workers,
        queues: args.queues,
        path: args.path.into(),
    };
    let mut overseer = Overseer::new(signals, control, settings)?;
    let started = serve_at_start(&mut overseer, args);
    if started.is_ok() {
        say_ready(args);
        return overseer.run();
    }
    started.and(overseer.end_all())
}

fn serve_at_start(overseer: &mut Overseer, args: &DaemonArgs) -> anyhow::Result<()> {
    for name in &args.netns {
        let netns = NetNs::open_named(name).with_context(|| {
            format!("there is no network namespace {name:?}: make it with \"ip netns add {name}\"")
        })?;
        let term = if overseer.sight() == Sight::All { Term::Use } else { Term::Daemon };
        if term == Term::Daemon {
            say_kept(name);
        }
        overseer.serve(netns, term).with_context(|| format!("network namespace {name:?}"))?;
    }
    if args.netns.is_empty() && args.control_fd.is_none() {
        let here = NetNs::current().context("cannot find out the network namespace: is /proc mounted?")?;
        overseer.serve(here, Term::Daemon)?;
    }
    Ok(())
}

fn default_workers() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).min(WORKERS_MAX)
}

/// Tells whoever waits for it, on stdout, that requests are answered from now on.
fn say_ready(args: &DaemonArgs) {
    let place = match args.netns.as_slice() {
        [] if args.control_fd.is_some() => "network namespaces that are handed in".to_owned(),
        [] => "this network namespace".to_owned(),
        [name] => format!("network namespace {name}"),
        names => format!("network namespaces {}", names.join(", ")),
    };
    // Nobody may be reading; the daemon serves all the same.
    let _: std::io::Result<()> = writeln!(std::io::stdout(), "ferrowire: ready, serving {place}");
}

/// Who cannot see every process must not take a namespace for dead.
fn say_kept(name: &str) {
    let told = format!(
        "ferrowire: network namespace {name} is kept alive until the daemon ends, even if it is deleted: not every process \
         can be seen from here (that takes CAP_SYS_PTRACE, and the first process namespace)\n"
    );
    // As above.
    let _: std::io::Result<()> = std::io::stderr().write_all(told.as_bytes());
}
