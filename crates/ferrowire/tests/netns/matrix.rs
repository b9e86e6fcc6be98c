//! Every way to carry a session: encapsulation, IP version, cookies, sublayer, sequence numbers.

use std::collections::HashMap;

use crate::capture::{Capture, Decoded, Reading, Recording};
use crate::form::Form;
use crate::pair::{Pair, WAN, device, inner4, inner6, session_ids, tunnel_ids};
use crate::require;
use crate::tcp::transfer;
use crate::variant::{Variant, cookie_a, cookie_b};

/// Tunnels that the sessions are dealt out to.
const TUNNELS: u16 = 2;

/// Bytes of Ethernet header.
const ETHERNET: u32 = 14;
/// Bytes of the headers of a ping over IPv4 and over IPv6.
const PING4: u32 = 28;
const PING6: u32 = 48;

#[test]
fn sessions_over_udp_and_ipv4() {
    carry_every_variant(Form::Udp4);
}

#[test]
fn sessions_over_udp_and_ipv6() {
    carry_every_variant(Form::Udp6);
}

#[test]
fn sessions_over_ip_and_ipv4() {
    carry_every_variant(Form::Ip4);
}

#[test]
fn sessions_over_ip_and_ipv6() {
    carry_every_variant(Form::Ip6);
}

/// Tunnels of all four forms between the same two daemons, with streams in all of them at the same time.
#[test]
fn tunnels_of_every_form_at_once() {
    if !require::met(&[]) {
        return;
    }
    let pair = Pair::new();
    let numbers = || 1..=u8::try_from(Form::ALL.len()).unwrap();
    for (number, form) in numbers().zip(Form::ALL) {
        pair.add_tunnel(form, number.into(), "");
        pair.add_session(number.into(), number, Variant { cookies: (8, 4), ..Variant::PLAIN });
    }
    pair.configure(numbers());
    std::thread::scope(|scope| {
        for k in numbers() {
            let (a, b) = (&pair.a, &pair.b);
            scope.spawn(move || transfer(a, b, &inner4(k, 2), 4 << 20));
            scope.spawn(move || transfer(b, a, &inner6(k, 1), 4 << 20));
        }
    });
    for k in numbers() {
        pair.settle(k.into(), k);
    }
}

/// A session of the test and where it is.
#[derive(Clone, Copy)]
struct Session {
    tunnel: u16,
    number: u8,
    variant: Variant,
}

fn carry_every_variant(form: Form) {
    if !require::met(&["tcpdump", "tshark", "ethtool"]) {
        return;
    }
    let pair = Pair::new();
    let sessions = make_sessions(&pair, form);
    check_mtus(&pair, form, &sessions);
    pair.set_offloads(false);
    check_whole_packets(&pair, form, &sessions);
    check_fragments(&pair, form, &sessions);
    pair.set_offloads(true);
    for session in &sessions {
        transfer(&pair.a, &pair.b, &inner4(session.number, 2), 1 << 20);
        transfer(&pair.b, &pair.a, &inner6(session.number, 1), 1 << 20);
    }
    for session in &sessions {
        check_counters(&pair, session);
    }
}

fn make_sessions(pair: &Pair, form: Form) -> Vec<Session> {
    (1..=TUNNELS).for_each(|n| pair.add_tunnel(form, n, ""));
    let tunnels = (1..=TUNNELS).cycle();
    let sessions: Vec<Session> = Variant::working()
        .into_iter()
        .zip(tunnels)
        .zip(1..)
        .map(|((variant, tunnel), number)| Session { tunnel, number, variant })
        .collect();
    sessions.iter().for_each(|session| pair.add_session(session.tunnel, session.number, session.variant));
    sessions
}

/// The link's MTU less everything in front of the inner packet, with the cookie that the host itself sends.
fn check_mtus(pair: &Pair, form: Form, sessions: &[Session]) {
    let (at_a, at_b) = (mtus(&pair.a.links()), mtus(&pair.b.links()));
    for Session { number, variant, .. } in sessions {
        let expected = |cookie| 1500 - ETHERNET - form.outer_bytes() - variant.header_bytes(cookie);
        assert_eq!(at_a[&device(*number)], expected(variant.cookies.0), "a {form:?} {variant:?}");
        assert_eq!(at_b[&device(*number)], expected(variant.cookies.1), "b {form:?} {variant:?}");
    }
}

fn mtus(links: &[l2tp_io::rtnl::Link]) -> HashMap<String, u32> {
    links.iter().map(|link| (link.name.clone(), link.mtu)).collect()
}

/// Pings up to the MTU, and a short stream: nothing is fragmented, everything decodes.
fn check_whole_packets(pair: &Pair, form: Form, sessions: &[Session]) {
    pair.configure(sessions.iter().map(|session| session.number).collect::<Vec<_>>());
    let capture = Capture::start(&pair.b, WAN, "");
    for Session { number, .. } in sessions {
        let mtu = pair.a.mtu(&device(*number)).min(pair.b.mtu(&device(*number)));
        pair.a.ping(&inner4(*number, 2), 56);
        pair.b.ping(&inner6(*number, 1), 56);
        pair.a.ping(&inner4(*number, 2), mtu - PING4);
        pair.b.ping(&inner6(*number, 1), mtu - PING6);
        transfer(&pair.a, &pair.b, &inner4(*number, 2), 20_000);
    }
    let recording = capture.stop();
    for reading in readings() {
        let frames = recording.decode(reading);
        assert!(!frames.iter().any(Decoded::is_fragment), "{form:?}: a fragment");
        for session in sessions {
            check_wire(form, session, reading, &frames);
        }
    }
}

