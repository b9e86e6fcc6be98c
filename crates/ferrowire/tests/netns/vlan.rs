//! A VLAN pseudowire: untagged on the device, tagged on the wire.

use crate::capture::{Capture, Reading};
use crate::crafted::{Forger, numbered, packet};
use crate::form::Form;
use crate::host::Host;
use crate::managed::add_tunnel;
use crate::packet_socket::PacketSocket;
use crate::pair::{Pair, WAN, device, inner4, inner6, session_ids, session_words, tunnel_ids, tunnel_words};
use crate::require;
use crate::tcp::{content, transfer};

const VLAN: u16 = 100;
const TAG: [u8; 4] = [0x81, 0, 0, 100];

/// A session of the VLAN at both ends, or at a alone.
fn vlan_pair(form: Form, words: &str, both: bool) -> Pair {
    let pair = Pair::new();
    pair.add_tunnel(form, 1, "");
    let vlan = format!("vlan {VLAN}");
    pair.a.l2tp(&format!("{} {words} {vlan}", session_words(1, 1, 1)));
    pair.b.l2tp(&format!("{} {words} {}", session_words(1, 1, 2), if both { &vlan } else { "" }));
    pair
}

/// Streams in both directions arrive as they were sent, and every frame between has the tag.
fn streams(form: Form, words: &str) {
    if !require::met(&["tcpdump", "tshark", "ethtool"]) {
        return;
    }
    let pair = vlan_pair(form, words, true);
    pair.configure([1]);
    // As ever, but for the four bytes of the tag.
    let header = if words.contains("none") { 4 } else { 8 };
    assert_eq!(pair.a.mtu("pw1"), 1500 - form.outer_bytes() - header - 14 - 4);
    for (from, to, number) in [(&pair.a, &pair.b, 2), (&pair.b, &pair.a, 1)] {
        transfer(from, to, &inner4(1, number), 8 << 20);
        transfer(from, to, &inner6(1, number), 8 << 20);
    }
    pair.set_offloads(false);
    let capture = Capture::start(&pair.b, WAN, "");
    transfer(&pair.a, &pair.b, &inner4(1, 2), 100_000);
    pair.a.ping(&inner4(1, 2), pair.a.mtu("pw1") - 28);
    let frames = capture.stop().decode(Reading { cookie: 0, sublayer: header == 8 });
    let data: Vec<_> = frames.iter().filter(|frame| frame.session().is_some()).collect();
    assert!(data.len() > 70, "only {}", data.len());
    for frame in data {
        assert_eq!(frame.vlan(), Some(VLAN), "{frame:?}");
        assert!(frame.is_well_formed() && !frame.is_fragment(), "{frame:?}");
        assert!(frame.len() <= 1514, "{frame:?}");
    }
    pair.settle(1, 1);
}

#[test]
fn streams_over_udp() {
    streams(Form::Udp4, "");
}

#[test]
fn streams_over_udp_and_ipv6_with_sequence_numbers() {
    streams(Form::Udp6, "seq both reorder_timeout 100");
}

#[test]
fn streams_over_ip() {
    streams(Form::Ip4, "l2spec_type none");
}

/// In a tunnel on the socket of a program, whose data takes another way in.
#[test]
fn streams_in_a_managed_tunnel() {
    if !require::met(&[]) {
        return;
    }
    let pair = Pair::new();
    let _sockets = add_tunnel(&pair, Form::Udp4, 1);
    for (host, number) in [(&pair.a, 1), (&pair.b, 2)] {
        host.l2tp(&format!("{} vlan {VLAN}", session_words(1, 1, number)));
    }
    pair.configure([1]);
    transfer(&pair.a, &pair.b, &inner4(1, 2), 4 << 20);
    transfer(&pair.b, &pair.a, &inner6(1, 1), 4 << 20);
    pair.settle(1, 1);
}

/// A frame: addresses, what follows, a payload.
fn frame(rest: &[u8]) -> Vec<u8> {
    [&[0x02, 0, 0, 0, 0, 0x77, 0x02, 0, 0, 0, 0, 0x55], rest, &content(60)].concat()
}

