//! The kernel's end: a host whose kernel has L2TP, and a way to run a shell line there as root.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use l2tp_io::netns::NetNs;

use super::counters::{self, Counters};
use super::form::{End, Form};
use super::lab::Lab;

/// Longer than anything takes that is asked of a kernel here.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where lines go.
pub(super) enum Kernel {
    /// To user-mode-linux, which this program runs.
    Lab(Lab),
    /// To a command that takes the line as its last argument, in the namespace in which this program was started.
    Command { prefix: String, home: NetNs },
}

impl Kernel {
    /// Runs a line and returns what it wrote, stderr included.
    pub(super) fn sh(&mut self, line: &str) -> anyhow::Result<String> {
        let (status, output) = match self {
            Self::Lab(lab) => lab.sh(line, PATIENCE)?,
            Self::Command { prefix, home } => run_prefixed(prefix, home, line)?,
        };
        ensure!(status == 0, "the kernel's end: {}", brief(line, &output));
        Ok(output)
    }

    /// Runs `ip l2tp` with these words.
    pub(super) fn l2tp(&mut self, words: &str) -> anyhow::Result<String> {
        self.sh(&format!("ip l2tp {words}"))
    }

    /// Runs the lines of `ip -batch`.
    pub(super) fn ip_batch(&mut self, lines: &str) -> anyhow::Result<()> {
        self.sh(&format!("ip -batch - <<'END'\n{lines}END")).map(drop)
    }

    /// Removes the tunnel with this id, if there is one, and waits until it is gone: the kernel answers first and
    /// deletes then.
    pub(super) fn forget_tunnels(&mut self, ids: &[u32]) -> anyhow::Result<()> {
        let ids: Vec<String> = ids.iter().map(u32::to_string).collect();
        let line = format!(
            "for id in {}; do ip l2tp del tunnel tunnel_id $id 2>/dev/null && gone=1; done; [ -z \"$gone\" ] || sleep 0.5",
            ids.join(" "),
        );
        self.sh(&line).map(drop)
    }

    /// The session's counters.
    pub(super) fn counters(&mut self, form: &Form) -> anyhow::Result<Counters> {
        let session = self.session(form)?;
        Counters::of_session(&session).with_context(|| format!("no counters in debugfs: {session:?}"))
    }

    /// Whether the session numbers what it sends.
    pub(super) fn sends_numbers(&mut self, form: &Form) -> anyhow::Result<bool> {
        let session = self.session(form)?;
        counters::sends_numbers(&session).with_context(|| format!("no settings in debugfs: {session:?}"))
    }

    /// What debugfs says of the session.
    fn session(&mut self, form: &Form) -> anyhow::Result<String> {
        let text = self.sh("cat /sys/kernel/debug/l2tp/tunnels").context(
            "its counters are in debugfs: \"modprobe l2tp_debugfs; mount -t debugfs debugfs /sys/kernel/debug\"",
        )?;
        let session = counters::session(&text, form.session_id(End::Kernel));
        session.map(str::to_owned).context("the kernel's debugfs does not show the session")
    }
}

fn run_prefixed(prefix: &str, home: &NetNs, line: &str) -> anyhow::Result<(i32, String)> {
    let mut command = Command::new("timeout");
    let seconds = PATIENCE.as_secs().to_string();
    command.args([&seconds, "sh", "-c", &format!("exec 2>&1; {prefix} \"$0\""), line]);
    let output = home.within(|| command.output())?.context("cannot run \"timeout\" of coreutils")?;
    let Some(status) = output.status.code() else { bail!("the command of --exec was killed") };
    Ok((status, String::from_utf8_lossy(&output.stdout).into_owned()))
}

/// A line and its output, short enough to be read.
fn brief(line: &str, output: &str) -> String {
    let line: String = line.chars().take(120).collect();
    let output: Vec<&str> = output.lines().rev().take(4).collect();
    let output: Vec<&str> = output.into_iter().rev().collect();
    format!("{line:?} failed: {}", output.join("; "))
}
