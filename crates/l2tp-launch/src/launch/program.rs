//! The program as a child of the supervisor.

use std::io::{self, PipeWriter, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Child, Command};

use l2tp_io::door::DoorStream;
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::thread::set_no_new_privs;

use super::{Ending, Launch, Refusal};
use crate::filter::{self, NATIVE};
use crate::modprobe::Wrapper;
use crate::notify::Listener;
use crate::sys::{SignalMask, install_filter};
use crate::window::Window;

/// Signals of terminals and service managers that the supervisor outlives: it ends with the last process that it serves.
const OUTLIVED: [libc::c_int; 10] = [
    libc::SIGINT,
    libc::SIGQUIT,
    libc::SIGTERM,
    libc::SIGHUP,
    libc::SIGTSTP,
    libc::SIGTTIN,
    libc::SIGTTOU,
    libc::SIGUSR1,
    libc::SIGUSR2,
    libc::SIGPIPE,
];

/// A running program.
pub(super) struct Program {
    child: Child,
    descriptor: OwnedFd,
    /// Gone when the last process has ended.
    _modprobe: Option<Wrapper>,
}

impl Program {
    /// Starts it under the filter; its end of the filter comes back as the listener.
    pub(super) fn start(launch: &Launch, window: Window) -> Result<(Self, Listener), Refusal> {
        let mask = SignalMask::block(&OUTLIVED);
        let mut code = filter::build(&NATIVE, window, launch.opens);
        let (ours, theirs) = DoorStream::pair().map_err(Refusal::system("cannot make a socket pair"))?;
        let prepare = move || {
            mask.restore();
            let listener = filtered(&mut code)?;
            theirs.send(b"listener", &[listener.as_fd()])
        };
        let modprobe = Wrapper::new().ok();
        let mut command = command(launch)?;
        if let Some(wrapper) = &modprobe {
            command.env("PATH", wrapper.in_front_of(std::env::var_os("PATH")));
        }
        // SAFETY: the child has one thread, and calls nothing but the kernel and an allocator that survives a fork.
        unsafe { command.pre_exec(prepare) };
        let child = command.spawn().map_err(|source| refusal(launch, source))?;
        // The closure's end of the pair: with it open a hang-up would not be seen.
        drop(command);
        let listener = receive(&ours).map_err(Refusal::system("no listener came"))?;
        let descriptor = pidfd_open(Pid::from_child(&child), PidfdFlags::empty());
        let descriptor = descriptor
            .map_err(|errno| Refusal::System { what: "cannot watch the program", source: errno.into() })?;
        Ok((Self { child, descriptor, _modprobe: modprobe }, listener))
    }

    pub(super) fn number(&self) -> i32 {
        Pid::from_child(&self.child).as_raw_nonzero().get()
    }

    /// Becomes readable when it ends.
    pub(super) fn descriptor(&self) -> &OwnedFd {
        &self.descriptor
    }

    /// Waits for its end.
    pub(super) fn ended(&mut self) -> io::Result<Ending> {
        let status = self.child.wait()?;
        let code = status.code().and_then(|code| u8::try_from(code).ok());
        Ok(code.map_or_else(|| Ending::Signal(status.signal().unwrap_or(libc::SIGKILL)), Ending::Code))
    }
}

/// Puts the program in this process's place; why it could not.
pub(super) fn execute(launch: &Launch) -> Refusal {
    match command(launch) {
        Ok(mut command) => refusal(launch, command.exec()),
        Err(refusal) => refusal,
    }
}

fn command(launch: &Launch) -> Result<Command, Refusal> {
    let (program, arguments) = launch.command.split_first().ok_or(Refusal::Nothing)?;
    let mut command = Command::new(program);
    command.args(arguments);
    Ok(command)
}

/// Installs the filter; without CAP_SYS_ADMIN that has a price: set-user-id programs lose their bit.
fn filtered(code: &mut [filter::Instruction]) -> io::Result<OwnedFd> {
    match install_filter(code) {
        Err(error) if error.raw_os_error() == Some(libc::EACCES) => {
            set_no_new_privs(true)?;
            install_filter(code)
        }
        result => result,
    }
    .map_err(marked)
}

