//! The subsystem of one network namespace: its tables, and what is asked about them.

mod deaths;
mod ids;
mod lifecycle;
mod pool;

use alloc::collections::{BTreeMap, BTreeSet};

use crate::config::SessionSelector;
use crate::drop_reason::DropCounts;
use crate::error::Error;
use crate::session::{Session, SessionKey};
use crate::slots::Slots;
use crate::time::Instant;
use crate::tunnel::{Tunnel, TunnelKey};

pub use deaths::{DEATHS_MAX, Death};

use deaths::Deaths;
use ids::SessionIds;
use pool::BufferPool;

/// Tunnels and sessions with sockets `S` and devices `D`.
///
/// Commands are in `lifecycle`, the receive path in [`crate::rx`], the transmit path in [`crate::tx`]. No packet and no
/// timer costs work in proportion to the number of tunnels or sessions.
#[derive(Debug)]
pub struct Engine<S, D> {
    pub(crate) tunnels: Slots<Tunnel<S>>,
    pub(crate) sessions: Slots<Session<D>>,
    /// Tunnel ids, of both versions in one space; the order of dumps.
    tunnel_ids: BTreeMap<u32, TunnelKey>,
    pub(crate) ids: SessionIds,
    /// Sessions in which a packet waits, by the time at which it is given up.
    pub(crate) timers: BTreeSet<(Instant, SessionKey)>,
    pub(crate) pool: BufferPool,
    /// Bytes in all reorder queues.
    pub(crate) held_bytes: usize,
    pub(crate) counters: Counters,
    pub(crate) limits: Limits,
    deaths: Deaths<D>,
    /// Sessions that were made or changed since [`Engine::take_changed`].
    pub(crate) changed: BTreeSet<SessionKey>,
}

/// What the namespace counted beside its tunnels and sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames delivered to a device or a reader.
    pub delivered: u64,
    /// Packets handed up to the owner of a tunnel's socket: control, too short, unknown.
    pub up: u64,
    /// Packets dropped, by reason.
    pub drops: DropCounts,
}

/// Bounds of what programs and peers can make the subsystem hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Tunnels.
    pub tunnels: usize,
    /// Sessions of all tunnels together.
    pub sessions: usize,
    /// Bytes of the frames in all reorder queues together.
    pub held_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { tunnels: 1 << 16, sessions: 1 << 16, held_bytes: 64 << 20 }
    }
}

impl<S, D> Default for Engine<S, D> {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

impl<S, D> Engine<S, D> {
    /// An empty subsystem.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            tunnels: Slots::default(),
            sessions: Slots::default(),
            tunnel_ids: BTreeMap::new(),
            ids: SessionIds::default(),
            timers: BTreeSet::new(),
            pool: BufferPool::default(),
            held_bytes: 0,
            counters: Counters::default(),
            limits,
            deaths: Deaths::default(),
            changed: BTreeSet::new(),
        }
    }

    /// What was counted beside tunnels and sessions.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Packets that wait in a session's reorder queue.
    #[must_use]
    pub fn waiting(&self, key: SessionKey) -> usize {
        self.sessions.get(key.0).map_or(0, |session| session.queue.len())
    }

    /// Packets that wait in all reorder queues, and the bytes of their frames. Takes time in proportion to the sessions in
    /// which one waits.
    #[must_use]
    pub fn waiting_total(&self) -> (usize, usize) {
        let packets = self.timers.iter().map(|(_, key)| self.waiting(*key)).sum();
        (packets, self.held_bytes)
    }

    /// Notes that what [`Engine::carriage`] says of a session may be another thing now.
    pub(crate) fn note_change(&mut self, key: SessionKey) {
        self.changed.insert(key);
    }

    /// The sessions that were made or changed since this was last asked, by commands or by their peers.
    #[must_use]
    pub fn take_changed(&mut self) -> BTreeSet<SessionKey> {
        core::mem::take(&mut self.changed)
    }

    /// Takes back the memory of a delivered [`crate::Frame::Held`].
    pub fn recycle(&mut self, frame: alloc::vec::Vec<u8>) {
        self.pool.give_back(frame);
    }

    /// Number of tunnels.
    #[must_use]
    pub fn tunnel_count(&self) -> usize {
        self.tunnels.len()
    }

    /// Number of sessions.
    #[must_use]
    pub fn session_count(&self) -> usize {
        self.sessions.len()
    }

    /// The tunnel of `key`, unless it is gone.
    #[must_use]
    pub fn tunnel(&self, key: TunnelKey) -> Option<&Tunnel<S>> {
        self.tunnels.get(key.0)
    }

    /// The session of `key`, unless it is gone.
    #[must_use]
    pub fn session(&self, key: SessionKey) -> Option<&Session<D>> {
        self.sessions.get(key.0)
    }

    /// The tunnel with our id `tunnel_id`.
    ///
    /// # Errors
    /// [`Error::NoTunnel`].
    pub fn find_tunnel(&self, tunnel_id: u32) -> Result<TunnelKey, Error> {
        self.tunnel_ids.get(&tunnel_id).copied().ok_or(Error::NoTunnel)
    }

    /// The session that a command names.
    ///
    /// # Errors
    /// [`Error::NoSession`], also for an unknown tunnel.
    pub fn find_session(&self, selector: SessionSelector<'_>) -> Result<SessionKey, Error> {
        let found = match selector {
            SessionSelector::Name(name) => self.ids.find_name(name),
            SessionSelector::Ids { tunnel_id, session_id } => self
                .find_tunnel(tunnel_id)
                .ok()
                .and_then(|key| self.tunnel(key)?.sessions.get(&session_id).copied()),
        };
        found.ok_or(Error::NoSession)
    }

    /// The tunnel with the next higher id, to go through all in ascending order.
    #[must_use]
    pub fn next_tunnel(&self, after: Option<u32>) -> Option<&Tunnel<S>> {
        self.tunnel(self.next_tunnel_key(after)?)
    }

    /// The key of [`Self::next_tunnel`].
    #[must_use]
    pub fn next_tunnel_key(&self, after: Option<u32>) -> Option<TunnelKey> {
        let start = after.map_or(Some(0), |id| id.checked_add(1))?;
        self.tunnel_ids.range(start..).next().map(|(_, key)| *key)
    }

    /// The session behind (tunnel id, session id) in the order of dumps: tunnels ascending, then sessions ascending.
    #[must_use]
    pub fn next_session(&self, after: Option<(u32, u32)>) -> Option<(SessionKey, &Session<D>)> {
        let first = after.map_or(0, |(tunnel_id, _)| tunnel_id);
        self.tunnel_ids.range(first..).find_map(|(tunnel_id, key)| {
            let after = after.filter(|after| after.0 == *tunnel_id).map(|after| after.1);
            self.next_session_of(self.tunnel(*key)?, after)
        })
    }

    /// The session of `tunnel` with the next higher id, to go through all in ascending order. Session 0 of an L2TPv2
    /// tunnel stands for its management socket and is left out.
    #[must_use]
    pub fn next_session_of(
        &self,
        tunnel: &Tunnel<S>,
        after: Option<u32>,
    ) -> Option<(SessionKey, &Session<D>)> {
        let start = after.map_or(Some(u32::from(tunnel.is_v2())), |id| id.checked_add(1))?;
        let (_, key) = tunnel.sessions.range(start..).next()?;
        Some((*key, self.session(*key)?))
    }
}
