//! Requests, as a program sends them: by default what `ip l2tp` sends, the rest where it is asked for.

use super::session::emit_cookie;
use super::tunnel::emit_address;
use super::{
    L2TP_ATTR_CONN_ID, L2TP_ATTR_COOKIE, L2TP_ATTR_ENCAP_TYPE, L2TP_ATTR_FD, L2TP_ATTR_IFNAME,
    L2TP_ATTR_IP_DADDR, L2TP_ATTR_IP_SADDR, L2TP_ATTR_IP6_DADDR, L2TP_ATTR_IP6_SADDR, L2TP_ATTR_L2SPEC_LEN,
    L2TP_ATTR_L2SPEC_TYPE, L2TP_ATTR_LNS_MODE, L2TP_ATTR_PEER_CONN_ID, L2TP_ATTR_PEER_COOKIE,
    L2TP_ATTR_PEER_SESSION_ID, L2TP_ATTR_PROTO_VERSION, L2TP_ATTR_PW_TYPE, L2TP_ATTR_RECV_SEQ,
    L2TP_ATTR_RECV_TIMEOUT, L2TP_ATTR_SEND_SEQ, L2TP_ATTR_SESSION_ID, L2TP_ATTR_UDP_CSUM,
    L2TP_ATTR_UDP_DPORT, L2TP_ATTR_UDP_SPORT, L2TP_ATTR_UDP_ZERO_CSUM6_RX, L2TP_ATTR_UDP_ZERO_CSUM6_TX,
    L2TP_ATTR_VLAN_ID, L2TP_CMD_NOOP, L2TP_CMD_SESSION_CREATE, L2TP_CMD_SESSION_DELETE, L2TP_CMD_SESSION_GET,
    L2TP_CMD_SESSION_MODIFY, L2TP_CMD_TUNNEL_CREATE, L2TP_CMD_TUNNEL_DELETE, L2TP_CMD_TUNNEL_GET,
    L2TP_CMD_TUNNEL_MODIFY, L2TP_ENCAPTYPE_IP, L2TP_ENCAPTYPE_UDP, L2TP_GENL_VERSION,
    L2TP_L2SPECTYPE_DEFAULT, L2TP_PWTYPE_ETH,
};
use crate::genl::GenlHeader;
use crate::nl::{Header, MessageBuilder, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST};
use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

/// Any request of the family.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// `L2TP_CMD_NOOP`.
    Noop,
    /// `L2TP_CMD_TUNNEL_CREATE`.
    TunnelCreate(TunnelCreate),
    /// `L2TP_CMD_TUNNEL_DELETE` of our tunnel id.
    TunnelDelete(u32),
    /// `L2TP_CMD_TUNNEL_MODIFY` of our tunnel id: changes nothing, notifies.
    TunnelModify(u32),
    /// `L2TP_CMD_TUNNEL_GET` of our tunnel id.
    TunnelGet(u32),
    /// `L2TP_CMD_TUNNEL_GET`, all.
    TunnelDump,
    /// `L2TP_CMD_SESSION_CREATE`.
    SessionCreate(SessionCreate),
    /// `L2TP_CMD_SESSION_DELETE`.
    SessionDelete(SessionKey),
    /// `L2TP_CMD_SESSION_MODIFY`.
    SessionModify(SessionModify),
    /// `L2TP_CMD_SESSION_GET`.
    SessionGet(SessionKey),
    /// `L2TP_CMD_SESSION_GET`, all.
    SessionDump,
}

/// What a tunnel is to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TunnelCreate {
    /// Our tunnel id.
    pub conn_id: u32,
    /// The peer's tunnel id.
    pub peer_conn_id: u32,
    /// 2 or 3.
    pub proto_version: u8,
    /// `L2TP_ENCAPTYPE_…`.
    pub encap_type: u16,
    /// Where its packets go.
    pub socket: TunnelSocket,
    /// Compute UDP checksums over IPv4.
    pub udp_csum: bool,
    /// Send no UDP checksums over IPv6.
    pub udp_zero_csum6_tx: bool,
    /// Take packets without UDP checksum over IPv6.
    pub udp_zero_csum6_rx: bool,
}

/// Where a tunnel's packets go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TunnelSocket {
    /// The program's own socket, a descriptor of the process that sends the request.
    Fd(u32),
    /// A socket that the receiver of the request makes.
    Addresses {
        /// Local address.
        local: IpAddr,
        /// Peer address, of the same family.
        peer: IpAddr,
        /// Local and peer port; only with UDP.
        ports: Option<(u16, u16)>,
    },
}

