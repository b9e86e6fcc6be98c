//! `ferrowire exec`: an unmodified program on Ferrowire instead of the kernel's L2TP.

use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use l2tp_launch::{Launch, Opens, Refusal, Subsystem};

/// What is to be run.
#[derive(clap::Args)]
pub(crate) struct ExecArgs {
    /// Give the program a subsystem of its own, in every network namespace that it uses, until it has ended
    #[arg(long, conflicts_with = "auto")]
    private: bool,
    /// Start a daemon where the program needs one and there is none; it stays
    #[arg(long)]
    auto: bool,
    /// Also look at files that are opened with O_CLOEXEC (Python, Go) for /proc/net/pppol2tp and debugfs l2tp/tunnels
    #[arg(long)]
    all_opens: bool,
    /// Tell every trapped call on stderr
    #[arg(short, long)]
    verbose: bool,
    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "PROGRAM")]
    command: Vec<OsString>,
}

/// Runs it; the exit status is the program's.
pub(crate) fn run(args: ExecArgs) -> ExitCode {
    let binary = match std::env::current_exe() {
        Ok(binary) => binary,
        Err(source) => return refuse(&Refusal::System { what: "cannot find this program's file", source }),
    };
    let subsystem = match (args.private, args.auto) {
        (true, _) => Subsystem::Private,
        (_, true) => Subsystem::Auto,
        _ => Subsystem::Existing,
    };
    let opens = if args.all_opens { Opens::All } else { Opens::Plain };
    let launch = Launch { command: args.command, subsystem, opens, verbose: args.verbose, binary };
    match l2tp_launch::run(&launch) {
        Ok(ending) => ExitCode::from(ending.imitate()),
        Err(refusal) => refuse(&refusal),
    }
}

fn refuse(refusal: &Refusal) -> ExitCode {
    // Nobody is left to be told when stderr is gone.
    let _: io::Result<()> = writeln!(io::stderr(), "ferrowire exec: {refusal}");
    ExitCode::from(refusal.code())
}
