//! The commands about tunnels.

use super::dispatch::L2tpAttributes;
use super::{ReplySink, Server};
use core::net::{IpAddr, Ipv4Addr};
use l2tp_abi::Errno;
use l2tp_abi::genl::l2tp::{
    L2TP_ATTR_CONN_ID, L2TP_ATTR_ENCAP_TYPE, L2TP_ATTR_FD, L2TP_ATTR_IP_DADDR, L2TP_ATTR_IP_SADDR,
    L2TP_ATTR_IP6_DADDR, L2TP_ATTR_IP6_SADDR, L2TP_ATTR_PEER_CONN_ID, L2TP_ATTR_PROTO_VERSION,
    L2TP_ATTR_UDP_CSUM, L2TP_ATTR_UDP_DPORT, L2TP_ATTR_UDP_SPORT, L2TP_ATTR_UDP_ZERO_CSUM6_RX,
    L2TP_ATTR_UDP_ZERO_CSUM6_TX, L2TP_CMD_TUNNEL_CREATE, L2TP_CMD_TUNNEL_DELETE, L2TP_CMD_TUNNEL_GET,
    L2TP_CMD_TUNNEL_MODIFY, Stats, TunnelMessage,
};
use l2tp_abi::nl::{Header, NLM_F_ACK};
use l2tp_core::{Encap, Endpoints, Error, Host, SocketConfig, TunnelConfig, TunnelKey};

impl<H: Host, R: ReplySink<H::Descriptor>> Server<'_, H, R> {
    pub(super) fn create_tunnel(
        &mut self,
        header: &Header,
        attributes: &L2tpAttributes<'_>,
    ) -> Result<(), Errno> {
        let config = tunnel_config(attributes)?;
        let descriptor = self.descriptor.take();
        let key = self.engine.create_tunnel(self.host, config, descriptor).map_err(Error::errno)?;
        self.notify_tunnel(header, key, L2TP_CMD_TUNNEL_CREATE)
    }

    pub(super) fn delete_tunnel(
        &mut self,
        header: &Header,
        attributes: &L2tpAttributes<'_>,
    ) -> Result<(), Errno> {
        let tunnel_id = attributes.u32(L2TP_ATTR_CONN_ID).ok_or(Errno::EINVAL)?;
        let key = self.engine.find_tunnel(tunnel_id).map_err(Error::errno)?;
        self.notify_tunnel(header, key, L2TP_CMD_TUNNEL_DELETE)?;
        self.engine.delete_tunnel(self.host, tunnel_id).map_err(Error::errno)
    }

    /// Changes nothing, as in the kernel; but listeners hear of it.
    pub(super) fn modify_tunnel(
        &mut self,
        header: &Header,
        attributes: &L2tpAttributes<'_>,
    ) -> Result<(), Errno> {
        let key = self.find_tunnel(attributes)?;
        self.notify_tunnel(header, key, L2TP_CMD_TUNNEL_MODIFY)
    }

    pub(super) fn get_tunnel(
        &mut self,
        header: &Header,
        attributes: &L2tpAttributes<'_>,
    ) -> Result<(), Errno> {
        let key = self.find_tunnel(attributes)?;
        let message = self.tunnel_message(key)?;
        self.reply(header, NLM_F_ACK, |out, header| message.emit(out, header, L2TP_CMD_TUNNEL_GET));
        Ok(())
    }

    pub(super) fn tunnel_message(&mut self, key: TunnelKey) -> Result<TunnelMessage, Errno> {
        self.engine.settle_tunnel(self.host, key);
        let tunnel = self.engine.tunnel(key).ok_or(Errno::ENODEV)?;
        Ok(describe_tunnel(&tunnel.config, &tunnel.stats, &self.host.endpoints(&tunnel.socket)))
    }

    fn find_tunnel(&self, attributes: &L2tpAttributes<'_>) -> Result<TunnelKey, Errno> {
        let tunnel_id = attributes.u32(L2TP_ATTR_CONN_ID).ok_or(Errno::EINVAL)?;
        self.engine.find_tunnel(tunnel_id).map_err(Error::errno)
    }
}

