//! Units and sessions whose packets BPF programs carry: which may be, and what they have carried.

use std::sync::Arc;

use l2tp_core::SessionKey;
use l2tp_sockets::ppp::Unfit;

use super::{Open, PppState};
use crate::device::Device;
use crate::host::SystemHost;
use crate::worker::now;

impl PppState {
    /// The device to which a session's packets of IPv4 and IPv6 go as they are, and whose packets all go to its peer.
    pub(crate) fn plain_device(&self, session: SessionKey) -> Result<&Arc<Device>, Unfit> {
        // What comes for a program that has not asked for the channel is the socket's.
        let is_bound = self.sockets.holder(session).is_some_and(|(_, is_bound)| is_bound);
        let channel = self.sockets.channel(session).filter(|_| is_bound).ok_or(Unfit::NoUnit)?;
        self.device(self.ppp.plain_unit(channel)?).ok_or(Unfit::NoUnit)
    }

    /// The sessions of what a program's descriptor stands for.
    pub(super) fn sessions(&self, open: Open) -> Vec<SessionKey> {
        match open {
            Open::File(file) => self.ppp.sessions(file),
            Open::Socket(socket) => {
                let channel = self.sockets.channel_of(socket);
                channel.and_then(|channel| self.ppp.session(channel)).into_iter().collect()
            }
        }
    }
}

impl SystemHost {
    /// Brings the counters of units up to date with what the programs have carried of these sessions. To be called before a unit is
    /// asked, and before a channel leaves it.
    pub(super) fn count_carried(&mut self, state: &mut PppState, sessions: &[SessionKey]) {
        let Some(bpf) = self.below.get() else { return };
        for session in sessions {
            let channel = state.sockets.channel(*session);
            if let Some((channel, packets)) = channel.zip(bpf.take_packets(*session)) {
                state.ppp.count_carried(channel, &packets, now());
            }
        }
    }

    /// The same for sessions that have ended, whose channels are still there.
    pub(super) fn count_last(&mut self, state: &mut PppState) {
        for (session, packets) in self.uncounted.drain(..) {
            if let Some(channel) = state.sockets.channel(session) {
                state.ppp.count_carried(channel, &packets, now());
            }
        }
    }
}
