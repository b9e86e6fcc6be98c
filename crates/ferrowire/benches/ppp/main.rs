//! What PPP costs: `cargo bench -p ferrowire --bench ppp [-- SESSIONS]`. As root.
//!
//! Two hosts in network namespaces of their own, a daemon in each. First SESSIONS calls (1,000) between them by the library, each
//! with channel, unit, device and addresses at both ends, and a ping through each: time and memory of a session. Then a TCP stream
//! through one session, by turns with the same stream through a loop that carries one frame a system call; medians of five.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a benchmark may stop and speaks"
)]

mod end;
mod host;
mod naive;
mod ping;
mod stream;

use std::time::Instant;

use end::End;
use host::Host;
use naive::Naive;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Seconds that setting up the sessions of one daemon may take.
const SETUP_LIMIT: f64 = 20.0;
/// How many times the rate of the simple loop ours must be.
const RATIO_LIMIT: f64 = 5.0;
/// Streams by turns, of each kind.
const ROUNDS: usize = 5;
/// What is left of the link's 1500 bytes: IP, UDP, L2TPv2 without options, FF 03 and the protocol taken off.
const MTU: u32 = 1500 - 20 - 8 - 6 - 4;

fn main() {
    let sessions: u16 = std::env::args().skip(1).find_map(|word| word.parse().ok()).unwrap_or(1000);
    // Six descriptors a session, of both ends.
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit }).unwrap();
    measure_sessions(sessions);
    measure_streams();
}

fn verdict(kept: bool) -> &'static str {
    if kept { "kept" } else { "NOT KEPT" }
}

fn measure_sessions(count: u16) {
    let hosts = host::pair();
    let daemons = hosts.each_ref().map(Host::start_daemon);
    let mut ends = hosts.each_ref().map(End::new);
    for end in &mut ends {
        end.call(0);
    }
    let before = daemons[0].resident_bytes();
    let mut seconds = [0.0; 2];
    for (end, seconds) in ends.iter_mut().zip(&mut seconds) {
        let start = Instant::now();
        (1..=count).for_each(|number| end.call(number));
        *seconds = start.elapsed().as_secs_f64();
    }
    let each = daemons[0].resident_bytes().saturating_sub(before) / u64::from(count);
    let start = Instant::now();
    let lost = hosts[0].here(|| ping::all((1..=count).map(|number| end::address(2, number))));
    println!(
        "{count} sessions: set up in {:.2} s and {:.2} s at the two ends, {:.2} ms and {each} bytes of the daemon's memory each",
        seconds[0],
        seconds[1],
        seconds[0] * 1e3 / f64::from(count)
    );
    println!(
        "{} of {count} pings answered in {:.2} s",
        u64::from(count) - lost,
        start.elapsed().as_secs_f64()
    );
    let kept = lost == 0 && seconds.iter().all(|seconds| *seconds < SETUP_LIMIT);
    println!("in less than {SETUP_LIMIT} s, every ping answered: {}", verdict(kept));
    let start = Instant::now();
    drop(ends);
    daemons.into_iter().for_each(host::Daemon::end);
    println!("all gone after {:.2} s", start.elapsed().as_secs_f64());
}

fn measure_streams() {
    let hosts = host::pair();
    let _daemons = hosts.each_ref().map(Host::start_daemon);
    let mut ends = hosts.each_ref().map(End::new);
    ends.iter_mut().for_each(|end| end.call(1));
    let _naive = [1, 2].map(|number| Naive::start(&hosts[usize::from(number) - 1], number));
    let (mut ours, mut simple) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(stream::rate(&hosts, end::address(2, 1)));
        simple.push(stream::rate(&hosts, naive::address(2)));
    }
    let [ours, simple] = [ours, simple].map(|mut rates| {
        rates.sort_by(f64::total_cmp);
        println!("  rounds, Gbit/s: {rates:.3?}");
        rates[ROUNDS / 2]
    });
    println!("TCP through a PPP session: {ours:.2} Gbit/s; one frame a system call: {simple:.2} Gbit/s");
    let ratio = ours / simple;
    println!("{ratio:.1} times, at least {RATIO_LIMIT}: {}", verdict(ratio >= RATIO_LIMIT));
}
