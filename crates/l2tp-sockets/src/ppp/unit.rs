//! A unit: the network's side of PPP.

use super::queue::FrameQueue;
use super::{ChannelKey, FileKey};
use alloc::vec::Vec;
use l2tp_abi::ppp::{IdleTimes, NpMode, NpModeRequest, UnitStats};
use l2tp_core::Instant;

/// Bytes of the largest frame before anybody says otherwise (`PPP_MRU`).
const MRU: i32 = 1500;

/// A unit. Its device is somebody else's.
#[derive(Debug)]
pub(super) struct Unit {
    pub(super) number: u32,
    /// The file that made it; `None`: it is dead.
    pub(super) owner: Option<FileKey>,
    pub(super) files: Vec<FileKey>,
    /// Its channels; frames leave by the first.
    pub(super) channels: Vec<ChannelKey>,
    /// `SC_*`.
    pub(super) flags: u32,
    pub(super) mru: i32,
    pub(super) debug: i32,
    np_modes: [NpMode; NpModeRequest::PROTOCOLS.len()],
    pub(super) last_xmit: Instant,
    pub(super) last_recv: Instant,
    pub(super) queue: FrameQueue,
    pub(super) stats: UnitStats,
}

impl Unit {
    pub(super) fn new(number: u32, owner: FileKey, now: Instant) -> Self {
        Self {
            number,
            owner: Some(owner),
            files: [owner].to_vec(),
            channels: Vec::new(),
            flags: 0,
            mru: MRU,
            debug: 0,
            np_modes: Default::default(),
            last_xmit: now,
            last_recv: now,
            queue: FrameQueue::default(),
            stats: UnitStats::default(),
        }
    }

    /// The mode of a network's protocol; `None` for any other protocol.
    pub(super) fn np_mode(&self, protocol: u16) -> Option<NpMode> {
        let place = NpModeRequest::PROTOCOLS.iter().position(|known| *known == protocol)?;
        self.np_modes.get(place).copied()
    }

    /// Sets it; `None` as above.
    pub(super) fn set_np_mode(&mut self, protocol: u16, mode: NpMode) -> Option<()> {
        let place = NpModeRequest::PROTOCOLS.iter().position(|known| *known == protocol)?;
        *self.np_modes.get_mut(place)? = mode;
        Some(())
    }

    /// Times since the last frames of a network.
    pub(super) fn idle(&self, now: Instant) -> IdleTimes {
        IdleTimes { xmit: now.since(self.last_xmit).as_secs(), recv: now.since(self.last_recv).as_secs() }
    }
}
