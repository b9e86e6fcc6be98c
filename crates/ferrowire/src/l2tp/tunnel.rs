//! The words that describe a tunnel.

use core::net::IpAddr;

use l2tp_abi::genl::l2tp::{L2TP_ENCAPTYPE_IP, L2TP_ENCAPTYPE_UDP, TunnelCreate, TunnelSocket};

use super::address;
use super::args::Args;
use super::fault::Fault;

/// What a command says of a tunnel, its id apart.
#[derive(Debug)]
pub(super) struct TunnelWords {
    pub(super) peer_tunnel_id: u32,
    pub(super) ip_encap: bool,
    pub(super) local: Option<IpAddr>,
    pub(super) remote: Option<IpAddr>,
    pub(super) udp_sport: u16,
    pub(super) udp_dport: u16,
    pub(super) udp_csum: bool,
    pub(super) udp6_csum_tx: bool,
    pub(super) udp6_csum_rx: bool,
    pub(super) proto_version: u8,
}

impl Default for TunnelWords {
    fn default() -> Self {
        Self {
            peer_tunnel_id: 0,
            ip_encap: false,
            local: None,
            remote: None,
            udp_sport: 0,
            udp_dport: 0,
            udp_csum: false,
            udp6_csum_tx: true,
            udp6_csum_rx: true,
            proto_version: 3,
        }
    }
}

impl TunnelWords {
    /// Reads the value of `word`; false if the word is none of a tunnel's. A repeated word counts as it says last.
    pub(super) fn take(&mut self, word: &str, args: &mut Args<'_>) -> Result<bool, Fault> {
        match word {
            "peer_tunnel_id" | "ptid" => self.peer_tunnel_id = args.id()?,
            "encap" => self.ip_encap = ip_encap(args.value()?)?,
            "local" => self.local = address::parse(args.value()?)?,
            "remote" => self.remote = address::parse(args.value()?)?,
            "udp_sport" => self.udp_sport = args.port()?,
            "udp_dport" => self.udp_dport = args.port()?,
            "udp_csum" => self.udp_csum = args.on_off(word)?,
            "udp6_csum_tx" => self.udp6_csum_tx = args.on_off(word)?,
            "udp6_csum_rx" => self.udp6_csum_rx = args.on_off(word)?,
            "proto_version" => self.proto_version = proto_version(args.value()?)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The request to create the tunnel. UDP's options say nothing of a tunnel over IP.
    pub(super) fn create(self, tunnel_id: u32) -> Result<TunnelCreate, Fault> {
        if self.peer_tunnel_id == 0 {
            return Err(Fault::missing("peer_tunnel_id"));
        }
        let local = self.local.ok_or_else(|| Fault::missing("local"))?;
        let peer = self.remote.ok_or_else(|| Fault::missing("remote"))?;
        let udp = !self.ip_encap;
        let ports = if udp { Some(self.ports()?) } else { None };
        Ok(TunnelCreate {
            conn_id: tunnel_id,
            peer_conn_id: self.peer_tunnel_id,
            proto_version: self.proto_version,
            encap_type: if udp { L2TP_ENCAPTYPE_UDP } else { L2TP_ENCAPTYPE_IP },
            socket: TunnelSocket::Addresses { local, peer, ports },
            udp_csum: udp && self.udp_csum,
            udp_zero_csum6_tx: udp && !self.udp6_csum_tx,
            udp_zero_csum6_rx: udp && !self.udp6_csum_rx,
        })
    }

    fn ports(&self) -> Result<(u16, u16), Fault> {
        match (self.udp_sport, self.udp_dport) {
            (0, _) => Err(Fault::missing("udp_sport")),
            (_, 0) => Err(Fault::missing("udp_dport")),
            ports => Ok(ports),
        }
    }
}

fn ip_encap(value: &str) -> Result<bool, Fault> {
    match value {
        "ip" => Ok(true),
        "udp" => Ok(false),
        other => Err(Fault::unknown_value("tunnel encapsulation", other)),
    }
}

fn proto_version(value: &str) -> Result<u8, Fault> {
    match value {
        "2" => Ok(2),
        "3" => Ok(3),
        other => Err(Fault::unknown_value("protocol version", other)),
    }
}
