//! Which session ids are taken, and whose they are.

use alloc::collections::BTreeSet;
use alloc::string::String;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::config::Encap;
use crate::session::SessionKey;
use crate::slots::Key;
use crate::tunnel::TunnelKey;

/// Tunnels that are asked one by one whether they have a session.
const FEW: usize = 4;

type Map<K, V> = HashMap<K, V, FixedState>;

/// The id space of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SessionId {
    /// L2TPv2: 16 bits, in a tunnel of 16 bits.
    V2 { tunnel_id: u16, session_id: u16 },
    /// L2TPv3 over UDP: in its tunnel, and not one of a session over IP.
    V3Udp { tunnel: TunnelKey, session_id: u32 },
    /// L2TPv3 over IP: the only one in the namespace.
    V3Ip { session_id: u32 },
}

impl SessionId {
    pub(crate) fn v3(encap: Encap, tunnel: TunnelKey, session_id: u32) -> Self {
        match encap {
            Encap::Udp => Self::V3Udp { tunnel, session_id },
            Encap::Ip => Self::V3Ip { session_id },
        }
    }
}

/// Sessions by what a packet or a command knows of them. Only programs with privilege add entries, so the hash needs no
/// secret.
#[derive(Debug, Default)]
pub(crate) struct SessionIds {
    v2: Map<(u16, u16), SessionKey>,
    v3_udp: Map<(TunnelKey, u32), SessionKey>,
    /// The same, in the order of session ids: which tunnels have a session of that id.
    v3_udp_holders: BTreeSet<(u32, TunnelKey)>,
    v3_ip: Map<u32, SessionKey>,
    names: Map<String, SessionKey>,
}

impl SessionIds {
    pub(crate) fn find_v2(&self, tunnel_id: u16, session_id: u16) -> Option<SessionKey> {
        self.v2.get(&(tunnel_id, session_id)).copied()
    }

    pub(crate) fn find_v3_udp(&self, tunnel: TunnelKey, session_id: u32) -> Option<SessionKey> {
        self.v3_udp.get(&(tunnel, session_id)).copied()
    }

    /// The session with this id in one of `tunnels`, which are in ascending order; of several the first.
    pub(crate) fn find_v3_udp_in(&self, tunnels: &[TunnelKey], session_id: u32) -> Option<SessionKey> {
        match tunnels {
            [tunnel] => self.find_v3_udp(*tunnel, session_id),
            few if few.len() <= FEW => few.iter().find_map(|tunnel| self.find_v3_udp(*tunnel, session_id)),
            many => self
                .holders(session_id)
                .find(|tunnel| many.binary_search(tunnel).is_ok())
                .and_then(|tunnel| self.find_v3_udp(tunnel, session_id)),
        }
    }

    /// The tunnels over UDP that have a session with this id.
    fn holders(&self, session_id: u32) -> impl Iterator<Item = TunnelKey> {
        let holders = self.v3_udp_holders.range((session_id, TunnelKey(Key::MIN))..);
        holders.take_while(move |(id, _)| *id == session_id).map(|(_, tunnel)| *tunnel)
    }

    pub(crate) fn find_v3_ip(&self, session_id: u32) -> Option<SessionKey> {
        self.v3_ip.get(&session_id).copied()
    }

    pub(crate) fn find_name(&self, name: &str) -> Option<SessionKey> {
        self.names.get(name).copied()
    }

    /// The collision rules of `l2tp_session_register`, with Linux 6.1's for two in one tunnel over UDP.
    pub(crate) fn is_taken(&self, id: SessionId) -> bool {
        match id {
            SessionId::V2 { tunnel_id, session_id } => self.v2.contains_key(&(tunnel_id, session_id)),
            SessionId::V3Udp { tunnel, session_id } => {
                self.v3_ip.contains_key(&session_id) || self.v3_udp.contains_key(&(tunnel, session_id))
            }
            SessionId::V3Ip { session_id } => {
                self.v3_ip.contains_key(&session_id) || self.holders(session_id).next().is_some()
            }
        }
    }

    pub(crate) fn insert(&mut self, id: SessionId, key: SessionKey) {
        match id {
            SessionId::V2 { tunnel_id, session_id } => {
                self.v2.insert((tunnel_id, session_id), key);
            }
            SessionId::V3Udp { tunnel, session_id } => {
                self.v3_udp.insert((tunnel, session_id), key);
                self.v3_udp_holders.insert((session_id, tunnel));
            }
            SessionId::V3Ip { session_id } => {
                self.v3_ip.insert(session_id, key);
            }
        }
    }

    pub(crate) fn remove(&mut self, id: SessionId) {
        match id {
            SessionId::V2 { tunnel_id, session_id } => {
                self.v2.remove(&(tunnel_id, session_id));
            }
            SessionId::V3Udp { tunnel, session_id } => {
                self.v3_udp.remove(&(tunnel, session_id));
                self.v3_udp_holders.remove(&(session_id, tunnel));
            }
            SessionId::V3Ip { session_id } => {
                self.v3_ip.remove(&session_id);
            }
        }
    }

    /// Records the name that a device got. A later session takes the name over once the device was renamed.
    pub(crate) fn insert_name(&mut self, name: String, key: SessionKey) {
        self.names.insert(name, key);
    }

    pub(crate) fn remove_name(&mut self, name: &str, key: SessionKey) {
        if self.names.get(name) == Some(&key) {
            self.names.remove(name);
        }
    }
}
