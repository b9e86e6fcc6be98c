//! Time and memory of each tunnel and each session, the first and the last.

use std::time::{Duration, Instant};

use crate::Hosts;
use crate::host::kib;

const TUNNELS: u32 = 10_000;
/// Sessions of Ethernet: one descriptor each, beside one for each tunnel.
const ETHERNET: u32 = 5_000;
const SESSIONS: u32 = 50_000;
/// How many are timed together.
const WINDOW: u32 = 1_000;

pub(crate) fn measure() {
    let mut hosts = Hosts::new("auto");
    step(&mut hosts, "tunnels", TUNNELS, |hosts, id| hosts.add_tunnel(id));
    step(&mut hosts, "sessions of Ethernet", ETHERNET, |hosts, id| hosts.add_ethernet(id, id));
    println!("  of them on BPF: {}", hosts.on_bpf());
    step(&mut hosts, "sessions of PPP", SESSIONS - ETHERNET, |hosts, number| {
        hosts.add_ppp(number % TUNNELS + 1, ETHERNET + number);
    });
    tear_down(hosts);
}

/// Makes some, and prints what they cost.
fn step(hosts: &mut Hosts, what: &str, count: u32, make: impl Fn(&mut Hosts, u32)) {
    let (resident, available) = (hosts.resident_kib(), kib("/proc/meminfo", "MemAvailable:"));
    let mut windows = Vec::new();
    for first in (1..=count).step_by(WINDOW as usize) {
        let start = Instant::now();
        (first..first + WINDOW).for_each(|id| make(hosts, id));
        windows.push(start.elapsed() / WINDOW);
    }
    let bytes = |kib: u64| kib * 1024 / u64::from(count);
    let us = |time: &Duration| time.as_secs_f64() * 1e6;
    let (first, last) = (us(&windows[0]), us(&windows[windows.len() - 1]));
    let total: f64 = windows.iter().map(us).sum::<f64>() * f64::from(WINDOW) / 1e6;
    windows.sort_unstable();
    println!(
        "  {count} {what}: {total:.1} s; each: {first:.0} us of the first thousand, {last:.0} us of the last, {:.0} us in the median; \
         {} bytes of the daemon, {} bytes of the machine; the longest hold of the engine until now: {} us",
        us(&windows[windows.len() / 2]),
        bytes(hosts.resident_kib().saturating_sub(resident)),
        bytes(available.saturating_sub(kib("/proc/meminfo", "MemAvailable:"))),
        hosts.counter("held_longest_us"),
    );
}

fn tear_down(mut hosts: Hosts) {
    let start = Instant::now();
    for tunnel in 1..=TUNNELS {
        hosts.connection.delete_tunnel(tunnel).unwrap();
    }
    println!("  {TUNNELS} tunnels deleted with their sessions: {:.2} s", start.elapsed().as_secs_f64());
    hosts.end();
    println!("  everything gone after {:.2} s", start.elapsed().as_secs_f64());
}
