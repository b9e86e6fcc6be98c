//! Requests, as `ip` sends them and beyond.

use crate::recorded::{REQUESTS, first, through_their_codec, unhex};
use l2tp_abi::genl::GENL_HDRLEN;
use l2tp_abi::genl::l2tp::{
    self, Request, SessionCreate, SessionKey, SessionModify, TunnelCreate, TunnelSocket,
};
use l2tp_abi::nl::Attributes;

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
