//! The Linux kernel's L2TP subsystem in user space.
//!
//! One file or folder a verb: [`daemon`] is the subsystem, [`l2tp`] speaks to it as `ip l2tp` does, [`exec`] runs other
//! programs on it, [`stats`], [`monitor`]
//! and [`debug`] show what goes on in it, [`path`] says what carries it, [`demo`] shows it at work, [`mod@bench`] what it costs,
//! [`doctor`] says what the host has and lacks.

mod bench;
mod daemon;
mod debug;
mod demo;
mod doctor;
mod exec;
mod l2tp;
mod monitor;
mod path;
mod stage;
mod stats;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use l2tp_client::Connection;
use l2tp_io::netns::NetNs;

/// L2TP tunnels on a kernel that has no L2TP
#[derive(Parser)]
#[command(name = "ferrowire", version, about)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Make two hosts in two network namespaces, and tunnels between them that carry real traffic
    Demo(demo::DemoArgs),
    /// Measure what carrying frames costs, beside other ways to carry them
    Bench(bench::BenchArgs),
    /// The receiving end of the bench's traffic
    #[command(hide = true)]
    BenchFar(bench::FarArgs),
    /// Say what this host has and lacks to carry tunnels
    Doctor(doctor::DoctorArgs),
    /// Serve the L2TP subsystem of this network namespace
    Daemon(daemon::DaemonArgs),
    /// Run an unmodified L2TP program on Ferrowire
    Exec(exec::ExecArgs),
    /// The counters of this network namespace
    Stats(stats::StatsArgs),
    /// What carries the sessions, the daemon or BPF programs in the kernel, and why
    Path(path::PathArgs),
    /// Tell of tunnels and sessions as they come, change and go
    Monitor(monitor::MonitorArgs),
    /// The kernel's debug texts, character for character
    #[command(subcommand)]
    Debug(debug::View),
    /// Tunnels and sessions, in the words of "ip l2tp": try "ferrowire l2tp help"
    #[command(disable_help_flag = true)]
    L2tp {
        /// As for "ip l2tp"; -j and -p may stand before or behind "l2tp"
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        words: Vec<String>,
    },
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let mut options = l2tp::Options::default();
    if let [object, rest @ ..] = options.take(&words)
        && object == "l2tp"
    {
        return run_l2tp(options, rest);
    }
    match Arguments::parse().verb {
        Verb::Demo(args) => demo::run(&args),
        Verb::Bench(args) => bench::run(&args),
        Verb::BenchFar(args) => report(bench::run_far(&args)),
        Verb::Doctor(args) => doctor::run(&args),
        Verb::Daemon(args) => report(daemon::run(&args)),
        Verb::Exec(args) => exec::run(args),
        Verb::Stats(args) => report(stats::run(&args)),
        Verb::Path(args) => report(path::run(&args)),
        Verb::Monitor(args) => report(monitor::run(&args)),
        Verb::Debug(view) => report(debug::run(view)),
        Verb::L2tp { words } => run_l2tp(l2tp::Options::default(), &words),
    }
}

/// `ferrowire [OPTIONS] l2tp [OPTIONS] …`: as with `ip`, options may stand before the object.
fn run_l2tp(mut options: l2tp::Options, words: &[String]) -> ExitCode {
    let words = options.take(words);
    if let Some(name) = &options.netns
        && let Err(error) = NetNs::open_named(name).and_then(|netns| netns.enter())
    {
        let told = format!("Cannot open network namespace \"{name}\": {}\n", l2tp::os_error_text(&error));
        // Nobody is left to be told when stderr is gone.
        let _: io::Result<()> = io::stderr().write_all(told.as_bytes());
        return ExitCode::from(255);
    }
    let (out, err) = (&mut io::stdout(), &mut io::stderr());
    let connect = if options.kernel { Connection::kernel } else { Connection::door };
    l2tp::run(words, &options, connect, out, err).into()
}

/// Tells what went wrong on stderr, where anything did.
fn report(result: anyhow::Result<()>) -> ExitCode {
    let Err(error) = result else { return ExitCode::SUCCESS };
    // Nobody is left to be told when stderr is gone.
    let _: io::Result<()> = writeln!(io::stderr(), "ferrowire: {error:#}");
    ExitCode::FAILURE
}
