//! The bench, run for real but briefly: figures in the table, the same ones in the JSON, a picture, and nothing left behind.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may stop, and says why it did not run"
)]

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, geteuid, kill_process};
use serde_json::Value;

const FERROWIRE: &str = env!("CARGO_BIN_EXE_ferrowire");
/// Marks every process of a run: the daemons inherit it.
const MARK: &str = "FERROWIRE_BENCH_RUN";
/// A user who owns nothing.
const NOBODY: u32 = 65534;

struct Run {
    command: Command,
    mark: String,
}

impl Run {
    fn new(name: &str, words: &[&str]) -> Self {
        let mark = format!("{name}-{}", std::process::id());
        let mut command = Command::new(FERROWIRE);
        command.arg("bench").args(words).env(MARK, &mark);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        Self { command, mark: format!("{MARK}={mark}") }
    }

    fn finish(&mut self) -> Output {
        let output = self.command.output().unwrap();
        self.assert_nothing_left();
        output
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
    }
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

fn skip(missing: &str) -> bool {
    assert!(std::env::var_os("FERROWIRE_REQUIRE_ALL").is_none_or(|value| value != "1"), "missing: {missing}");
    println!("SKIP: {missing}");
    false
}

/// Whether the host has what the bench needs; says what is missing otherwise.
fn host_suffices() -> bool {
    if !geteuid().is_root() {
        return skip("root");
    }
    for program in ["ethtool", "iperf3"] {
        if Command::new(program).arg("--version").stdout(Stdio::null()).status().is_err() {
            return skip(program);
        }
    }
    let doctor = Command::new(FERROWIRE).arg("doctor").output().unwrap();
    doctor.status.success()
        || skip(&format!("what tunnels need: {}", String::from_utf8_lossy(&doctor.stdout)))
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

/// Figures of a design's row of the first table below a heading.
fn row<'a>(table: &'a str, heading: &str, design: &str) -> Vec<&'a str> {
    let (_, below) = table.split_once(heading).unwrap_or_else(|| panic!("{heading}: {table}"));
    let line = below.lines().find(|line| line.split_whitespace().next() == Some(design));
    line.unwrap_or_else(|| panic!("{design}: {table}")).split_whitespace().skip(1).collect()
}

/// A figure of the table is that of the JSON, rounded.
fn assert_shown(shown: &str, figure: f64, unit: f64) {
    let difference = shown.parse::<f64>().unwrap() - figure;
    assert!(difference.abs() <= unit * 0.501, "{shown} for {figure}");
}

#[test]
fn a_short_run_gives_the_same_figures_everywhere() {
    if !host_suffices() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let [json, svg] = ["out.json", "out.svg"].map(|name| folder.path().join(name));
    let words =
        "--rounds 1 --seconds 0.2 --only user-udp4 --tests tcp1,udp64,light --underlay veth -v --json";
    let mut run = Run::new("short", &words.split(' ').collect::<Vec<_>>());
    let start = Instant::now();
    let output = run.finish_with(&json, &svg);
    assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
    assert!(output.status.success(), "{output:?}");
    let table = text(&output.stdout);
    let json: Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
    assert_eq!(json["version"], 1);
    assert!(json["machine"]["processors"].as_u64().unwrap() > 0);
    assert_eq!(json["rows"].as_array().unwrap().len(), 6, "{json:#}");
    for design in ["veth", "user-udp4"] {
        let figures = |test: &str| {
            let rows = json["rows"].as_array().unwrap().iter();
            rows.clone().find(|row| row["test"] == test && row["design"] == design).unwrap().clone()
        };
        let tcp = figures("tcp1");
        let rate = tcp["gbit_per_second"].as_f64().unwrap();
        assert!(rate > 0.0 && rate < 1000.0, "{tcp:#}");
        assert_shown(row(table, "TCP, one stream", design)[0], rate, 0.01);
        let udp = figures("udp64");
        let rate = udp["packets_per_second"].as_f64().unwrap();
        assert!(rate > 100.0 && rate < 1e8, "{udp:#}");
        assert_eq!(
            udp["samples"][0]["bytes"].as_u64(),
            udp["samples"][0]["packets"].as_u64().map(|n| n * 64)
        );
        assert_shown(row(table, "UDP, 64 bytes", design)[0], rate / 1e3, 0.01);
        let light = figures("light");
        let [p50, p999] = ["p50_us", "p999_us"].map(|key| light["round_trips"][key].as_f64().unwrap());
        assert!(p50 > 1.0 && p50 <= p999, "{light:#}");
        assert_shown(row(table, "round trips, nothing else", design)[0], p50, 0.1);
    }
    // Each of six runs was told of as it came.
    assert_eq!(
        text(&output.stderr).lines().filter(|line| line.starts_with("veth ")).count(),
        6,
        "{output:?}"
    );
    assert_well_formed(&fs::read_to_string(svg).unwrap());
}

