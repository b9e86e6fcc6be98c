//! The server and a codec that is not ours: requests encoded and replies decoded by netlink-packet-l2tp.

use crate::lab::Lab;
use l2tp_abi::genl::l2tp::{
    Request, SessionCreate, SessionKey, SessionMessage, SessionModify, Stats, TunnelCreate, TunnelMessage,
    TunnelSocket,
};
use l2tp_abi::nl::Messages;
use l2tp_mgmt::netlink::L2TP_FAMILY_ID;
use l2tp_model::command;
use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkMessage, NetlinkPayload};
use netlink_packet_generic::GenlMessage;
use netlink_packet_l2tp::{L2tpAttribute as A, L2tpCmd, L2tpIfName, L2tpMessage, L2tpStatsAttribute as S};
use proptest::prelude::*;
use std::net::IpAddr;

const SEQ: u32 = 7;

/// A request as their codec writes it; `None` where it refuses to.
fn encode(request: &Request) -> Option<Vec<u8>> {
    let mut l2tp = L2tpMessage::new(command_of(request));
    l2tp.attributes = attributes(request)?;
    let mut genl = GenlMessage::from_payload(l2tp);
    genl.set_resolved_family_id(L2TP_FAMILY_ID);
    let mut message = NetlinkMessage::from(genl);
    let is_dump = matches!(request, Request::TunnelDump | Request::SessionDump);
    message.header.flags = NLM_F_REQUEST | if is_dump { NLM_F_DUMP } else { NLM_F_ACK };
    message.header.sequence_number = SEQ;
    message.finalize();
    let mut bytes = vec![0; message.buffer_len()];
    message.serialize(&mut bytes);
    Some(bytes)
}

fn command_of(request: &Request) -> L2tpCmd {
    match request {
        Request::Noop => L2tpCmd::Noop,
        Request::TunnelCreate(_) => L2tpCmd::TunnelCreate,
        Request::TunnelDelete(_) => L2tpCmd::TunnelDelete,
        Request::TunnelModify(_) => L2tpCmd::TunnelModify,
        Request::TunnelGet(_) | Request::TunnelDump => L2tpCmd::TunnelGet,
        Request::SessionCreate(_) => L2tpCmd::SessionCreate,
        Request::SessionDelete(_) => L2tpCmd::SessionDelete,
        Request::SessionModify(_) => L2tpCmd::SessionModify,
        Request::SessionGet(_) | Request::SessionDump => L2tpCmd::SessionGet,
    }
}

fn attributes(request: &Request) -> Option<Vec<A>> {
    match request {
        Request::Noop | Request::TunnelDump | Request::SessionDump => Some(Vec::new()),
        Request::TunnelDelete(id) | Request::TunnelModify(id) | Request::TunnelGet(id) => {
            Some(vec![A::ConnId(*id)])
        }
        Request::TunnelCreate(create) => Some(tunnel_create(create)),
        Request::SessionCreate(create) => session_create(create),
        Request::SessionDelete(key) | Request::SessionGet(key) => session_key(key),
        Request::SessionModify(modify) => session_modify(modify),
    }
}

fn tunnel_create(create: &TunnelCreate) -> Vec<A> {
    let mut out = vec![
        A::ConnId(create.conn_id),
        A::PeerConnId(create.peer_conn_id),
        A::ProtoVersion(create.proto_version),
        A::EncapType(create.encap_type.into()),
    ];
    match create.socket {
        TunnelSocket::Fd(fd) => out.push(A::Fd(i32::try_from(fd).unwrap())),
        TunnelSocket::Addresses { local, peer, ports } => {
            out.push(match local {
                IpAddr::V4(ip) => A::IpSaddr(ip),
                IpAddr::V6(ip) => A::Ip6Saddr(ip),
            });
            out.push(match peer {
                IpAddr::V4(ip) => A::IpDaddr(ip),
                IpAddr::V6(ip) => A::Ip6Daddr(ip),
            });
            out.extend(ports.into_iter().flat_map(|(sport, dport)| [A::UdpSport(sport), A::UdpDport(dport)]));
        }
    }
    out.extend(create.udp_csum.then_some(A::UdpCsum(1)));
    out.extend(create.udp_zero_csum6_tx.then_some(A::UdpZeroCsum6Tx));
    out.extend(create.udp_zero_csum6_rx.then_some(A::UdpZeroCsum6Rx));
    out
}

fn session_create(create: &SessionCreate) -> Option<Vec<A>> {
    let mut out = vec![
        A::ConnId(create.conn_id),
        A::PeerConnId(create.peer_conn_id),
        A::SessionId(create.session_id),
        A::PeerSessionId(create.peer_session_id),
        A::PwType(create.pw_type.into()),
    ];
    if let Some(kind) = create.l2spec_type {
        out.extend([A::L2SpecType(kind), A::L2SpecLen(if kind == 1 { 4 } else { 0 })]);
    }
    out.extend(create.recv_seq.then_some(A::RecvSeq(1)));
    out.extend(create.send_seq.then_some(A::SendSeq(1)));
    out.extend(create.lns_mode.then_some(A::LnsMode(1)));
    out.extend((create.recv_timeout > 0).then_some(A::RecvTimeout(create.recv_timeout)));
    if !create.cookie.is_empty() {
        out.push(A::cookie(create.cookie.clone()).ok()?);
    }
    if !create.peer_cookie.is_empty() {
        out.push(A::peer_cookie(create.peer_cookie.clone()).ok()?);
    }
    if let Some(name) = &create.ifname {
        out.push(A::IfName(L2tpIfName::new(name).ok()?));
    }
    Some(out)
}

