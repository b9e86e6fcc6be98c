//! What happened, as text and as JSON.

use std::fmt::{self, Display};
use std::net::{IpAddr, SocketAddr};

use l2tp_abi::genl::l2tp::{L2TP_ENCAPTYPE_UDP, L2TP_PWTYPE_ETH, L2TP_PWTYPE_ETH_VLAN, L2TP_PWTYPE_PPP};
use l2tp_client::{Change, Event, SessionMessage, Stats, TunnelMessage};
use serde_json::{Value, json};

/// One line, without its end.
pub(super) fn text(event: &Event) -> String {
    match event {
        Event::Tunnel(change, tunnel) => tunnel_text(*change, tunnel),
        Event::Session(change, session) => session_text(*change, session),
        Event::Lost => "events were lost here: they came faster than they were read".to_owned(),
    }
}

/// One JSON object, on one line.
pub(super) fn json(event: &Event) -> String {
    match event {
        Event::Tunnel(change, tunnel) => tunnel_json(*change, tunnel),
        Event::Session(change, session) => session_json(*change, session),
        Event::Lost => json!({ "event": "lost" }),
    }
    .to_string()
}

const fn name(change: Change) -> &'static str {
    match change {
        Change::Created => "created",
        Change::Modified => "modified",
        Change::Deleted => "deleted",
        Change::Died => "died",
    }
}

fn tunnel_text(change: Change, tunnel: &TunnelMessage) -> String {
    let (what, ports) = (name(change), tunnel.ports);
    let mut text = format!("tunnel {} {what}, peer {}", tunnel.conn_id, tunnel.peer_conn_id);
    if tunnel.proto_version != 3 {
        text += &format!(", L2TPv{}", tunnel.proto_version);
    }
    let (local, peer) = (end(tunnel.local, ports.map(|p| p.0)), end(tunnel.peer, ports.map(|p| p.1)));
    text += &format!(", encap {}, {local} to {peer}", encap_name(tunnel.encap_type));
    text + &counts(change, &tunnel.stats)
}

fn session_text(change: Change, session: &SessionMessage) -> String {
    let (id, tunnel, what) = (session.session_id, session.conn_id, name(change));
    let mut text = format!("session {id} in tunnel {tunnel} {what}, peer {}", session.peer_session_id);
    text += &format!(", {}", pw_name(session.pw_type));
    if let Some(ifname) = &session.ifname {
        text += &format!(", interface {ifname}");
    }
    if session.send_seq || session.recv_seq {
        text += ", sequence numbers";
        text += if session.send_seq { " send" } else { "" };
        text += if session.recv_seq { " recv" } else { "" };
    }
    text += if session.lns_mode { ", LNS" } else { "" };
    if session.recv_timeout > 0 {
        text += &format!(", reorder timeout {} ms", session.recv_timeout);
    }
    text + &counts(change, &session.stats)
}

/// What was carried, at the end.
fn counts(change: Change, stats: &Stats) -> String {
    if !matches!(change, Change::Deleted | Change::Died) {
        return String::new();
    }
    let Stats { tx_packets, tx_bytes, rx_packets, rx_bytes, .. } = stats;
    format!(", sent {tx_packets} packets of {tx_bytes} bytes, received {rx_packets} of {rx_bytes}")
}

/// An address, with its port over UDP.
fn end(address: IpAddr, port: Option<u16>) -> impl Display {
    fmt::from_fn(move |f| match port {
        Some(port) => SocketAddr::new(address, port).fmt(f),
        None => address.fmt(f),
    })
}

fn tunnel_json(change: Change, tunnel: &TunnelMessage) -> Value {
    json!({
        "event": format!("tunnel_{}", name(change)),
        "tunnel_id": tunnel.conn_id,
        "peer_tunnel_id": tunnel.peer_conn_id,
        "version": tunnel.proto_version,
        "encap": encap_name(tunnel.encap_type),
        "local": tunnel.local,
        "peer": tunnel.peer,
        "local_port": tunnel.ports.map(|ports| ports.0),
        "peer_port": tunnel.ports.map(|ports| ports.1),
        "stats": stats_json(&tunnel.stats),
    })
}

fn session_json(change: Change, session: &SessionMessage) -> Value {
    json!({
        "event": format!("session_{}", name(change)),
        "session_id": session.session_id,
        "tunnel_id": session.conn_id,
        "peer_session_id": session.peer_session_id,
        "peer_tunnel_id": session.peer_conn_id,
        "pw_type": pw_name(session.pw_type),
        "interface": session.ifname,
        "send_seq": session.send_seq,
        "recv_seq": session.recv_seq,
        "lns_mode": session.lns_mode,
        "reorder_timeout": session.recv_timeout,
        "stats": stats_json(&session.stats),
    })
}

