//! Frames from peers.

use std::ops::Range;
use std::sync::Arc;

use l2tp_core::{Instant, SessionKey};
use l2tp_sockets::ppp::Received;
use l2tp_sockets::pppol2tp::Delivered;

use super::PppState;
use super::egress::transmit;
use crate::device::Device;
use crate::loss::Loss;
use crate::shared::{Shared, lock};

/// What a batch of frames left to be done when the lock is released.
#[derive(Default)]
pub(crate) struct Rest {
    bridged: Vec<(SessionKey, Vec<u8>)>,
    overruns: Vec<SessionKey>,
    unclaimed: u64,
}

impl Rest {
    /// Does it.
    pub(crate) fn finish(&mut self, shared: &Shared) {
        shared.losses.add(Loss::FrameUnclaimed, std::mem::take(&mut self.unclaimed));
        if !self.overruns.is_empty() {
            let mut engine = shared.engine();
            self.overruns.drain(..).for_each(|session| engine.count_overrun(session));
        }
        for (session, frame) in self.bridged.drain(..) {
            transmit(shared, session, &frame);
        }
    }
}

impl PppState {
    /// Routes a frame of `session`. A packet for the network is the caller's to write: to the device, from these bytes of the
    /// frame.
    pub(crate) fn route(
        &mut self,
        shared: &Shared,
        session: SessionKey,
        frame: &[u8],
        now: Instant,
        rest: &mut Rest,
    ) -> Option<(Arc<Device>, Range<usize>)> {
        match self.sockets.deliver(&mut self.ppp, session, frame, now) {
            Delivered::Ppp(Received::Network { unit, packet, .. }) => {
                return self.device(unit).map(|device| (Arc::clone(device), packet));
            }
            Delivered::Ppp(Received::ToChannel(channel)) => self.pump_channel(channel, &shared.losses),
            Delivered::Ppp(Received::ToUnit(unit)) => self.pump_unit(unit, &shared.losses),
            Delivered::Ppp(Received::Bridged(session)) => rest.bridged.push((session, frame.to_vec())),
            Delivered::Ppp(Received::Dropped) => {}
            Delivered::Queued(socket) => self.pump_socket(socket, &shared.losses),
            Delivered::Full => rest.overruns.push(session),
            Delivered::NoReader => rest.unclaimed += 1,
        }
        None
    }
}

/// Whether frames of PPP sessions have a reader at all.
pub(crate) fn has_readers(shared: &Shared) -> bool {
    lock(&shared.ppp).is_used()
}
