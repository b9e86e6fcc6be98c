//! The demo, run for real: what it reports, and that nothing of it is left behind.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may stop, and says why it did not run"
)]

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use rustix::thread::{CapabilitySet, remove_capability_from_bounding_set};
use serde_json::Value;

const FERROWIRE: &str = env!("CARGO_BIN_EXE_ferrowire");
/// Marks every process of a run: the daemons inherit it.
const MARK: &str = "FERROWIRE_DEMO_RUN";
/// A user who owns nothing.
const NOBODY: u32 = 65534;

/// One demo at a time: several on a small machine would only measure each other.
static STAGE: Mutex<()> = Mutex::new(());

struct Run {
    command: Command,
    mark: String,
    before: Vec<String>,
    _alone: MutexGuard<'static, ()>,
}

impl Run {
    fn new(program: impl AsRef<OsStr>, name: &str) -> Self {
        let alone = STAGE.lock().unwrap_or_else(PoisonError::into_inner);
        let mark = format!("{MARK}={name}-{}", std::process::id());
        let mut command = Command::new(program);
        command.args(["demo", "--json"]).env(MARK, mark.split_once('=').unwrap().1);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command, mark, before: devices(), _alone: alone }
    }

    fn finish(&mut self) -> (Output, Value) {
        let start = Instant::now();
        let output = self.command.output().unwrap();
        assert!(start.elapsed() < Duration::from_secs(20), "it took {:?}", start.elapsed());
        self.assert_nothing_left();
        let report =
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {output:?}"));
        (output, report)
    }

    /// Starts it and returns when both daemons run.
    fn start(&mut self) -> Child {
        let child = self.command.spawn().unwrap();
        let running = within(Duration::from_secs(10), || self.processes().len() == 3);
        assert!(running, "{} processes", self.processes().len());
        std::thread::sleep(Duration::from_millis(700));
        assert_eq!(self.processes().len(), 3, "it was over too soon");
        child
    }

    fn processes(&self) -> Vec<PathBuf> {
        let processes = fs::read_dir("/proc").unwrap().flatten().map(|entry| entry.path());
        processes
            .filter(|path| {
                let environment = fs::read(path.join("environ")).unwrap_or_default();
                environment.split(|byte| *byte == 0).any(|entry| entry == self.mark.as_bytes())
            })
            .collect()
    }

    /// The network namespaces of its processes: "net:[4026532321]".
    fn namespaces(&self) -> BTreeSet<PathBuf> {
        self.processes().iter().filter_map(|process| fs::read_link(process.join("ns/net")).ok()).collect()
    }

    fn assert_nothing_left(&self) {
        assert!(within(Duration::from_secs(5), || self.processes().is_empty()), "{:?}", self.processes());
        assert_eq!(devices(), self.before);
    }
}

/// Devices of this network namespace that could be the demo's.
fn devices() -> Vec<String> {
    let entries = fs::read_dir("/sys/class/net").into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| ["l2tpeth", "wire", "ppp"].iter().any(|prefix| name.starts_with(prefix))).collect()
}

/// Whether a process, or a mount, keeps one of the namespaces.
fn any_kept(namespaces: &BTreeSet<PathBuf>) -> bool {
    let processes = fs::read_dir("/proc").unwrap().flatten();
    let mut links = processes.filter_map(|entry| fs::read_link(entry.path().join("ns/net")).ok());
    let mounts = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let mounted = |namespace: &PathBuf| mounts.contains(&*namespace.to_string_lossy());
    links.any(|link| namespaces.contains(&link)) || namespaces.iter().any(mounted)
}

fn within(limit: Duration, mut happens: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        if happens() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    happens()
}

fn skip(missing: &str) {
    assert!(std::env::var_os("FERROWIRE_REQUIRE_ALL").is_none_or(|value| value != "1"), "missing: {missing}");
    println!("SKIP: {missing}");
}

/// Whether tunnels can be carried at all; says what is missing otherwise.
fn host_suffices() -> bool {
    let doctor = Command::new(FERROWIRE).arg("doctor").output().unwrap();
    if !doctor.status.success() {
        skip(&format!("what tunnels need: {}", String::from_utf8_lossy(&doctor.stdout)));
    }
    doctor.status.success()
}

