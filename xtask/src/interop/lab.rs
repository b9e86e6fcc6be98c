//! A kernel with L2TP as a child of this program: user-mode-linux, joined to this network namespace by a tap device.
//!
//! Its root folder is the host's, read-only; `lab/init` is its first process and runs the shell lines that are written
//! to its console.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use super::form::Underlay;
use super::ours;

/// Stands around the exit status that follows the output of a line, and before the first line.
const MARK: u8 = 0x1e;

/// Where the host's folders are in the lab (lab/init).
pub(crate) const HOST: &str = "/mnt";

/// The tap device at our end, and the addresses of the two ends (RFC 5737, RFC 3849: for documentation only, so nobody's).
const TAP: &str = "fwlab";
pub(super) const UNDERLAY: Underlay = Underlay {
    ours: (Ipv4Addr::new(192, 0, 2, 1), Ipv6Addr::new(0x2001, 0xdb8, 0x77, 0, 0, 0, 0, 1)),
    kernel: (Ipv4Addr::new(192, 0, 2, 2), Ipv6Addr::new(0x2001, 0xdb8, 0x77, 0, 0, 0, 0, 2)),
};

/// A running user-mode-linux. It ends when this value is dropped, and when this program dies.
pub(crate) struct Lab {
    child: Child,
    console: ChildStdin,
    /// What it writes to its console, as it comes.
    output: Receiver<Vec<u8>>,
    unread: Vec<u8>,
    folder: PathBuf,
}

impl Lab {
    /// Starts the user-mode-linux program `linux` in the network namespace of the calling thread, which has to be the
    /// program's main thread: the lab ends with the thread that started it.
    pub(super) fn start(linux: &Path) -> anyhow::Result<Self> {
        let folder = std::env::temp_dir().join(format!("ferrowire-lab-{}", std::process::id()));
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        plug_tap()?;
        let mut child = command(linux, &folder)?.spawn().context("cannot run \"setpriv\" of util-linux")?;
        let (Some(console), Some(mut stdout)) = (child.stdin.take(), child.stdout.take()) else {
            bail!("the lab has no console");
        };
        let (sender, output) = sync_channel(64);
        std::thread::spawn(move || {
            let mut buffer = [0; 65536];
            while let Ok(length @ 1..) = stdout.read(&mut buffer) {
                if sender.send(buffer.get(..length).unwrap_or_default().to_vec()).is_err() {
                    return;
                }
            }
        });
        let mut lab = Self { child, console, output, unread: Vec::new(), folder };
        lab.await_boot()?;
        Ok(lab)
    }

    fn await_boot(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + Duration::from_secs(60);
        if self.read_to_mark(deadline).is_err() {
            bail!("user-mode-linux does not start; its words: {}", self.last_words());
        }
        let (v4, v6) = UNDERLAY.kernel;
        let line =
            format!("ip addr add {v4}/24 dev eth0; ip addr add {v6}/64 dev eth0 nodad; ip link set eth0 up");
        let (status, output) = self.sh(&line, Duration::from_secs(10))?;
        ensure!(status == 0, "the lab's network card: {output}");
        Ok(())
    }

    /// Runs a line; returns its exit status and what it wrote, stderr included.
    pub(crate) fn sh(&mut self, line: &str, patience: Duration) -> anyhow::Result<(i32, String)> {
        let line = line.replace('\'', r"'\''");
        writeln!(self.console, "sh -c '{line}' </dev/null 2>&1; printf '\\036%d\\036' $?")
            .context("the lab does not listen")?;
        let deadline = Instant::now() + patience;
        let output = self.read_to_mark(deadline)?;
        let status = self.read_to_mark(deadline)?.parse().context("the lab's answer cannot be read")?;
        Ok((status, output))
    }

    fn read_to_mark(&mut self, deadline: Instant) -> anyhow::Result<String> {
        loop {
            if let Some(at) = self.unread.iter().position(|byte| *byte == MARK) {
                let rest = self.unread.split_off(at + 1);
                let mut text = std::mem::replace(&mut self.unread, rest);
                text.pop();
                return Ok(String::from_utf8_lossy(&text).into_owned());
            }
            let left = deadline.saturating_duration_since(Instant::now());
            self.unread.extend(self.output.recv_timeout(left).context("the lab does not answer in time")?);
        }
    }

    fn last_words(&self) -> String {
        let words = fs::read_to_string(self.folder.join("stderr")).unwrap_or_default();
        format!("{} {}", String::from_utf8_lossy(&self.unread), words).trim().to_owned()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // What has ended already cannot be ended, and a folder that stays behind is no harm.
        ours::terminate(&mut self.child);
        let _: std::io::Result<()> = fs::remove_dir_all(&self.folder);
    }
}

/// The device that user-mode-linux takes as the other end of its network card.
fn plug_tap() -> anyhow::Result<()> {
    let (v4, v6) = UNDERLAY.ours;
    ours::ip_batch(&format!(
        "tuntap add {TAP} mode tap\naddr add {v4}/24 dev {TAP}\naddr add {v6}/64 dev {TAP} nodad\nlink set {TAP} up\n"
    ))
}

fn command(linux: &Path, folder: &Path) -> anyhow::Result<Command> {
    let init = Path::new(env!("CARGO_MANIFEST_DIR")).join("../lab/init").canonicalize()?;
    let mut command = Command::new("setpriv");
    command
        .args(["--pdeathsig", "TERM"])
        .arg(linux)
        .args(["mem=512M", "root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro", "quiet"])
        .args(["con=null", "con0=fd:0,fd:1", "dummy.numdummies=0", "ifb.numifbs=1", "umid=lab"])
        .arg(format!("init={}", init.display()))
        .arg(format!("uml_dir={}/", folder.display()))
        .arg(format!("eth0=tuntap,{TAP},02:00:c6:12:00:02"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(File::create(folder.join("stderr"))?);
    if Path::new("/dev/shm").is_dir() {
        // Its memory is a file: on a disk it would be slow.
        command.env("TMPDIR", "/dev/shm");
    }
    Ok(command)
}
