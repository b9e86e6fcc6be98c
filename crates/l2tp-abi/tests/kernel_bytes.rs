//! Our codec against bytes recorded from real kernels and against an independent codec.
#![cfg(target_endian = "little")]
#![expect(
    clippy::unwrap_used,
    reason = "integration tests are not covered by allow-unwrap-in-tests outside test functions"
)]

use l2tp_abi::genl::ctrl::{self, FamilyMessage};
use l2tp_abi::genl::l2tp::{
    self, Request, SessionCreate, SessionKey, SessionMessage, SessionModify, TunnelCreate, TunnelMessage,
    TunnelSocket,
};
use l2tp_abi::genl::{GENL_HDRLEN, GenlHeader};
use l2tp_abi::nl::{
    Ack, AckOptions, Attributes, ExtAck, Message, Messages, NLMSG_ERROR, Policy, Strictness, emit_ack,
};
use netlink_packet_core::NetlinkMessage;
use netlink_packet_generic::GenlMessage;
use netlink_packet_l2tp::L2tpMessage;
use proptest::prelude::*;
use serde_json::Value;

const ORACLE: &str = include_str!("../../../tests/vectors/kernel/errno-oracle.json");
const REQUESTS: &str = include_str!("../../../tests/vectors/kernel/ip-l2tp-requests.txt");
const NLCTRL: &str = include_str!("../../../tests/vectors/kernel/nlctrl.json");

fn unhex(hex: &str) -> Vec<u8> {
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// Every string under a key "hex", anywhere in the oracle.
fn collect_hex(value: &Value, found: &mut Vec<Vec<u8>>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value.as_str() {
                    Some(hex) if key == "hex" => found.push(unhex(hex)),
                    _ => collect_hex(value, found),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| collect_hex(value, found)),
        _ => {}
    }
}

/// Every reply and notification of the oracle.
fn recorded() -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    collect_hex(&serde_json::from_str(ORACLE).unwrap(), &mut found);
    found
}

fn first(datagram: &[u8]) -> Message<'_> {
    Messages::new(datagram).next().unwrap()
}

fn is_tunnel(cmd: u8) -> bool {
    (l2tp::L2TP_CMD_TUNNEL_CREATE..=l2tp::L2TP_CMD_TUNNEL_GET).contains(&cmd)
}

fn is_session(cmd: u8) -> bool {
    (l2tp::L2TP_CMD_SESSION_CREATE..=l2tp::L2TP_CMD_SESSION_GET).contains(&cmd)
}

/// Parses and emits again.
fn reemit(bytes: &[u8]) -> Vec<u8> {
    let message = first(bytes);
    let (genl, _) = GenlHeader::split(message.payload).unwrap();
    let mut out = Vec::new();
    if is_tunnel(genl.cmd) {
        let (cmd, tunnel) = TunnelMessage::parse(&message).unwrap();
        tunnel.emit(&mut out, message.header, cmd);
    } else if is_session(genl.cmd) {
        let (cmd, session) = SessionMessage::parse(&message).unwrap();
        session.emit(&mut out, message.header, cmd);
    } else {
        genl.begin(&mut out, message.header).finish();
    }
    out
}

#[test]
fn recorded_replies_and_notifications_come_out_as_they_went_in() {
    let all = recorded();
    assert!(all.len() > 70, "only {} messages found", all.len());
    for bytes in &all {
        assert_eq!(&reemit(bytes), bytes);
    }
}

/// Parses and emits with netlink-packet-l2tp.
fn through_their_codec(bytes: &[u8]) -> Vec<u8> {
    let theirs = NetlinkMessage::<GenlMessage<L2tpMessage>>::deserialize(bytes).unwrap();
    let mut again = vec![0; theirs.buffer_len()];
    theirs.serialize(&mut again);
    again
}

#[test]
fn an_independent_codec_reads_the_same() {
    for bytes in recorded() {
        let again = through_their_codec(&bytes);
        let message = first(&bytes);
        let (genl, _) = GenlHeader::split(message.payload).unwrap();
        if is_session(genl.cmd) {
            assert_eq!(SessionMessage::parse(&first(&again)), SessionMessage::parse(&message));
        } else if is_tunnel(genl.cmd) {
            assert_eq!(TunnelMessage::parse(&first(&again)), TunnelMessage::parse(&message));
        }
    }
}

