//! What the programs are told, byte for byte.

use std::net::{IpAddr, Ipv6Addr};

use super::*;
use crate::{Link, Route};

const LINK_HEADER: [u8; 12] = [2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1];
const UDP_CARRIER: Carrier = Carrier::Udp { local_port: 0x1389, peer_port: 0x138a };

/// A session without directions.
fn session(is_ipv6: bool, carrier: Carrier, payload: Payload) -> Session {
    let address = |number: u8| match is_ipv6 {
        false => IpAddr::from([192, 0, 2, number]),
        true => IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, number.into()]),
    };
    Session { local: address(1), peer: address(2), carrier, payload, tx: None, rx: None }
}

fn tx(header: &[u8]) -> Tx {
    let link = Some(Link { to: [2, 0, 0, 0, 0, 2], from: [2, 0, 0, 0, 0, 1] });
    let route = Route { ifindex: 5, link, mtu: 1500 };
    Tx { device: 7, header: header.to_vec(), route, tos: 0xb8, ttl: 63, flow_label: 0xf_1234, mark: 9 }
}

/// The headers that a packet of the session begins with.
fn headers(session: &Session, tx: &Tx) -> Vec<u8> {
    let (_, entry) = tx_session(session, tx, 3).unwrap();
    let (used, rest) = entry.headers.split_at(entry.headers_len as usize);
    assert!(rest.iter().all(|byte| *byte == 0));
    used.to_vec()
}

fn rx(pattern: Pattern) -> Rx {
    Rx { pattern, deliver: Deliver::At(7), zero_csum6: true }
}

fn v3(cookie: &[u8], sublayer: bool) -> Rx {
    rx(Pattern::V3 { session_id: 0x0102_0304, cookie: cookie.to_vec(), sublayer })
}

fn v2() -> Rx {
    rx(Pattern::V2 { tunnel_id: 0x1112, session_id: 0x1314 })
}

/// How a message of the session begins, what of it counts, and where its frame is.
fn pattern(session: &Session, rx: &Rx) -> ([u8; PATTERN_LEN], [u8; PATTERN_LEN], u32) {
    let (_, entry) = rx_session(session, rx, 3).unwrap();
    let bytes = |words: Words| words.map(u32::to_ne_bytes).concat().try_into().unwrap();
    (bytes(entry.pattern), bytes(entry.mask), entry.frame_at)
}

/// Zeros behind `bytes`.
fn padded(bytes: &[u8]) -> [u8; PATTERN_LEN] {
    std::array::from_fn(|at| bytes.get(at).copied().unwrap_or(0))
}

