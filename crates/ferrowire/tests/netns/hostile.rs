//! Packets at the tunnel's sockets that no honest peer sends: nothing breaks, and the counters tell what came.

use std::net::UdpSocket;

use l2tp_abi::genl::l2tp::Stats;

use crate::crafted::{Forger, NO_NUMBER, UDP_DATA, frame, packet};
use crate::form::Form;
use crate::pair::{Pair, inner4, ports, session_ids, session_words, tunnel_ids, tunnel_words};
use crate::require;
use crate::tcp::content;
use crate::variant::Variant;
use crate::wait;

/// What the sessions of these tests are.
const COOKIES: Variant = Variant { cookies: (4, 8), ..Variant::PLAIN };
/// The cookie that host a expects.
const COOKIE: [u8; 8] = [0xb1, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8];

/// Host a with tunnels 1 and 2, session 1 in the first and 2 in the second, and host b without a daemon.
fn besieged(form: Form) -> Pair {
    let mut pair = Pair::without_daemons();
    pair.a.start_daemon();
    for k in [1, 2] {
        pair.a.l2tp(&tunnel_words(form, k.into(), 1));
        pair.a.l2tp(&format!("{} {}", session_words(k.into(), k, 1), COOKIES.words_a()));
    }
    pair.a.set_up_quietly("pw1");
    pair.a.set_up_quietly("pw2");
    pair
}

/// The counters of session 1 and of tunnel 1 at host a.
fn counters(pair: &Pair) -> (Stats, Stats) {
    let mut door = pair.a.door();
    (door.session_stats(tunnel_ids(1).0, session_ids(1).0), door.tunnel_stats(tunnel_ids(1).0))
}

/// Sends one good packet and waits until it has been counted as the `nth`: what was sent before it has been seen too.
fn await_good(pair: &Pair, forger: &Forger, nth: u64) -> (Stats, Stats) {
    forger.send_data(&packet(session_ids(1).0, &COOKIE, NO_NUMBER, &frame(1)));
    wait::until("a good packet is taken", || counters(pair).0.rx_packets == nth);
    counters(pair)
}

/// The other end comes to life after the attack, and the tunnel carries frames.
fn still_works(pair: &mut Pair, form: Form) {
    assert!(pair.a.daemon().is_running());
    pair.b.start_daemon();
    pair.b.l2tp(&tunnel_words(form, 1, 2));
    pair.b.l2tp(&format!("{} {}", session_words(1, 1, 2), COOKIES.words_b()));
    for (host, number) in [(&pair.a, 1), (&pair.b, 2)] {
        host.ip(&format!("addr add {}/24 dev pw1", inner4(1, number)));
        host.ip("link set pw1 up");
    }
    pair.a.reach(&inner4(1, 2));
}

#[test]
fn wrong_packets_over_udp_are_counted_as_the_kernel_counts_them() {
    if !require::met(&[]) {
        return;
    }
    let mut pair = besieged(Form::Udp4);
    let (session, other) = (session_ids(1).0, session_ids(2).0);
    let forger = Forger::new(&pair.b, Form::Udp4, 1);
    let good = packet(session, &COOKIE, NO_NUMBER, &frame(1));

    // Not for any session, or not data: nobody counts.
    for length in 0..14 {
        forger.send(&[&UDP_DATA, &good[..]].concat()[..length]);
    }
    forger.send(&[&[0x80, 3, 0, 0], &good[..]].concat());
    forger.send(&[&[0xc8, 2, 0, 0], &good[..]].concat());
    forger.send(&[&[0, 2, 0, 0], &good[..]].concat());
    forger.send_data(&packet(0, &COOKIE, NO_NUMBER, &frame(1)));
    forger.send_data(&packet(session + 0x99, &COOKIE, NO_NUMBER, &frame(1)));
    // A session of another tunnel, which is not reached from here.
    forger.send_data(&packet(other, &COOKIE, NO_NUMBER, &frame(1)));
    let (of_session, of_tunnel) = await_good(&pair, &forger, 1);
    assert_eq!(of_session, Stats { rx_packets: 1, rx_bytes: 80, ..Stats::default() });
    assert_eq!(of_tunnel, of_session);
    assert_eq!(pair.a.door().session_stats(tunnel_ids(2).0, other), Stats::default());

    // Another version, and too short for the headers: the tunnel's rx_invalid.
    forger.send(&[&[0, 4, 0, 0], &good[..]].concat());
    forger.send(&[&[0, 0, 0, 0], &good[..]].concat());
    forger.send_data(&good[..15]);
    // A wrong cookie, in the first and in the last byte.
    for at in [4, 11] {
        let mut wrong = good.clone();
        wrong[at] ^= 1;
        forger.send_data(&wrong);
    }
    // Too short for a frame: taken, and not delivered.
    forger.send_data(&good[..16 + 13]);
    // Reserved bits do not matter.
    forger.send(&[&[0x3f, 0xf3, 0xff, 0xff], &good[..]].concat());
    let (of_session, of_tunnel) = await_good(&pair, &forger, 4);
    let rx_bytes = 80 + 33 + 80 + 80;
    let taken = Stats { rx_packets: 4, rx_bytes, ..Stats::default() };
    assert_eq!(of_session, Stats { rx_cookie_discards: 2, rx_errors: 2, ..taken });
    assert_eq!(of_tunnel, Stats { rx_invalid: 3, ..taken });
    drop(forger);
    still_works(&mut pair, Form::Udp4);
}

