//! What a packet through one session costs, among few and among many others.

use std::net::UdpSocket;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use l2tp_io::rtnl::Rtnl;

use crate::Hosts;
use crate::host::{address, port};

/// The session that the packets are for is the first.
const TUNNEL: u32 = 1;
const SESSION: u32 = 1;
/// Sessions of Ethernet beside the others: as many as there are, up to this.
const ETHERNET_MAX: u32 = 5_000;
const COUNTS: [u32; 5] = [1, 1_000, 5_000, 10_000, 50_000];
const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_millis(700);
/// `kernel.bpf_stats_enabled` (Documentation/admin-guide/sysctl/kernel.rst).
const STATS: &str = "/proc/sys/kernel/bpf_stats_enabled";

pub(crate) fn measure() {
    let user = run("user", |hosts| {
        let before = (ticks(hosts), received(hosts));
        flood(hosts);
        let after = (ticks(hosts), received(hosts));
        // A hundredth of a second each (USER_HZ).
        (after.0 - before.0) as f64 * 1e7 / (after.1 - before.1) as f64
    });
    tell("user path, the daemon's processor time", &user);
    let Ok(was) = std::fs::read_to_string(STATS) else { return println!("  BPF path: no {STATS}") };
    if std::fs::write(STATS, "1").is_err() {
        return println!("  BPF path: {STATS} cannot be written");
    }
    let bpf = run("bpf", |hosts| {
        let before = (run_time(hosts), received(hosts));
        flood(hosts);
        let after = (run_time(hosts), received(hosts));
        (after.0 - before.0) as f64 / (after.1 - before.1) as f64
    });
    std::fs::write(STATS, was.trim()).unwrap();
    tell("BPF path, run time of the programs", &bpf);
}

/// Adds sessions up to each of the counts, and measures there: medians of some rounds.
fn run(path: &str, mut round: impl FnMut(&mut Hosts) -> f64) -> Vec<f64> {
    let mut hosts = Hosts::new(path);
    hosts.add_tunnel(TUNNEL);
    hosts.add_ethernet(TUNNEL, SESSION);
    let mut rtnl = Rtnl::open().unwrap();
    let device = rtnl.index_of("l2tpeth0").unwrap();
    rtnl.set_up(device, true).unwrap();
    let (mut sessions, mut figures) = (1, Vec::new());
    for count in COUNTS {
        while sessions < count {
            sessions += 1;
            let add = if sessions <= ETHERNET_MAX { Hosts::add_ethernet } else { Hosts::add_ppp };
            add(&mut hosts, TUNNEL, sessions);
        }
        round(&mut hosts);
        let mut rounds: Vec<f64> = (0..ROUNDS).map(|_| round(&mut hosts)).collect();
        rounds.sort_by(f64::total_cmp);
        figures.push(rounds[ROUNDS / 2]);
    }
    hosts.end();
    figures
}

fn tell(what: &str, figures: &[f64]) {
    println!("  {what}, ns a packet:");
    for (count, figure) in COUNTS.iter().zip(figures) {
        println!("    {count:>6} sessions: {figure:>6.0}, {:.2} times that with one", figure / figures[0]);
    }
}

/// The other host sends small frames as fast as it can.
fn flood(hosts: &Hosts) {
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            hosts.far.enter().unwrap();
            let socket = UdpSocket::bind((address(2), port(TUNNEL))).unwrap();
            socket.connect((address(1), port(TUNNEL))).unwrap();
            let packet = packet();
            while !stop.load(Ordering::Relaxed) {
                socket.send(&packet).unwrap();
            }
        });
        std::thread::sleep(ROUND);
        stop.store(true, Ordering::Relaxed);
    });
    std::thread::sleep(Duration::from_millis(20));
}

/// Flags and version, session id, and a frame for all of an EtherType that nobody knows (IEEE 802's local experimental one).
fn packet() -> Vec<u8> {
    let header = [0, 3, 0, 0, 0, 0, 0, 1];
    let frame = [255, 255, 255, 255, 255, 255, 2, 0, 0, 0, 0, 1, 0x88, 0xb5];
    [&header[..], &frame, &[0; 46]].concat()
}

/// What the session has received.
fn received(hosts: &mut Hosts) -> u64 {
    let key = l2tp_client::SessionKey::Ids { conn_id: TUNNEL, session_id: SESSION };
    hosts.connection.session(&key).unwrap().stats.rx_packets
}

/// The processor time of the daemon.
fn ticks(hosts: &Hosts) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", hosts.daemon())).unwrap();
    let fields = stat.rsplit(')').next().unwrap();
    fields.split_whitespace().skip(11).take(2).map(|field| field.parse::<u64>().unwrap()).sum()
}

/// How long the daemon's programs have run, in nanoseconds.
fn run_time(hosts: &Hosts) -> u64 {
    let entries = std::fs::read_dir(format!("/proc/{}/fdinfo", hosts.daemon())).unwrap();
    // Tunnels and devices have come later than the programs.
    let programs = entries.filter_map(Result::ok).filter(|entry| {
        entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()).is_some_and(|fd| fd < 64)
    });
    programs
        .filter_map(|entry| std::fs::read_to_string(entry.path()).ok())
        .filter_map(|info| {
            info.lines().find_map(|line| line.strip_prefix("run_time_ns:")?.trim().parse::<u64>().ok())
        })
        .sum()
}