#[test]
fn headers_over_udp_and_ipv4() {
    let message = [0, 3, 0, 0, 1, 2, 3, 4, 0xa1, 0xa2, 0xa3, 0xa4, 0, 0, 0, 0];
    let ip = [0x45, 0xb8, 0, 0, 0, 0, 0, 0, 63, 17, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
    let udp = [0x13, 0x89, 0x13, 0x8a, 0, 0, 0, 0];
    let expected = [&LINK_HEADER[..], &[8, 0], &ip, &udp, &message].concat();
    assert_eq!(headers(&session(false, UDP_CARRIER, Payload::Ethernet), &tx(&message)), expected);
}

#[test]
fn headers_over_udp_and_ipv6() {
    let message = [0, 3, 0, 0, 1, 2, 3, 4];
    let ip = [0x6b, 0x8f, 0x12, 0x34, 0, 0, 17, 63];
    let addresses = [
        [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1],
        [0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2],
    ];
    let udp = [0x13, 0x89, 0x13, 0x8a, 0, 0, 0, 0];
    let expected = [&LINK_HEADER[..], &[0x86, 0xdd], &ip, addresses.as_flattened(), &udp, &message].concat();
    assert_eq!(headers(&session(true, UDP_CARRIER, Payload::Ethernet), &tx(&message)), expected);
    // 20 bits of a flow label are one.
    let all = Tx { flow_label: u32::MAX, tos: 0, ..tx(&message) };
    assert_eq!(
        headers(&session(true, UDP_CARRIER, Payload::Ethernet), &all)[14..18],
        [0x60, 0x0f, 0xff, 0xff]
    );
}

#[test]
fn headers_over_ip() {
    let message = [1, 2, 3, 4, 0xa1, 0xa2, 0xa3, 0xa4, 0xa5, 0xa6, 0xa7, 0xa8];
    let ip = [0x45, 0xb8, 0, 0, 0, 0, 0, 0, 63, 115, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2];
    let expected = [&LINK_HEADER[..], &[8, 0], &ip, &message].concat();
    assert_eq!(headers(&session(false, Carrier::Ip, Payload::Ethernet), &tx(&message)), expected);
    let over_ipv6 = headers(&session(true, Carrier::Ip, Payload::Ethernet), &tx(&message));
    assert_eq!((over_ipv6.len(), over_ipv6[20]), (14 + 40 + message.len(), 115));
    assert!(over_ipv6.ends_with(&message));
}

#[test]
fn headers_of_ppp() {
    let message = [0, 2, 0x11, 0x12, 0x13, 0x14];
    let (_, entry) = tx_session(&session(false, UDP_CARRIER, Payload::Ppp), &tx(&message), 3).unwrap();
    let expected = [&message[..], &[0xff, 0x03, 0x00, 0x21]].concat();
    assert_eq!(entry.headers[14 + 20 + 8..entry.headers_len as usize], expected);
    // L2TP and what is PPP's are counted.
    assert_eq!((entry.counted_len, entry.flags), (10, UDP | PPP | LINK));
}

/// The longest of all.
#[test]
fn there_is_room_for_every_header() {
    let session = session(true, UDP_CARRIER, Payload::Ppp);
    assert_eq!(headers(&session, &tx(&[0xff; Tx::HEADER_MAX])).len(), 14 + 40 + 8 + Tx::HEADER_MAX + 4);
}

#[test]
fn what_goes_with_the_headers() {
    let session = session(false, UDP_CARRIER, Payload::Ethernet);
    let (device, entry) = tx_session(&session, &tx(&[0, 3, 0, 0, 1, 2, 3, 4]), 3).unwrap();
    assert_eq!((device, entry.mtu, entry.mark, entry.ifindex, entry.handle), (7, 1500, 9, 5, 3));
    assert_eq!((entry.counted_len, entry.flags), (8, UDP | LINK));
    // What the header's checksum is as long as its length and its id are 0.
    let sum = (entry.checksum & 0xffff) + (entry.checksum >> 16);
    let checksum = !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap();
    assert_eq!(checksum.to_ne_bytes(), [0xf7, 0x31]);
}

#[test]
fn without_a_link_the_kernel_finds_the_addresses() {
    let mut tx = tx(&[0, 3, 0, 0, 1, 2, 3, 4]);
    tx.route.link = None;
    let session = session(false, UDP_CARRIER, Payload::Ethernet);
    let (_, entry) = tx_session(&session, &tx, 3).unwrap();
    assert_eq!(entry.flags & LINK, 0);
    // No group's.
    assert_eq!((entry.headers[0] & 1, entry.headers[6] & 1), (0, 0));
}

/// `BPF_F_ADJ_ROOM_*` of include/uapi/linux/bpf.h.
#[test]
fn how_room_is_made() {
    let flags = |is_ipv6, carrier, payload| room_flags(&session(is_ipv6, carrier, payload));
    let ethernet = 14 << 56 | 0x40;
    assert_eq!(flags(false, UDP_CARRIER, Payload::Ethernet), ethernet | 0x20 | 0x10 | 0x02 | 0x01);
    assert_eq!(flags(true, UDP_CARRIER, Payload::Ethernet), ethernet | 0x20 | 0x10 | 0x04 | 0x01);
    assert_eq!(flags(false, Carrier::Ip, Payload::Ethernet), ethernet | 0x20 | 0x02 | 0x01);
    assert_eq!(flags(true, UDP_CARRIER, Payload::Ppp), 0x20 | 0x10 | 0x04 | 0x01);
}

#[test]
fn patterns_of_version_3_over_udp() {
    let session = session(false, UDP_CARRIER, Payload::Ethernet);
    for cookie in [&[][..], &[0xa1, 0xa2, 0xa3, 0xa4], &[0xb1, 0xb2, 0xb3, 0xb4, 0xb5, 0xb6, 0xb7, 0xb8]] {
        // T and the version count; the other flags and the reserved bytes do not.
        let (mut bytes, mut mask) =
            (vec![0, 3, 0, 0, 1, 2, 3, 4], vec![0x80, 0x0f, 0, 0, 0xff, 0xff, 0xff, 0xff]);
        bytes.extend(cookie);
        mask.extend(vec![0xff; cookie.len()]);
        let len = u32::try_from(bytes.len()).unwrap();
        assert_eq!(pattern(&session, &v3(cookie, false)), (padded(&bytes), padded(&mask), len));
        // Of the sublayer only S counts.
        mask.push(0x40);
        assert_eq!(pattern(&session, &v3(cookie, true)), (padded(&bytes), padded(&mask), len + 4));
    }
}

/// They begin four bytes before the session id, where nothing counts.
#[test]
fn patterns_over_ip() {
    let session = session(false, Carrier::Ip, Payload::Ethernet);
    let bytes = [0, 3, 0, 0, 1, 2, 3, 4, 0xa1, 0xa2, 0xa3, 0xa4];
    let mask = [0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x40];
    let (found, found_mask, frame_at) = pattern(&session, &v3(&bytes[8..], true));
    assert_eq!(
        (found[4..].to_vec(), found_mask, frame_at),
        (padded(&bytes)[4..].to_vec(), padded(&mask), 16)
    );
}

#[test]
fn patterns_of_version_2() {
    let session = session(false, UDP_CARRIER, Payload::Ppp);
    let bytes = [0, 2, 0x11, 0x12, 0x13, 0x14];
    // T, L, S, O; P and the reserved bits do not count.
    let mask = [0x80 | 0x40 | 0x08 | 0x02, 0x0f, 0xff, 0xff, 0xff, 0xff];
    assert_eq!(pattern(&session, &v2()), (padded(&bytes), padded(&mask), 6));
}

#[test]
fn by_what_a_message_finds_its_session() {
    let udp4 = session(false, UDP_CARRIER, Payload::Ppp);
    let (key, entry) = rx_session(&udp4, &v2(), 3).unwrap();
    assert_eq!((key.id.to_ne_bytes(), key.port.to_ne_bytes()), ([0x11, 0x12, 0x13, 0x14], [0x13, 0x89]));
    assert_eq!((u32::from(key.flags), key.version), (UDP, 2));
    assert_eq!(entry.ports.to_ne_bytes(), [0x13, 0x8a, 0x13, 0x89]);
    assert_eq!(entry.addresses[0].to_ne_bytes(), [192, 0, 2, 2, 192, 0, 2, 1]);
    assert_eq!((entry.flags, entry.ifindex, entry.handle), (UDP | PPP | ARRIVE, 7, 3));
    let ip6 = session(true, Carrier::Ip, Payload::Ethernet);
    let through = Rx { deliver: Deliver::Through(8), ..v3(&[], false) };
    let (key, entry) = rx_session(&ip6, &through, 3).unwrap();
    assert_eq!((key.id.to_ne_bytes(), key.port), ([1, 2, 3, 4], 0));
    assert_eq!((u32::from(key.flags), key.version), (IPV6, 3));
    assert_eq!((entry.ports, entry.flags, entry.ifindex), (0, IPV6, 8));
    let addresses = entry.addresses.map(u64::to_ne_bytes);
    assert_eq!(
        (addresses[0][..4].to_vec(), addresses[1][7], addresses[3][7]),
        (vec![0x20, 1, 0x0d, 0xb8], 2, 1)
    );
}

#[test]
fn tunnels_that_are_refused() {
    let good = session(false, UDP_CARRIER, Payload::Ethernet);
    assert!(check(&good).is_ok() && check(&session(true, Carrier::Ip, Payload::Ppp)).is_ok());
    for (local, peer) in [(good.local, Ipv6Addr::LOCALHOST.into()), (Ipv6Addr::LOCALHOST.into(), good.peer)] {
        let mixed = Session { local, peer, ..good.clone() };
        assert!(matches!(check(&mixed), Err(Refused::Families)));
    }
    for (local_port, peer_port) in [(0, 1701), (1701, 0)] {
        let portless = Session { carrier: Carrier::Udp { local_port, peer_port }, ..good.clone() };
        assert!(matches!(check(&portless), Err(Refused::NoPort)));
    }
}

#[test]
fn ways_out_that_are_refused() {
    let session = session(false, UDP_CARRIER, Payload::Ethernet);
    let refused = |tx: &Tx| tx_session(&session, tx, 3).err();
    assert!(matches!(refused(&tx(&[])), Some(Refused::Header)));
    assert!(matches!(refused(&tx(&[0; Tx::HEADER_MAX + 1])), Some(Refused::Header)));
    // IP, UDP, L2TP, the inner Ethernet header, and one byte more.
    let mut narrow = tx(&[0; 8]);
    narrow.route.mtu = 20 + 8 + 8 + 14;
    assert!(matches!(refused(&narrow), Some(Refused::Mtu)));
    narrow.route.mtu += 1;
    assert!(refused(&narrow).is_none());
}

#[test]
fn ways_in_that_are_refused() {
    let refused = |session: &Session, rx: &Rx| rx_session(session, rx, 3).err();
    let udp4 = session(false, UDP_CARRIER, Payload::Ethernet);
    assert!(matches!(refused(&udp4, &v2()), Some(Refused::NotL2tpv2)));
    assert!(matches!(refused(&session(false, Carrier::Ip, Payload::Ppp), &v2()), Some(Refused::NotL2tpv2)));
    for sublayer in [false, true] {
        assert!(matches!(refused(&udp4, &v3(&[0; 9], sublayer)), Some(Refused::Header)));
    }
    let checksums = Rx { zero_csum6: false, ..v3(&[], true) };
    assert!(matches!(
        refused(&session(true, UDP_CARRIER, Payload::Ethernet), &checksums),
        Some(Refused::ZeroChecksum)
    ));
    // There is none over IP, and over IPv4 nobody asks.
    assert!(refused(&session(true, Carrier::Ip, Payload::Ethernet), &checksums).is_none());
    assert!(refused(&udp4, &checksums).is_none());
}
