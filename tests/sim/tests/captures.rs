//! Packets recorded from a real kernel's tunnels (6.12.117, `tests/vectors/kernel`), against our decoder, our engine and
//! our headers: both ends of every conversation are replayed, and each packet that one of them sent must be the one that
//! ours sends, byte for byte.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;

use etherparse::{EtherType, Icmpv4Type, IpNumber, SlicedPacket, TransportSlice};
use l2tp_core::drop_reason::DropCounts;
use l2tp_core::mtu::device_mtu;
use l2tp_core::{DropReason, Encap, Instant, L2specType, PwType, SessionConfig, Verdict};
use l2tp_sim::Side;
use l2tp_wire::{Cookie, classify, control, ppp, v2, v3};
use pcap_file::pcap::PcapReader;
use serde::Deserialize;

#[derive(Deserialize)]
struct Vectors {
    captures: Vec<Capture>,
}

/// A row of `vectors.json`: the configuration that made a capture. Ethernet rows name their encapsulation, PPP rows their
/// version.
#[derive(Deserialize)]
struct Capture {
    name: String,
    encap: Option<String>,
    version: Option<u8>,
    #[serde(default)]
    cookie_sent_by_a: Option<String>,
    #[serde(default)]
    cookie_sent_by_b: Option<String>,
    l2spec: Option<String>,
    #[serde(default)]
    seq: serde_json::Value,
    mtu: Option<u32>,
    #[serde(default)]
    ping_ok: Option<bool>,
    packets: usize,
    /// The `ip l2tp` commands of side a.
    #[serde(default)]
    a: Vec<String>,
}

/// A packet of a capture.
struct Packet {
    from_a: bool,
    /// What UDP or IP carried: the L2TP packet.
    l2tp: Vec<u8>,
}

/// One end of a recorded conversation.
struct End {
    version: u8,
    encap: Encap,
    ids: (u32, u32),
    session: SessionConfig,
}

fn vectors() -> Vec<Capture> {
    let vectors: Vectors =
        serde_json::from_str(include_str!("../../vectors/kernel/vectors.json")).expect("vectors.json");
    assert!(vectors.captures.len() >= 49);
    vectors.captures
}

impl Capture {
    fn is_ethernet(&self) -> bool {
        self.encap.is_some()
    }

    fn is_numbered(&self) -> bool {
        self.l2spec.as_deref() != Some("none")
            && (self.seq == "both" || self.seq == "send" || self.seq == true)
    }

    fn encap(&self) -> Encap {
        if self.encap.as_deref().is_some_and(|e| e.starts_with("ip")) { Encap::Ip } else { Encap::Udp }
    }

    /// Whatever `keyword` introduces in the commands of side a.
    fn number_after(&self, keyword: &str) -> u32 {
        let commands = self.a.join(" ");
        let mut words = commands.split_whitespace().skip_while(|word| *word != keyword);
        words.nth(1).and_then(|word| word.parse().ok()).expect(keyword)
    }

    /// Our and the peer's tunnel id, our and the peer's session id, of side a.
    fn ids(&self) -> [u32; 4] {
        match self.name.as_str() {
            _ if self.is_ethernet() => {
                ["tunnel_id", "peer_tunnel_id", "session_id", "peer_session_id"].map(|k| self.number_after(k))
            }
            "v2-xl2tpd-full-session" => [25730, 32315, 23140, 51648],
            _ => [0x1111, 0x2222, 0x3333, 0x4444],
        }
    }

    /// Cookies that a and b send. The PPP row with cookies tells them by its name only.
    fn cookies(&self) -> (Cookie, Cookie) {
        if self.name == "v3-udp4-ppp-cookie4-noseq" {
            return (cookie("a1a2a3a4"), cookie("a1a2a3a4"));
        }
        let of = |text: &Option<String>| cookie(text.as_deref().unwrap_or_default());
        (of(&self.cookie_sent_by_a), of(&self.cookie_sent_by_b))
    }

