//! What a path below the engine has to know of a session to carry its plain packets: those without numbers, which need no
//! memory of the one before.
//!
//! The engine stays the law: what such a path cannot or must not carry comes by here as ever, and what it has carried is
//! added to the session's counters ([`Engine::settle`]).

use core::fmt;

use crate::config::{Cookie, L2specType, PwType};
use crate::host::Host;
use crate::session::{Session, SessionKey};
use crate::stats::Stats;
use crate::tunnel::TunnelKey;
use crate::tx::HEADER_MAX;
use crate::{Encap, Engine};

/// A session as a path below the engine carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Carriage<S> {
    /// Its tunnel's socket.
    pub socket: S,
    /// Its tunnel.
    pub tunnel: TunnelKey,
    /// Whether its packets are L2TPv2.
    pub is_v2: bool,
    /// What carries its packets.
    pub encap: Encap,
    /// What it carries.
    pub pw_type: PwType,
    /// Our id of the tunnel, which packets of version 2 name.
    pub tunnel_id: u32,
    /// Our id of the session.
    pub session_id: u32,
    /// The cookie that its packets must have (v3).
    pub peer_cookie: Cookie,
    /// Whether its packets have the default sublayer (v3).
    pub sublayer: bool,
    header: [u8; HEADER_MAX],
    header_len: usize,
}

impl<S> Carriage<S> {
    /// The header of every packet that it sends; PPP's address and control, and its protocol, come behind it.
    #[must_use]
    pub fn header(&self) -> &[u8] {
        self.header.get(..self.header_len).unwrap_or_default()
    }
}

/// Why a session's packets must all come by the engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// It sends numbers.
    SendSeq,
    /// It refuses packets without numbers.
    RecvSeq,
    /// Packets may have to wait for earlier ones.
    Reorders,
    /// Its frames get a tag, and lose it.
    Vlan,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::SendSeq => "it sends sequence numbers",
            Self::RecvSeq => "it demands sequence numbers",
            Self::Reorders => "it puts packets back in order",
            Self::Vlan => "its frames get a VLAN tag",
        })
    }
}

/// Packets that a path below the engine has carried: bytes with the L2TP header, as in [`Stats`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Carried {
    /// Packets received.
    pub rx_packets: u64,
    /// Bytes of them.
    pub rx_bytes: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Bytes of them.
    pub tx_bytes: u64,
}

impl Carried {
    fn add_to(&self, stats: &mut Stats) {
        stats.rx_packets += self.rx_packets;
        stats.rx_bytes += self.rx_bytes;
        stats.tx_packets += self.tx_packets;
        stats.tx_bytes += self.tx_bytes;
    }
}

impl<D> Session<D> {
    fn fitness(&self) -> Result<(), Unfit> {
        let config = &self.config;
        if config.send_seq {
            Err(Unfit::SendSeq)
        } else if config.recv_seq {
            Err(Unfit::RecvSeq)
        } else if !config.reorder_timeout.is_zero() {
            Err(Unfit::Reorders)
        } else if config.pw_type.vlan().is_some() {
            Err(Unfit::Vlan)
        } else {
            Ok(())
        }
    }
}

impl<S: Clone, D> Engine<S, D> {
    /// What a path below has to know of a session; `None` if it is gone.
    #[must_use]
    pub fn carriage(&self, key: SessionKey) -> Option<Result<Carriage<S>, Unfit>> {
        let session = self.session(key)?;
        let tunnel = self.tunnel(session.tunnel)?;
        if let Err(unfit) = session.fitness() {
            return Some(Err(unfit));
        }
        let mut header = [0; HEADER_MAX];
        let header_len = session.template().emit(None, &mut header);
        let config = &session.config;
        Some(Ok(Carriage {
            socket: tunnel.socket.clone(),
            tunnel: session.tunnel,
            is_v2: session.is_v2,
            encap: session.encap,
            pw_type: config.pw_type,
            tunnel_id: session.tunnel_id,
            session_id: config.session_id,
            peer_cookie: config.peer_cookie,
            sublayer: config.l2spec == L2specType::Default,
            header,
            header_len,
        }))
    }

    /// Brings a session's counters up to date with what the host has carried below the engine.
    pub fn settle<H: Host<Socket = S, Device = D>>(&mut self, host: &mut H, key: SessionKey) {
        let carried = host.take_carried(key);
        self.count_carried(key, &carried);
    }

    /// The same for a tunnel, with all its sessions.
    pub fn settle_tunnel<H: Host<Socket = S, Device = D>>(&mut self, host: &mut H, key: TunnelKey) {
        let Some(tunnel) = self.tunnels.get_mut(key.0) else { return };
        for session in tunnel.sessions.values() {
            let carried = host.take_carried(*session);
            if carried == Carried::default() {
                continue;
            }
            carried.add_to(&mut tunnel.stats);
            self.counters.delivered += carried.rx_packets;
            if let Some(session) = self.sessions.get_mut(session.0) {
                carried.add_to(&mut session.stats);
            }
        }
    }

    pub(crate) fn count_carried(&mut self, key: SessionKey, carried: &Carried) {
        let Some(session) = self.sessions.get_mut(key.0) else { return };
        carried.add_to(&mut session.stats);
        self.counters.delivered += carried.rx_packets;
        if let Some(tunnel) = self.tunnels.get_mut(session.tunnel.0) {
            carried.add_to(&mut tunnel.stats);
        }
    }
}

#[cfg(test)]
mod tests;
