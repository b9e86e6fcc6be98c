//! What is said when a signal ends it.

use std::io::{self, Write};
use std::process::ExitCode;

use l2tp_io::signals::Signal;

/// Says that all which `verb` made is gone; the exit status is 128 and the signal's number, as a shell has it.
pub(crate) fn interrupted(verb: &str, signal: Signal) -> ExitCode {
    // Nobody is left to be told when stderr is gone.
    let _: io::Result<()> =
        writeln!(io::stderr(), "ferrowire: interrupted; all that the {verb} made is removed");
    ExitCode::from(match signal {
        Signal::HangUp => 129,
        Signal::Interrupt => 130,
        Signal::Terminate => 143,
    })
}
