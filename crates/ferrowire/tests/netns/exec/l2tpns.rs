//! xl2tpd and pppd, unmodified, call l2tpns, a network server of somebody else's that has its own PPP and needs nothing of a
//! kernel's L2TP or of ours.

use std::fs::{read_to_string, write};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tempfile::TempDir;

use crate::capture::Capture;
use crate::daemon::FERROWIRE;
use crate::host::Host;
use crate::pair::{Pair, WAN};
use crate::{require, wait};

use super::programs::source;

/// Port 1701 as /proc/net/udp writes it.
const L2TP_PORT: &str = ":06A5 ";

/// A program with all its children; they end with this value.
struct Group(Child);

impl Group {
    /// Starts it in a process group of its own: l2tpns ends its whole group when it ends.
    fn start(host: &Host, command: &mut Command) -> Self {
        command.process_group(0).stdin(Stdio::null());
        Self(host.here(|| command.spawn().unwrap()))
    }

    fn signal(&self, signal: Signal) {
        // It may have ended before.
        let _: rustix::io::Result<()> = kill_process(Pid::from_child(&self.0), signal);
    }

    fn has_ended(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        // xl2tpd makes a session of its own: the launcher hands this on, and would leave it behind if it were killed outright.
        self.signal(Signal::TERM);
        if !wait::within(wait::PATIENCE, || self.has_ended()) {
            let _: rustix::io::Result<()> = kill_process_group(Pid::from_child(&self.0), Signal::KILL);
        }
        self.0.wait().unwrap();
    }
}

/// Where the programs have their files.
struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        write(&path, text.replace("FOLDER", &self.0.path().to_string_lossy())).unwrap();
        path
    }

    /// What a program has logged, as far as it has come.
    fn log(&self, name: &str) -> String {
        read_to_string(self.path(name)).unwrap_or_default()
    }
}