/// Errors of seccomp are told apart from those of exec by numbers that exec does not know.
fn marked(error: io::Error) -> io::Error {
    match error.raw_os_error() {
        Some(libc::EBUSY) => Errno::USERS.into(),
        Some(libc::EINVAL | libc::ENOSYS) => Errno::NOTUNIQ.into(),
        _ => error,
    }
}

fn refusal(launch: &Launch, source: io::Error) -> Refusal {
    match Errno::from_io_error(&source) {
        Some(Errno::USERS) => Refusal::SecondListener,
        Some(Errno::NOTUNIQ) => Refusal::OldKernel,
        _ => Refusal::Program { program: launch.command.first().cloned().unwrap_or_default(), source },
    }
}

fn receive(stream: &DoorStream) -> io::Result<Listener> {
    let mut descriptors = Vec::new();
    stream.recv(&mut [0; 16], &mut descriptors)?;
    descriptors.pop().map(Listener::from).ok_or_else(|| Errno::PROTO.into())
}

/// Lets go of the terminal, of pipes and of the directory: whoever reads or unmounts them must not wait for what lives on.
pub(super) fn detach() {
    // One that cannot be left stays in use.
    let _: io::Result<()> = std::env::set_current_dir("/");
    let Ok(null) = std::fs::File::options().read(true).write(true).open("/dev/null") else { return };
    // One that cannot be replaced stays open.
    let _: Result<(), _> = rustix::stdio::dup2_stdin(&null);
    let _: Result<(), _> = rustix::stdio::dup2_stdout(&null);
    let _: Result<(), _> = rustix::stdio::dup2_stderr(&null);
}

/// What the supervisor tells the process that waits: words of five bytes, a letter and a number.
pub(super) struct Reporter(PipeWriter);

/// One word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Report {
    /// The program runs, under this number.
    Started(i32),
    /// It has ended.
    Ended(Ending),
    /// Something that it started lives on.
    GoesOn,
}

impl Report {
    pub(super) const SIZE: usize = 5;

    fn to_bytes(self) -> [u8; Self::SIZE] {
        let (letter, number) = match self {
            Self::Started(number) => (b'p', number),
            Self::Ended(Ending::Code(code)) => (b'c', code.into()),
            Self::Ended(Ending::Signal(signal)) => (b's', signal),
            Self::GoesOn => (b'g', 0),
        };
        let [a, b, c, d] = number.to_ne_bytes();
        [letter, a, b, c, d]
    }

    pub(super) fn from_bytes([letter, number @ ..]: [u8; Self::SIZE]) -> Option<Self> {
        let number = i32::from_ne_bytes(number);
        match letter {
            b'p' => Some(Self::Started(number)),
            b'c' => u8::try_from(number).ok().map(|code| Self::Ended(Ending::Code(code))),
            b's' => Some(Self::Ended(Ending::Signal(number))),
            b'g' => Some(Self::GoesOn),
            _ => None,
        }
    }
}

impl Reporter {
    pub(super) fn new(pipe: PipeWriter) -> Self {
        Self(pipe)
    }

    pub(super) fn started(&self, number: i32) {
        self.tell(Report::Started(number));
    }

    pub(super) fn ended(&self, ending: Ending) {
        self.tell(Report::Ended(ending));
    }

    pub(super) fn goes_on(&self) {
        self.tell(Report::GoesOn);
    }

    fn tell(&self, report: Report) {
        // The one that waits may have been killed; the program goes on.
        let _: io::Result<()> = (&self.0).write_all(&report.to_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_written() {
        for report in [
            Report::Started(4711),
            Report::Ended(Ending::Code(255)),
            Report::Ended(Ending::Signal(15)),
            Report::GoesOn,
        ] {
            assert_eq!(Report::from_bytes(report.to_bytes()), Some(report));
        }
        assert_eq!(Report::from_bytes(*b"x\0\0\0\0"), None);
        assert_eq!(Report::from_bytes([b'c', 255, 255, 255, 255]), None);
    }
}
