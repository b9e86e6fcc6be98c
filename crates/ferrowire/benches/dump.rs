//! What a dump of many sessions costs, and what packets feel of it: `cargo bench -p ferrowire --bench dump [-- COUNT]`.
//!
//! Starts a daemon in a network namespace of its own with one Ethernet session and COUNT PPP sessions (10,000), which have no
//! device. Packets for the Ethernet session, each with a datagram for a socket behind its device, are sent one after the
//! other, at rest and during eleven dumps. Prints the time of a dump; the time of a packet from socket to socket; and the
//! longest time for which the daemon held the engine's lock for a command (its counter `held_longest_us`).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a benchmark may stop and speaks"
)]

use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use l2tp_client::{Connection, SessionCreate, TunnelCreate};
use l2tp_io::netns::NetNs;
use l2tp_io::rtnl::Rtnl;

const DUMPS: usize = 11;
/// The address of the device, and who writes to it.
const HERE: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
const THERE: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);

/// Ends with this value.
struct Daemon(Child);

impl Daemon {
    fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ferrowire"));
        let mut daemon =
            command.args(["daemon", "--die-with-parent"]).stdout(Stdio::piped()).spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        assert!(ready.contains("ready"), "{ready}");
        Self(daemon)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

/// A data packet for session 1: an Ethernet frame with a UDP datagram for port 9.
fn packet() -> Vec<u8> {
    let mut ip = vec![0x45, 0, 0, 36, 0, 0, 0, 0, 64, 17, 0, 0];
    ip.extend(THERE.octets());
    ip.extend(HERE.octets());
    let sum: u32 = ip.chunks(2).map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]]))).sum();
    let sum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    let udp = [0, 9, 0, 9, 0, 16, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    // Flags and version, session id, no sublayer; broadcast, from a local address, IPv4.
    let headers = [0, 3, 0, 0, 0, 0, 0, 1, 255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 1, 8, 0];
    [&headers[..], &ip, &udp].concat()
}

/// Sends a packet and waits for what is in it, again and again until told to stop; returns the times, in rising order.
fn packets(stop: &AtomicBool) -> Vec<Duration> {
    let (sender, reader) = (UdpSocket::bind("127.0.0.1:5002").unwrap(), UdpSocket::bind((HERE, 9)).unwrap());
    reader.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let (packet, mut times) = (packet(), Vec::new());
    while !stop.load(Ordering::Relaxed) {
        let start = Instant::now();
        sender.send_to(&packet, "127.0.0.1:5001").unwrap();
        assert_eq!(reader.recv(&mut [0; 64]).expect("the packet's datagram"), 8);
        times.push(start.elapsed());
    }
    times.sort_unstable();
    times
}

/// Lets packets run while `work` does.
fn with_packets(name: &str, work: impl FnOnce()) {
    let stop = AtomicBool::new(false);
    let times = std::thread::scope(|scope| {
        let packets = scope.spawn(|| packets(&stop));
        work();
        stop.store(true, Ordering::Relaxed);
        packets.join().unwrap()
    });
    let at = |share: f64| times[(share * (times.len() - 1) as f64) as usize].as_secs_f64() * 1e6;
    println!(
        "{name}: {} packets, median {:.0} us, 99 % {:.0} us, 99.9 % {:.0} us, longest {:.0} us",
        times.len(),
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    );
}

fn longest_hold(connection: &mut Connection) -> u64 {
    let counters = connection.counters().unwrap();
    counters.iter().find(|(name, _)| name == "held_longest_us").unwrap().1
}

fn set_up(connection: &mut Connection, count: u32) {
    let address = |port| (Ipv4Addr::LOCALHOST, port).into();
    connection.create_tunnel(&TunnelCreate::udp(1, 2, address(5001), address(5002))).unwrap();
    let ethernet = SessionCreate {
        l2spec_type: Some(0),
        ifname: Some("pw0".to_owned()),
        ..SessionCreate::ethernet(1, 1, 1)
    };
    connection.create_session(&ethernet).unwrap();
    let mut rtnl = Rtnl::open().unwrap();
    let index = rtnl.index_of("pw0").unwrap();
    rtnl.set_up(index, true).unwrap();
    rtnl.add_address(index, HERE.into(), 24).unwrap();
    for id in 2..count + 2 {
        let ppp = SessionCreate { pw_type: 7, ifname: None, ..SessionCreate::ethernet(1, id, id) };
        connection.create_session(&ppp).unwrap();
    }
}

fn main() {
    let count: u32 = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(10_000);
    let _netns = NetNs::unshare().expect("making a network namespace takes root");
    let mut rtnl = Rtnl::open().unwrap();
    let lo = rtnl.index_of("lo").unwrap();
    rtnl.set_up(lo, true).unwrap();
    let _daemon = Daemon::start();
    let mut connection = Connection::door().unwrap();
    set_up(&mut connection, count);
    std::thread::sleep(Duration::from_millis(200));
    println!("longest hold of the lock before: {} us", longest_hold(&mut connection));
    with_packets("at rest", || std::thread::sleep(Duration::from_secs(1)));
    let mut times = Vec::new();
    with_packets("while dumped", || {
        for _ in 0..DUMPS {
            let start = Instant::now();
            let found = connection.sessions().unwrap().filter(Result::is_ok).count();
            times.push(start.elapsed().as_secs_f64() * 1e3);
            assert_eq!(found, usize::try_from(count).unwrap() + 1);
        }
    });
    times.sort_by(f64::total_cmp);
    println!("a dump of {} sessions: best {:.1} ms, median {:.1} ms", count + 1, times[0], times[DUMPS / 2]);
    println!("longest hold of the lock after: {} us", longest_hold(&mut connection));
}
