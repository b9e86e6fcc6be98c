//! What `show` writes: text and JSON, as iproute2 writes them.

use core::fmt::Write as _;

use l2tp_abi::genl::l2tp::{SessionMessage, TunnelMessage};
use serde::Serialize;

use super::address;
use super::json;
use super::options::Options;

/// The listing of tunnels.
pub(super) fn tunnels(list: &[TunnelMessage], options: &Options) -> String {
    if options.json {
        return json::array(list.iter().map(TunnelRow::from), options.pretty);
    }
    list.iter().map(tunnel_text).map(|text| if options.oneline { tunnel_line(&text) } else { text }).collect()
}

/// A tunnel's text in one line. That a tunnel over IP has no line end is original.
fn tunnel_line(text: &str) -> String {
    match text.strip_suffix('\n').filter(|text| text.contains("UDP checksum")) {
        Some(text) => text.replace('\n', "\\") + "\n",
        None => text.replace('\n', "\\"),
    }
}

/// The listing of sessions.
pub(super) fn sessions(list: &[SessionMessage], options: &Options) -> String {
    if options.json {
        return json::array(list.iter().map(SessionRow::from), options.pretty);
    }
    list.iter()
        .map(session_text)
        .map(|text| if options.oneline { session_lines(&text) } else { text })
        .collect()
}

/// A session's text in one line, but for the line end behind the offsets, which is original.
fn session_lines(text: &str) -> String {
    let (before, behind) = text.split_once("peer offset 0\n").unwrap_or((text, ""));
    let behind = behind.strip_suffix('\n').unwrap_or(behind);
    format!("{}peer offset 0\n{}\n", before.replace('\n', "\\"), behind.replace('\n', "\\"))
}

fn tunnel_text(tunnel: &TunnelMessage) -> String {
    let mut out = format!(
        "Tunnel {}, encap {}\n  From {} to {}\n  Peer tunnel {}\n",
        tunnel.conn_id,
        encap_name(tunnel.encap_type),
        address::text(tunnel.local),
        address::text(tunnel.peer),
        tunnel.peer_conn_id,
    );
    if let Some((sport, dport)) = tunnel.ports {
        let checksum = checksum_text(tunnel);
        _ = write!(out, "  UDP source / dest ports: {sport}/{dport}\n  UDP checksum: {checksum}\n");
    }
    out
}

fn encap_name(encap_type: u16) -> &'static str {
    match encap_type {
        0 => "UDP",
        1 => "IP",
        _ => "??",
    }
}

fn checksum_text(tunnel: &TunnelMessage) -> &'static str {
    let (tx, rx) = match tunnel.local.is_ipv4() {
        true => (tunnel.udp_csum == Some(true), tunnel.udp_csum == Some(true)),
        false => (!tunnel.udp_zero_csum6_tx, !tunnel.udp_zero_csum6_rx),
    };
    match (tx, rx) {
        (true, true) => "enabled",
        (true, false) => "tx",
        (false, true) => "rx",
        (false, false) => "disabled",
    }
}

fn session_text(session: &SessionMessage) -> String {
    let mut out = format!(
        "Session {} in tunnel {}\n  Peer session {}, tunnel {}\n",
        session.session_id, session.conn_id, session.peer_session_id, session.peer_conn_id,
    );
    if let Some(ifname) = &session.ifname {
        _ = writeln!(out, "  interface name: {ifname}");
    }
    if let Some(vlan_id) = session.vlan_id {
        _ = writeln!(out, "  VLAN: {vlan_id}");
    }
    out.push_str("  offset 0, peer offset 0\n");
    out.push_str(&session_line(session));
    if session.send_seq || session.recv_seq {
        let send = if session.send_seq { " send" } else { "" };
        let recv = if session.recv_seq { " recv" } else { "" };
        _ = writeln!(out, "  sequence numbering:{send}{recv}");
    }
    out
}

/// Cookies and reorder timeout share a line, which is there even when it is empty.
fn session_line(session: &SessionMessage) -> String {
    let mut line = String::new();
    for (name, cookie) in [("cookie", &session.cookie), ("peer cookie", &session.peer_cookie)] {
        if !cookie.is_empty() {
            _ = write!(line, "  {name} {}", hex(cookie));
        }
    }
    if session.recv_timeout != 0 {
        _ = write!(line, "  reorder timeout: {}", session.recv_timeout);
    }
    line.push('\n');
    line
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        _ = write!(text, "{byte:02x}");
        text
    })
}

/// A tunnel in JSON.
#[derive(Serialize)]
struct TunnelRow {
    tunnel_id: u32,
    encap: &'static str,
    local: String,
    peer: String,
    peer_tunnel: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    local_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer_port: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checksum: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checksum_tx: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    checksum_rx: Option<bool>,
}

impl From<&TunnelMessage> for TunnelRow {
    fn from(tunnel: &TunnelMessage) -> Self {
        let udp = tunnel.ports.is_some();
        let (v4, v6) = (udp && tunnel.local.is_ipv4(), udp && tunnel.local.is_ipv6());
        Self {
            tunnel_id: tunnel.conn_id,
            encap: encap_name(tunnel.encap_type),
            local: address::text(tunnel.local),
            peer: address::text(tunnel.peer),
            peer_tunnel: tunnel.peer_conn_id,
            local_port: tunnel.ports.map(|(sport, _)| sport),
            peer_port: tunnel.ports.map(|(_, dport)| dport),
            checksum: v4.then_some(tunnel.udp_csum == Some(true)),
            checksum_tx: v6.then_some(!tunnel.udp_zero_csum6_tx),
            checksum_rx: v6.then_some(!tunnel.udp_zero_csum6_rx),
        }
    }
}

/// A session in JSON. `send_seq` and `recv_seq` are there with the value null, or not there.
#[derive(Serialize)]
struct SessionRow<'a> {
    session_id: u32,
    tunnel_id: u32,
    peer_session_id: u32,
    peer_tunnel_id: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    interface: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    vlan: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cookie: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    peer_cookie: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reorder_timeout: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    send_seq: Option<()>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recv_seq: Option<()>,
}

impl<'a> From<&'a SessionMessage> for SessionRow<'a> {
    fn from(session: &'a SessionMessage) -> Self {
        let hex_if_any = |bytes: &[u8]| (!bytes.is_empty()).then(|| hex(bytes));
        Self {
            session_id: session.session_id,
            tunnel_id: session.conn_id,
            peer_session_id: session.peer_session_id,
            peer_tunnel_id: session.peer_conn_id,
            interface: session.ifname.as_deref(),
            vlan: session.vlan_id,
            cookie: hex_if_any(&session.cookie),
            peer_cookie: hex_if_any(&session.peer_cookie),
            reorder_timeout: (session.recv_timeout != 0).then_some(session.recv_timeout),
            send_seq: session.send_seq.then_some(()),
            recv_seq: session.recv_seq.then_some(()),
        }
    }
}
