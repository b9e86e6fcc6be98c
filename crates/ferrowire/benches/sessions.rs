//! What a session costs the daemon: `cargo bench -p ferrowire --bench sessions [-- COUNT]`.
//!
//! Starts a daemon in a network namespace of its own, adds COUNT Ethernet sessions (10,000) to one tunnel through the door,
//! and prints the time for each thousand, the daemon's resident memory a session (the devices themselves are the
//! kernel's, and not in it), and the time that it takes to remove them all.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark may stop and speaks"
)]

use std::io::{BufRead, BufReader};
use std::net::Ipv4Addr;
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use l2tp_abi::genl::l2tp::{Request, SessionCreate, TunnelCreate, TunnelSocket};
use l2tp_abi::nl::{Ack, Messages};
use l2tp_io::door::DoorStream;
use l2tp_io::netns::NetNs;

/// The family's id; asked for by programs, known to us.
const FAMILY: u16 = l2tp_mgmt::netlink::L2TP_FAMILY_ID;

/// A caller at the door that wants every request done.
struct Caller {
    door: DoorStream,
    buffer: Vec<u8>,
    seq: u32,
}

impl Caller {
    fn new() -> Self {
        Self { door: DoorStream::connect(b"ferrowire").unwrap(), buffer: vec![0; 1 << 20], seq: 0 }
    }

    fn ask(&mut self, request: &Request) {
        self.seq += 1;
        self.door.send(&request.emit(FAMILY, self.seq), &[]).unwrap();
        let length = self.door.recv(&mut self.buffer, &mut Vec::new()).unwrap();
        let ack = Messages::new(&self.buffer[..length]).find_map(|message| Ack::parse(&message)).unwrap();
        assert!(ack.errno.is_none(), "{:?}: {:?}", ack.errno, ack.message);
    }
}

fn start_daemon() -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ferrowire"));
    let mut daemon = command.args(["daemon", "--die-with-parent"]).stdout(Stdio::piped()).spawn().unwrap();
    let mut ready = String::new();
    BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    assert!(ready.contains("ready"), "{ready}");
    daemon
}

/// A line of /proc/PID/status, in KiB.
fn status_kib(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap()
}

fn tunnel() -> Request {
    Request::TunnelCreate(TunnelCreate {
        conn_id: 1,
        peer_conn_id: 2,
        proto_version: 3,
        encap_type: 0,
        socket: TunnelSocket::Addresses {
            local: Ipv4Addr::LOCALHOST.into(),
            peer: Ipv4Addr::LOCALHOST.into(),
            ports: Some((5001, 5002)),
        },
        udp_csum: false,
        udp_zero_csum6_tx: false,
        udp_zero_csum6_rx: false,
    })
}

fn session(id: u32) -> Request {
    Request::SessionCreate(SessionCreate {
        conn_id: 1,
        peer_conn_id: 2,
        session_id: id,
        peer_session_id: id,
        pw_type: 5,
        ..SessionCreate::default()
    })
}

fn main() {
    let count: u32 = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(10_000);
    let _netns = NetNs::unshare().expect("making a network namespace takes root");
    let mut daemon = start_daemon();
    let mut caller = Caller::new();
    caller.ask(&tunnel());
    caller.ask(&session(u32::MAX));
    let before = status_kib(daemon.id(), "VmRSS:");
    println!("daemon with one tunnel and one session: {before} KiB resident");
    let start = Instant::now();
    let mut last = start;
    for id in 1..=count {
        caller.ask(&session(id));
        if id % 1000 == 0 {
            println!("sessions {:>6} to {id:>6}: {:>7.1} ms", id - 999, last.elapsed().as_secs_f64() * 1e3);
            last = Instant::now();
        }
    }
    let after = status_kib(daemon.id(), "VmRSS:");
    let each = (after - before) * 1024 / u64::from(count);
    println!(
        "{count} sessions: {:.2} s, {after} KiB resident, {each} bytes a session",
        start.elapsed().as_secs_f64()
    );
    let start = Instant::now();
    caller.ask(&Request::TunnelDelete(1));
    println!("deleted (answered after {:.1} ms)", start.elapsed().as_secs_f64() * 1e3);
    Command::new("kill").args(["-TERM", &daemon.id().to_string()]).status().unwrap();
    daemon.wait().unwrap();
    println!("all devices gone after {:.2} s", start.elapsed().as_secs_f64());
}