/// Starts the RADIUS server that l2tpns asks about callers, on the loopback interface.
fn start_radius(host: &Host) -> Group {
    let mut python = Command::new("python3");
    let mut radius = Group::start(host, python.arg(source("radius.py")).stdout(Stdio::piped()));
    let mut ready = String::new();
    BufReader::new(radius.0.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    assert_eq!(ready, "ready\n");
    radius
}

/// Starts l2tpns and waits until it listens.
fn start_l2tpns(host: &Host, folder: &Folder) -> Group {
    let configuration = "set debug 3\nset log_file \"FOLDER/l2tpns.log\"\nset pid_file \"FOLDER/l2tpns.pid\"\n\
        set hostname \"lns\"\nset l2tp_secret \"secret\"\nset bind_address 192.0.2.2\nset peer_address 10.98.0.1\n\
        set primary_radius 127.0.0.1\nset primary_radius_port 1812\nset radius_secret \"radius\"\n\
        set radius_authtypes \"pap\"\nset cli_bind_address 127.0.0.1\nset cluster_interface \"wan\"\n\
        set cluster_hb_interval 1\nset cluster_hb_timeout 5\n";
    let mut l2tpns = Command::new("l2tpns");
    l2tpns.arg("-c").arg(folder.write("startup-config", configuration));
    let l2tpns = Group::start(host, l2tpns.stdout(Stdio::null()).stderr(Stdio::null()));
    wait::until("l2tpns listens", || {
        let sockets = format!("/proc/{}/net/udp", l2tpns.0.id());
        read_to_string(sockets).is_ok_and(|sockets| sockets.contains(L2TP_PORT))
    });
    l2tpns
}

/// Starts xl2tpd, which calls at once, with this password.
fn start_xl2tpd(host: &Host, folder: &Folder, password: &str) -> Group {
    let configuration = "[global]\n[lac lns]\nlns = 192.0.2.2\nautodial = yes\npppoptfile = FOLDER/options\n";
    let options = format!(
        "name caller\npassword \"{password}\"\nnoauth\nnodefaultroute\nnodetach\ndebug\nlogfile FOLDER/pppd.log\n"
    );
    folder.write("options", &options);
    let mut exec = Command::new(FERROWIRE);
    exec.args(["exec", "--private", "--", "xl2tpd", "-D", "-c"]);
    exec.arg(folder.write("xl2tpd.conf", configuration));
    for (option, name) in [("-p", "xl2tpd.pid"), ("-C", "control"), ("-s", "secrets")] {
        exec.arg(option).arg(folder.path(name));
    }
    Group::start(host, exec.stdout(Stdio::null()).stderr(Stdio::null()))
}

/// What both are told before the first call.
fn stage() -> (Pair, Folder, [Group; 2]) {
    let (pair, folder) = (Pair::without_daemons(), Folder::new());
    pair.b.ip("link set lo up");
    let servers = [start_radius(&pair.b), start_l2tpns(&pair.b, &folder)];
    (pair, folder, servers)
}

#[test]
fn an_authenticated_call() {
    if !require::met(&["xl2tpd", "pppd", "l2tpns", "python3", "tcpdump", "tshark"]) {
        return;
    }
    let (pair, folder, _servers) = stage();
    let capture = Capture::start(&pair.a, WAN, "udp port 1701");
    let mut xl2tpd = start_xl2tpd(&pair.a, &folder, "open sesame");
    let log = || format!("{}\n{}", folder.log("pppd.log"), folder.log("l2tpns.log"));
    let address =
        || pair.a.link("ppp0").is_some() && pair.a.ip("-4 addr show dev ppp0").contains("inet 10.98.0.");
    assert!(wait::within(wait::PATIENCE, address), "{}", log());
    assert!(folder.log("pppd.log").contains("PAP authentication succeeded"), "{}", log());
    // Its address of the tunnel is not one of its host; the one that it listens at is, by the tunnel too.
    pair.a.ip("link set ppp0 up");
    let answers = || pair.a.run("ping", &["-c", "3", "-i", "0.2", "-W", "5", "-I", "ppp0", "192.0.2.2"]);
    wait::until("l2tpns answers by the tunnel", || answers().status.success());
    xl2tpd.signal(Signal::TERM);
    wait::until("xl2tpd ends", || xl2tpd.has_ended());
    wait::until("pppd ends too", || pair.a.link("ppp0").is_none());
    wait::until("l2tpns is told", || folder.log("l2tpns.log").contains("StopCCN"));
    check_protocols(&capture.stop().told(&["_ws.col.Protocol", "_ws.malformed", "_ws.expert.severity"]));
}

/// Every packet without error; L2TP's control, LCP, PAP, IPCP and a ping among them.
fn check_protocols(lines: &[Vec<String>]) {
    for fields in lines {
        assert!(fields[1].is_empty(), "{fields:?}");
        let severity = |text: &str| text.parse::<u32>().unwrap_or_default();
        assert!(fields[2].split(',').all(|level| severity(level) < crate::capture::ERROR), "{fields:?}");
    }
    for protocol in ["L2TP", "PPP LCP", "PPP PAP", "PPP IPCP", "ICMP"] {
        assert!(lines.iter().any(|fields| fields[0] == protocol), "no {protocol}: {lines:?}");
    }
}

#[test]
fn a_wrong_password_is_refused_and_told() {
    if !require::met(&["xl2tpd", "pppd", "l2tpns", "python3"]) {
        return;
    }
    let (pair, folder, _servers) = stage();
    let _xl2tpd = start_xl2tpd(&pair.a, &folder, "open barley");
    // l2tpns ends the call at once, so that pppd does not even hear why.
    wait::until("l2tpns refuses", || folder.log("l2tpns.log").contains("Authentication rejected for caller"));
    wait::until("pppd hangs up", || folder.log("pppd.log").contains("Connection terminated"));
    assert!(!folder.log("pppd.log").contains("succeeded"));
    wait::until("its device goes", || pair.a.link("ppp0").is_none());
}