/// Every way in which packets can be laid out.
fn readings() -> impl Iterator<Item = Reading> {
    [0, 4, 8].into_iter().flat_map(|cookie| [true, false].map(|sublayer| Reading { cookie, sublayer }))
}

/// The packets of a session that are laid out like this, as tshark sees them.
fn check_wire(form: Form, session: &Session, reading: Reading, frames: &[Decoded]) {
    let Session { variant, .. } = session;
    let (id_a, id_b) = session_ids(session.number);
    let seq_a = variant.sublayer && !variant.seq.0.is_empty();
    let seq_b = variant.sublayer && !variant.seq.1.is_empty();
    let from_a = (id_b, cookie_a(variant.cookies.0), seq_a);
    let from_b = (id_a, cookie_b(variant.cookies.1), seq_b);
    for (id, cookie, numbered) in [from_a, from_b] {
        if (cookie.len(), variant.sublayer) != (2 * reading.cookie, reading.sublayer) {
            continue;
        }
        let of_session: Vec<_> = frames.iter().filter(|frame| frame.session() == Some(id)).collect();
        for frame in &of_session {
            assert!(frame.is_well_formed(), "{form:?} {variant:?}: {frame:?}");
            assert_eq!(frame.cookie(), cookie, "{form:?} {variant:?}");
            assert_eq!(frame.sequence().is_some(), numbered, "{form:?} {variant:?}");
        }
        let count = |protocol| of_session.iter().filter(|frame| frame.carries(protocol)).count();
        let counts = ["icmp", "icmpv6", "tcp"].map(count);
        assert!(counts.iter().all(|count| *count >= 2), "{form:?} {variant:?}: {counts:?} to {id:#x}");
        check_numbers(&of_session);
        check_largest(form, session, &of_session);
    }
}

/// Each packet's number follows the one before.
fn check_numbers(frames: &[&Decoded]) {
    let numbers: Vec<u32> = frames.iter().filter_map(|frame| frame.sequence()).collect();
    assert!(numbers.is_sorted_by(|a, b| *b == *a + 1), "{numbers:?}");
}

/// The largest packet fills the link, where both sides have the same MTU.
fn check_largest(form: Form, session: &Session, frames: &[&Decoded]) {
    let (a, b) = session.variant.cookies;
    let largest = frames.iter().map(|frame| frame.len()).max();
    if a == b {
        assert_eq!(largest, Some(1500 + ETHERNET), "{form:?} {:?}", session.variant);
    }
}

/// Pings above the link's MTU go as fragments of the outer packets, and come back.
fn check_fragments(pair: &Pair, form: Form, sessions: &[Session]) {
    let raise = |number| format!("link set {} mtu 9000\n", device(number));
    let raise: String = sessions.iter().map(|session| raise(session.number)).collect();
    pair.a.ip_batch(&raise);
    pair.b.ip_batch(&raise);
    let capture = Capture::start(&pair.b, WAN, "");
    for Session { number, .. } in sessions {
        pair.a.ping(&inner4(*number, 2), 9000 - PING4);
        pair.b.ping(&inner6(*number, 1), 1600);
    }
    let recording = capture.stop();
    check_reassembly(form, sessions, &recording);
    let lower = raise.replace("9000", "1400");
    pair.a.ip_batch(&lower);
    pair.b.ip_batch(&lower);
}

/// The last fragments, where tshark puts the packets together, are of every session.
fn check_reassembly(form: Form, sessions: &[Session], recording: &Recording) {
    let frames = recording.decode(Reading { cookie: 0, sublayer: true });
    for Session { number, variant, .. } in sessions {
        for id in <[u32; 2]>::from(session_ids(*number)) {
            let whole = frames.iter().filter(|frame| frame.is_fragment() && frame.session() == Some(id));
            assert!(whole.count() >= 2, "{form:?} {variant:?}: no fragments to {id:#x}");
        }
    }
    assert!(
        frames.iter().all(|frame| frame.len() <= 1500 + ETHERNET),
        "{form:?}: larger than the link allows"
    );
}

/// What one end sent the other received, and there was nothing else.
fn check_counters(pair: &Pair, session: &Session) {
    let (a, b) = pair.settle(session.tunnel, session.number);
    for stats in [a, b] {
        assert!(stats.tx_packets > 100 && stats.rx_packets > 100, "{:?}: {stats:?}", session.variant);
        let faults = [stats.tx_errors, stats.rx_errors, stats.rx_seq_discards, stats.rx_cookie_discards];
        assert_eq!(faults, [0; 4], "{:?}: {stats:?}", session.variant);
    }
    // The peer's tunnel of the same number exists, and it has no session of this id.
    let other = tunnel_ids(3 - session.tunnel).0;
    assert!(pair.a.door().session(other, session_ids(session.number).0).is_err());
}
