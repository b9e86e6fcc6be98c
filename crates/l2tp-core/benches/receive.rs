//! What a packet costs between its datagram and its device: `cargo bench -p l2tp-core --bench receive`.
//!
//! Prints nanoseconds a packet, the best and the median of eleven runs of a million, for packets with and without
//! sequence numbers.

#![allow(
    clippy::unwrap_used,
    clippy::cast_precision_loss,
    clippy::print_stdout,
    reason = "a benchmark may stop and speaks"
)]

extern crate alloc;

#[path = "../src/nowhere.rs"]
mod nowhere;

use std::hint::black_box;
use std::time::Instant as Clock;

use l2tp_core::{Encap, Engine, Instant, SessionConfig, SocketConfig, TunnelConfig, Verdict};
use l2tp_wire::Cookie;
use l2tp_wire::v3::{self, Carrier};
use nowhere::Nowhere;

const PACKETS: u32 = 1_000_000;
const RUNS: usize = 11;

/// Nanoseconds a packet.
fn run(numbered: bool) -> f64 {
    let (mut engine, mut host) = (Engine::default(), Nowhere::default());
    let socket = SocketConfig::Descriptor { fd: 3 };
    let config = TunnelConfig { version: 3, tunnel_id: 1, peer_tunnel_id: 2, encap: Encap::Udp, socket };
    let tunnel = engine.create_tunnel(&mut host, config, None).unwrap();
    engine.create_session(&mut host, 1, SessionConfig::ethernet(7, 8)).unwrap();
    let mut packet = [0_u8; 128];
    let start = Clock::now();
    for ns in 0..PACKETS {
        let sublayer = Some(numbered.then_some(ns));
        v3::emit(&mut packet, Carrier::Udp, 7, &Cookie::NONE, sublayer).unwrap();
        let verdict = engine.handle_udp(Instant(0), tunnel, black_box(&packet), &mut host);
        assert_eq!(verdict, Verdict::Taken);
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(PACKETS)
}

fn main() {
    for (name, numbered) in [("unnumbered", false), ("numbered", true)] {
        let mut times: Vec<f64> = (0..RUNS).map(|_| run(numbered)).collect();
        times.sort_by(f64::total_cmp);
        println!("{name:<11} best {:>5.1} ns, median {:>5.1} ns", times[0], times[RUNS / 2]);
    }
}
