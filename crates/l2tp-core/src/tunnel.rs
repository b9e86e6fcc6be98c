//! A tunnel.

use alloc::collections::BTreeMap;

use crate::config::{Encap, TunnelConfig};
use crate::session::SessionKey;
use crate::slots::Key;
use crate::stats::Stats;

/// Names a tunnel of an engine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TunnelKey(pub Key);

/// A tunnel: two ids, a socket, and the sessions in it.
#[derive(Debug)]
pub struct Tunnel<S> {
    /// What was asked for.
    pub config: TunnelConfig,
    /// Its socket.
    pub socket: S,
    /// What it counted.
    pub stats: Stats,
    /// Its sessions by session id; the order of dumps.
    pub(crate) sessions: BTreeMap<u32, SessionKey>,
}

impl<S> Tunnel<S> {
    pub(crate) fn new(config: TunnelConfig, socket: S) -> Self {
        Self { config, socket, stats: Stats::default(), sessions: BTreeMap::new() }
    }

    /// Our id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.config.tunnel_id
    }

    /// Whether its packets are L2TPv2; every other version is treated as 3.
    #[must_use]
    pub fn is_v2(&self) -> bool {
        self.config.version == 2
    }

    /// What carries its packets.
    #[must_use]
    pub fn encap(&self) -> Encap {
        self.config.encap
    }

    /// Number of sessions.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }
}
