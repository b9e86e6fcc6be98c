//! The programs of others that `demo --ppp` shows: where they are, what they are told, and their life.

use std::fs::{self, DirBuilder, File};
use std::os::unix::fs::DirBuilderExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::ppp::inside;
use super::tunnel::Side;
use crate::stage::host::Host;
use crate::stage::underlay;

/// Program and the package of Debian and its kin that has it.
const NEEDED: [(&str, &str); 3] = [("xl2tpd", "xl2tpd"), ("pppd", "ppp"), ("setpriv", "util-linux")];
/// Where system programs are, even when a user's PATH does not say so.
const SYSTEM_FOLDERS: [&str; 3] = ["/usr/local/sbin", "/usr/sbin", "/sbin"];
/// What xl2tpd and pppd write to, one a host.
const LOG: &str = "log";
/// Lines of a log that are told.
const LAST_LINES: usize = 4;
/// How long a program may take to hang up and end.
const PATIENCE: Duration = Duration::from_secs(8);

/// What is missing and how to install it, if anything is.
pub(super) fn missing() -> Option<String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> =
        std::env::split_paths(&path).chain(SYSTEM_FOLDERS.map(PathBuf::from)).collect();
    let is_there = |program: &str| folders.iter().any(|folder| folder.join(program).is_file());
    let (programs, packages): (Vec<_>, Vec<_>) =
        NEEDED.iter().copied().filter(|(program, _)| !is_there(program)).unzip();
    let (programs, packages) = (programs.join(", "), packages.join(" "));
    (!programs.is_empty())
        .then(|| format!("not installed: {programs}; to mend it: apt-get install {packages}"))
}

/// The programs' files; they go with this value.
pub(super) struct Folder(PathBuf);

impl Folder {
    /// Only for this user.
    pub(super) fn make() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("ferrowire-demo-ppp-{}", std::process::id()));
        DirBuilder::new()
            .mode(0o700)
            .create(&path)
            .with_context(|| format!("cannot make folder {}", path.display()))?;
        Ok(Self(path))
    }

    fn write(&self, name: &str, text: &str) -> anyhow::Result<PathBuf> {
        let path = self.0.join(name);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }
}

impl Folder {
    /// What the programs of a host last said.
    pub(super) fn last_words(&self, host: &Host) -> String {
        let log = fs::read(self.0.join(format!("{LOG}.{}", host.name))).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().collect();
        let last = lines.get(lines.len().saturating_sub(LAST_LINES)..).unwrap_or_default();
        format!("the last words of xl2tpd and pppd on host {}:\n  {}", host.name, last.join("\n  "))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What cannot be removed is left for whoever cleans the folder of temporary files.
        let _: std::io::Result<()> = fs::remove_dir_all(&self.0);
    }
}

/// xl2tpd of one side, with its pppd and a subsystem of its own, under `ferrowire exec --private`. Dropped, it hangs up and ends.
pub(super) struct Caller {
    child: Child,
    host: &'static str,
}

impl Caller {
    /// Starts it on a host, in whose namespace the calling thread is left. It ends with that thread, whatever ends it.
    pub(super) fn start(host: &Host, side: Side, folder: &Folder) -> anyhow::Result<Self> {
        let options = folder.write(&format!("options.{}", host.name), OPTIONS)?;
        let configuration = folder.write(&format!("xl2tpd.{}", host.name), &configuration(side, &options))?;
        let file = |name: &str| folder.0.join(format!("{name}.{}", host.name));
        let program =
            std::env::current_exe().context("cannot find the ferrowire program: is /proc mounted?")?;
        host.netns.enter().with_context(|| format!("cannot enter host {}", host.name))?;
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "TERM", "--"]).arg(program);
        command.args(["exec", "--private", "--", "xl2tpd", "-D", "-c"]).arg(configuration);
        for (option, name) in [("-p", "pid"), ("-C", "control"), ("-s", "secrets")] {
            command.arg(option).arg(file(name));
        }
        command.env("PATH", path_with_system_folders());
        let log = File::create(file(LOG)).context("cannot make a log file")?;
        // Ctrl-C is for the demo, which then ends them.
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).process_group(0);
        let child = command.spawn().context("cannot start xl2tpd under ferrowire exec")?;
        Ok(Self { child, host: host.name })
    }

    /// Asks it to hang up and end.
    pub(super) fn terminate(&self) -> anyhow::Result<()> {
        kill_process(Pid::from_child(&self.child), Signal::TERM)
            .with_context(|| format!("cannot end xl2tpd of host {}", self.host))
    }

    /// Waits until it has ended of its own accord.
    pub(super) fn await_end(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                bail!("xl2tpd of host {} did not end within {} s", self.host, PATIENCE.as_secs());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        // Both fail only for a process that has ended. What does not end by itself is killed.
        if self.terminate().is_err() || self.await_end().is_err() {
            let _: std::io::Result<()> = self.child.kill();
            let _: std::io::Result<_> = self.child.wait();
        }
    }
}

fn path_with_system_folders() -> std::ffi::OsString {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(SYSTEM_FOLDERS.map(PathBuf::from));
    std::env::join_paths(folders).unwrap_or(path)
}

/// What pppd is told, on both sides. The host's own scripts have nothing to do with a demo. Two of them that start on one machine
/// within a moment may draw the same magic numbers, and would take the link for looped back: so they do without.
const OPTIONS: &str = "\
noauth
nomagic
nodetach
nodefaultroute
noccp
+ipv6
mtu 1462
mru 1462
ip-up-script /bin/true
ip-down-script /bin/true
";

/// What xl2tpd is told: the near side calls, the far side answers.
fn configuration(side: Side, options: &Path) -> String {
    let options = options.display();
    let [near, far] = [Side::Near, Side::Far].map(inside);
    match side {
        Side::Near => format!(
            "[lac demo]\nlns = {}\nautodial = yes\nredial = yes\nredial timeout = 1\npppoptfile = {options}\n",
            underlay(false, 2)
        ),
        Side::Far => format!(
            "[lns default]\nlocal ip = {}\nip range = {}-{}\nrequire authentication = no\npppoptfile = {options}\n",
            far[0], near[0], near[0]
        ),
    }
}
