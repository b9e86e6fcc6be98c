//! Packets recorded from a real kernel's tunnels (6.12.117, `tests/vectors/kernel`), against our decoder, our engine and
//! our headers: both ends of every conversation are replayed, and each packet that one of them sent must be the one that
//! ours sends, byte for byte.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use etherparse::{EtherType, Icmpv4Type, SlicedPacket, TransportSlice};
use l2tp_core::drop_reason::DropCounts;
use l2tp_core::mtu::device_mtu;
use l2tp_core::{DropReason, Encap, Instant, L2specType, PwType, SessionConfig, Verdict};
use l2tp_oracle::captures::{Capture, captures};
use l2tp_sim::Side;
use l2tp_wire::{Cookie, classify, control, ppp, v2, v3};

/// One end of a recorded conversation.
struct End {
    version: u8,
    encap: Encap,
    ids: (u32, u32),
    session: SessionConfig,
}

fn encap(capture: &Capture) -> Encap {
    if capture.over_ip { Encap::Ip } else { Encap::Udp }
}

fn is_numbered(capture: &Capture) -> bool {
    capture.sublayer && capture.send_seq
}

/// Sides a and b.
fn ends(capture: &Capture) -> [End; 2] {
    [(0, 1), (1, 0)].map(|(own, peer)| {
        let (own, peer) = (&capture.ends[own], &capture.ends[peer]);
        let session = SessionConfig {
            pw_type: if capture.is_ppp { PwType::Ppp } else { PwType::Eth },
            l2spec: if capture.sublayer { L2specType::Default } else { L2specType::None },
            cookie: Cookie::new(&own.cookie).unwrap(),
            peer_cookie: Cookie::new(&peer.cookie).unwrap(),
            send_seq: capture.send_seq,
            recv_seq: capture.recv_seq,
            ..SessionConfig::ethernet(own.session_id, peer.session_id)
        };
        let ids = (own.tunnel_id, peer.tunnel_id);
        End { version: capture.version, encap: encap(capture), ids, session }
    })
}

/// What a data packet says, read by `l2tp-wire` alone.
#[derive(Debug, PartialEq, Eq)]
struct Decoded<'a> {
    tunnel_id: Option<u16>,
    session_id: u32,
    cookie: &'a [u8],
    ns: Option<u32>,
    payload: &'a [u8],
}

fn decode<'a>(receiver: &End, packet: &'a [u8]) -> Decoded<'a> {
    if receiver.version == 2 {
        let header = v2::Header::parse(packet).unwrap();
        assert_eq!(
            classify::udp(packet),
            classify::Udp::V2 { tunnel_id: header.tunnel_id, session_id: header.session_id }
        );
        return Decoded {
            tunnel_id: Some(header.tunnel_id),
            session_id: header.session_id.into(),
            cookie: &[],
            ns: header.ns.map(u32::from),
            payload: &packet[header.payload..],
        };
    }
    let layout = receiver.session.layout(receiver.encap, &receiver.session.peer_cookie);
    let v3::Header { session_id, cookie, ns } = v3::Header::parse(&layout, packet).unwrap();
    match receiver.encap {
        Encap::Udp => assert_eq!(classify::udp(packet), classify::Udp::V3 { version: 3, session_id }),
        Encap::Ip => assert_eq!(classify::ip(packet), classify::Ip::Data { session_id }),
    }
    Decoded { tunnel_id: None, session_id, cookie, ns, payload: &packet[layout.header_len()..] }
}

/// A control message; one without AVPs has 12 bytes and is too short to be looked at.
fn is_control(encap: Encap, message: &[u8]) -> bool {
    match encap {
        Encap::Udp => matches!(classify::udp(message), classify::Udp::Control | classify::Udp::Short),
        Encap::Ip => matches!(classify::ip(message), classify::Ip::Control { .. }),
    }
}

/// The inner frame as an independent decoder sees it: ARP or ping between the tunnel's own addresses.
fn check_inner(capture: &Capture, from: usize, payload: &[u8]) {
    let inner = if !capture.is_ppp {
        let packet = SlicedPacket::from_ethernet(payload).expect("inner frame");
        assert_eq!(payload[6..12], [[2, 0, 0, 0, 0, 0xa1], [2, 0, 0, 0, 0, 0xb2]][from]);
        packet
    } else {
        let frame = payload.strip_prefix(&ppp::ADDRESS_CONTROL).expect("FF 03");
        match frame.split_first_chunk().expect("protocol field") {
            (&[0x00, 0x21], ip) => SlicedPacket::from_ip(ip).expect("inner packet"),
            // LCP and IPCP, with the length of RFC 1661 section 5.
            (&[0xc0 | 0x80, 0x21], negotiation) => {
                let length = u16::from_be_bytes([negotiation[2], negotiation[3]]);
                return assert_eq!(usize::from(length), negotiation.len());
            }
            (other, _) => panic!("PPP protocol {other:?}"),
        }
    };
    if let Some(arp) = inner.net.as_ref().and_then(|net| net.arp_ref()) {
        return assert_eq!(arp.proto_addr_type(), EtherType::IPV4);
    }
    let ipv4 = inner.net.as_ref().and_then(|net| net.ipv4_ref()).expect("IPv4").header().to_header();
    let ours = |address: [u8; 4]| address[..2] == [10, 9];
    assert!(ours(ipv4.source) && ours(ipv4.destination));
    let Some(TransportSlice::Icmpv4(ping)) = inner.transport else { panic!("a ping") };
    let request = matches!(ping.icmp_type(), Icmpv4Type::EchoRequest(_));
    assert_eq!(request, from == 0, "a asks, b answers");
    assert_eq!(ping.payload().len(), 56);
    if capture.ping_ok.is_some() {
        assert!(ping.payload()[16..].iter().all(|byte| *byte == 0x5a), "the pattern that was sent");
    }
}