fn assert_all_carried(output: &Output, report: &Value) {
    assert!(output.status.success(), "{report:#}");
    assert_eq!(report["ok"], true, "{report:#}");
    let links = report["links"].as_array().unwrap();
    let names: Vec<_> = links.iter().map(|link| link["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["veth", "UDP/IPv4", "UDP/IPv6", "IP/IPv4", "IP/IPv6"]);
    let mtus: Vec<_> = links.iter().map(|link| link["mtu"].as_u64().unwrap()).collect();
    assert_eq!(mtus, [1500, 1438, 1430, 1458, 1434]);
    for link in links {
        assert_eq!(link["ping"]["lost"], 0, "{link:#}");
        assert!(link["stream"]["bytes"].as_u64().unwrap() > 1 << 20, "{link:#}");
        assert_eq!(link["faults"], Value::Array(Vec::new()));
    }
    for tunnel in &links[1..] {
        // A stream in frames of the MTU, and 22 pings.
        let least = tunnel["stream"]["bytes"].as_u64().unwrap() / 1500;
        assert!(tunnel["frames"].as_u64().unwrap() > least + 40, "{tunnel:#}");
    }
}

#[test]
fn all_tunnels_carry_and_nothing_is_left() {
    if !host_suffices() {
        return;
    }
    let (output, report) = Run::new(FERROWIRE, "whole").finish();
    assert_all_carried(&output, &report);
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
}

#[test]
fn the_table_is_plain_text() {
    if !host_suffices() {
        return;
    }
    let mut run = Run::new(FERROWIRE, "text");
    run.command = Command::new(FERROWIRE);
    let output = run.command.arg("demo").output().unwrap();
    run.assert_nothing_left();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}");
    assert!(text.bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)), "{text}");
    assert!(text.lines().any(|line| line.starts_with("OK: 4 tunnels")), "{text}");
}

#[test]
fn signals_end_it_at_once() {
    if !host_suffices() {
        return;
    }
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let mut run = Run::new(FERROWIRE, "signal");
        let child = run.start();
        let namespaces = run.namespaces();
        assert_eq!(namespaces.len(), 2, "{namespaces:?}");
        kill_process(Pid::from_child(&child), signal).unwrap();
        let start = Instant::now();
        let output = child.wait_with_output().unwrap();
        assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
        assert_eq!(output.status.code(), Some(code), "{output:?}");
        assert!(String::from_utf8(output.stderr).unwrap().contains("interrupted"));
        run.assert_nothing_left();
        assert!(!any_kept(&namespaces), "{namespaces:?}");
    }
}

#[test]
fn its_daemons_do_not_outlive_it() {
    if !host_suffices() {
        return;
    }
    let mut run = Run::new(FERROWIRE, "killed");
    let mut child = run.start();
    child.kill().unwrap();
    child.wait().unwrap();
    run.assert_nothing_left();
}

/// Whether the programs of a call are there, and their user.
fn call_possible() -> bool {
    let is_there = |program: &str| Path::new("/usr/sbin").join(program).exists();
    if !geteuid().is_root() {
        skip("root");
    } else if !["xl2tpd", "pppd"].into_iter().all(is_there) {
        skip("xl2tpd and pppd");
    } else {
        return host_suffices();
    }
    false
}

