//! Daemons that the supervisor starts: one of its own for all namespaces that the program uses (`--private`), or one for
//! everybody in the namespace that it was called in (`--auto`).

use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use l2tp_abi::control::{CONTROL_BYTES, Control};
use l2tp_io::door::DoorStream;
use l2tp_io::netns::{NetNs, identity};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, FdFlags, fcntl_setfd, retry_on_intr};
use rustix::process::setsid;

use crate::namespace::Identity;

/// How long a daemon may take to start, and to open the door of a namespace.
const PATIENCE: Duration = Duration::from_secs(10);

/// Whose the subsystem is that the program sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subsystem {
    /// That of the daemon which serves the namespace; without one there is none.
    Existing,
    /// The same, and a daemon is started where there is none in the namespace of the caller. It stays.
    Auto,
    /// A daemon of the program's own, for every namespace that it uses. It ends with the program, and lets go of a
    /// namespace that nobody uses any more.
    Private,
}

/// Starts daemons.
pub(crate) struct Starter {
    subsystem: Subsystem,
    /// The binary that has the verb `daemon`.
    binary: PathBuf,
    home: NetNs,
    own: Option<Own>,
}

/// A daemon of our own, and the socket over which it is given namespaces.
struct Own {
    child: Child,
    control: DoorStream,
}

impl Starter {
    /// One that was called in the namespace `home`.
    pub(crate) fn new(subsystem: Subsystem, binary: PathBuf, home: NetNs) -> Self {
        Self { subsystem, binary, home, own: None }
    }

    /// The namespace that it was called in.
    ///
    /// # Errors
    /// None in practice.
    pub(crate) fn home(&self) -> io::Result<Identity> {
        identity(&self.home)
    }

    /// Sees to it that somebody serves `netns`; false when that is not for us to do.
    ///
    /// # Errors
    /// Those of exec(2); what the daemon said when it ended at once; why it refused.
    pub(crate) fn serve(&mut self, netns: &NetNs) -> io::Result<bool> {
        match self.subsystem {
            Subsystem::Existing => return Ok(false),
            Subsystem::Auto if !netns.same_as(&self.home)? => return Ok(false),
            Subsystem::Auto => drop(self.start(&[], true)?),
            Subsystem::Private => self.serve_with_own(netns)?,
        }
        Ok(true)
    }

    /// Ends the daemon that is our own, and waits for it: what it made goes with it.
    pub(crate) fn end(&mut self) {
        if let Some(Own { mut child, control }) = self.own.take() {
            drop(control);
            // Nothing follows from how it ended.
            let _: io::Result<_> = child.wait();
        }
    }

    fn serve_with_own(&mut self, netns: &NetNs) -> io::Result<()> {
        if self.own.as_mut().is_some_and(|own| !matches!(own.child.try_wait(), Ok(None))) {
            self.own = None;
        }
        if self.own.is_none() {
            let (control, theirs) = DoorStream::pair()?;
            fcntl_setfd(&theirs, FdFlags::empty())?;
            let number = theirs.as_fd().as_raw_fd().to_string();
            let child = self.start(&["--control-fd", &number, "--die-with-parent"], false)?;
            self.own = Some(Own { child, control });
        }
        self.own.as_ref().map_or(Ok(()), |own| own.hand_in(netns))
    }

    /// Starts a daemon with these options, and waits until it answers.
    fn start(&self, options: &[&str], detached: bool) -> io::Result<Child> {
        let mut command = Command::new(&self.binary);
        command.arg("daemon").args(options);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if detached {
            // SAFETY: the child has one thread; it makes one system call.
            unsafe { command.pre_exec(|| Ok(setsid().map(drop)?)) };
        }
        ready(command.spawn()?, PATIENCE)
    }
}

impl Own {
    /// Has it serve a namespace.
    fn hand_in(&self, netns: &NetNs) -> io::Result<()> {
        // What it told of namespaces that are gone: their doors are closed, which says the same.
        while is_readable(&self.control, Duration::ZERO)? {
            self.hear()?;
        }
        self.control.send(&Control::Serve.emit(), &[netns.as_fd()])?;
        while is_readable(&self.control, PATIENCE)? {
            match self.hear()? {
                Some(Control::Serving { .. }) => return Ok(()),
                Some(Control::Refused { errno }) => return Err(io::Error::from_raw_os_error(errno.0)),
                _ => {}
            }
        }
        Err(Errno::TIMEDOUT.into())
    }

    fn hear(&self) -> io::Result<Option<Control>> {
        let mut buffer = [0; CONTROL_BYTES];
        match self.control.recv(&mut buffer, &mut Vec::new())? {
            0 => Err(Errno::PIPE.into()),
            length => Ok(buffer.get(..length).and_then(Control::parse)),
        }
    }
}

/// Waits for the first word of a daemon. One that says none is ended.
///
/// # Errors
/// `ETIMEDOUT`; what it said when it ended by itself.
fn ready(mut child: Child, patience: Duration) -> io::Result<Child> {
    match speaks(&mut child, patience) {
        Ok(true) => {
            // Nobody reads what it says from here on; it must not wait for that.
            (child.stdout, child.stderr) = (None, None);
            Ok(child)
        }
        Ok(false) => Err(said(child)),
        Err(error) => {
            // It ends, or has ended by itself.
            let _: io::Result<_> = child.kill().and_then(|()| child.wait());
            Err(error)
        }
    }
}

/// Whether it says something, or else ends.
fn speaks(child: &mut Child, patience: Duration) -> io::Result<bool> {
    let Some(stdout) = &mut child.stdout else { return Ok(false) };
    if !is_readable(&*stdout, patience)? {
        return Err(Errno::TIMEDOUT.into());
    }
    Ok(stdout.read(&mut [0; 256])? > 0)
}

/// Whether something can be read, or the end, before `time` is over.
fn is_readable(descriptor: impl AsFd, time: Duration) -> io::Result<bool> {
    let time = Timespec::try_from(time).map_err(|_| Errno::INVAL)?;
    let mut asked = [PollFd::new(&descriptor, PollFlags::IN)];
    Ok(retry_on_intr(|| poll(&mut asked, Some(&time)))? > 0)
}

/// Why a daemon ended before it was ready.
fn said(mut child: Child) -> io::Error {
    let mut text = String::new();
    if let Some(stderr) = &mut child.stderr {
        // What cannot be read is not told.
        let _: io::Result<usize> = stderr.read_to_string(&mut text);
    }
    let _: io::Result<_> = child.wait();
    io::Error::other(text.trim().trim_start_matches("ferrowire: ").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::process::{Pid, test_kill_process};

    fn shell(script: &str) -> Child {
        let mut command = Command::new("sh");
        command.args(["-c", script]).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command.spawn().unwrap()
    }

    #[test]
    fn one_that_says_nothing_is_ended() {
        let child = shell("exec sleep 600");
        let pid = Pid::from_child(&child);
        let error = ready(child, Duration::from_millis(50)).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ETIMEDOUT));
        assert_eq!(test_kill_process(pid), Err(Errno::SRCH), "it was waited for");
    }

    #[test]
    fn one_that_speaks_is_ready_and_one_that_ends_says_why() {
        let mut child = ready(shell("echo ready; exec sleep 600"), PATIENCE).unwrap();
        assert!(child.try_wait().unwrap().is_none());
        child.kill().and_then(|()| child.wait()).unwrap();
        let error = ready(shell("echo ferrowire: no such thing >&2"), PATIENCE).unwrap_err();
        assert_eq!(error.to_string(), "no such thing");
    }
}