fn tunnel(local: &str, peer: &str, encap_type: u16) -> TunnelCreate {
    let ports = (encap_type == l2tp::L2TP_ENCAPTYPE_UDP).then_some((5000, 5001));
    TunnelCreate {
        conn_id: 1,
        peer_conn_id: 2,
        proto_version: 3,
        encap_type,
        socket: TunnelSocket::Addresses { local: local.parse().unwrap(), peer: peer.parse().unwrap(), ports },
        udp_csum: false,
        udp_zero_csum6_tx: false,
        udp_zero_csum6_rx: false,
    }
}

fn session() -> SessionCreate {
    SessionCreate {
        conn_id: 1,
        session_id: 3,
        peer_session_id: 4,
        pw_type: l2tp::L2TP_PWTYPE_ETH,
        l2spec_type: Some(l2tp::L2TP_L2SPECTYPE_DEFAULT),
        ..SessionCreate::default()
    }
}

/// Command lines of `ip l2tp` and what they mean.
fn known_requests() -> Vec<(&'static str, Request)> {
    let v4 = tunnel("192.0.2.1", "192.0.2.2", l2tp::L2TP_ENCAPTYPE_UDP);
    let v6_ip = tunnel("2001:db8::1", "2001:db8::2", l2tp::L2TP_ENCAPTYPE_IP);
    let all = SessionCreate {
        peer_conn_id: 9,
        recv_seq: true,
        send_seq: true,
        l2spec_type: Some(l2tp::L2TP_L2SPECTYPE_NONE),
        ifname: Some("x".into()),
        cookie: vec![1, 2, 3, 4],
        peer_cookie: vec![1, 2, 3, 4, 5, 6, 7, 8],
        ..session()
    };
    let common = "add tunnel tunnel_id 1 peer_tunnel_id 2 local 192.0.2.1 remote 192.0.2.2 udp_sport 5000 udp_dport 5001";
    vec![
        (common, Request::TunnelCreate(v4.clone())),
        (
            "add tunnel tunnel_id 1 peer_tunnel_id 2 local 192.0.2.1 remote 192.0.2.2 udp_sport 5000 udp_dport 5001 udp_csum on",
            Request::TunnelCreate(TunnelCreate { udp_csum: true, ..v4.clone() }),
        ),
        (
            "add tunnel tunnel_id 1 peer_tunnel_id 2 local 192.0.2.1 remote 192.0.2.2 udp_sport 5000 udp_dport 5001 udp6_csum_tx off",
            Request::TunnelCreate(TunnelCreate { udp_zero_csum6_tx: true, ..v4 }),
        ),
        (
            "add tunnel tunnel_id 1 peer_tunnel_id 2 local 2001:db8::1 remote 2001:db8::2 encap ip",
            Request::TunnelCreate(v6_ip),
        ),
        ("add session tunnel_id 1 session_id 3 peer_session_id 4", Request::SessionCreate(session())),
        (
            "add session tunnel_id 1 session_id 3 peer_session_id 4 peer_tunnel_id 9 seq both l2spec_type none name x cookie 01020304 peer_cookie 0102030405060708",
            Request::SessionCreate(all),
        ),
        (
            "del session tunnel_id 1 session_id 3",
            Request::SessionDelete(SessionKey::Ids { conn_id: 1, session_id: 3 }),
        ),
        ("del tunnel tunnel_id 3", Request::TunnelDelete(3)),
        ("show tunnel", Request::TunnelDump),
        ("show session", Request::SessionDump),
    ]
}

#[test]
fn requests_are_those_of_iproute2() {
    let lines: Vec<_> = REQUESTS.lines().collect();
    for (words, request) in known_requests() {
        let command = format!("$ ip l2tp {words}");
        let at =
            lines.iter().position(|line| *line == command).unwrap_or_else(|| panic!("not recorded: {words}"));
        let recorded = unhex(lines[at + 1].strip_prefix("> ").unwrap());
        let header = first(&recorded).header;
        assert_eq!(request.emit(header.kind, header.seq), recorded, "{words}");
    }
}