/// A tunnel as replies, dumps and notifications show it: its socket as it is now.
pub(super) fn describe_tunnel(config: &TunnelConfig, stats: &Stats, endpoints: &Endpoints) -> TunnelMessage {
    let is_udp = config.encap == Encap::Udp;
    let is_udp6 = is_udp && endpoints.local.is_ipv6();
    TunnelMessage {
        proto_version: config.version,
        conn_id: config.tunnel_id,
        peer_conn_id: config.peer_tunnel_id,
        encap_type: config.encap.number(),
        stats: *stats,
        local: endpoints.local.ip(),
        peer: endpoints.peer.ip(),
        ports: is_udp.then(|| (endpoints.local.port(), endpoints.peer.port())),
        udp_csum: (is_udp && !is_udp6).then_some(endpoints.udp_csum),
        udp_zero_csum6_tx: is_udp6 && endpoints.zero_csum6_tx,
        udp_zero_csum6_rx: is_udp6 && endpoints.zero_csum6_rx,
    }
}

/// What a request asks for, checked in the kernel's order.
fn tunnel_config(attributes: &L2tpAttributes<'_>) -> Result<TunnelConfig, Errno> {
    let tunnel_id = attributes.u32(L2TP_ATTR_CONN_ID).ok_or(Errno::EINVAL)?;
    let peer_tunnel_id = attributes.u32(L2TP_ATTR_PEER_CONN_ID).ok_or(Errno::EINVAL)?;
    let version = attributes.u8(L2TP_ATTR_PROTO_VERSION).ok_or(Errno::EINVAL)?;
    let encap = attributes.u16(L2TP_ATTR_ENCAP_TYPE).ok_or(Errno::EINVAL)?;
    let socket = match attributes.u32(L2TP_ATTR_FD) {
        Some(fd) => descriptor(fd),
        None => addresses(attributes)?,
    };
    let encap = Encap::from_number(encap).map_err(Error::errno)?;
    Ok(TunnelConfig { version, tunnel_id, peer_tunnel_id, encap, socket })
}

/// The program's descriptor; a negative number means none, and the socket is made here, bound and connected to nothing.
fn descriptor(fd: u32) -> SocketConfig {
    match i32::try_from(fd) {
        Ok(fd) => SocketConfig::Descriptor { fd },
        Err(_) => SocketConfig::Addresses {
            local: Ipv4Addr::UNSPECIFIED.into(),
            peer: Ipv4Addr::UNSPECIFIED.into(),
            sport: 0,
            dport: 0,
            udp_csum: false,
            zero_csum6_tx: false,
            zero_csum6_rx: false,
        },
    }
}

/// A pair of addresses of one family; IPv6 wins over IPv4. The checksum attributes count by their presence.
fn addresses(attributes: &L2tpAttributes<'_>) -> Result<SocketConfig, Errno> {
    let v6 = attributes.ipv6(L2TP_ATTR_IP6_SADDR).zip(attributes.ipv6(L2TP_ATTR_IP6_DADDR));
    let v4 = attributes.ipv4(L2TP_ATTR_IP_SADDR).zip(attributes.ipv4(L2TP_ATTR_IP_DADDR));
    let (local, peer): (IpAddr, IpAddr) = match (v6, v4) {
        (Some((local, peer)), _) => (local.into(), peer.into()),
        (None, Some((local, peer))) => (local.into(), peer.into()),
        (None, None) => return Err(Errno::EINVAL),
    };
    Ok(SocketConfig::Addresses {
        local,
        peer,
        sport: attributes.u16(L2TP_ATTR_UDP_SPORT).unwrap_or_default(),
        dport: attributes.u16(L2TP_ATTR_UDP_DPORT).unwrap_or_default(),
        udp_csum: attributes.has(L2TP_ATTR_UDP_CSUM),
        zero_csum6_tx: attributes.has(L2TP_ATTR_UDP_ZERO_CSUM6_TX),
        zero_csum6_rx: attributes.has(L2TP_ATTR_UDP_ZERO_CSUM6_RX),
    })
}
