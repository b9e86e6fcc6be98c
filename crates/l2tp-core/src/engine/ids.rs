//! Which session ids are taken, and whose they are.

use alloc::string::String;

use foldhash::fast::FixedState;
use hashbrown::HashMap;

use crate::config::Encap;
use crate::session::SessionKey;
use crate::tunnel::TunnelKey;

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
    /// How many tunnels over UDP have a session of that id.
    v3_udp_uses: Map<u32, u32>,
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
                self.v3_ip.contains_key(&session_id) || self.v3_udp_uses.contains_key(&session_id)
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
                *self.v3_udp_uses.entry(session_id).or_insert(0) += 1;
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
                self.release_udp_use(session_id);
            }
            SessionId::V3Ip { session_id } => {
                self.v3_ip.remove(&session_id);
            }
        }
    }

    fn release_udp_use(&mut self, session_id: u32) {
        if let Some(uses) = self.v3_udp_uses.get_mut(&session_id) {
            *uses -= 1;
            if *uses == 0 {
                self.v3_udp_uses.remove(&session_id);
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
