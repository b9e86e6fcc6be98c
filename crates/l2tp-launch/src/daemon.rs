//! Daemons that the supervisor starts: one of its own for all namespaces that the program uses (`--private`), or one for
//! everybody in the namespace that it was called in (`--auto`).

use std::io::{self, BufRead, BufReader, Read};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use l2tp_abi::control::{CONTROL_BYTES, Control};
use l2tp_io::door::DoorStream;
use l2tp_io::netns::{NetNs, identity};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, FdFlags, fcntl_setfd};
use rustix::process::setsid;

use crate::namespace::Identity;

/// How long a daemon may take to open the door of a namespace.
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
        let mut child = command.spawn()?;
        let mut word = String::new();
        if let Some(stdout) = &mut child.stdout {
            BufReader::new(stdout).read_line(&mut word)?;
        }
        if word.is_empty() {
            return Err(said(child));
        }
        // Nobody reads what it says from here on; it must not wait for that.
        (child.stdout, child.stderr) = (None, None);
        Ok(child)
    }
}

impl Own {
    /// Has it serve a namespace.
    fn hand_in(&self, netns: &NetNs) -> io::Result<()> {
        // What it told of namespaces that are gone: their doors are closed, which says the same.
        while self.hears(Duration::ZERO)? {
            self.hear()?;
        }
        self.control.send(&Control::Serve.emit(), &[netns.as_fd()])?;
        while self.hears(PATIENCE)? {
            match self.hear()? {
                Some(Control::Serving { .. }) => return Ok(()),
                Some(Control::Refused { errno }) => return Err(io::Error::from_raw_os_error(errno.0)),
                _ => {}
            }
        }
        Err(Errno::TIMEDOUT.into())
    }

    fn hears(&self, time: Duration) -> io::Result<bool> {
        let time = Timespec::try_from(time).map_err(|_| Errno::INVAL)?;
        Ok(poll(&mut [PollFd::new(&self.control, PollFlags::IN)], Some(&time))? > 0)
    }

    fn hear(&self) -> io::Result<Option<Control>> {
        let mut buffer = [0; CONTROL_BYTES];
        match self.control.recv(&mut buffer, &mut Vec::new())? {
            0 => Err(Errno::PIPE.into()),
            length => Ok(buffer.get(..length).and_then(Control::parse)),
        }
    }
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