fn stats_json(stats: &Stats) -> Value {
    json!({
        "tx_packets": stats.tx_packets,
        "tx_bytes": stats.tx_bytes,
        "tx_errors": stats.tx_errors,
        "rx_packets": stats.rx_packets,
        "rx_bytes": stats.rx_bytes,
        "rx_errors": stats.rx_errors,
        "rx_seq_discards": stats.rx_seq_discards,
        "rx_oos_packets": stats.rx_oos_packets,
        "rx_cookie_discards": stats.rx_cookie_discards,
        "rx_invalid": stats.rx_invalid,
    })
}

const fn encap_name(encap_type: u16) -> &'static str {
    if encap_type == L2TP_ENCAPTYPE_UDP { "UDP" } else { "IP" }
}

const fn pw_name(pw_type: u16) -> &'static str {
    match pw_type {
        L2TP_PWTYPE_ETH => "ETH",
        L2TP_PWTYPE_ETH_VLAN => "ETH_VLAN",
        L2TP_PWTYPE_PPP => "PPP",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tunnel() -> TunnelMessage {
        TunnelMessage {
            proto_version: 3,
            conn_id: 1,
            peer_conn_id: 2,
            local: [192, 0, 2, 1].into(),
            peer: [192, 0, 2, 2].into(),
            ports: Some((5000, 5001)),
            udp_csum: Some(false),
            stats: Stats { tx_packets: 4, tx_bytes: 400, rx_packets: 3, rx_bytes: 300, ..Stats::default() },
            ..TunnelMessage::default()
        }
    }

    fn session() -> SessionMessage {
        let ifname = Some("l2tpeth0".to_owned());
        SessionMessage {
            conn_id: 1,
            session_id: 10,
            peer_session_id: 20,
            pw_type: 5,
            ifname,
            ..Default::default()
        }
    }

    fn tunnel_told(change: Change) -> String {
        text(&Event::Tunnel(change, tunnel()))
    }

    #[test]
    fn the_life_of_a_tunnel() {
        let told = "peer 2, encap UDP, 192.0.2.1:5000 to 192.0.2.2:5001";
        let ended = "sent 4 packets of 400 bytes, received 3 of 300";
        for (change, want) in [
            (Change::Created, format!("tunnel 1 created, {told}")),
            (Change::Modified, format!("tunnel 1 modified, {told}")),
            (Change::Deleted, format!("tunnel 1 deleted, {told}, {ended}")),
            (Change::Died, format!("tunnel 1 died, {told}, {ended}")),
        ] {
            assert_eq!(tunnel_told(change), want);
        }
    }

    #[test]
    fn other_kinds_of_tunnels() {
        let (local, peer) = ("2001:db8::1".parse().unwrap(), "2001:db8::2".parse().unwrap());
        let v6 = TunnelMessage { proto_version: 2, local, peer, ..tunnel() };
        let want = "tunnel 1 created, peer 2, L2TPv2, encap UDP, [2001:db8::1]:5000 to [2001:db8::2]:5001";
        assert_eq!(text(&Event::Tunnel(Change::Created, v6.clone())), want);
        let ip = TunnelMessage { proto_version: 3, encap_type: 1, ports: None, ..v6 };
        let want = "tunnel 1 created, peer 2, encap IP, 2001:db8::1 to 2001:db8::2";
        assert_eq!(text(&Event::Tunnel(Change::Created, ip)), want);
    }

    #[test]
    fn the_life_of_a_session() {
        let told = "peer 20, ETH, interface l2tpeth0";
        let event = Event::Session(Change::Created, session());
        assert_eq!(text(&event), format!("session 10 in tunnel 1 created, {told}"));
        let changed =
            SessionMessage { send_seq: true, recv_seq: true, lns_mode: true, recv_timeout: 52, ..session() };
        let settings = "sequence numbers send recv, LNS, reorder timeout 52 ms";
        let event = Event::Session(Change::Modified, changed);
        assert_eq!(text(&event), format!("session 10 in tunnel 1 modified, {told}, {settings}"));
        let event = Event::Session(Change::Died, session());
        let want = format!("session 10 in tunnel 1 died, {told}, sent 0 packets of 0 bytes, received 0 of 0");
        assert_eq!(text(&event), want);
    }

    #[test]
    fn json_lines() {
        let line = json(&Event::Tunnel(Change::Died, tunnel()));
        let value: Value = serde_json::from_str(&line).unwrap();
        assert!(line.starts_with("{\"event\":\"tunnel_died\",\"tunnel_id\":1,") && !line.contains('\n'));
        assert_eq!((&value["local"], &value["peer_port"]), (&json!("192.0.2.1"), &json!(5001)));
        assert_eq!(value["stats"]["rx_bytes"], 300);
        let value: Value = serde_json::from_str(&json(&Event::Session(Change::Created, session()))).unwrap();
        assert_eq!((&value["event"], &value["interface"]), (&json!("session_created"), &json!("l2tpeth0")));
    }

    #[test]
    fn what_was_lost_is_told() {
        assert_eq!(json(&Event::Lost), "{\"event\":\"lost\"}");
        assert!(text(&Event::Lost).starts_with("events were lost"));
    }
}