/// What iperf3 says it has received is what is shown.
#[test]
fn iperf3_is_asked() {
    if !host_suffices() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let [json, svg] = ["out.json", "out.svg"].map(|name| folder.path().join(name));
    let words = "--rounds 1 --only user-udp4 --tests iperf1,iperf4 --underlay veth --json";
    let output = Run::new("iperf", &words.split(' ').collect::<Vec<_>>()).finish_with(&json, &svg);
    assert!(output.status.success(), "{output:?}");
    let json: Value = serde_json::from_slice(&fs::read(json).unwrap()).unwrap();
    let rows = json["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 4, "{json:#}");
    for row in rows {
        let sample = &row["samples"][0];
        assert!(sample["bytes"].as_u64().unwrap() > 1 << 20, "{row:#}");
        assert!((0.9..3.0).contains(&sample["seconds"].as_f64().unwrap()), "{row:#}");
        assert!(sample["cpu_seconds"].as_f64().unwrap() > 0.0, "{row:#}");
    }
}

impl Run {
    fn finish_with(&mut self, json: &PathBuf, svg: &PathBuf) -> Output {
        self.command.arg(json).arg("--svg").arg(svg);
        self.finish()
    }
}

/// Every element is closed, in order, and there is one at the root.
fn assert_well_formed(picture: &str) {
    let mut open: Vec<&str> = Vec::new();
    let mut roots = 0;
    for (number, piece) in picture.split('<').skip(1).enumerate() {
        let (tag, _) = piece.split_once('>').unwrap_or_else(|| panic!("{piece}"));
        assert!(number == 0 || !open.is_empty(), "behind the root: {piece}");
        assert_eq!(tag.matches('"').count() % 2, 0, "{tag}");
        let name = tag.trim_start_matches('/').split([' ', '/']).next().unwrap();
        if tag.starts_with('/') {
            assert_eq!(open.pop(), Some(name), "{piece}");
        } else if !tag.ends_with('/') {
            roots += usize::from(open.is_empty());
            open.push(name);
        }
    }
    assert_eq!((open.as_slice(), roots), (&[][..], 1));
    assert!(picture.contains("user-udp4") && picture.contains("</svg>"));
}

#[test]
fn a_signal_ends_it_at_once() {
    if !host_suffices() {
        return;
    }
    let words = ["--only", "naive,user-udp4", "--tests", "tcp1", "--seconds", "30"];
    let mut run = Run::new("signal", &words);
    let child = run.command.spawn().unwrap();
    // The bench, two daemons, and the far end of a test.
    assert!(within(Duration::from_secs(10), || run.processes().len() == 4), "{:?}", run.processes());
    let namespaces = run.namespaces();
    assert!(namespaces.len() >= 2, "those of the daemons: {namespaces:?}");
    kill_process(Pid::from_child(&child), Signal::INT).unwrap();
    let start = Instant::now();
    let output = child.wait_with_output().unwrap();
    assert!(start.elapsed() < Duration::from_secs(5), "{:?}", start.elapsed());
    assert_eq!(output.status.code(), Some(130), "{output:?}");
    assert!(text(&output.stderr).contains("interrupted; all that the bench made is removed"), "{output:?}");
    run.assert_nothing_left();
    assert!(!any_kept(&namespaces), "{namespaces:?}");
}

#[test]
fn errors_say_what_to_do() {
    let told = |words: &[&str]| {
        let output = Run::new("errors", words).finish();
        assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
        text(&output.stderr).to_owned()
    };
    assert!(told(&["--only", "vxlam"]).contains("there are veth, vxlan,"));
    assert!(told(&["--tests", "tcp9"]).contains("tcp1"));
    assert!(told(&["--seconds", "nil"]).contains("not a number"));
    assert!(told(&["--seconds", "0"]).contains("0.05 to 3600"));
    assert!(told(&["--json", "/nowhere/x.json"]).contains("/nowhere/x.json"));
}

#[test]
fn without_root_it_says_so() {
    if !geteuid().is_root() {
        skip("root, to be somebody else");
        return;
    }
    // Nobody may not read the folder that the program was built in.
    let folder = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .tempdir()
        .unwrap();
    let program = folder.path().join("ferrowire");
    fs::copy(FERROWIRE, &program).unwrap();
    let output = Command::new(program).arg("bench").uid(NOBODY).gid(NOBODY).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    assert!(text(&output.stderr).contains("sudo ferrowire bench"), "{output:?}");
}
