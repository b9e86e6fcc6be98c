//! The outer UDP checksum: there or not, as the tunnel was told.

use crate::capture::{Capture, Decoded, Reading};
use crate::form::Form;
use crate::pair::{Pair, WAN, inner4, session_ids, session_words, tunnel_ids, tunnel_words};
use crate::require;
use crate::variant::Variant;

/// The packets of a ping through a tunnel that is told `words` at both ends.
fn packets_of_a_ping(form: Form, words: &str) -> Vec<Decoded> {
    let pair = Pair::new();
    pair.set_offloads(false);
    pair.add_tunnel(form, 1, words);
    pair.add_session(1, 1, Variant::PLAIN);
    // Frames that wait together leave as a train, which has checksums in any case: nothing but the ping may be sent.
    for (host, number) in [(&pair.a, 1), (&pair.b, 2)] {
        host.set_up_quietly("pw1");
        host.ip(&format!("addr add {}/24 dev pw1", inner4(1, number)));
    }
    pair.a.reach(&inner4(1, 2));
    pair.settle(1, 1);
    let capture = Capture::start(&pair.b, WAN, "");
    pair.a.ping(&inner4(1, 2), 500);
    let frames = capture.stop().decode(Reading { cookie: 0, sublayer: true });
    let pings: Vec<_> =
        frames.into_iter().filter(|frame| frame.carries("icmp") && frame.len() > 500).collect();
    assert_eq!(pings.len(), 2, "{form:?} {words}");
    pings
}

fn is_checked(form: Form, words: &str) {
    for packet in packets_of_a_ping(form, words) {
        assert!(packet.udp_checksum() != 0 && packet.udp_checksum_is_good(), "{form:?} {words}: {packet:?}");
    }
}

fn is_unchecked(form: Form, words: &str) {
    for packet in packets_of_a_ping(form, words) {
        assert_eq!(packet.udp_checksum(), 0, "{form:?} {words}");
    }
}

#[test]
fn ipv4_has_none_unless_asked() {
    if require::met(&["tcpdump", "tshark", "ethtool"]) {
        is_unchecked(Form::Udp4, "");
        is_unchecked(Form::Udp4, "udp_csum off");
        is_checked(Form::Udp4, "udp_csum on");
    }
}

#[test]
fn ipv6_has_one_unless_asked() {
    if require::met(&["tcpdump", "tshark", "ethtool"]) {
        is_checked(Form::Udp6, "");
        is_checked(Form::Udp6, "udp6_csum_rx off");
        is_unchecked(Form::Udp6, "udp6_csum_tx off udp6_csum_rx off");
    }
}

/// A tunnel over IPv6 takes packets without checksum only when it was told so.
#[test]
fn a_missing_checksum_must_be_allowed() {
    if !require::met(&[]) {
        return;
    }
    let pair = Pair::new();
    let a = tunnel_words(Form::Udp6, 1, 1);
    let b = tunnel_words(Form::Udp6, 1, 2);
    pair.a.l2tp(&format!("{a} udp6_csum_tx off"));
    pair.b.l2tp(&b);
    pair.add_session(1, 1, Variant::PLAIN);
    // Again, no train.
    pair.a.ip("addr add 10.1.1.1/24 dev pw1");
    pair.a.set_up_quietly("pw1");
    pair.b.set_up_quietly("pw1");
    pair.a.ping_in_vain(&inner4(1, 2));
    assert!(pair.a.door().session_stats(tunnel_ids(1).0, session_ids(1).0).tx_packets > 0);
    assert_eq!(pair.b.door().session_stats(tunnel_ids(1).1, session_ids(1).1).rx_packets, 0);

    pair.b.l2tp(&format!("del tunnel tunnel_id {}", tunnel_ids(1).1));
    pair.b.l2tp(&format!("{b} udp6_csum_rx off"));
    pair.b.l2tp(&session_words(1, 1, 2));
    pair.b.ip("addr add 10.1.1.2/24 dev pw1");
    pair.b.ip("link set pw1 up");
    pair.a.reach(&inner4(1, 2));
}