#[test]
fn every_packet_decodes_to_the_configuration_that_made_it() {
    for capture in &captures() {
        let ends = ends(capture);
        let mut next_ns = [0u32; 2];
        for packet in &capture.packets {
            let message = packet.message();
            if is_control(encap(capture), message) {
                let header = control::Header::parse(message).unwrap();
                assert_eq!((usize::from(header.length), header.flags.version()), (message.len(), 2));
                continue;
            }
            let (sender, receiver) = (packet.from, 1 - packet.from);
            let decoded = decode(&ends[receiver], message);
            let session = &ends[receiver].session;
            let ns = is_numbered(capture).then_some(next_ns[sender]);
            next_ns[sender] += 1;
            assert_eq!((decoded.session_id, decoded.ns), (session.session_id, ns), "{}", capture.name);
            assert!(session.peer_cookie.matches(decoded.cookie), "{}", capture.name);
            if let Some(tunnel_id) = decoded.tunnel_id {
                assert_eq!(u32::from(tunnel_id), ends[receiver].ids.0, "{}", capture.name);
            }
            check_inner(capture, sender, decoded.payload);
        }
        assert!(next_ns[0] > 0, "{}: no data", capture.name);
    }
}

#[test]
fn both_ends_replayed_send_the_same_bytes_and_deliver_the_same_frames() {
    for capture in &captures() {
        let ends = ends(capture);
        let mut sides =
            [0, 1].map(|i| Side::new(ends[i].version, ends[i].encap, ends[i].ids, ends[i].session.clone()));
        let mut sent = [Vec::new(), Vec::new()];
        let mut up = 0;
        for packet in &capture.packets {
            let (message, sender, receiver) = (packet.message(), packet.from, 1 - packet.from);
            if !is_control(encap(capture), message) {
                let payload = decode(&ends[receiver], message).payload;
                let frame = if capture.is_ppp { ppp::strip_address_control(payload) } else { payload };
                let ours = sides[sender].encapsulate(frame).unwrap();
                assert_eq!(ours, message, "{}: packet {} of {sender}", capture.name, sent[sender].len());
                sent[sender].push(frame.to_vec());
            }
            up += u64::from(sides[receiver].receive(Instant(0), message) == Verdict::Up);
        }
        for (sender, receiver) in [(0, 1), (1, 0)] {
            let arrived: Vec<_> = sides[receiver].arrived.iter().map(|a| a.frame.clone()).collect();
            let refused = capture.ping_ok == Some(false);
            assert_eq!(arrived, if refused { Vec::new() } else { sent[sender].clone() }, "{}", capture.name);
            check_counters(capture, &sides[receiver], sent[sender].len(), refused);
        }
        let control = capture.packets.iter().filter(|packet| is_control(encap(capture), packet.message()));
        assert_eq!(up, control.count() as u64, "{}: control packets go up", capture.name);
    }
}

/// Captures without an answer asked for numbers that did not come: every packet is a sequence discard.
fn check_counters(capture: &Capture, side: &Side, received: usize, refused: bool) {
    let received = received as u64;
    let stats = &side.engine.session(side.session).unwrap().stats;
    let mut drops = DropCounts::default();
    if refused {
        (0..received).for_each(|_| drops.count(DropReason::SeqMissing));
    }
    let (taken, discarded) = if refused { (0, received) } else { (received, 0) };
    assert_eq!(side.engine.counters().drops, drops, "{}", capture.name);
    assert_eq!(
        (stats.rx_packets, stats.rx_seq_discards, stats.rx_errors),
        (taken, discarded, discarded),
        "{}",
        capture.name
    );
}

/// `/proc/net/pppol2tp` and the ioctl of the PPP rows count whole L2TP packets; so do our counters.
#[test]
fn the_counters_of_the_ppp_captures_are_the_kernels() {
    let expected = [
        ("v2-udp4-ppp-noseq", 3, 282),
        ("v2-udp4-ppp-seq", 3, 294),
        ("v2-udp6-ppp-noseq", 3, 282),
        ("v3-udp4-ppp-cookie4-noseq", 3, 312),
    ];
    for capture in captures() {
        let Some((_, packets, bytes)) = expected.into_iter().find(|(name, ..)| *name == capture.name) else {
            continue;
        };
        let [a, _] = ends(&capture);
        let mut side = Side::new(a.version, a.encap, a.ids, a.session);
        for packet in capture.packets.iter().filter(|packet| packet.from == 1) {
            side.receive(Instant(0), packet.message());
        }
        let stats = side.engine.session(side.session).unwrap().stats;
        assert_eq!((stats.rx_packets, stats.rx_bytes), (packets, bytes), "{}", capture.name);
        assert_eq!(side.engine.tunnel(side.tunnel).unwrap().stats, stats, "{}", capture.name);
    }
}

#[test]
fn devices_get_the_recorded_mtu() {
    for capture in captures().iter().filter(|capture| !capture.is_ppp) {
        let [a, _] = ends(capture);
        let is_v4 = !capture.is_ipv6;
        let peer = if is_v4 { IpAddr::V4(Ipv4Addr::LOCALHOST) } else { IpAddr::V6(Ipv6Addr::LOCALHOST) };
        let side = Side::new(a.version, a.encap, a.ids, a.session);
        let session = side.engine.session(side.session).unwrap();
        let header_len = u32::try_from(session.header_len()).unwrap();
        assert_eq!(Some(device_mtu(1500, peer, a.encap, header_len)), capture.mtu, "{}", capture.name);
        if is_v4 {
            assert_eq!(session.device.as_ref().map(|device| device.mtu), capture.mtu, "{}", capture.name);
        }
    }
}
