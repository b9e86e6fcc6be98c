//! From a command line to a program under supervision, and its exit status back.
//!
//! Three processes: the one that was called (it waits, hands signals on, and ends as the program ends), the supervisor,
//! and the program as the supervisor's child, so that it may look at its memory everywhere. When the program ends and
//! something that it started lives on, the supervisor stays for that, and ends with the last of it.

mod foreground;
mod kernel;
mod program;

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use l2tp_io::creds::Owners;
use l2tp_io::netns::NetNs;
use rustix::thread::gettid;

use crate::daemon::{Starter, Subsystem};
use crate::filter::Opens;
use crate::supervisor::{Supervisor, Woken};
use crate::sys::{self, Side};
use program::Program;

/// What is to be run, and how.
#[derive(Clone, Debug)]
pub struct Launch {
    /// The program, looked for in PATH, and its arguments.
    pub command: Vec<OsString>,
    /// Whose subsystem it sees.
    pub subsystem: Subsystem,
    /// Which opens of files are looked at.
    pub opens: Opens,
    /// Every trapped call is told on stderr.
    pub verbose: bool,
    /// The binary with the verb `daemon`.
    pub binary: PathBuf,
}

/// How the program ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// By itself, with this exit status.
    Code(u8),
    /// By this signal.
    Signal(i32),
}

impl Ending {
    /// Ends this process likewise; the exit status, if it is still there.
    #[must_use]
    pub fn imitate(self) -> u8 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => {
                sys::die_by(signal);
                u8::try_from(signal).map_or(u8::MAX, |signal| signal.saturating_add(128))
            }
        }
    }
}

/// Why a program was not run.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// No such program, or it cannot be executed.
    #[error("cannot run {}: {source}", program.display())]
    Program {
        /// Its name.
        program: OsString,
        /// Why.
        source: io::Error,
    },
    /// Answers could not be given.
    #[error(
        "needs CAP_NET_ADMIN over this network namespace: run it as root, or in a namespace of your own: \
         unshare --map-root-user --net ferrowire exec --private -- PROGRAM"
    )]
    NotAdministrator,
    /// The kernel lacks what is needed.
    #[error("needs Linux 5.19 or later with seccomp user notification (CONFIG_SECCOMP_FILTER)")]
    OldKernel,
    /// The filter cannot be installed a second time.
    #[error(
        "another program watches the system calls here already (a container runtime with a seccomp listener, or another \
         \"ferrowire exec\"); the kernel allows one: run it outside of that"
    )]
    SecondListener,
    /// No program was given.
    #[error("no program was given")]
    Nothing,
    /// Something else.
    #[error("{what}: {source}")]
    System {
        /// What was tried.
        what: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

impl Refusal {
    /// The exit status, as env(1) and nohup(1) have it: 127 no such program, 126 it cannot be run, 125 anything else.
    #[must_use]
    pub fn code(&self) -> u8 {
        match self {
            Self::Program { source, .. } if source.kind() == io::ErrorKind::NotFound => 127,
            Self::Program { .. } => 126,
            _ => 125,
        }
    }

    fn system(what: &'static str) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::System { what, source }
    }
}

/// Runs a program to its end. Returns in two processes: in the one that called, when the program has ended, and in the
/// supervisor, when the last of what it started has ended. The calling process must have one thread.
///
/// # Errors
/// [`Refusal`], before the program has begun.
pub fn run(launch: &Launch) -> Result<Ending, Refusal> {
    if launch.command.is_empty() {
        return Err(Refusal::Nothing);
    }
    let families =
        kernel::families().map_err(Refusal::system("cannot ask the kernel for its netlink families"))?;
    if kernel::has_l2tp(&families) {
        if launch.verbose {
            crate::tell("this kernel has its own L2TP: the program runs on that");
        }
        return Err(program::execute(launch));
    }
    let netns = NetNs::current().map_err(Refusal::system("cannot find out the network namespace"))?;
    let admitted = Owners::of(&netns).and_then(|owners| owners.admit(gettid()));
    if !admitted.is_ok_and(|admitted| admitted) {
        return Err(Refusal::NotAdministrator);
    }
    let (report, reporter) = io::pipe().map_err(Refusal::system("cannot make a pipe"))?;
    let before = foreground::block_signals();
    match sys::fork().map_err(Refusal::system("cannot fork"))? {
        Side::Parent(supervisor) => {
            drop(reporter);
            foreground::wait(report, supervisor)
        }
        Side::Child => {
            before.restore();
            drop(report);
            supervise(launch, netns, &families, program::Reporter::new(reporter))
        }
    }
}

/// The supervisor's life.
fn supervise(
    launch: &Launch,
    home: NetNs,
    families: &[l2tp_abi::genl::ctrl::FamilyMessage],
    reporter: program::Reporter,
) -> Result<Ending, Refusal> {
    let window = crate::window::Window::below_the_limit();
    let (mut program, listener) = Program::start(launch, window)?;
    reporter.started(program.number());
    // Ours only: the program has its own limit by now.
    l2tp_io::limits::allow_many_descriptors();
    let seen = crate::family::Ids::free_among(families);
    let starter = Starter::new(launch.subsystem, launch.binary.clone(), home);
    let mut supervisor = Supervisor::new(listener, window, seen, starter, launch.verbose)
        .map_err(Refusal::system("cannot watch the program"))?;
    let result = serve(&mut supervisor, &mut program, reporter);
    supervisor.starter.end();
    result.map_err(Refusal::system("the supervisor failed"))
}

/// Serves to the end of the program, and on to the end of what it left.
fn serve(
    supervisor: &mut Supervisor,
    program: &mut Program,
    reporter: program::Reporter,
) -> io::Result<Ending> {
    supervisor.watch_program(program.descriptor())?;
    let mut woken = supervisor.run()?;
    let ending = program.ended()?;
    reporter.ended(ending);
    if woken == Woken::ProgramEnded && !supervisor.is_over()? {
        supervisor.forget_program(program.descriptor())?;
        reporter.goes_on();
        program::detach();
        drop(reporter);
        while woken != Woken::AllEnded {
            woken = supervisor.run()?;
        }
    }
    Ok(ending)
}
