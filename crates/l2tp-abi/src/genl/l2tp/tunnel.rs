//! The message that describes a tunnel.

use super::{
    L2TP_ATTR_CONN_ID, L2TP_ATTR_DEBUG, L2TP_ATTR_ENCAP_TYPE, L2TP_ATTR_IP_DADDR, L2TP_ATTR_IP_SADDR,
    L2TP_ATTR_IP6_DADDR, L2TP_ATTR_IP6_SADDR, L2TP_ATTR_PEER_CONN_ID, L2TP_ATTR_PROTO_VERSION,
    L2TP_ATTR_STATS, L2TP_ATTR_UDP_CSUM, L2TP_ATTR_UDP_DPORT, L2TP_ATTR_UDP_SPORT,
    L2TP_ATTR_UDP_ZERO_CSUM6_RX, L2TP_ATTR_UDP_ZERO_CSUM6_TX, L2TP_GENL_VERSION, Stats, TunnelMessage,
};
use crate::genl::GenlHeader;
use crate::nl::{Attribute, Attributes, Header, Message, MessageBuilder};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr};

impl TunnelMessage {
    /// Appends the message as a reply or notification `cmd` under `header`, its attributes in the kernel's order.
    pub fn emit(&self, out: &mut Vec<u8>, header: Header, cmd: u8) {
        let mut message = GenlHeader { cmd, version: L2TP_GENL_VERSION, reserved: 0 }.begin(out, header);
        message
            .u8(L2TP_ATTR_PROTO_VERSION, self.proto_version)
            .u32(L2TP_ATTR_CONN_ID, self.conn_id)
            .u32(L2TP_ATTR_PEER_CONN_ID, self.peer_conn_id)
            .u32(L2TP_ATTR_DEBUG, 0)
            .u16(L2TP_ATTR_ENCAP_TYPE, self.encap_type);
        self.stats.emit(&mut message);
        self.emit_socket(&mut message);
        message.finish();
    }

    fn emit_socket(&self, message: &mut MessageBuilder<'_>) {
        if let Some(csum) = self.udp_csum {
            message.u8(L2TP_ATTR_UDP_CSUM, csum.into());
        }
        message
            .flag(L2TP_ATTR_UDP_ZERO_CSUM6_TX, self.udp_zero_csum6_tx)
            .flag(L2TP_ATTR_UDP_ZERO_CSUM6_RX, self.udp_zero_csum6_rx);
        if let Some((sport, dport)) = self.ports {
            message.u16(L2TP_ATTR_UDP_SPORT, sport).u16(L2TP_ATTR_UDP_DPORT, dport);
        }
        emit_address(message, (L2TP_ATTR_IP_SADDR, L2TP_ATTR_IP6_SADDR), self.local);
        emit_address(message, (L2TP_ATTR_IP_DADDR, L2TP_ATTR_IP6_DADDR), self.peer);
    }

    /// Reads a reply or notification: its command and its content. `None` if it has no generic netlink header; what is
    /// missing or too short is zero, unspecified or `None`, what is unknown is passed over.
    #[must_use]
    pub fn parse(message: &Message<'_>) -> Option<(u8, Self)> {
        let (genl, attributes) = GenlHeader::split(message.payload)?;
        let mut tunnel = Self::default();
        for attribute in Attributes::new(attributes) {
            tunnel.take(&attribute);
        }
        Some((genl.cmd, tunnel))
    }

    fn take(&mut self, attribute: &Attribute<'_>) {
        match attribute.kind {
            L2TP_ATTR_PROTO_VERSION => self.proto_version = attribute.u8().unwrap_or_default(),
            L2TP_ATTR_CONN_ID => self.conn_id = attribute.u32().unwrap_or_default(),
            L2TP_ATTR_PEER_CONN_ID => self.peer_conn_id = attribute.u32().unwrap_or_default(),
            L2TP_ATTR_ENCAP_TYPE => self.encap_type = attribute.u16().unwrap_or_default(),
            L2TP_ATTR_STATS => self.stats = Stats::parse(attribute),
            L2TP_ATTR_UDP_CSUM => self.udp_csum = attribute.u8().map(|value| value != 0),
            L2TP_ATTR_UDP_ZERO_CSUM6_TX => self.udp_zero_csum6_tx = true,
            L2TP_ATTR_UDP_ZERO_CSUM6_RX => self.udp_zero_csum6_rx = true,
            L2TP_ATTR_UDP_SPORT => self.ports.get_or_insert_default().0 = attribute.u16().unwrap_or_default(),
            L2TP_ATTR_UDP_DPORT => self.ports.get_or_insert_default().1 = attribute.u16().unwrap_or_default(),
            L2TP_ATTR_IP_SADDR => self.local = attribute.ipv4().map_or(self.local, IpAddr::V4),
            L2TP_ATTR_IP_DADDR => self.peer = attribute.ipv4().map_or(self.peer, IpAddr::V4),
            L2TP_ATTR_IP6_SADDR => self.local = attribute.ipv6().into(),
            L2TP_ATTR_IP6_DADDR => self.peer = attribute.ipv6().into(),
            _ => {}
        }
    }
}

impl Default for TunnelMessage {
    /// All zero, IPv4, no ports.
    fn default() -> Self {
        Self {
            proto_version: 0,
            conn_id: 0,
            peer_conn_id: 0,
            encap_type: 0,
            stats: Stats::default(),
            local: Ipv4Addr::UNSPECIFIED.into(),
            peer: Ipv4Addr::UNSPECIFIED.into(),
            ports: None,
            udp_csum: None,
            udp_zero_csum6_tx: false,
            udp_zero_csum6_rx: false,
        }
    }
}

/// Appends an address under the first type if it is IPv4, else under the second.
pub(super) fn emit_address(message: &mut MessageBuilder<'_>, kinds: (u16, u16), address: IpAddr) {
    match address {
        IpAddr::V4(ip) => message.bytes(kinds.0, &ip.octets()),
        IpAddr::V6(ip) => message.bytes(kinds.1, &ip.octets()),
    };
}