    /// Sides a and b.
    fn ends(&self) -> [End; 2] {
        let [tunnel, peer_tunnel, session_id, peer_session_id] = self.ids();
        let (cookie, peer_cookie) = self.cookies();
        let a = SessionConfig {
            pw_type: if self.is_ethernet() { PwType::Eth } else { PwType::Ppp },
            l2spec: if self.l2spec.as_deref() == Some("none") {
                L2specType::None
            } else {
                L2specType::Default
            },
            cookie,
            peer_cookie,
            send_seq: self.seq == "both" || self.seq == "send" || self.seq == true,
            recv_seq: self.seq == "both" || self.seq == "recv" || self.seq == true,
            ..SessionConfig::ethernet(session_id, peer_session_id)
        };
        let b = SessionConfig {
            session_id: peer_session_id,
            peer_session_id: session_id,
            cookie: peer_cookie,
            peer_cookie: cookie,
            ..a.clone()
        };
        let (version, encap) = (self.version.unwrap_or(3), self.encap());
        [
            End { version, encap, ids: (tunnel, peer_tunnel), session: a },
            End { version, encap, ids: (peer_tunnel, tunnel), session: b },
        ]
    }

    fn packets(&self) -> Vec<Packet> {
        let path = format!("{}/../vectors/kernel/{}.pcap", env!("CARGO_MANIFEST_DIR"), self.name);
        let file = std::fs::File::open(PathBuf::from(&path)).expect(&path);
        let mut reader = PcapReader::new(file).expect(&path);
        let mut packets = Vec::new();
        while let Some(packet) = reader.next_packet() {
            packets.push(self.packet(&packet.expect(&path).data));
        }
        assert_eq!(packets.len(), self.packets, "{}", self.name);
        packets
    }

    /// Takes the outer headers off. Side a's MAC address is 02:00:00:00:0a:01.
    fn packet(&self, frame: &[u8]) -> Packet {
        let outer = SlicedPacket::from_ethernet(frame).expect("outer headers");
        let l2tp = match (self.encap(), &outer.transport) {
            (Encap::Udp, Some(TransportSlice::Udp(udp))) => udp.payload(),
            (Encap::Ip, None) => {
                let payload = outer.net.as_ref().unwrap().ip_payload_ref().unwrap();
                assert_eq!(payload.ip_number, IpNumber(115));
                payload.payload
            }
            other => panic!("{}: {other:?}", self.name),
        };
        Packet { from_a: frame[6..12] == [2, 0, 0, 0, 0x0a, 1], l2tp: l2tp.to_vec() }
    }
}

