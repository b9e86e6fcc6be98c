//! Crafted packets and what a real kernel (6.12.117) did with them, run against our receive path: what was delivered,
//! what was handed up, what was counted, and which settings the peer could change.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop")]

use std::collections::BTreeMap;
use std::time::Duration;

use l2tp_core::stats::Stats;
use l2tp_core::{Encap, Instant, L2specType, PwType, SessionConfig, Verdict};
use l2tp_oracle::crafted::{Case, Ids, crafted, marks, packet_bytes};
use l2tp_oracle::unhex;
use l2tp_sim::Side;
use l2tp_wire::Cookie;

/// Where we differ from the recorded kernel on purpose.
const DIFFERENT: &[(&str, &str)] = &[(
    "v3.seq.timeout100.gap-then-missing-after-expiry",
    "the timer has given number 2 up, and with it the gap before it, when number 1 comes: it is late, and nothing is \
     delivered out of order; the kernel has no timer and still takes it",
)];

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn config(case: &Case, ids: &Ids) -> SessionConfig {
    let mut config = SessionConfig::ethernet(ids.session, ids.peer_session);
    if case.version == 2 {
        config.pw_type = PwType::Ppp;
    }
    for (name, value) in &case.session {
        let number = value.as_u64().unwrap_or(0);
        let cookie = || Cookie::new(&unhex(value.as_str().unwrap().trim_start_matches("raw:"))).unwrap();
        match name.as_str() {
            "COOKIE" => config.cookie = cookie(),
            "PEER_COOKIE" => config.peer_cookie = cookie(),
            "L2SPEC_TYPE" => config.l2spec = L2specType::from_number(u8::try_from(number).unwrap()).unwrap(),
            "RECV_SEQ" => config.recv_seq = number & 1 == 1,
            "SEND_SEQ" => config.send_seq = number & 1 == 1,
            "LNS_MODE" => config.lns_mode = number & 1 == 1,
            "RECV_TIMEOUT" => config.reorder_timeout = Duration::from_millis(number),
            other => panic!("{}: attribute {other}", case.id),
        }
    }
    config
}

struct Run {
    side: Side,
    up: usize,
    /// Frames that came out after each packet.
    steps: Vec<Vec<Vec<u8>>>,
}

fn run(case: &Case, ids: &Ids) -> Run {
    let encap = if case.encap == "udp" { Encap::Udp } else { Encap::Ip };
    let side = Side::new(case.version, encap, (ids.tunnel, ids.peer_tunnel), config(case, ids));
    let mut run = Run { side, up: 0, steps: Vec::new() };
    let mut now = Instant(0);
    for packet in &case.packets {
        let seen = run.side.arrived.len();
        if let Some(wait) = packet.strip_prefix("wait ") {
            let seconds: f64 = wait.trim_end_matches(" s").parse().unwrap();
            now = now.after(Duration::from_secs_f64(seconds));
            run.side.tick(now);
            continue;
        }
        now = now.after(Duration::from_micros(100));
        if let Verdict::Up = run.side.receive(now, &packet_bytes(packet)) {
            run.up += 1;
        }
        run.steps.push(run.side.arrived[seen..].iter().map(|a| a.frame.clone()).collect());
    }
    run
}

fn named(stats: &Stats) -> BTreeMap<String, u64> {
    let all = [
        ("TX_PACKETS", stats.tx_packets),
        ("TX_BYTES", stats.tx_bytes),
        ("TX_ERRORS", stats.tx_errors),
        ("RX_PACKETS", stats.rx_packets),
        ("RX_BYTES", stats.rx_bytes),
        ("RX_SEQ_DISCARDS", stats.rx_seq_discards),
        ("RX_OOS_PACKETS", stats.rx_oos_packets),
        ("RX_ERRORS", stats.rx_errors),
        ("RX_COOKIE_DISCARDS", stats.rx_cookie_discards),
        ("RX_INVALID", stats.rx_invalid),
    ];
    all.into_iter().filter(|(_, n)| *n > 0).map(|(name, n)| (name.to_owned(), n)).collect()
}

/// Everything in which a run differs from the record.
fn differences(case: &Case, run: &Run) -> Vec<String> {
    let mut found = Vec::new();
    let mut check = |what: &str, ours: String, kernels: String| {
        if ours != kernels {
            found.push(format!("{what}: ours {ours}, the kernel's {kernels}"));
        }
    };
    let frames: Vec<&Vec<u8>> = run.steps.iter().flatten().collect();
    if let Some(expected) = &case.result.delivered_marks {
        check("delivered", format!("{:?}", marks(&frames)), format!("{expected:?}"));
    }
    if let Some(expected) = &case.result.delivered_hex {
        let ours: Vec<String> = frames.iter().map(|f| hex(f)).collect();
        check("delivered", format!("{ours:?}"), format!("{expected:?}"));
    }
    if let Some(expected) = &case.result.delivered_marks_after_each_packet {
        let ours: Vec<Vec<String>> = run.steps.iter().map(|frames| marks(frames)).collect();
        check("steps", format!("{ours:?}"), format!("{:?}", &expected[..ours.len()]));
    }
    check("up", run.up.to_string(), case.result.to_tunnel_socket.len().to_string());
    let session = run.side.engine.session(run.side.session).unwrap();
    let tunnel = run.side.engine.tunnel(run.side.tunnel).unwrap();
    check("session", format!("{:?}", named(&session.stats)), format!("{:?}", case.result.session_stats));
    check("tunnel", format!("{:?}", named(&tunnel.stats)), format!("{:?}", case.result.tunnel_stats));
    let flags = [
        ("RECV_SEQ", session.config.recv_seq),
        ("SEND_SEQ", session.config.send_seq),
        ("LNS_MODE", session.config.lns_mode),
    ];
    for (name, value) in flags {
        if let Some(expected) = case.result.after.get(name) {
            check(name, u64::from(value).to_string(), expected.to_string());
        }
    }
    found
}

#[test]
fn every_recorded_case_ends_as_on_the_kernel() {
    let oracle = crafted();
    let mut wrong = Vec::new();
    for case in &oracle.cases {
        let found = differences(case, &run(case, &oracle.ids));
        let expected = DIFFERENT.iter().any(|(id, _)| *id == case.id);
        if found.is_empty() == expected {
            wrong.push(format!(
                "{}: {}",
                case.id,
                if expected { "no longer differs".into() } else { found.join("; ") }
            ));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), oracle.cases.len(), wrong.join("\n"));
}

/// Every packet of every case ends in exactly one counter.
#[test]
fn every_packet_is_accounted_for_once() {
    let oracle = crafted();
    for case in &oracle.cases {
        let Run { side, .. } = run(case, &oracle.ids);
        let packets = case.packets.iter().filter(|p| !p.starts_with("wait")).count() as u64;
        let counters = side.engine.counters();
        let waiting = side.engine.waiting(side.session) as u64;
        assert_eq!(
            counters.delivered + counters.up + counters.drops.total() + waiting,
            packets,
            "{}",
            case.id
        );
    }
}