fn session_key(key: &SessionKey) -> Option<Vec<A>> {
    Some(match key {
        SessionKey::Ids { conn_id, session_id } => vec![A::ConnId(*conn_id), A::SessionId(*session_id)],
        SessionKey::Ifname(name) => vec![A::IfName(L2tpIfName::new(name).ok()?)],
    })
}

fn session_modify(modify: &SessionModify) -> Option<Vec<A>> {
    let mut out = session_key(&modify.key)?;
    out.extend(modify.recv_seq.map(|set| A::RecvSeq(set.into())));
    out.extend(modify.send_seq.map(|set| A::SendSeq(set.into())));
    out.extend(modify.lns_mode.map(|set| A::LnsMode(set.into())));
    out.extend(modify.recv_timeout.map(A::RecvTimeout));
    Some(out)
}

/// The attributes of a message as their codec reads them.
fn decode(bytes: &[u8]) -> Vec<A> {
    let message = NetlinkMessage::<GenlMessage<L2tpMessage>>::deserialize(bytes).unwrap();
    match message.payload {
        NetlinkPayload::InnerMessage(genl) => genl.payload.attributes,
        other => panic!("{other:?}"),
    }
}

/// What they say of a tunnel.
fn tunnel(attributes: &[A]) -> TunnelMessage {
    let mut tunnel = TunnelMessage::default();
    for attribute in attributes {
        match attribute {
            A::ProtoVersion(version) => tunnel.proto_version = *version,
            A::ConnId(id) => tunnel.conn_id = *id,
            A::PeerConnId(id) => tunnel.peer_conn_id = *id,
            A::EncapType(encap) => tunnel.encap_type = (*encap).into(),
            A::Stats(stats) => tunnel.stats = counters(stats),
            A::UdpCsum(value) => tunnel.udp_csum = Some(*value == 1),
            A::UdpZeroCsum6Tx => tunnel.udp_zero_csum6_tx = true,
            A::UdpZeroCsum6Rx => tunnel.udp_zero_csum6_rx = true,
            A::UdpSport(port) => tunnel.ports.get_or_insert_default().0 = *port,
            A::UdpDport(port) => tunnel.ports.get_or_insert_default().1 = *port,
            A::IpSaddr(ip) => tunnel.local = (*ip).into(),
            A::IpDaddr(ip) => tunnel.peer = (*ip).into(),
            A::Ip6Saddr(ip) => tunnel.local = (*ip).into(),
            A::Ip6Daddr(ip) => tunnel.peer = (*ip).into(),
            A::Debug(0) => {}
            other => panic!("{other:?}"),
        }
    }
    tunnel
}

/// What they say of a session.
fn session(attributes: &[A]) -> SessionMessage {
    let mut session = SessionMessage::default();
    for attribute in attributes {
        match attribute {
            A::ConnId(id) => session.conn_id = *id,
            A::SessionId(id) => session.session_id = *id,
            A::PeerConnId(id) => session.peer_conn_id = *id,
            A::PeerSessionId(id) => session.peer_session_id = *id,
            A::PwType(pw_type) => session.pw_type = (*pw_type).into(),
            A::IfName(name) => session.ifname = Some(name.to_str().unwrap().to_owned()),
            A::Cookie(cookie) => session.cookie.clone_from(cookie),
            A::PeerCookie(cookie) => session.peer_cookie.clone_from(cookie),
            A::RecvSeq(value) => session.recv_seq = *value == 1,
            A::SendSeq(value) => session.send_seq = *value == 1,
            A::LnsMode(value) => session.lns_mode = *value == 1,
            A::RecvTimeout(milliseconds) => session.recv_timeout = *milliseconds,
            A::Stats(stats) => session.stats = counters(stats),
            A::Debug(0) => {}
            other => panic!("{other:?}"),
        }
    }
    session
}

fn counters(attributes: &[S]) -> Stats {
    assert_eq!(attributes.len(), 10);
    let mut stats = Stats::default();
    for attribute in attributes {
        match attribute {
            S::TxPackets(value) => stats.tx_packets = *value,
            S::TxBytes(value) => stats.tx_bytes = *value,
            S::TxErrors(value) => stats.tx_errors = *value,
            S::RxPackets(value) => stats.rx_packets = *value,
            S::RxBytes(value) => stats.rx_bytes = *value,
            S::RxSeqDiscards(value) => stats.rx_seq_discards = *value,
            S::RxOosPackets(value) => stats.rx_oos_packets = *value,
            S::RxErrors(value) => stats.rx_errors = *value,
            S::RxCookieDiscards(value) => stats.rx_cookie_discards = *value,
            S::RxInvalid(value) => stats.rx_invalid = *value,
            other => panic!("{other:?}"),
        }
    }
    stats
}

proptest! {
    /// They write requests as we do, and read our replies as we do.
    #[test]
    fn both_codecs_say_the_same(bytes in proptest::collection::vec(any::<u8>(), 1..600)) {
        let mut lab = Lab::new();
        let mut bytes = bytes.into_iter();
        while bytes.len() > 0 {
            let request = command(&mut || bytes.next().unwrap_or_default());
            let Some(theirs) = encode(&request) else { continue };
            prop_assert_eq!(&theirs, &request.emit(L2TP_FAMILY_ID, SEQ), "{:?}", request);
            for reply in lab.ask(&theirs).messages {
                let (ours, theirs) = (Messages::new(&reply).next().unwrap(), decode(&reply));
                match request {
                    Request::TunnelGet(_) | Request::TunnelDump => {
                        prop_assert_eq!(tunnel(&theirs), TunnelMessage::parse(&ours).unwrap().1);
                    }
                    Request::SessionGet(_) | Request::SessionDump => {
                        prop_assert_eq!(session(&theirs), SessionMessage::parse(&ours).unwrap().1);
                    }
                    _ => prop_assert_eq!(theirs, []),
                }
            }
        }
    }
}
