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

/// A LAC, which a session is by default, numbers its packets when its peer does.
#[test]
fn a_peer_that_numbers_is_followed() {
    if !require::met(&["tcpdump", "tshark"]) {
        return;
    }
    let pair = Pair::new();
    pair.add_tunnel(Form::Ip6, 1, "");
    pair.add_session(1, 1, Variant { seq: ("send", "recv"), ..Variant::PLAIN });
    let mut b = pair.b.door();
    assert!(!b.session(tunnel_ids(1).1, session_ids(1).1).unwrap().send_seq);
    let capture = Capture::start(&pair.a, WAN, "");
    pair.configure([1]);
    pair.a.ping(&inner4(1, 2), 56);
    assert!(b.session(tunnel_ids(1).1, session_ids(1).1).unwrap().send_seq);
    let frames = capture.stop().decode(Reading { cookie: 0, sublayer: true });
    let replies =
        frames.iter().filter(|frame| frame.session() == Some(session_ids(1).0) && frame.carries("icmp"));
    assert!(replies.clone().count() > 0);
    assert!(replies.into_iter().all(|frame| frame.sequence().is_some()));
}
