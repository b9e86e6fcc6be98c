//! A command of any bytes. Fields come from small sets, so that commands meet one another.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use l2tp_abi::genl::l2tp::{Request, SessionCreate, SessionKey, SessionModify, TunnelCreate, TunnelSocket};

/// Ids that are equal in 16 bits, and the ends of the range.
const IDS: [u32; 8] = [1, 2, 3, 4, 0, 0x1_0001, 0x1_0002, u32::MAX];
const VERSIONS: [u8; 8] = [3, 3, 3, 3, 2, 2, 4, 1];
const ENCAPS: [u16; 8] = [0, 0, 0, 0, 1, 1, 1, 2];
const PSEUDOWIRES: [u16; 8] = [5, 5, 5, 7, 7, 0, 8, 12];
const SUBLAYERS: [Option<u8>; 4] = [None, Some(1), Some(0), Some(2)];
const COOKIES: [usize; 8] = [0, 0, 4, 8, 1, 7, 8, 9];
const TIMEOUTS: [u64; 4] = [0, 50, 4, 1001];
const NAMES: [Option<&str>; 8] =
    [None, None, None, Some("l2a"), Some("l2b%d"), Some("l2tpeth0"), Some("a/b"), Some("name_of_16_bytes")];

/// The command that the bytes of `byte` describe.
pub fn command(byte: &mut impl FnMut() -> u8) -> Request {
    let kind = byte();
    match kind % 16 {
        0..=2 => Request::TunnelCreate(tunnel_create(byte)),
        3 => Request::TunnelDelete(id(byte)),
        4 => Request::TunnelGet(id(byte)),
        5 => Request::TunnelModify(id(byte)),
        6 => Request::TunnelDump,
        7..=10 => Request::SessionCreate(session_create(byte)),
        11 => Request::SessionDelete(session_key(byte)),
        12 => Request::SessionModify(session_modify(byte)),
        13 => Request::SessionGet(session_key(byte)),
        14 => Request::SessionDump,
        _ => Request::Noop,
    }
}

fn one_of<T: Copy>(byte: u8, values: &[T]) -> T {
    values[usize::from(byte) % values.len()]
}

fn id(byte: &mut impl FnMut() -> u8) -> u32 {
    one_of(byte(), &IDS)
}

fn flag(bits: u8, bit: u8) -> bool {
    bits & (1 << bit) != 0
}

/// Between two ends of `lo`. A port is of one family, so that each can be had once.
fn tunnel_create(byte: &mut impl FnMut() -> u8) -> TunnelCreate {
    let (bits, port) = (byte(), u16::from(byte() % 8));
    let (v4, v6) = (IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST));
    let (local, ports) = if flag(bits, 0) { (v6, (6001 + port, 6000)) } else { (v4, (5001 + port, 5000)) };
    // One in 16 has two families.
    let peer = if bits >> 4 == 0 && local == v4 { v6 } else { local };
    let encap_type = one_of(byte(), &ENCAPS);
    TunnelCreate {
        conn_id: id(byte),
        peer_conn_id: id(byte),
        proto_version: one_of(byte(), &VERSIONS),
        encap_type,
        socket: TunnelSocket::Addresses { local, peer, ports: (encap_type == 0).then_some(ports) },
        udp_csum: flag(bits, 1),
        udp_zero_csum6_tx: flag(bits, 2),
        udp_zero_csum6_rx: flag(bits, 3),
    }
}

fn session_create(byte: &mut impl FnMut() -> u8) -> SessionCreate {
    let bits = byte();
    SessionCreate {
        conn_id: id(byte),
        peer_conn_id: 0,
        session_id: id(byte),
        peer_session_id: id(byte),
        pw_type: one_of(byte(), &PSEUDOWIRES),
        l2spec_type: one_of(byte(), &SUBLAYERS),
        recv_seq: flag(bits, 0),
        send_seq: flag(bits, 1),
        lns_mode: flag(bits, 2),
        recv_timeout: one_of(bits >> 3, &TIMEOUTS),
        cookie: vec![0xc0; one_of(byte(), &COOKIES)],
        peer_cookie: vec![0xc1; one_of(byte(), &COOKIES)],
        ifname: one_of(byte(), &NAMES).map(str::to_owned),
        vlan_id: None,
    }
}

fn session_key(byte: &mut impl FnMut() -> u8) -> SessionKey {
    match one_of(byte(), &NAMES) {
        Some(name) => SessionKey::Ifname(name.to_owned()),
        None => SessionKey::Ids { conn_id: id(byte), session_id: id(byte) },
    }
}

fn session_modify(byte: &mut impl FnMut() -> u8) -> SessionModify {
    let key = session_key(byte);
    let (given, bits) = (byte(), byte());
    let set = |bit| flag(given, bit).then(|| flag(bits, bit));
    SessionModify {
        key,
        recv_seq: set(0),
        send_seq: set(1),
        lns_mode: set(2),
        recv_timeout: flag(given, 3).then(|| one_of(bits >> 3, &TIMEOUTS)),
    }
}