fn cookie(hex: &str) -> Cookie {
    let bytes: Vec<u8> =
        (0..hex.len() / 2).map(|i| u8::from_str_radix(&hex[2 * i..2 * i + 2], 16).unwrap()).collect();
    Cookie::new(&bytes).unwrap()
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
fn is_control(encap: Encap, packet: &Packet) -> bool {
    match encap {
        Encap::Udp => matches!(classify::udp(&packet.l2tp), classify::Udp::Control | classify::Udp::Short),
        Encap::Ip => matches!(classify::ip(&packet.l2tp), classify::Ip::Control { .. }),
    }
}

/// The inner frame as an independent decoder sees it: ARP or ping between the tunnel's own addresses.
fn check_inner(capture: &Capture, from_a: bool, payload: &[u8]) {
    let inner = if capture.is_ethernet() {
        let packet = SlicedPacket::from_ethernet(payload).expect("inner frame");
        assert_eq!(payload[6..12], if from_a { [2, 0, 0, 0, 0, 0xa1] } else { [2, 0, 0, 0, 0, 0xb2] });
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
    assert_eq!(request, from_a, "a asks, b answers");
    assert_eq!(ping.payload().len(), 56);
    if capture.ping_ok.is_some() {
        assert!(ping.payload()[16..].iter().all(|byte| *byte == 0x5a), "the pattern that was sent");
    }
}

#[test]
fn every_packet_decodes_to_the_configuration_that_made_it() {
    for capture in &vectors() {
        let ends = capture.ends();
        let mut next_ns = [0u32; 2];
        for packet in capture.packets() {
            if is_control(capture.encap(), &packet) {
                let header = control::Header::parse(&packet.l2tp).unwrap();
                assert_eq!((usize::from(header.length), header.flags.version()), (packet.l2tp.len(), 2));
                continue;
            }
            let (sender, receiver) = if packet.from_a { (0, 1) } else { (1, 0) };
            let decoded = decode(&ends[receiver], &packet.l2tp);
            let session = &ends[receiver].session;
            let ns = capture.is_numbered().then_some(next_ns[sender]);
            next_ns[sender] += 1;
            assert_eq!((decoded.session_id, decoded.ns), (session.session_id, ns), "{}", capture.name);
            assert!(session.peer_cookie.matches(decoded.cookie), "{}", capture.name);
            if let Some(tunnel_id) = decoded.tunnel_id {
                assert_eq!(u32::from(tunnel_id), ends[receiver].ids.0, "{}", capture.name);
            }
            check_inner(capture, packet.from_a, decoded.payload);
        }
        assert!(next_ns[0] > 0, "{}: no data", capture.name);
    }
}

#[test]
fn both_ends_replayed_send_the_same_bytes_and_deliver_the_same_frames() {
    for capture in &vectors() {
        let ends = capture.ends();
        let mut sides =
            [0, 1].map(|i| Side::new(ends[i].version, ends[i].encap, ends[i].ids, ends[i].session.clone()));
        let mut sent = [Vec::new(), Vec::new()];
        let mut up = 0;
        for packet in capture.packets() {
            let (sender, receiver) = if packet.from_a { (0, 1) } else { (1, 0) };
            if !is_control(capture.encap(), &packet) {
                let payload = decode(&ends[receiver], &packet.l2tp).payload;
                let frame = if capture.is_ethernet() { payload } else { ppp::strip_address_control(payload) };
                let ours = sides[sender].encapsulate(frame).unwrap();
                assert_eq!(ours, packet.l2tp, "{}: packet {} of {sender}", capture.name, sent[sender].len());
                sent[sender].push(frame.to_vec());
            }
            up += u64::from(sides[receiver].receive(Instant(0), &packet.l2tp) == Verdict::Up);
        }
        for (sender, receiver) in [(0, 1), (1, 0)] {
            let arrived: Vec<_> = sides[receiver].arrived.iter().map(|a| a.frame.clone()).collect();
            let refused = capture.ping_ok == Some(false);
            assert_eq!(arrived, if refused { Vec::new() } else { sent[sender].clone() }, "{}", capture.name);
            check_counters(capture, &sides[receiver], sent[sender].len(), refused);
        }
        let control = capture.packets().iter().filter(|p| is_control(capture.encap(), p)).count();
        assert_eq!(up, control as u64, "{}: control packets go up", capture.name);
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
    for capture in vectors() {
        let Some((_, packets, bytes)) = expected.into_iter().find(|(name, ..)| *name == capture.name) else {
            continue;
        };
        let [a, _] = capture.ends();
        let mut side = Side::new(a.version, a.encap, a.ids, a.session);
        for packet in capture.packets().iter().filter(|packet| !packet.from_a) {
            side.receive(Instant(0), &packet.l2tp);
        }
        let stats = side.engine.session(side.session).unwrap().stats;
        assert_eq!((stats.rx_packets, stats.rx_bytes), (packets, bytes), "{}", capture.name);
        assert_eq!(side.engine.tunnel(side.tunnel).unwrap().stats, stats, "{}", capture.name);
    }
}

#[test]
fn devices_get_the_recorded_mtu() {
    for capture in vectors().iter().filter(|capture| capture.is_ethernet()) {
        let [a, _] = capture.ends();
        let is_v4 = capture.encap.as_deref().unwrap().ends_with('4');
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
