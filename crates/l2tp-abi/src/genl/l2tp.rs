//! The "l2tp" generic netlink family: commands, attributes and the two messages that describe a tunnel and a session.
//!
//! Source: `include/uapi/linux/l2tp.h`; the order of the attributes is that of `net/l2tp/l2tp_netlink.c`.

mod request;
mod session;
mod stats;
mod tunnel;
mod uapi;

pub use request::{Request, SessionCreate, SessionKey, SessionModify, TunnelCreate, TunnelSocket};
pub use uapi::*;

use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

/// A tunnel as `L2TP_CMD_TUNNEL_GET` reports it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TunnelMessage {
    /// `L2TP_ATTR_PROTO_VERSION`: 2 or 3 (the kernel takes any value).
    pub proto_version: u8,
    /// `L2TP_ATTR_CONN_ID`: our tunnel id.
    pub conn_id: u32,
    /// `L2TP_ATTR_PEER_CONN_ID`: the peer's tunnel id.
    pub peer_conn_id: u32,
    /// `L2TP_ATTR_ENCAP_TYPE`: 0 UDP, 1 IP.
    pub encap_type: u16,
    /// `L2TP_ATTR_STATS`.
    pub stats: Stats,
    /// Local address of the tunnel's socket, as it is now.
    pub local: IpAddr,
    /// Peer address of the tunnel's socket, as it is now; of the same family as `local`.
    pub peer: IpAddr,
    /// `L2TP_ATTR_UDP_SPORT`, `L2TP_ATTR_UDP_DPORT`: present with UDP encapsulation. Host byte order.
    pub ports: Option<(u16, u16)>,
    /// `L2TP_ATTR_UDP_CSUM`: over IPv4 whether checksums are sent; present with UDP over IPv4.
    pub udp_csum: Option<bool>,
    /// `L2TP_ATTR_UDP_ZERO_CSUM6_TX`: over IPv6, no checksum is sent.
    pub udp_zero_csum6_tx: bool,
    /// `L2TP_ATTR_UDP_ZERO_CSUM6_RX`: over IPv6, packets without checksum are taken.
    pub udp_zero_csum6_rx: bool,
}

/// A session as `L2TP_CMD_SESSION_GET` reports it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionMessage {
    /// `L2TP_ATTR_CONN_ID`: our tunnel id.
    pub conn_id: u32,
    /// `L2TP_ATTR_SESSION_ID`.
    pub session_id: u32,
    /// `L2TP_ATTR_PEER_CONN_ID`: the peer's tunnel id.
    pub peer_conn_id: u32,
    /// `L2TP_ATTR_PEER_SESSION_ID`.
    pub peer_session_id: u32,
    /// `L2TP_ATTR_PW_TYPE`: 4 one VLAN, 5 Ethernet, 7 PPP.
    pub pw_type: u16,
    /// `L2TP_ATTR_VLAN_ID`: the VLAN of a VLAN pseudowire, of which the kernel has none.
    pub vlan_id: Option<u16>,
    /// `L2TP_ATTR_IFNAME`: the device's name at creation; Ethernet only.
    pub ifname: Option<String>,
    /// `L2TP_ATTR_COOKIE`: the cookie that we send; empty: none.
    pub cookie: Vec<u8>,
    /// `L2TP_ATTR_PEER_COOKIE`: the cookie that we expect; empty: none.
    pub peer_cookie: Vec<u8>,
    /// `L2TP_ATTR_RECV_SEQ`.
    pub recv_seq: bool,
    /// `L2TP_ATTR_SEND_SEQ`; a LAC's follows its peer.
    pub send_seq: bool,
    /// `L2TP_ATTR_LNS_MODE`.
    pub lns_mode: bool,
    /// `L2TP_ATTR_USING_IPSEC`.
    pub using_ipsec: bool,
    /// `L2TP_ATTR_RECV_TIMEOUT`: milliseconds; 0 (absent on the wire): no reorder queue.
    pub recv_timeout: u64,
    /// `L2TP_ATTR_STATS`.
    pub stats: Stats,
}

/// The ten counters nested in `L2TP_ATTR_STATS`, of a tunnel or a session. Bytes are those of the L2TP packet from its first
/// header byte, without UDP and IP.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Packets sent.
    pub tx_packets: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Packets that could not be sent.
    pub tx_errors: u64,
    /// Packets taken, delivered to the pseudowire.
    pub rx_packets: u64,
    /// Bytes of them.
    pub rx_bytes: u64,
    /// Dropped: no number where one is required, one out of order, or waited too long.
    pub rx_seq_discards: u64,
    /// Arrived before a packet with a later number left the reorder queue.
    pub rx_oos_packets: u64,
    /// Dropped by the session for any reason.
    pub rx_errors: u64,
    /// Dropped: wrong cookie.
    pub rx_cookie_discards: u64,
    /// Too short for the session's header, or of the wrong version (tunnels only).
    pub rx_invalid: u64,
}