#[test]
fn wrong_packets_over_ip_are_counted_as_the_kernel_counts_them() {
    if !require::met(&[]) {
        return;
    }
    let mut pair = besieged(Form::Ip4);
    let session = session_ids(1).0;
    let forger = Forger::new(&pair.b, Form::Ip4, 1);
    let good = packet(session, &COOKIE, NO_NUMBER, &frame(1));

    // Too short, control, and for no session: nobody counts.
    for length in 1..16 {
        forger.send(&good[..length]);
    }
    forger.send(&[&[0; 4], &[0xc8, 3, 0, 12, 0, 0, 3, 0xe9, 0, 0, 0, 0][..]].concat());
    forger.send(&[0; 16]);
    forger.send(&packet(session + 0x99, &COOKIE, NO_NUMBER, &frame(1)));
    let mut wrong = good.clone();
    wrong[11] ^= 0x80;
    forger.send(&wrong);
    forger.send(&good[..16 + 13]);
    let (of_session, of_tunnel) = await_good(&pair, &forger, 2);
    let taken = Stats { rx_packets: 2, rx_bytes: 29 + 76, ..Stats::default() };
    assert_eq!(of_session, Stats { rx_cookie_discards: 1, rx_errors: 1, ..taken });
    assert_eq!(of_tunnel, taken);
    drop(forger);
    still_works(&mut pair, Form::Ip4);
}

/// Only the cookie guards a session over IP: whoever knows it may send from anywhere, over IPv6 too.
#[test]
fn ip_packets_are_taken_from_any_address() {
    if !require::met(&[]) {
        return;
    }
    let pair = besieged(Form::Ip4);
    pair.b.ip("addr add 192.0.2.77/24 dev wan");
    let Forger::Ip(socket, mut route) = Forger::new(&pair.b, Form::Ip4, 1) else { unreachable!() };
    route.source = "192.0.2.77".parse().unwrap();
    await_good(&pair, &Forger::Ip(socket, route), 1);
    pair.a.l2tp(&format!(
        "add tunnel tunnel_id 9 peer_tunnel_id 9 encap ip local {} remote {}",
        Form::Ip6.address(1),
        Form::Ip6.address(2)
    ));
    await_good(&pair, &Forger::new(&pair.b, Form::Ip6, 9), 2);
}

/// A tunnel's UDP socket is connected: it takes packets from its peer's address and port alone.
#[test]
fn udp_packets_are_taken_from_the_peer_alone() {
    if !require::met(&[]) {
        return;
    }
    let pair = besieged(Form::Udp6);
    let good = packet(session_ids(1).0, &COOKIE, NO_NUMBER, &frame(1));
    let stranger = pair.b.here(|| UdpSocket::bind((Form::Udp6.address(2).as_str(), 0)).unwrap());
    for _ in 0..10 {
        let to = (Form::Udp6.address(1), ports(1).0);
        stranger.send_to(&[&UDP_DATA, &good[..]].concat(), to).unwrap();
    }
    let (of_session, _) = await_good(&pair, &Forger::new(&pair.b, Form::Udp6, 1), 1);
    assert_eq!(of_session, Stats { rx_packets: 1, rx_bytes: 80, ..Stats::default() });
}

/// Random bytes in all sizes, behind headers that are right to various degrees.
fn storm(form: Form) {
    if !require::met(&[]) {
        return;
    }
    let mut pair = besieged(form);
    let forger = Forger::new(&pair.b, form, 1);
    let noise = content(1 << 16);
    let good = packet(session_ids(1).0, &COOKIE, NO_NUMBER, &[]);
    let resident = pair.a.daemon().resident_kib();
    for round in 0..2000 {
        let from = round * 7 % 4096;
        let length = round * round % 1600;
        let junk = &noise[from..from + length.max(1)];
        let kept = round % (good.len() + 1);
        forger.send(junk);
        forger.send_data(&[&good[..kept], junk].concat());
    }
    for length in [1473, 9000, 65_000] {
        forger.send(&noise[..length]);
        forger.send_data(&[&good[..], &noise[..length]].concat());
    }
    drop(forger);
    wait::until("all that came is counted", || {
        let (of_session, of_tunnel) = counters(&pair);
        let some = of_session.rx_packets > 0 && of_session.rx_cookie_discards > 0;
        some && of_tunnel.rx_packets == of_session.rx_packets
    });
    assert!(pair.a.daemon().resident_kib() < resident + (16 << 10));
    still_works(&mut pair, form);
}

#[test]
fn garbage_over_udp_breaks_nothing() {
    storm(Form::Udp4);
}

#[test]
fn garbage_over_ipv6_breaks_nothing() {
    storm(Form::Ip6);
}
