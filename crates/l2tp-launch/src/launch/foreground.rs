//! The process that was called: it stands for the program, and ends as it ends.

use std::io::{self, PipeReader, Read};

use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};

use super::program::Report;
use super::{Ending, Refusal};
use crate::sys::{SignalMask, wait_for_signal};

/// Signals that are handed on to the program.
const HANDED_ON: [libc::c_int; 6] =
    [libc::SIGTERM, libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGUSR1, libc::SIGUSR2];

/// Blocks the signals that are to be handed on, to the end of this process: from before there is a program, or one that comes
/// early would end this process alone. Returns what was blocked before.
pub(super) fn block_signals() -> SignalMask {
    SignalMask::block(&HANDED_ON)
}

/// Waits for the program's end, as the supervisor tells it.
pub(super) fn wait(mut reports: PipeReader, supervisor: Pid) -> Result<Ending, Refusal> {
    let mut ending = None;
    loop {
        match next(&mut reports) {
            Some(Report::Started(number)) => hand_on_signals(number),
            Some(Report::Ended(ended)) => ending = Some(ended),
            Some(Report::GoesOn) => break,
            None => {
                // Its last word, or none: it is gone, and all that was its own.
                let status = waitpid(Some(supervisor), WaitOptions::empty()).ok().flatten();
                let code = status.and_then(|(_, status)| status.exit_status());
                let told = code.and_then(|code| u8::try_from(code).ok()).map(Ending::Code);
                return ending.or(told).ok_or_else(killed);
            }
        }
    }
    ending.ok_or_else(killed)
}

fn killed() -> Refusal {
    let source = io::Error::other("trapped calls of what it served fail from now on (ENOSYS)");
    Refusal::System { what: "the supervisor was killed", source }
}

fn next(reports: &mut PipeReader) -> Option<Report> {
    let mut word = [0; Report::SIZE];
    reports.read_exact(&mut word).ok()?;
    Report::from_bytes(word)
}

/// Hands signals on for as long as this process lives. Those of the terminal's keys have reached the program already.
fn hand_on_signals(program: i32) {
    let Some(program) = Pid::from_raw(program) else { return };
    let forward = move || {
        while let Ok((signal, from_a_process)) = wait_for_signal(&HANDED_ON) {
            if let Some(signal) = Signal::from_named_raw(signal).filter(|_| from_a_process) {
                // It may have ended meanwhile.
                let _: Result<(), _> = kill_process(program, signal);
            }
        }
    };
    // Without it, signals wait until the program has ended.
    let _: io::Result<_> = std::thread::Builder::new().name("signals".into()).spawn(forward);
}
