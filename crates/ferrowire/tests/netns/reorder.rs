//! Packets out of order, with a reorder timeout: sent by hand, seen on the device.

use std::time::{Duration, Instant};

use crate::capture::Capture;
use crate::crafted::{Forger, frame, numbered, packet};
use crate::form::Form;
use crate::pair::{Pair, session_ids, session_words, tunnel_ids, tunnel_words};
use crate::require;
use crate::wait;

/// Host a with a session that waits 200 ms for a missing packet, and what sends to it.
fn waiting(form: Form) -> (Pair, Forger) {
    let mut pair = Pair::without_daemons();
    pair.a.start_daemon();
    pair.a.l2tp(&tunnel_words(form, 1, 1));
    pair.a.l2tp(&format!("{} reorder_timeout 200", session_words(1, 1, 1)));
    pair.a.set_up_quietly("pw1");
    let forger = Forger::new(&pair.b, form, 1);
    (pair, forger)
}

fn send(forger: &Forger, numbers: &[u8]) {
    for number in numbers {
        forger.send_data(&packet(session_ids(1).0, &[], numbered((*number).into()), &frame(*number)));
    }
}

fn await_received(pair: &Pair, count: u64) {
    let mut door = pair.a.door();
    wait::until("the packets are delivered", || {
        door.session_stats(tunnel_ids(1).0, session_ids(1).0).rx_packets == count
    });
}

#[test]
fn the_timeout_is_shown() {
    if !require::met(&[]) {
        return;
    }
    let (pair, _) = waiting(Form::Udp4);
    assert!(pair.a.l2tp("show session").contains("  reorder timeout: 200\n"));
    let json = pair.a.l2tp("-j show session");
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json[0]["reorder_timeout"], 200);
}

#[test]
fn order_is_restored() {
    for form in [Form::Udp4, Form::Ip4] {
        if !require::met(&["tcpdump"]) {
            return;
        }
        let (pair, forger) = waiting(form);
        let capture = Capture::start(&pair.a, "pw1", "");
        send(&forger, &[0, 3, 1, 2, 2, 4, 7, 6, 5]);
        await_received(&pair, 8);
        let expected: Vec<_> = (0..8).map(frame).collect();
        assert_eq!(capture.stop().frames(), expected, "{form:?}");
    }
}

/// A gap is given up after the timeout, though nothing else arrives: the packet that waited longest is thrown
/// away, as in the kernel, and those behind it are delivered.
#[test]
fn a_gap_is_given_up_in_time() {
    if !require::met(&["tcpdump"]) {
        return;
    }
    let (pair, forger) = waiting(Form::Udp4);
    let capture = Capture::start(&pair.a, "pw1", "");
    let start = Instant::now();
    send(&forger, &[0, 2, 3]);
    await_received(&pair, 2);
    assert!(start.elapsed() >= Duration::from_millis(200), "{:?}", start.elapsed());
    // The first comes too late.
    send(&forger, &[1, 4]);
    await_received(&pair, 3);
    let stats = pair.a.door().session_stats(tunnel_ids(1).0, session_ids(1).0);
    assert_eq!((stats.rx_seq_discards, stats.rx_errors, stats.rx_oos_packets), (1, 2, 0));
    let expected: Vec<_> = [0, 3, 4].into_iter().map(frame).collect();
    assert_eq!(capture.stop().frames(), expected);
}