#[test]
fn an_independent_codec_reads_what_ip_never_sends() {
    let session = SessionCreate {
        lns_mode: true,
        recv_timeout: 1_000_000_000_000,
        vlan_id: Some(100),
        ifname: Some("l2tp%d".into()),
        ..session()
    };
    let modify = SessionModify {
        key: SessionKey::Ifname("l2x".into()),
        recv_seq: Some(false),
        send_seq: Some(true),
        lns_mode: None,
        recv_timeout: Some(0),
    };
    let managed =
        TunnelCreate { socket: TunnelSocket::Fd(7), ..tunnel("::", "::", l2tp::L2TP_ENCAPTYPE_UDP) };
    for request in [
        Request::Noop,
        Request::TunnelCreate(managed),
        Request::TunnelModify(5),
        Request::TunnelGet(5),
        Request::SessionCreate(session),
        Request::SessionModify(modify),
        Request::SessionGet(SessionKey::Ifname("l2x".into())),
    ] {
        let bytes = request.emit(0x23, 9);
        let again = through_their_codec(&bytes);
        let contents = |bytes| {
            Attributes::new(&first(bytes).payload[GENL_HDRLEN..]).map(|a| (a.kind, a.payload.to_vec()))
        };
        assert_eq!(contents(&again).collect::<Vec<_>>(), contents(&bytes).collect::<Vec<_>>(), "{request:?}");
    }
}

#[test]
fn the_policy_is_the_one_that_the_kernel_tells() {
    let oracle: Value = serde_json::from_str(ORACLE).unwrap();
    let told = oracle["policy"]["0"].as_object().unwrap();
    let numbers = [
        "",
        "FLAG",
        "U8",
        "U16",
        "U32",
        "U64",
        "",
        "",
        "",
        "",
        "BINARY",
        "",
        "NUL_STRING",
        "NESTED",
        "",
        "",
        "",
        "UINT",
    ];
    // The kernel tells its policy in the order of the attribute types, those without a rule left out.
    let mut described = 0;
    for ((kind, rule), (name, want)) in
        l2tp::POLICY.rules().filter(|(_, rule)| *rule != l2tp_abi::nl::Rule::Unspec).zip(told)
    {
        let mut out = Vec::new();
        ctrl::emit_rule(&mut out, first(&Request::Noop.emit(0x23, 1)).header, 0x23, 0, (kind, rule));
        let nest =
            Attributes::new(&first(&out).payload[GENL_HDRLEN..]).find_last(ctrl::CTRL_ATTR_POLICY).unwrap();
        let rule = nest.attributes().find_last(0).and_then(|a| a.attributes().find_last(kind)).unwrap();
        let number = rule.attributes().find_last(1).and_then(|a| a.u32()).unwrap();
        assert_eq!(numbers[usize::try_from(number).unwrap()], want["type"], "{name}");
        assert_eq!(rule.attributes().find_last(5).and_then(|a| a.u64()), want["max"].as_u64(), "{name}");
        assert_eq!(
            rule.attributes().find_last(7).and_then(|a| a.u32()).map(u64::from),
            want["max_length"].as_u64(),
            "{name}"
        );
        described += 1;
    }
    assert_eq!(described, told.len());
}

/// A recorded conversation with the controller: name, socket options, request, replies.
type Conversation = (String, AckOptions, Vec<u8>, Vec<Vec<u8>>);

fn conversations() -> Vec<Conversation> {
    let recorded: Value = serde_json::from_str(NLCTRL).unwrap();
    let hex = |value: &Value| unhex(value.as_str().unwrap());
    let cases = recorded["cases"].as_array().unwrap().iter();
    cases
        .map(|case| {
            let flag = |key: &str| case[key].as_bool().unwrap();
            let options = AckOptions { cap_ack: flag("cap_ack"), ext_ack: flag("ext_ack") };
            let replies = case["replies"].as_array().unwrap().iter().map(hex).collect();
            (case["name"].as_str().unwrap().to_owned(), options, hex(&case["request"]), replies)
        })
        .collect()
}

