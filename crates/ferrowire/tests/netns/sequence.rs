//! Sequence numbers that only one side sends or wants.

use crate::capture::{Capture, Reading};
use crate::form::Form;
use crate::pair::{Pair, WAN, inner4, session_ids, tunnel_ids};
use crate::require;
use crate::variant::Variant;
use crate::wait;

/// Who wants numbers that nobody sends takes nothing, and counts it.
fn nothing_arrives(variant: Variant) {
    let pair = Pair::new();
    pair.add_tunnel(Form::Udp4, 1, "");
    pair.add_session(1, 1, variant);
    for host in [&pair.a, &pair.b] {
        host.ip("link set pw1 up");
    }
    pair.a.ip("addr add 10.1.1.1/24 dev pw1");
    pair.a.ping_in_vain(&inner4(1, 2));
    let (mut a, mut b) = (pair.a.door(), pair.b.door());
    wait::until("b has counted what a sent", || {
        let sent = a.session_stats(tunnel_ids(1).0, session_ids(1).0).tx_packets;
        let got = b.session_stats(tunnel_ids(1).1, session_ids(1).1);
        assert_eq!((got.rx_packets, got.rx_bytes), (0, 0));
        sent > 0 && (got.rx_seq_discards, got.rx_errors) == (sent, sent)
    });
    assert_eq!(b.tunnel_stats(tunnel_ids(1).1).rx_packets, 0);
}

#[test]
fn without_a_sublayer_there_are_no_numbers_to_receive() {
    if require::met(&[]) {
        nothing_arrives(Variant { sublayer: false, seq: ("both", "both"), ..Variant::PLAIN });
    }
}

#[test]
fn both_sides_wait_for_numbers_that_neither_sends() {
    if require::met(&[]) {
        nothing_arrives(Variant { seq: ("recv", "recv"), ..Variant::PLAIN });
    }
}

/// A session of which a sends numbers and b wants them, both a LAC, as is the default; the devices have addresses and
/// are down.
fn one_sided() -> Pair {
    let pair = Pair::new();
    pair.add_tunnel(Form::Ip6, 1, "");
    pair.add_session(1, 1, Variant { seq: ("send", "recv"), ..Variant::PLAIN });
    pair.a.ip(&format!("addr add {}/24 dev pw1", inner4(1, 1)));
    pair.b.ip(&format!("addr add {}/24 dev pw1", inner4(1, 2)));
    pair
}

#[test]
fn a_peer_that_numbers_is_followed() {
    if !require::met(&["tcpdump", "tshark"]) {
        return;
    }
    let pair = one_sided();
    let mut b = pair.b.door();
    let mut follows = || b.session(tunnel_ids(1).1, session_ids(1).1).unwrap().send_seq;
    assert!(!follows());
    // b may not speak before it has heard: see below.
    pair.a.set_up_quietly("pw1");
    pair.a.ping_in_vain(&inner4(1, 2));
    wait::until("b numbers its packets", follows);
    let capture = Capture::start(&pair.a, WAN, "");
    pair.b.set_up_quietly("pw1");
    pair.a.reach(&inner4(1, 2));
    let frames = capture.stop().decode(Reading { cookie: 0, sublayer: true });
    let mut replies =
        frames.iter().filter(|frame| frame.session() == Some(session_ids(1).0) && frame.carries("icmp"));
    assert!(replies.clone().count() > 0);
    assert!(replies.all(|frame| frame.sequence().is_some()));
}

/// The first plain packet of the peer ends the numbering, though the peer itself then takes nothing any more.
#[test]
fn a_peer_that_does_not_number_is_followed_too() {
    if !require::met(&[]) {
        return;
    }
    let pair = one_sided();
    let mut a = pair.a.door();
    let mut numbers = || a.session(tunnel_ids(1).0, session_ids(1).0).unwrap().send_seq;
    assert!(numbers());
    pair.b.set_up_quietly("pw1");
    pair.b.ping_in_vain(&inner4(1, 1));
    wait::until("a no longer numbers its packets", || !numbers());
    pair.a.set_up_quietly("pw1");
    pair.a.ping_in_vain(&inner4(1, 2));
    let stats = pair.b.door().session_stats(tunnel_ids(1).1, session_ids(1).1);
    assert!(stats.rx_packets == 0 && stats.rx_seq_discards > 0, "{stats:?}");
}