/// What a session is to be.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SessionCreate {
    /// Our tunnel id.
    pub conn_id: u32,
    /// The peer's tunnel id; nobody looks at it, `ip` sends it.
    pub peer_conn_id: u32,
    /// Our session id.
    pub session_id: u32,
    /// The peer's session id.
    pub peer_session_id: u32,
    /// `L2TP_PWTYPE_…`.
    pub pw_type: u16,
    /// `L2TP_L2SPECTYPE_…`; `None`: left to the receiver, which takes the default sublayer.
    pub l2spec_type: Option<u8>,
    /// Drop data without sequence number.
    pub recv_seq: bool,
    /// Send sequence numbers.
    pub send_seq: bool,
    /// Act as an LNS: the peer does not decide on sequence numbers.
    pub lns_mode: bool,
    /// Reorder queue in milliseconds; 0: none.
    pub recv_timeout: u64,
    /// The cookie that we send, 0 to 8 bytes.
    pub cookie: Vec<u8>,
    /// The cookie that we expect, 0 to 8 bytes.
    pub peer_cookie: Vec<u8>,
    /// The name of the device, or a template such as `l2tp%d`.
    pub ifname: Option<String>,
    /// The VLAN of a VLAN pseudowire; the kernel has none.
    pub vlan_id: Option<u16>,
}

/// Which session is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SessionKey {
    /// By our tunnel id and our session id.
    Ids {
        /// Our tunnel id.
        conn_id: u32,
        /// Our session id.
        session_id: u32,
    },
    /// By the name of its device at creation.
    Ifname(String),
}

/// What is to change of a session; `None` stays as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionModify {
    /// Which session.
    pub key: SessionKey,
    /// Drop data without sequence number.
    pub recv_seq: Option<bool>,
    /// Send sequence numbers.
    pub send_seq: Option<bool>,
    /// Act as an LNS.
    pub lns_mode: Option<bool>,
    /// Reorder queue in milliseconds; 0: none.
    pub recv_timeout: Option<u64>,
}

impl Request {
    /// The request as a datagram to the family with id `family`, numbered `seq`. Dumps ask for `NLM_F_DUMP`, all others for
    /// an acknowledgement.
    #[must_use]
    pub fn emit(&self, family: u16, seq: u32) -> Vec<u8> {
        let wanted =
            if matches!(self, Self::TunnelDump | Self::SessionDump) { NLM_F_DUMP } else { NLM_F_ACK };
        let header = Header { kind: family, flags: NLM_F_REQUEST | wanted, seq, port: 0 };
        let mut out = Vec::new();
        let genl = GenlHeader { cmd: self.cmd(), version: L2TP_GENL_VERSION, reserved: 0 };
        let mut message = genl.begin(&mut out, header);
        match self {
            Self::Noop | Self::TunnelDump | Self::SessionDump => {}
            Self::TunnelDelete(id) | Self::TunnelModify(id) | Self::TunnelGet(id) => {
                message.u32(L2TP_ATTR_CONN_ID, *id);
            }
            Self::TunnelCreate(create) => create.emit(&mut message),
            Self::SessionCreate(create) => create.emit(&mut message),
            Self::SessionModify(modify) => modify.emit(&mut message),
            Self::SessionDelete(key) | Self::SessionGet(key) => key.emit(&mut message),
        }
        message.finish();
        out
    }

    const fn cmd(&self) -> u8 {
        match self {
            Self::Noop => L2TP_CMD_NOOP,
            Self::TunnelCreate(_) => L2TP_CMD_TUNNEL_CREATE,
            Self::TunnelDelete(_) => L2TP_CMD_TUNNEL_DELETE,
            Self::TunnelModify(_) => L2TP_CMD_TUNNEL_MODIFY,
            Self::TunnelGet(_) | Self::TunnelDump => L2TP_CMD_TUNNEL_GET,
            Self::SessionCreate(_) => L2TP_CMD_SESSION_CREATE,
            Self::SessionDelete(_) => L2TP_CMD_SESSION_DELETE,
            Self::SessionModify(_) => L2TP_CMD_SESSION_MODIFY,
            Self::SessionGet(_) | Self::SessionDump => L2TP_CMD_SESSION_GET,
        }
    }
}

impl TunnelCreate {
    /// An L2TPv3 tunnel over UDP between two addresses of one family.
    #[must_use]
    pub const fn udp(conn_id: u32, peer_conn_id: u32, local: SocketAddr, peer: SocketAddr) -> Self {
        let ports = Some((local.port(), peer.port()));
        let socket = TunnelSocket::Addresses { local: local.ip(), peer: peer.ip(), ports };
        Self::new(conn_id, peer_conn_id, L2TP_ENCAPTYPE_UDP, socket)
    }

    /// An L2TPv3 tunnel over IP between two addresses of one family.
    #[must_use]
    pub const fn ip(conn_id: u32, peer_conn_id: u32, local: IpAddr, peer: IpAddr) -> Self {
        let socket = TunnelSocket::Addresses { local, peer, ports: None };
        Self::new(conn_id, peer_conn_id, L2TP_ENCAPTYPE_IP, socket)
    }

    const fn new(conn_id: u32, peer_conn_id: u32, encap_type: u16, socket: TunnelSocket) -> Self {
        let (udp_csum, udp_zero_csum6_tx, udp_zero_csum6_rx) = (false, false, false);
        Self {
            conn_id,
            peer_conn_id,
            proto_version: 3,
            encap_type,
            socket,
            udp_csum,
            udp_zero_csum6_tx,
            udp_zero_csum6_rx,
        }
    }

