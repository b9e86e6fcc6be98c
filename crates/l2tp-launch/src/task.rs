//! Who calls: the process of a thread, its descriptors, its network namespace.
//!
//! Numbers of threads and processes are used again. A number is trusted only while its thread waits in a trapped call
//! ([`crate::notify::Listener::is_valid`]), and what is remembered of it is asked about again each time.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};

use crate::sys;

/// Threads that are remembered; above that, all are forgotten.
const REMEMBERED_MAX: usize = 256;

/// The process of a thread that called.
#[derive(Debug)]
pub(crate) struct Process {
    descriptor: OwnedFd,
    number: Pid,
    /// Its number as it sees it itself, in its own process namespace.
    pub(crate) own_number: u32,
}

impl Process {
    fn of(thread: Pid) -> io::Result<Self> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", thread.as_raw_nonzero()))?;
        let (number, own_number) = parse_status(&status).ok_or(Errno::SRCH)?;
        Ok(Self { descriptor: pidfd_open(number, PidfdFlags::empty())?, number, own_number })
    }

    /// Whether it lives and `thread` is one of its threads.
    fn has(&self, thread: Pid) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        // A pidfd becomes readable when its process ends.
        let lives = poll(&mut [PollFd::new(&self.descriptor, PollFlags::IN)], Some(&now)) == Ok(0);
        lives && sys::is_thread_of(self.number, thread)
    }

    /// A copy of one of its descriptors.
    ///
    /// # Errors
    /// `EBADF` when it has none of that number; `EPERM` when this process may not look.
    pub(crate) fn descriptor(&self, number: i32) -> io::Result<OwnedFd> {
        Ok(pidfd_getfd(&self.descriptor, number, PidfdGetfdFlags::empty())?)
    }

    /// Whether it has no descriptor of that number.
    pub(crate) fn is_free(&self, number: u32) -> bool {
        let Ok(number) = i32::try_from(number) else { return false };
        self.descriptor(number).is_err_and(|error| error.raw_os_error() == Some(libc::EBADF))
    }
}

/// What is remembered of threads.
#[derive(Default)]
pub(crate) struct Tasks {
    processes: HashMap<Pid, Rc<Process>>,
}

impl Tasks {
    /// The process of `thread`, which waits in a trapped call.
    ///
    /// # Errors
    /// Those of /proc and pidfd_open(2), when the thread is gone.
    pub(crate) fn process(&mut self, thread: Pid) -> io::Result<Rc<Process>> {
        if let Some(process) = self.processes.get(&thread).filter(|process| process.has(thread)) {
            return Ok(Rc::clone(process));
        }
        let process = match Process::of(thread) {
            // Too many of them, for this process's limit of open files.
            Err(error) if error.raw_os_error() == Some(libc::EMFILE) => {
                self.processes.clear();
                Process::of(thread)?
            }
            process => process?,
        };
        let process = Rc::new(process);
        // Its number may have changed hands while it was looked up.
        if !process.has(thread) {
            return Err(Errno::SRCH.into());
        }
        if self.processes.len() >= REMEMBERED_MAX {
            self.processes.clear();
        }
        self.processes.insert(thread, Rc::clone(&process));
        Ok(process)
    }
}

/// Whether a thread has a signal that it would handle or die of, but for waiting in a trapped call: one that is pending,
/// not blocked and not ignored.
pub(crate) fn is_signalled(thread: Pid) -> bool {
    let path = format!("/proc/{}/status", thread.as_raw_nonzero());
    std::fs::read_to_string(path).is_ok_and(|status| pending(&status) != 0)
}

/// Whether the process of `thread` has other threads.
pub(crate) fn has_siblings(thread: Pid) -> bool {
    let path = format!("/proc/{}/status", thread.as_raw_nonzero());
    std::fs::read_to_string(path).is_ok_and(|status| threads(&status) > 1)
}

fn threads(status: &str) -> u32 {
    let count = status.lines().find_map(|line| line.strip_prefix("Threads:"));
    count.and_then(|count| count.trim().parse().ok()).unwrap_or_default()
}

fn pending(status: &str) -> u64 {
    let set = |name| {
        let text = status.lines().find_map(|line| line.strip_prefix(name));
        text.and_then(|text| u64::from_str_radix(text.trim(), 16).ok()).unwrap_or_default()
    };
    (set("SigPnd:") | set("ShdPnd:")) & !set("SigBlk:") & !set("SigIgn:")
}

/// The process's number as we see it, and as it does itself (proc_pid_status(5): `Tgid`, the last of `NStgid`).
fn parse_status(status: &str) -> Option<(Pid, u32)> {
    let field = |name| status.lines().find_map(|line| line.strip_prefix(name));
    let number = Pid::from_raw(field("Tgid:")?.trim().parse().ok()?)?;
    let own = field("NStgid:")?.split_whitespace().next_back()?.parse().ok()?;
    Some((number, own))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_signals_of_a_status() {
        let status = "Name:\tx\nTgid:\t40\nNStgid:\t40\t7\nSigPnd:\t0000000000000000\nShdPnd:\t0000000000002400\n\
                      SigBlk:\t0000000000000400\nSigIgn:\t0000000000000000\n";
        assert_eq!(parse_status(status).map(|(pid, own)| (pid.as_raw_nonzero().get(), own)), Some((40, 7)));
        assert_eq!(pending(status), 0x2000);
        assert_eq!(pending(&status.replace("0400\nSigIgn", "2400\nSigIgn")), 0);
        assert_eq!((threads("Name:\tx\nThreads:\t12\n"), threads("")), (12, 0));
        assert_eq!(parse_status("Tgid:\t0\nNStgid:\t0\n"), None);
    }

    #[test]
    fn a_process_and_its_descriptors() {
        let file = tempfile::tempfile().unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&file);
        let mut tasks = Tasks::default();
        let own = rustix::thread::gettid();
        // Looked up, then remembered.
        for _ in 0..2 {
            let process = tasks.process(own).unwrap();
            assert_eq!(process.number, rustix::process::getpid());
            process.descriptor(number).unwrap();
        }
        let process = tasks.process(own).unwrap();
        assert!(!process.is_free(u32::try_from(number).unwrap()));
        assert!(process.is_free(1023));
    }

    #[test]
    fn a_process_that_is_gone() {
        let mut child = std::process::Command::new("sleep").arg("99").spawn().unwrap();
        let number = Pid::from_child(&child);
        let mut tasks = Tasks::default();
        tasks.process(number).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(tasks.process(number).is_err());
    }
}
