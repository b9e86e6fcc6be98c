//! A tunnel.

use std::collections::BTreeMap;
use std::net::IpAddr;

use l2tp_abi::Errno;
use l2tp_abi::genl::l2tp::{
    L2TP_ENCAPTYPE_IP, L2TP_ENCAPTYPE_UDP, SessionMessage, TunnelCreate, TunnelMessage, TunnelSocket,
};

use crate::session::Session;

#[derive(Debug)]
pub(crate) struct Tunnel {
    create: TunnelCreate,
    local: IpAddr,
    peer: IpAddr,
    ports: (u16, u16),
    pub(crate) sessions: BTreeMap<u32, Session>,
}

impl Tunnel {
    pub(crate) fn new(create: &TunnelCreate) -> Result<Self, Errno> {
        let TunnelSocket::Addresses { local, peer, ports } = create.socket else {
            // A program's own socket is no matter of rules.
            return Err(Errno::EOPNOTSUPP);
        };
        if local.is_ipv4() != peer.is_ipv4() {
            return Err(Errno::EINVAL);
        }
        if ![L2TP_ENCAPTYPE_UDP, L2TP_ENCAPTYPE_IP].contains(&create.encap_type) {
            return Err(Errno::EINVAL);
        }
        let (ports, sessions) = (ports.unwrap_or_default(), BTreeMap::new());
        Ok(Self { create: create.clone(), local, peer, ports, sessions })
    }

    pub(crate) const fn id(&self) -> u32 {
        self.create.conn_id
    }

    pub(crate) const fn peer_id(&self) -> u32 {
        self.create.peer_conn_id
    }

    /// Every other version is treated as 3, but that versions below 2 have no sublayer, cookies and names.
    pub(crate) const fn is_v2(&self) -> bool {
        self.create.proto_version == 2
    }

    pub(crate) const fn version(&self) -> u8 {
        self.create.proto_version
    }

    pub(crate) const fn is_ip(&self) -> bool {
        self.create.encap_type == L2TP_ENCAPTYPE_IP
    }

    /// The UDP port that nobody else can have.
    pub(crate) fn local_port(&self) -> Option<u16> {
        (!self.is_ip() && self.ports.0 != 0).then_some(self.ports.0)
    }

    pub(crate) fn message(&self) -> TunnelMessage {
        let is_udp6 = !self.is_ip() && self.local.is_ipv6();
        let is_udp4 = !self.is_ip() && self.local.is_ipv4();
        TunnelMessage {
            proto_version: self.create.proto_version,
            conn_id: self.create.conn_id,
            peer_conn_id: self.create.peer_conn_id,
            encap_type: self.create.encap_type,
            local: self.local,
            peer: self.peer,
            ports: (!self.is_ip()).then_some(self.ports),
            udp_csum: is_udp4.then_some(self.create.udp_csum),
            udp_zero_csum6_tx: is_udp6 && self.create.udp_zero_csum6_tx,
            udp_zero_csum6_rx: is_udp6 && self.create.udp_zero_csum6_rx,
            ..TunnelMessage::default()
        }
    }

    /// The sessions that a dump shows: session 0 of version 2 stands for the management socket.
    pub(crate) fn dump(&self) -> impl Iterator<Item = SessionMessage> {
        let shown = self.sessions.values().filter(|session| !self.is_v2() || session.id() != 0);
        shown.map(|session| session.message(self))
    }
}
