//! A running `ferrowire daemon`.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Seek};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::{changes, wait};

pub(crate) const FERROWIRE: &str = env!("CARGO_BIN_EXE_ferrowire");

/// It ends with this value, and with the thread that started it.
pub(crate) struct Daemon {
    child: Child,
    stderr: File,
}

/// What the tests were told of the path.
fn path(words: &[&str]) -> Vec<String> {
    let told = std::env::var("FERROWIRE_TEST_PATH").ok().filter(|_| !words.contains(&"--path"));
    told.filter(|_| !changes::are_wanted()).map(|path| vec!["--path".to_owned(), path]).unwrap_or_default()
}

impl Daemon {
    /// Starts one from the namespace of the calling thread and waits until it answers requests.
    pub(crate) fn start(words: &[&str]) -> Self {
        Self::start_by(Command::new(FERROWIRE), words)
    }

    /// The same by a command that ends in its name. `FERROWIRE_TEST_PATH` says what is to carry sessions, where the test does not.
    pub(crate) fn start_by(mut command: Command, words: &[&str]) -> Self {
        let stderr = tempfile::tempfile().unwrap();
        let mut child = command
            .args(["daemon", "--die-with-parent"])
            .args(path(words))
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(stderr.try_clone().unwrap())
            .spawn()
            .unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        let daemon = Self { child, stderr };
        assert!(ready.starts_with("ferrowire: ready"), "{ready:?} {}", daemon.said());
        daemon
    }

    /// What it wrote to stderr.
    pub(crate) fn said(&self) -> String {
        let (mut file, mut text) = (self.stderr.try_clone().unwrap(), String::new());
        file.rewind().unwrap();
        file.read_to_string(&mut text).unwrap();
        text
    }

    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid(), signal).unwrap();
    }

    /// Waits until it has ended by itself or by a signal.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        wait::until("the daemon ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Descriptors that it has open.
    pub(crate) fn descriptors(&self) -> usize {
        fs::read_dir(format!("/proc/{}/fd", self.child.id())).unwrap().count()
    }

    pub(crate) fn threads(&self) -> usize {
        fs::read_dir(format!("/proc/{}/task", self.child.id())).unwrap().count()
    }

    /// Memory in use, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }

    /// Processor time used so far, in ticks of 10 ms (proc_pid_stat(5), fields 14 and 15).
    pub(crate) fn processor_ticks(&self) -> u64 {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let (_, after_name) = stat.rsplit_once(')').unwrap();
        after_name.split_whitespace().skip(11).take(2).map(|ticks| ticks.parse::<u64>().unwrap()).sum()
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended before.
        let _: std::io::Result<()> = self.child.kill();
        let _: std::io::Result<ExitStatus> = self.child.wait();
        let said = self.said();
        // A worker that panics does not take the daemon with it.
        assert!(std::thread::panicking() || !said.contains("panicked"), "the daemon said: {said}");
        if std::thread::panicking() && !said.is_empty() {
            println!("the daemon said: {said}");
        }
    }
}