#[test]
fn a_call_of_unmodified_programs() {
    if !call_possible() {
        return;
    }
    let mut run = Run::new(FERROWIRE, "call");
    run.command.arg("--ppp");
    let (output, report) = run.finish();
    assert!(output.status.success(), "{report:#}");
    let links = report["links"].as_array().unwrap();
    let names: Vec<_> = links.iter().map(|link| link["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["veth", "PPP", "PPP back"]);
    assert_eq!((&links[1]["mtu"], &links[1]["ping"]["lost"]), (&1462.into(), &0.into()));
    for link in links {
        assert!(link["stream"]["bytes"].as_u64().unwrap() > 1 << 20, "{link:#}");
        assert_eq!(link["faults"], Value::Array(Vec::new()));
    }
}

#[test]
fn a_signal_hangs_up() {
    if !call_possible() {
        return;
    }
    let mut run = Run::new(FERROWIRE, "hang-up");
    run.command.arg("--ppp");
    let child = run.command.spawn().unwrap();
    // Until both have a pppd.
    let calls = || run.processes().iter().filter(|process| is_pppd(process)).count();
    assert!(within(Duration::from_secs(15), || calls() == 2), "{}", calls());
    let namespaces = run.namespaces();
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    run.assert_nothing_left();
    assert!(!any_kept(&namespaces), "{namespaces:?}");
}

/// pppd is set-uid to nobody but its owner; its name says what it is.
fn is_pppd(process: &Path) -> bool {
    fs::read_to_string(process.join("comm")).is_ok_and(|name| name.trim() == "pppd")
}

#[test]
fn without_the_programs_it_says_what_to_install() {
    if !geteuid().is_root() {
        return skip("root");
    }
    // A mount namespace of its own, in which the folders of system programs are empty.
    let script =
        "for d in /usr/sbin /usr/local/sbin; do mount -t tmpfs none $d; done; exec \"$0\" demo --ppp --json";
    let mut run = Run::new("unshare", "missing");
    run.command = Command::new("unshare");
    run.command.args(["-m", "sh", "-c", script, FERROWIRE]).env("PATH", "/usr/bin:/bin");
    let (output, report) = run.finish();
    assert_eq!(output.status.code(), Some(127));
    let fault = report["fault"].as_str().unwrap();
    assert!(fault.contains("xl2tpd, pppd; to mend it: apt-get install xl2tpd ppp"), "{fault}");
}

/// As root without capabilities: a user like any other, but for the files that it owns.
fn without_capabilities<R: Send>(work: impl FnOnce() -> R + Send) -> R {
    std::thread::scope(|scope| {
        let without_capabilities = scope.spawn(|| {
            // user_namespaces(7): whoever maps user 0 of the parent namespace must hold CAP_SETFCAP.
            CapabilitySet::all().difference(CapabilitySet::SETFCAP).iter().for_each(|capability| {
                // What this kernel does not know need not be taken away.
                let _: rustix::io::Result<()> = remove_capability_from_bounding_set(capability);
            });
            work()
        });
        without_capabilities.join().unwrap()
    })
}

#[test]
fn a_call_takes_root() {
    if !call_possible() {
        return;
    }
    let (output, report) = without_capabilities(|| {
        let mut run = Run::new(FERROWIRE, "call-capless");
        run.command.arg("--ppp");
        run.finish()
    });
    assert_eq!(output.status.code(), Some(1));
    let fault = report["fault"].as_str().unwrap();
    assert!(fault.contains("root") || fault.contains("user and network namespace"), "{fault}");
}

#[test]
fn a_user_namespace_will_do() {
    if !host_suffices() {
        return;
    }
    if !geteuid().is_root() {
        return skip("root");
    }
    let (output, report) = without_capabilities(|| Run::new(FERROWIRE, "capless").finish());
    if report["fault"].as_str().is_some_and(|fault| fault.contains("user and network namespace")) {
        return skip(report["fault"].as_str().unwrap());
    }
    assert_eq!(report["rootless"], true);
    assert_all_carried(&output, &report);
}

/// The binary where anybody may run it, for as long as the test takes.
struct Copy(PathBuf);

impl Copy {
    fn make() -> Self {
        let folder = std::env::temp_dir().join(format!("ferrowire-demo-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
        fs::copy(FERROWIRE, folder.join("ferrowire")).unwrap();
        Self(folder)
    }
}

impl Drop for Copy {
    fn drop(&mut self) {
        fs::remove_dir_all(&self.0).unwrap();
    }
}

#[test]
fn nobody_is_served_or_told_what_to_do() {
    if !geteuid().is_root() {
        return skip("root");
    }
    let copy = Copy::make();
    let mut run = Run::new(copy.0.join("ferrowire"), "nobody");
    run.command.uid(NOBODY).gid(NOBODY);
    match run.command.spawn().map(|mut child| child.wait()) {
        Err(error) if matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::InvalidInput) => {
            return skip(&format!("a user {NOBODY}: {error}"));
        }
        _ => {}
    }
    let (output, report) = run.finish();
    let open_to_all =
        fs::metadata(Path::new("/dev/net/tun")).is_ok_and(|node| node.permissions().mode() & 0o006 == 0o006);
    match report["fault"].as_str() {
        None => {
            assert!(open_to_all);
            assert_all_carried(&output, &report);
        }
        Some(fault) => {
            assert_eq!(output.status.code(), Some(1));
            assert!(fault.contains("to mend it: "), "{fault}");
            assert!(!open_to_all || !fault.contains("/dev/net/tun"), "{fault}");
        }
    }
}
