//! Debian's xl2tpd, and the pppd that it starts, as they are, under `ferrowire exec --private`.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::daemon::FERROWIRE;
use crate::host::Host;
use crate::wait;

/// Has its own /etc/ppp and /run, and executes what follows.
const ALONE: &str = r#"mount --bind "$1/ppp" /etc/ppp && mount --bind "$1/run" /run && shift && exec "$@""#;

/// The only user, and what the link is protected by.
const SECRETS: &str = "alice * wonderland *\n";

/// What every pppd is told. Two that start on one machine within a moment may draw the same magic numbers, each and every one
/// (pppd seeds them with the machine's address, the time and its process id), and would take the link for looped back for ever.
const OPTIONS: &str =
    "nomagic\nnodefaultroute\ndebug\nmtu 1400\nmru 1400\nlcp-echo-interval 0\nlcp-restart 1\n";

/// Runs as many as it is told, and ends with the last of them; TERM is for all.
const SERVE: &str = r#"
for n in $(seq "$2"); do
    xl2tpd -D -c "$1/conf$n" -p "$1/pid$n" -C "$1/control$n" &
    numbers="$numbers $!"
done
trap 'kill $numbers' TERM
wait
wait
"#;

/// One that runs, or several of one host.
pub(super) struct Xl2tpd {
    child: Child,
    folder: TempDir,
}

impl Xl2tpd {
    /// Starts one in a host with this configuration, in which `OPTIONS` stands for the file with pppd's `options`.
    pub(super) fn start(host: &Host, configuration: &str, options: &str) -> Self {
        Self::start_many(host, &[configuration.to_owned()], options)
    }

    /// Starts one for each configuration.
    pub(super) fn start_many(host: &Host, configurations: &[String], options: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["ppp", "run"] {
            fs::create_dir(path(name)).unwrap();
        }
        for name in ["ppp/pap-secrets", "ppp/chap-secrets"] {
            fs::write(path(name), SECRETS).unwrap();
            fs::set_permissions(path(name), fs::Permissions::from_mode(0o600)).unwrap();
        }
        let log = path("pppd.log");
        fs::write(path("options"), format!("{OPTIONS}logfile {}\n{options}", log.display())).unwrap();
        for (number, text) in (1..).zip(configurations) {
            let text = text.replace("OPTIONS", path("options").to_str().unwrap());
            fs::write(path(&format!("conf{number}")), text).unwrap();
        }
        let output = fs::File::create(path("log")).unwrap();
        let mut command = Command::new("unshare");
        command.args(["--mount", "sh", "-c", ALONE, "sh"]).arg(folder.path());
        command.args([FERROWIRE, "exec", "--private", "--", "sh", "-c", SERVE, "sh"]);
        command.arg(folder.path()).arg(configurations.len().to_string());
        command.stdin(Stdio::null()).stdout(output.try_clone().unwrap()).stderr(output);
        let child = host.here(|| command.spawn().unwrap());
        let started = Self { child, folder };
        wait::until("xl2tpd listens", || {
            started.said().matches("Listening on IP address").count() == configurations.len()
        });
        started
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// What it and its pppd wrote.
    pub(super) fn said(&self) -> String {
        let read = |name| fs::read_to_string(self.path(name)).unwrap_or_default();
        read("log") + &read("pppd.log")
    }

    /// A command to the first, as xl2tpd-control gives it: `c` or `d` and the name of a peer.
    pub(super) fn control(&self, words: &str) {
        let mut pipe = fs::File::options().write(true).open(self.path("control1")).unwrap();
        writeln!(pipe, "{words}").unwrap();
    }

    /// Sends a signal to the pppd of a device.
    pub(super) fn signal_pppd(&self, device: &str, signal: Signal) {
        self.signal(&format!("run/{device}.pid"), signal);
    }

    /// Kills the first, and not its pppd.
    pub(super) fn kill(&self) {
        self.signal("pid1", Signal::KILL);
    }

    fn signal(&self, file: &str, signal: Signal) {
        let number = fs::read_to_string(self.path(file)).unwrap().trim().parse().unwrap();
        kill_process(Pid::from_raw(number).unwrap(), signal).unwrap();
    }

    /// Waits until all have ended.
    pub(super) fn ended(&mut self) {
        wait::until("xl2tpd ends", || self.child.try_wait().unwrap().is_some());
    }

    /// Ends them as a service manager does.
    pub(super) fn stop(&mut self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
        self.ended();
    }
}

impl Drop for Xl2tpd {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|status| status.is_some()) {
            return;
        }
        if std::thread::panicking() {
            println!("{}", self.said());
        }
        // What cannot be ended stays: the test has failed anyway.
        let _: Result<(), _> = kill_process(Pid::from_child(&self.child), Signal::TERM);
        if !wait::within(wait::PATIENCE, || self.child.try_wait().is_ok_and(|status| status.is_some())) {
            let _: std::io::Result<()> = self.child.kill();
        }
    }
}
