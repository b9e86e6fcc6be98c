//! A host: a network namespace, with a daemon or without.

use std::io::Write;
use std::process::{Command, Output, Stdio};

use l2tp_io::netns::NetNs;
use l2tp_io::rtnl::{Link, Rtnl};

use crate::changes::Changes;
use crate::daemon::{Daemon, FERROWIRE};
use crate::door::Door;
use crate::wait;

/// Packets that a device was given to send.
pub(crate) struct Sent {
    pub(crate) packets: u64,
    /// More, that found the queue of the other end full.
    pub(crate) dropped: u64,
}

/// Removes what it has when it is dropped.
pub(crate) struct Host {
    pub(crate) netns: NetNs,
    /// Ended before the daemon is.
    changes: Option<Changes>,
    daemon: Option<Daemon>,
}

impl Host {
    /// A namespace with `lo` up and no daemon.
    pub(crate) fn new() -> Self {
        Self::from(std::thread::scope(|scope| scope.spawn(NetNs::unshare).join()).unwrap().unwrap())
    }

    /// Runs `work` on this thread, in this namespace. The sockets that it opens stay there.
    pub(crate) fn here<R>(&self, work: impl FnOnce() -> R) -> R {
        let home = NetNs::current().unwrap();
        self.netns.enter().unwrap();
        let result = work();
        home.enter().unwrap();
        result
    }

    pub(crate) fn start_daemon(&mut self) {
        self.start_daemon_with(&[]);
    }

    pub(crate) fn start_daemon_with(&mut self, words: &[&str]) {
        self.daemon = Some(self.here(|| Daemon::start(words)));
        // A test that says what is to carry sessions goes by that.
        self.changes = if words.contains(&"--path") { None } else { self.here(Changes::start) };
    }

    pub(crate) fn daemon(&mut self) -> &mut Daemon {
        self.daemon.as_mut().expect("no daemon was started")
    }

    /// Kills the daemon, if there is one, as by kill -9.
    pub(crate) fn kill_daemon(&mut self) {
        self.changes = None;
        self.daemon = None;
    }

    pub(crate) fn run(&self, program: &str, words: &[&str]) -> Output {
        self.here(|| Command::new(program).args(words).stdin(Stdio::null()).output().unwrap())
    }

    /// Runs `program` with words split at blanks; returns what it wrote. A failure is one of the test.
    fn succeed(&self, program: &str, words: &str) -> String {
        let output = self.run(program, &words.split_whitespace().collect::<Vec<_>>());
        assert!(output.status.success(), "{program} {words}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    pub(crate) fn ip(&self, words: &str) -> String {
        self.succeed("ip", words)
    }

    pub(crate) fn bridge(&self, words: &str) -> String {
        self.succeed("bridge", words)
    }

    pub(crate) fn ethtool(&self, words: &str) -> String {
        self.succeed("ethtool", words)
    }

    /// `ferrowire l2tp`, which must succeed.
    pub(crate) fn l2tp(&self, words: &str) -> String {
        self.succeed(FERROWIRE, &format!("l2tp {words}"))
    }

    /// `ferrowire path`, which must succeed.
    pub(crate) fn path(&self, words: &str) -> String {
        self.succeed(FERROWIRE, &format!("path {words}"))
    }

    /// `ferrowire l2tp`, which must be refused with exit code 2; returns what it says.
    pub(crate) fn l2tp_refused(&self, words: &str) -> String {
        let output = self.run(FERROWIRE, &format!("l2tp {words}").split_whitespace().collect::<Vec<_>>());
        assert_eq!(output.status.code(), Some(2), "l2tp {words}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// Many `ip` commands in one go.
    pub(crate) fn ip_batch(&self, lines: &str) {
        let mut ip = Command::new("ip");
        ip.args(["-batch", "-"]).stdin(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.here(|| ip.spawn().unwrap());
        child.stdin.take().unwrap().write_all(lines.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Sends one echo request with `payload` bytes that must not be fragmented, and wants an answer.
    pub(crate) fn ping(&self, address: &str, payload: u32) {
        self.succeed("ping", &format!("-c 1 -W 10 -M do -s {payload} {address}"));
    }

    /// Sends one that nobody may answer.
    pub(crate) fn ping_in_vain(&self, address: &str) {
        let output = self.run("ping", &["-c", "1", "-W", "1", address]);
        assert!(!output.status.success(), "{address} answers");
    }

    /// Waits until an address answers: a new device drops what is sent before its queue is there.
    pub(crate) fn reach(&self, address: &str) {
        let words = ["-c", "1", "-W", "1", address];
        wait::until(&format!("{address} answers"), || self.run("ping", &words).status.success());
    }

    /// What a device has sent, by its own count.
    pub(crate) fn sent(&self, device: &str) -> Sent {
        let told = self.ip(&format!("-s -j link show dev {device}"));
        let told: serde_json::Value = serde_json::from_str(&told).unwrap();
        let count = |kind: &str| told[0]["stats64"]["tx"][kind].as_u64().unwrap();
        Sent { packets: count("packets"), dropped: count("dropped") }
    }

    pub(crate) fn links(&self) -> Vec<Link> {
        self.here(|| Rtnl::open().unwrap().links().unwrap())
    }

    pub(crate) fn link(&self, name: &str) -> Option<Link> {
        self.links().into_iter().find(|link| link.name == name)
    }

    pub(crate) fn mtu(&self, device: &str) -> u32 {
        self.link(device).unwrap_or_else(|| panic!("no device {device}")).mtu
    }

    /// Brings a device up on which the host says nothing of its own accord.
    pub(crate) fn set_up_quietly(&self, device: &str) {
        let file = format!("/proc/sys/net/ipv6/conf/{device}/disable_ipv6");
        self.here(|| std::fs::write(file, "1").unwrap());
        self.ip(&format!("link set {device} up"));
    }

    /// A program's connection to the daemon.
    pub(crate) fn door(&self) -> Door {
        self.here(Door::open)
    }

    /// Moves a device to another host.
    pub(crate) fn hand_over(&self, device: &str, to: &Self) {
        let index = self.link(device).unwrap().index;
        self.here(|| Rtnl::open().unwrap().move_to(index, &to.netns).unwrap());
    }
}

/// A namespace that is there.
impl From<NetNs> for Host {
    fn from(netns: NetNs) -> Self {
        Self { netns, changes: None, daemon: None }
    }
}