#[test]
fn families_come_out_as_they_went_in() {
    let mut found = 0;
    for (name, _, _, replies) in conversations() {
        for reply in &replies {
            let message = first(reply);
            if let Some(family) = FamilyMessage::parse(&message) {
                let mut out = Vec::new();
                family.emit(&mut out, message.header);
                assert_eq!(&out, reply, "{name}");
                assert_eq!((family.name.as_str(), family.id, family.ops.len()), ("nlctrl", 0x10, 2));
                found += 1;
            }
        }
    }
    assert!(found > 10);
}

/// The kernel's answer to a request that breaks the policy, byte for byte.
#[test]
fn refusals_are_those_of_the_kernel() {
    let mut seen = 0;
    for (name, options, request, replies) in conversations() {
        let message = first(&request);
        let Some((genl, _)) = GenlHeader::split(message.payload) else { continue };
        let mut ext = ExtAck::default();
        let result = if genl.cmd == ctrl::CTRL_CMD_GETPOLICY && message.header.is_dump() {
            refusal(&ctrl::GETPOLICY_POLICY, &request, Strictness::Strict, &mut ext)
        } else if genl.cmd == ctrl::CTRL_CMD_GETFAMILY {
            refusal(&ctrl::GETFAMILY_POLICY, &request, Strictness::Liberal, &mut ext)
        } else {
            None
        };
        if let Some(errno) = result {
            let mut out = Vec::new();
            emit_ack(&mut out, &message, first(&replies[0]).header.port, options, Some(errno), &ext);
            assert_eq!(out, replies[0], "{name}, {options:?}");
            seen += 1;
        }
    }
    assert_eq!(seen, 3 * 7);
}

fn refusal<const N: usize>(
    policy: &Policy<N>,
    request: &[u8],
    strictness: Strictness,
    ext: &mut ExtAck,
) -> Option<l2tp_abi::Errno> {
    policy.validate(request, GENL_HDRLEN, strictness, ext).err()
}

#[test]
fn errors_are_read_back() {
    let mut texts = 0;
    for (_, _, request, replies) in conversations() {
        for reply in replies {
            let message = first(&reply);
            let ack = Ack::parse(&message);
            assert_eq!(ack.is_some(), message.header.kind == NLMSG_ERROR);
            let Some(ack) = ack else { continue };
            assert_eq!(ack.request, first(&request).header);
            texts += usize::from(ack.message.is_some());
        }
    }
    assert!(texts > 10);
}

proptest! {
    /// Any bytes give a value or nothing, and never a panic.
    #[test]
    fn no_bytes_are_fatal(bytes in proptest::collection::vec(any::<u8>(), 0..400), fixed in 0_usize..500) {
        for message in Messages::new(&bytes) {
            let _ = TunnelMessage::parse(&message);
            let _ = SessionMessage::parse(&message);
            let _ = FamilyMessage::parse(&message);
            let _ = Ack::parse(&message);
            let _ = l2tp_abi::nl::done_errno(&message);
        }
        for strictness in [Strictness::Liberal, Strictness::Strict] {
            let _ = l2tp::POLICY.validate(&bytes, fixed, strictness, &mut ExtAck::default());
        }
    }

    /// The same for real messages with some bytes changed and the end cut off, which get deeper into the parsers.
    #[test]
    fn damaged_messages_are_not_fatal(
        which in any::<prop::sample::Index>(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let all = recorded();
        let mut bytes = which.get(&all).clone();
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(cut.index(bytes.len()) + 1);
        let len = u32::try_from(bytes.len()).unwrap();
        if let Some(field) = bytes.first_chunk_mut::<4>() {
            *field = len.to_ne_bytes();
        }
        for message in Messages::new(&bytes) {
            if let Some((cmd, tunnel)) = TunnelMessage::parse(&message) {
                let mut out = Vec::new();
                tunnel.emit(&mut out, message.header, cmd);
                prop_assert_eq!(TunnelMessage::parse(&first(&out)).unwrap().1.conn_id, tunnel.conn_id);
            }
            if let Some((cmd, session)) = SessionMessage::parse(&message) {
                let mut out = Vec::new();
                session.emit(&mut out, message.header, cmd);
                prop_assert_eq!(SessionMessage::parse(&first(&out)).unwrap(), (cmd, session));
            }
        }
    }
}
