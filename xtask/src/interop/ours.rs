//! Our end: `ferrowire daemon` in the network namespace of this program, and the commands that configure it.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use l2tp_client::{Connection, Stats};
use rustix::process::{Pid, Signal, kill_process};

use super::form::{End, Form};

/// How long a process may take to end before it is killed.
const GRACE: Duration = Duration::from_secs(5);

/// A running daemon. It ends, and its devices with it, when this value is dropped.
pub(super) struct Ours {
    binary: PathBuf,
    daemon: Child,
}

impl Ours {
    /// Starts the daemon; it ends with the calling thread, so that has to be the program's main thread.
    pub(super) fn start(binary: &Path) -> anyhow::Result<Self> {
        let mut daemon = Command::new(binary)
            .args(["daemon", "--die-with-parent"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", binary.display()))?;
        let mut ready = String::new();
        if let Some(stdout) = daemon.stdout.take() {
            BufReader::new(stdout).read_line(&mut ready)?;
        }
        let ours = Self { binary: binary.to_owned(), daemon };
        ensure!(ready.contains("ready"), "the daemon does not start: see its words above");
        Ok(ours)
    }

    /// Runs `ferrowire l2tp` with these words.
    pub(super) fn l2tp(&self, words: &str) -> anyhow::Result<String> {
        run(Command::new(&self.binary).arg("l2tp").args(words.split_whitespace()))
    }

    /// The session's counters, asked at the door.
    pub(super) fn stats(&self, form: &Form) -> anyhow::Result<Stats> {
        let mut connection = Connection::door().context("nobody answers at the door")?;
        let mut found = None;
        for session in connection.sessions()? {
            let session = session?;
            if session.session_id == form.session_id(End::Ours) {
                found = Some(session.stats);
            }
        }
        found.context("the daemon does not show the session")
    }

    /// Ends the daemon as a service manager does and says whether it left in time.
    pub(super) fn end(&mut self) -> bool {
        terminate(&mut self.daemon)
    }
}

impl Drop for Ours {
    fn drop(&mut self) {
        self.end();
    }
}

/// Sends SIGTERM, then SIGKILL to a process that does not end in time; whether it did.
pub(super) fn terminate(child: &mut Child) -> bool {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw)
        && matches!(child.try_wait(), Ok(None))
    {
        // It may have ended meanwhile.
        let _: rustix::io::Result<()> = kill_process(pid, Signal::TERM);
    }
    let deadline = Instant::now() + GRACE;
    while Instant::now() < deadline {
        if !matches!(child.try_wait(), Ok(None)) {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let _: std::io::Result<()> = child.kill();
    let _: std::io::Result<std::process::ExitStatus> = child.wait();
    false
}

/// Runs a shell line in our namespace.
pub(super) fn sh(line: &str) -> anyhow::Result<String> {
    run(Command::new("sh").args(["-c", line]))
}

/// Runs the lines of `ip -batch` in our namespace.
pub(super) fn ip_batch(lines: &str) -> anyhow::Result<()> {
    let mut child = Command::new("ip")
        .args(["-batch", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .context("cannot run \"ip\": install iproute2")?;
    child.stdin.take().context("\"ip\" does not listen")?.write_all(lines.as_bytes())?;
    check("ip -batch", &child.wait_with_output()?).map(drop)
}

fn run(command: &mut Command) -> anyhow::Result<String> {
    let output = command.output().with_context(|| format!("cannot run {:?}", command.get_program()))?;
    let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
    check(&words.join(" "), &output)
}

fn check(what: &str, output: &Output) -> anyhow::Result<String> {
    if !output.status.success() {
        let text = [output.stdout.as_slice(), &output.stderr].concat();
        bail!("our end: {what:?} failed: {}", String::from_utf8_lossy(&text).trim().replace('\n', "; "));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