    fn emit(&self, message: &mut MessageBuilder<'_>) {
        message
            .u32(L2TP_ATTR_CONN_ID, self.conn_id)
            .u32(L2TP_ATTR_PEER_CONN_ID, self.peer_conn_id)
            .u8(L2TP_ATTR_PROTO_VERSION, self.proto_version)
            .u16(L2TP_ATTR_ENCAP_TYPE, self.encap_type);
        self.socket.emit(message);
        if self.udp_csum {
            message.u8(L2TP_ATTR_UDP_CSUM, 1);
        }
        message
            .flag(L2TP_ATTR_UDP_ZERO_CSUM6_TX, self.udp_zero_csum6_tx)
            .flag(L2TP_ATTR_UDP_ZERO_CSUM6_RX, self.udp_zero_csum6_rx);
    }
}

impl TunnelSocket {
    fn emit(&self, message: &mut MessageBuilder<'_>) {
        match self {
            Self::Fd(fd) => {
                message.u32(L2TP_ATTR_FD, *fd);
            }
            Self::Addresses { local, peer, ports } => {
                emit_address(message, (L2TP_ATTR_IP_SADDR, L2TP_ATTR_IP6_SADDR), *local);
                emit_address(message, (L2TP_ATTR_IP_DADDR, L2TP_ATTR_IP6_DADDR), *peer);
                if let Some((sport, dport)) = ports {
                    message.u16(L2TP_ATTR_UDP_SPORT, *sport).u16(L2TP_ATTR_UDP_DPORT, *dport);
                }
            }
        }
    }
}

impl SessionCreate {
    /// An Ethernet pseudowire in the tunnel `conn_id`, without cookies and sequence numbers.
    #[must_use]
    pub fn ethernet(conn_id: u32, session_id: u32, peer_session_id: u32) -> Self {
        Self { conn_id, session_id, peer_session_id, pw_type: L2TP_PWTYPE_ETH, ..Self::default() }
    }

    fn emit(&self, message: &mut MessageBuilder<'_>) {
        message
            .u32(L2TP_ATTR_CONN_ID, self.conn_id)
            .u32(L2TP_ATTR_PEER_CONN_ID, self.peer_conn_id)
            .u32(L2TP_ATTR_SESSION_ID, self.session_id)
            .u32(L2TP_ATTR_PEER_SESSION_ID, self.peer_session_id)
            .u16(L2TP_ATTR_PW_TYPE, self.pw_type);
        if let Some(kind) = self.l2spec_type {
            message.u8(L2TP_ATTR_L2SPEC_TYPE, kind).u8(L2TP_ATTR_L2SPEC_LEN, l2spec_len(kind));
        }
        for (kind, set) in [
            (L2TP_ATTR_RECV_SEQ, self.recv_seq),
            (L2TP_ATTR_SEND_SEQ, self.send_seq),
            (L2TP_ATTR_LNS_MODE, self.lns_mode),
        ] {
            if set {
                message.u8(kind, 1);
            }
        }
        if self.recv_timeout != 0 {
            message.u64(L2TP_ATTR_RECV_TIMEOUT, self.recv_timeout);
        }
        emit_cookie(message, L2TP_ATTR_COOKIE, &self.cookie);
        emit_cookie(message, L2TP_ATTR_PEER_COOKIE, &self.peer_cookie);
        if let Some(ifname) = &self.ifname {
            message.string(L2TP_ATTR_IFNAME, ifname);
        }
        if let Some(vlan_id) = self.vlan_id {
            message.u16(L2TP_ATTR_VLAN_ID, vlan_id);
        }
    }
}

/// The bytes of a sublayer.
const fn l2spec_len(kind: u8) -> u8 {
    if kind == L2TP_L2SPECTYPE_DEFAULT { 4 } else { 0 }
}

impl SessionKey {
    fn emit(&self, message: &mut MessageBuilder<'_>) {
        match self {
            Self::Ids { conn_id, session_id } => {
                message.u32(L2TP_ATTR_CONN_ID, *conn_id).u32(L2TP_ATTR_SESSION_ID, *session_id);
            }
            Self::Ifname(name) => {
                message.string(L2TP_ATTR_IFNAME, name);
            }
        }
    }
}

impl SessionModify {
    /// No change of the session `key` as yet.
    #[must_use]
    pub const fn of(key: SessionKey) -> Self {
        Self { key, recv_seq: None, send_seq: None, lns_mode: None, recv_timeout: None }
    }

    fn emit(&self, message: &mut MessageBuilder<'_>) {
        self.key.emit(message);
        for (kind, value) in [
            (L2TP_ATTR_RECV_SEQ, self.recv_seq),
            (L2TP_ATTR_SEND_SEQ, self.send_seq),
            (L2TP_ATTR_LNS_MODE, self.lns_mode),
        ] {
            if let Some(value) = value {
                message.u8(kind, value.into());
            }
        }
        if let Some(timeout) = self.recv_timeout {
            message.u64(L2TP_ATTR_RECV_TIMEOUT, timeout);
        }
    }
}
