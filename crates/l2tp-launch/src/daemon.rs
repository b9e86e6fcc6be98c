//! Daemons that the supervisor starts: of its own (`--private`), or for everybody (`--auto`).

use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use l2tp_io::netns::NetNs;
use rustix::process::{Pid, Signal, kill_process, setsid};
use std::os::fd::AsFd;

/// Whose the subsystem is that the program sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subsystem {
    /// That of the daemon which serves the namespace; without one there is none.
    Existing,
    /// The same, and a daemon is started where there is none. It stays.
    Auto,
    /// Daemons of the program's own, one in each namespace that it uses. They end with it.
    Private,
}

/// Starts daemons.
pub(crate) struct Starter {
    subsystem: Subsystem,
    /// The binary that has the verb `daemon`.
    binary: PathBuf,
    own: Vec<Child>,
}

impl Starter {
    pub(crate) fn new(subsystem: Subsystem, binary: PathBuf) -> Self {
        Self { subsystem, binary, own: Vec::new() }
    }

    /// Whether it starts any.
    pub(crate) fn starts(&self) -> bool {
        self.subsystem != Subsystem::Existing
    }

    /// Starts one in `netns` and waits until it answers.
    ///
    /// # Errors
    /// Those of exec(2) and setns(2); what the daemon said when it ended at once.
    pub(crate) fn start(&mut self, netns: &NetNs) -> io::Result<()> {
        let mut command = Command::new(&self.binary);
        command.arg("daemon").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if self.subsystem == Subsystem::Private {
            command.arg("--die-with-parent");
        }
        let (netns, detach) = (netns.as_fd().try_clone_to_owned()?, self.subsystem == Subsystem::Auto);
        let netns = NetNs::from(netns);
        let prepare = move || {
            if detach {
                setsid()?;
            }
            netns.enter()
        };
        // SAFETY: the child has one thread; it makes two system calls.
        unsafe { command.pre_exec(prepare) };
        let mut child = command.spawn()?;
        let mut word = String::new();
        if let Some(stdout) = &mut child.stdout {
            BufReader::new(stdout).read_line(&mut word)?;
        }
        if word.is_empty() {
            return Err(said(child));
        }
        if self.subsystem == Subsystem::Private {
            self.own.push(child);
        }
        Ok(())
    }

    /// Ends the daemons that are our own, and waits for them: what they made goes with them.
    pub(crate) fn end(&mut self) {
        for child in &self.own {
            // One that is gone needs no signal.
            let _: Result<(), _> = kill_process(Pid::from_child(child), Signal::TERM);
        }
        for mut child in self.own.drain(..) {
            // Nothing follows from how it ended.
            let _: io::Result<_> = child.wait();
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