fn tagged(tag: [u8; 4], rest: &[u8]) -> Vec<u8> {
    frame(&[&tag, rest].concat())
}

/// Sends frames out of a device, and returns those that the other host sees on its own.
fn cross(from: &Host, to: &Host, frames: &[Vec<u8>]) -> Vec<Vec<u8>> {
    let capture = Capture::start(to, &device(1), "");
    let socket = PacketSocket::open(from, &device(1));
    frames.iter().for_each(|frame| socket.send(frame));
    capture.stop().frames()
}

/// The peer has all of an Ethernet, and with it the tags.
#[test]
fn a_plain_peer_sees_the_tags() {
    if !require::met(&["tcpdump"]) {
        return;
    }
    let pair = vlan_pair(Form::Udp4, "", false);
    for host in [&pair.a, &pair.b] {
        host.set_up_quietly(&device(1));
    }
    let (plain, inner) = ([0x88, 0xb5], [0x81, 0, 0, 7]);
    let sent = [frame(&plain), tagged(inner, &plain), tagged(TAG, &plain)];
    let want = [&[][..], &inner, &TAG].map(|tags| frame(&[&TAG, tags, &plain].concat()));
    assert_eq!(cross(&pair.a, &pair.b, &sent), want);
    let sent = [
        tagged(TAG, &plain),
        // With a priority, which is lost.
        tagged([0x81, 0, 0xf0, 100], &plain),
        tagged(TAG, &[&inner[..], &plain].concat()),
        // None of these is of the VLAN.
        frame(&plain),
        tagged(inner, &plain),
        tagged([0x81, 0, 0, 0], &plain),
        tagged([0x88, 0xa8, 0, 100], &plain),
        tagged(inner, &[&TAG[..], &plain].concat()),
    ];
    assert_eq!(cross(&pair.b, &pair.a, &sent), [frame(&plain), frame(&plain), tagged(inner, &plain)]);
    let stats = pair.a.run(crate::daemon::FERROWIRE, &["stats"]);
    let stats = String::from_utf8(stats.stdout).unwrap();
    assert!(stats.lines().any(|line| line.split_whitespace().eq(["drop_other_vlan", "5"])), "{stats}");
}

/// Frames that wait for an earlier one lose their tag too.
#[test]
fn out_of_the_reorder_queue() {
    if !require::met(&["tcpdump"]) {
        return;
    }
    let mut pair = Pair::without_daemons();
    pair.a.start_daemon();
    pair.a.l2tp(&tunnel_words(Form::Udp4, 1, 1));
    pair.a.l2tp(&format!("{} reorder_timeout 5000 vlan {VLAN}", session_words(1, 1, 1)));
    pair.a.set_up_quietly(&device(1));
    let forger = Forger::new(&pair.b, Form::Udp4, 1);
    let capture = Capture::start(&pair.a, &device(1), "");
    for number in [0_u8, 2, 3, 1] {
        let payload = tagged(TAG, &[0x88, 0xb5, number]);
        forger.send_data(&packet(session_ids(1).0, &[], numbered(number.into()), &payload));
    }
    assert_eq!(capture.stop().frames(), [0, 1, 2, 3].map(|number| frame(&[0x88, 0xb5, number])));
}

#[test]
fn shown_and_told() {
    if !require::met(&[]) {
        return;
    }
    let pair = vlan_pair(Form::Ip4, "", true);
    assert!(pair.a.l2tp("show session").contains("  interface name: pw1\n  VLAN: 100\n"));
    assert!(pair.a.l2tp("-j show session").contains("\"vlan\":100"));
    let session = pair.a.door().session(tunnel_ids(1).0, session_ids(1).0).unwrap();
    assert_eq!((session.pw_type, session.vlan_id), (4, Some(VLAN)));
    let debug = pair.a.run(crate::daemon::FERROWIRE, &["debug", "tunnels"]);
    assert!(String::from_utf8(debug.stdout).unwrap().contains("ETH_VLAN"));
}
