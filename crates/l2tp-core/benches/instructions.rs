//! What a packet costs in the subsystem, in instructions: `cargo xtask bench instructions` runs this under valgrind.
//!
//! `instructions NAME COUNT` does one operation COUNT times; without words it lists the names. What setting up costs does not
//! depend on COUNT, so the difference of two runs is that of the operations alone.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark may stop and speaks")]

extern crate alloc;

#[path = "../src/nowhere.rs"]
mod nowhere;

use std::hint::black_box;
use std::time::Duration;

use l2tp_core::tx::HEADER_MAX;
use l2tp_core::{
    Encap, Engine, Instant, SessionConfig, SessionKey, SocketConfig, TunnelConfig, TunnelKey, Verdict,
};
use l2tp_wire::Cookie;
use l2tp_wire::v3::{self, Carrier};
use nowhere::Nowhere;

type Operation = fn(u32);

const OPERATIONS: [(&str, Operation); 7] = [
    ("receive, 1 session", |count| receive(1, count)),
    ("receive, 1000 sessions", |count| receive(1000, count)),
    ("receive, 50000 sessions", |count| receive(50_000, count)),
    ("receive, numbered", |count| numbered(Duration::ZERO, count, |n| n)),
    ("receive, numbered, reordering on", |count| numbered(Duration::from_secs(1), count, |n| n)),
    // 1, 0, 3, 2 …: every second packet waits for one.
    ("receive, numbered, pairs swapped", |count| numbered(Duration::from_secs(1), count, |n| n ^ 1)),
    ("transmit", transmit),
];

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    match words.as_slice() {
        [name, count] => {
            let operation =
                OPERATIONS.iter().find(|(other, _)| other == name).map(|(_, operation)| operation);
            operation.unwrap()(count.parse().unwrap());
        }
        _ => OPERATIONS.iter().for_each(|(name, _)| println!("{name}")),
    }
}

/// An engine with one tunnel, and sessions from 1 on.
fn engine(sessions: u32, config: &SessionConfig) -> (Engine<(), ()>, TunnelKey, SessionKey) {
    let (mut engine, mut host) = (Engine::default(), Nowhere::default());
    let socket = SocketConfig::Descriptor { fd: 3 };
    let tunnel = TunnelConfig { version: 3, tunnel_id: 1, peer_tunnel_id: 2, encap: Encap::Udp, socket };
    let tunnel = engine.create_tunnel(&mut host, tunnel, None).unwrap();
    let keys = (1..=sessions).map(|session_id| {
        let config = SessionConfig { session_id, ..config.clone() };
        engine.create_session(&mut host, 1, config).unwrap()
    });
    let last = keys.last().unwrap();
    (engine, tunnel, last)
}

/// Packets for sessions without order among them.
fn receive(sessions: u32, count: u32) {
    let (mut engine, tunnel, _) = engine(sessions, &SessionConfig::ethernet(1, 1));
    let mut host = Nowhere::default();
    let mut packet = [0_u8; 128];
    v3::emit(&mut packet, Carrier::Udp, 1, &Cookie::NONE, Some(None)).unwrap();
    let mut state = 1_u32;
    for _ in 0..count {
        // D. Knuth's linear congruential generator; the upper bits are the good ones.
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        let session = (state >> 8) % sessions + 1;
        packet[4..8].copy_from_slice(&session.to_be_bytes());
        let verdict = engine.handle_udp(Instant(0), tunnel, black_box(&packet), &mut host);
        assert_eq!(verdict, Verdict::Taken);
    }
}

/// Packets with numbers, in the order that `number` makes of 0, 1, 2 …
fn numbered(reorder_timeout: Duration, count: u32, number: fn(u32) -> u32) {
    let config = SessionConfig { reorder_timeout, recv_seq: true, ..SessionConfig::ethernet(1, 1) };
    let (mut engine, tunnel, _) = engine(1, &config);
    let mut host = Nowhere::default();
    let mut packet = [0_u8; 128];
    // The first one sets the number that is expected.
    for ns in std::iter::once(0).chain((0..count).map(|n| number(n) + 1)) {
        v3::emit(&mut packet, Carrier::Udp, 1, &Cookie::NONE, Some(Some(ns))).unwrap();
        let verdict = engine.handle_udp(Instant(0), tunnel, black_box(&packet), &mut host);
        assert_eq!(verdict, Verdict::Taken);
    }
}

/// The header of one frame.
fn transmit(count: u32) {
    let (mut engine, _, key) = engine(1, &SessionConfig::ethernet(1, 1));
    let mut out = [0; HEADER_MAX];
    for _ in 0..count {
        let transmit = engine.handle_tx(key, 1).unwrap();
        black_box(transmit.emit_header(0, &mut out));
        black_box(&out);
    }
}
