//! What an operator sees of two daemons at work: `stats`, `monitor`, `debug`.
//!
//! Every test makes network namespaces of its own, without names, and they go with it. It needs root, or a user namespace
//! (`unshare --map-root-user --net`), and `/dev/net/tun`; what is missing is told as `SKIP`, or is a failure with
//! `FERROWIRE_REQUIRE_ALL=1`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may stop, and says why it did not run"
)]

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{IpAddr, UdpSocket};
use std::os::unix::fs::FileExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use l2tp_io::netns::NetNs;
use l2tp_io::rtnl::Rtnl;
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

const FERROWIRE: &str = env!("CARGO_BIN_EXE_ferrowire");

/// How long anything may take on a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a real kernel showed of the tunnel that [`RECORDED`]'s first lines describe.
const RECORDED: &str = include_str!("../../../tests/vectors/kernel/shows/udp4-cookie4-l2default-seq.txt");

fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_so() {
        assert!(Instant::now() < deadline, "still not so after {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Whether the host has what these tests need. Says what it lacks.
fn met() -> bool {
    let missing = if let Err(error) = std::thread::scope(|scope| scope.spawn(NetNs::unshare).join()).unwrap()
    {
        format!("a network namespace (run as root): {error}")
    } else if !std::path::Path::new("/dev/net/tun").exists() {
        "/dev/net/tun".to_owned()
    } else {
        return true;
    };
    assert!(std::env::var_os("FERROWIRE_REQUIRE_ALL").is_none_or(|value| value != "1"), "missing: {missing}");
    println!("SKIP: {missing}");
    false
}

/// A process of ours that ends with this value. What it writes goes to a file.
struct Process {
    child: Child,
    output: File,
}

impl Process {
    fn start(words: &[&str]) -> Self {
        let output = tempfile::tempfile().unwrap();
        let mut command = Command::new(FERROWIRE);
        command.args(words).stdin(Stdio::null());
        command.stdout(output.try_clone().unwrap()).stderr(output.try_clone().unwrap());
        Self { child: command.spawn().unwrap(), output }
    }

    /// What it has written so far.
    fn said(&self) -> String {
        // Reading must not move the position at which the process writes on.
        let length = self.output.metadata().unwrap().len();
        let mut bytes = vec![0; usize::try_from(length).unwrap()];
        self.output.read_exact_at(&mut bytes, 0).unwrap();
        String::from_utf8(bytes).unwrap()
    }

    fn end(&mut self, signal: Signal) -> ExitStatus {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
        self.ended()
    }

    fn ended(&mut self) -> ExitStatus {
        let mut status = None;
        until("the process ends", || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        status.unwrap()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have ended before.
        let _: std::io::Result<()> = self.child.kill();
        let _: std::io::Result<ExitStatus> = self.child.wait();
    }
}

/// A daemon of the calling thread's namespace, ready for requests.
fn start_daemon() -> Process {
    let mut child = Command::new(FERROWIRE)
        .args(["daemon", "--die-with-parent"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut ready = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    assert!(ready.starts_with("ferrowire: ready"), "{ready:?}");
    Process { child, output: tempfile::tempfile().unwrap() }
}

/// Runs the binary in the namespace of the calling thread; what it wrote to stdout and stderr, and whether it went well.
fn run(words: &str) -> (String, String, bool) {
    let output = Command::new(FERROWIRE).args(words.split_whitespace()).output().unwrap();
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (text(output.stdout), text(output.stderr), output.status.success())
}

/// The same, which must go well.
fn succeed(words: &str) -> String {
    let (stdout, stderr, went_well) = run(words);
    assert!(went_well, "{words}: {stderr}");
    stdout
}

/// Runs the commands that made one side of the recording.
fn make_side(side: &str) {
    let lines = RECORDED.lines().skip_while(|line| *line != side).skip(1);
    let commands: Vec<_> = lines.map_while(|line| line.strip_prefix("ip ")).collect();
    assert_eq!(commands.len(), 2);
    commands.into_iter().for_each(|command| drop(succeed(command)));
}

/// Brings a device up and gives it an address.
fn configure(device: &str, address: &str) {
    let mut rtnl = Rtnl::open().unwrap();
    let index = rtnl.index_of(device).unwrap();
    rtnl.add_address(index, address.parse::<IpAddr>().unwrap(), 24).unwrap();
    rtnl.set_up(index, true).unwrap();
}

/// Runs `work` on a thread of its own in a namespace of its own.
fn in_new_netns(work: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let outcome = scope.spawn(|| NetNs::unshare().map(|_| work())).join();
        outcome.unwrap_or_else(|panic| std::panic::resume_unwind(panic)).unwrap();
    });
}

/// What the recorded kernel's debugfs showed.
fn recorded_text() -> String {
    let lines = RECORDED.lines().skip_while(|line| !line.starts_with("$ cat /sys/kernel/debug/")).skip(1);
    lines.map(|line| format!("{line}\n")).collect()
}

/// Puts `value` in place of every number of packets, bytes and sequence.
fn with_counts(text: &str, value: &str) -> String {
    let is_count = |line: &str| {
        let line = line.trim_start();
        line.starts_with("00000000 ")
            || line.starts_with("nr ")
            || line.contains(" tx ") && !line.contains("debug")
    };
    let replace = |line: &str| {
        line.replace("00000000", "zeros")
            .split_inclusive(|c: char| !c.is_ascii_digit())
            .map(|part| {
                let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
                if rest.len() < part.len() { format!("{value}{rest}") } else { part.to_owned() }
            })
            .collect::<String>()
            .replace("zeros", "00000000")
    };
    text.lines().map(|line| if is_count(line) { replace(line) } else { line.to_owned() } + "\n").collect()
}

/// Counters of this namespace, from `stats --json`.
fn stats() -> Value {
    serde_json::from_str(&succeed("stats --json")).unwrap()
}

#[test]
fn counters_and_the_kernels_text() {
    if met() {
        in_new_netns(|| {
            let near = NetNs::current().unwrap();
            let _daemon = start_daemon();
            in_new_netns(|| {
                let far = NetNs::current().unwrap();
                let _daemon = start_daemon();
                near.within(|| Rtnl::open().unwrap().create_veth("near", "far", Some(&far)).unwrap())
                    .unwrap();
                configure("far", "192.0.2.2");
                near.within(|| configure("near", "192.0.2.1")).unwrap();
                make_side("## side b");
                near.within(|| {
                    make_side("## side a");
                    check_rest();
                })
                .unwrap();
                configure("l2tpeth0", "10.9.0.2");
                let socket = UdpSocket::bind("10.9.0.2:9").unwrap();
                near.within(|| check_traffic(socket)).unwrap();
                assert!(stats()["delivered"].as_u64() > Some(0));
            });
        });
    }
}

/// The tunnel of the recording, before anything was carried.
fn check_rest() {
    assert_eq!(succeed("debug tunnels"), with_counts(&recorded_text(), "0"));
    assert!(succeed("debug pppol2tp").ends_with("errs\n"), "no tunnel of version 2");
    let stats = succeed("stats");
    let names: Vec<_> = stats.lines().filter_map(|line| line.split_whitespace().next()).collect();
    assert_eq!(names, ["tunnels", "sessions", "held_longest_us"], "{stats}");
    assert!(succeed("stats --all").contains("\ndrop_cookie "));
}

/// Sends to `far` until something arrives there; then the texts show it.
fn check_traffic(far: UdpSocket) {
    configure("l2tpeth0", "10.9.0.1");
    far.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
    until("a datagram crosses", || {
        let near = UdpSocket::bind("10.9.0.1:0").unwrap();
        // Refused while the device is coming up.
        let _: std::io::Result<usize> = near.send_to(b"hello", "10.9.0.2:9");
        far.recv(&mut [0; 16]).is_ok()
    });
    let text = succeed("debug tunnels");
    assert_eq!(with_counts(&text, "#"), with_counts(&recorded_text(), "#"));
    assert_ne!(text, with_counts(&text, "0"));
    let counters = stats();
    assert_eq!((&counters["tunnels"], &counters["drop_cookie"]), (&Value::from(1), &Value::from(0)));
    assert!(counters["delivered"].as_u64() > Some(0), "the answer to the ARP request");
    assert!(counters.as_object().unwrap().contains_key("loss_device_refused"));
}

/// Adds a tunnel with two sessions.
fn make_tunnel() {
    succeed(
        "l2tp add tunnel tunnel_id 1 peer_tunnel_id 2 encap udp local 127.0.0.1 remote 127.0.0.1 udp_sport 5000 udp_dport 5001",
    );
    succeed("l2tp add session name one tunnel_id 1 session_id 10 peer_session_id 20 seq both");
    succeed("l2tp add session name two tunnel_id 1 session_id 11 peer_session_id 21");
}

/// What becomes of them, line by line.
const LIFE: &str = "\
tunnel 1 created, peer 2, encap UDP, 127.0.0.1:5000 to 127.0.0.1:5001
session 10 in tunnel 1 created, peer 20, ETH, interface one, sequence numbers send recv
session 11 in tunnel 1 created, peer 21, ETH, interface two
session 10 in tunnel 1 died, peer 20, ETH, interface one, sequence numbers send recv, sent 0 packets of 0 bytes, received 0 of 0
tunnel 1 deleted, peer 2, encap UDP, 127.0.0.1:5000 to 127.0.0.1:5001, sent 0 packets of 0 bytes, received 0 of 0
session 11 in tunnel 1 died, peer 21, ETH, interface two, sent 0 packets of 0 bytes, received 0 of 0
";

#[test]
fn a_whole_life_is_told() {
    if met() {
        in_new_netns(|| {
            Rtnl::open().unwrap().set_up(1, true).unwrap();
            let mut daemon = start_daemon();
            let (mut text, mut json) = (Process::start(&["monitor"]), Process::start(&["monitor", "--json"]));
            let preamble = [await_listening(&text), await_listening(&json)];
            make_tunnel();
            let device = Rtnl::open().unwrap().index_of("one").unwrap();
            Rtnl::open().unwrap().delete(device).unwrap();
            until("the death is told", || text.said().contains("died"));
            succeed("l2tp del tunnel tunnel_id 1");
            until("all is told", || text.said().ends_with(LIFE));
            assert!(!text.said()[preamble[0]..].contains("lost"));
            assert_eq!(text.end(Signal::INT).code(), Some(0));
            check_json(&json.said());

            // What remains dies with the daemon, and whoever listens hears of both.
            make_tunnel();
            assert!(daemon.end(Signal::TERM).success());
            assert_eq!(json.ended().code(), Some(1));
            let said = json.said();
            let events: Vec<_> = said.lines().rev().take(4).collect();
            assert_eq!(events[0], "ferrowire: the daemon has ended");
            for (line, event) in events[1..].iter().zip(["tunnel_died", "session_died", "session_died"]) {
                assert!(line.starts_with(&format!("{{\"event\":\"{event}\"")), "{line}");
            }
        });
    }
}

/// Makes events until the monitor tells of one and the last of them; the length of what it has said then.
fn await_listening(monitor: &Process) -> usize {
    until("the monitor listens", || {
        succeed(
            "l2tp add tunnel tunnel_id 99 peer_tunnel_id 99 encap udp local 127.0.0.1 remote 127.0.0.1 udp_sport 9 udp_dport 9",
        );
        succeed("l2tp del tunnel tunnel_id 99");
        monitor.said().contains("deleted")
    });
    monitor.said().len()
}

/// The same life in JSON.
fn check_json(said: &str) {
    let events: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let life: Vec<_> = events
        .iter()
        .filter(|event| event["tunnel_id"] == 1)
        .map(|event| (event["event"].as_str().unwrap(), event["session_id"].as_u64()))
        .collect();
    let want = [
        ("tunnel_created", None),
        ("session_created", Some(10)),
        ("session_created", Some(11)),
        ("session_died", Some(10)),
        ("tunnel_deleted", None),
        ("session_died", Some(11)),
    ];
    assert_eq!(life, want);
}

#[test]
fn without_a_daemon_they_say_what_to_do() {
    if met() {
        in_new_netns(|| {
            for words in ["stats", "monitor", "debug tunnels"] {
                let (stdout, stderr, went_well) = run(words);
                assert_eq!((stdout.as_str(), went_well), ("", false));
                assert!(stderr.contains("start it with \"ferrowire daemon\""), "{stderr}");
            }
        });
    }
}
