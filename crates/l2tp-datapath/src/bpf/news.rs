//! What is heard of the network, and looked for where nobody tells: whose place is in doubt.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use l2tp_core::SessionKey;
use l2tp_io::rtnl::Seen;

use super::BpfPath;
use super::cutter::Cutter;
use super::ways::{FIRST, LAST};
use crate::device::Device;

/// How often it is looked whether a program has connected its socket anew. No message tells of it.
const FOLLOWED_EVERY: Duration = Duration::from_secs(1);
/// Once in so many times the ways are looked at: no message tells of a path that has become narrower. And the kernel is told that the
/// next hops are in use, so that it makes sure of them as it does for packets of its own.
const WAYS_EVERY: u32 = 10;

impl BpfPath {
    /// When [`Self::look_around`] wants to be called.
    pub(crate) fn follow_after(&self) -> Option<Duration> {
        (!self.places.is_empty()).then_some(FOLLOWED_EVERY)
    }

    /// Looks again at what programs' sockets are connected to.
    pub(crate) fn follow(&mut self) {
        self.due.extend(&self.followed);
    }

    /// [`Self::follow_after`] has passed.
    pub(crate) fn look_around(&mut self) {
        self.follow();
        self.looks = (self.looks + 1) % WAYS_EVERY;
        if self.looks == 0 {
            self.due.extend(self.places.keys());
            for (index, address) in self.by_hop.keys() {
                // One that is not there any more is found out when the sessions are placed.
                let _: io::Result<()> = self.rtnl.use_neighbour(*index, *address);
            }
        }
    }

    /// Finds the place anew of sessions whose pppN may be in another namespace by now, where the programs do not reach it.
    fn doubt_units(&mut self, seen: &Seen) {
        seen.gone.iter().for_each(|index| _ = self.tuns.remove(index));
        if seen.overrun {
            self.tuns.retain(|index| self.rtnl.link(*index).is_ok());
        }
        let gone = seen.gone.iter().filter_map(|index| self.units.get(index)).copied().collect::<Vec<_>>();
        for session in if seen.overrun { self.units.values().copied().collect() } else { gone } {
            self.leave(session);
            self.due.insert(session);
        }
    }

    /// Has another cutter made where somebody has deleted it.
    fn doubt_cutter(&mut self, seen: &Seen) {
        let is_gone = |cutter: &Cutter| seen.gone.contains(&cutter.near().get());
        if self.cutter.take_if(|cutter| is_gone(cutter)).is_some() {
            self.due.extend(self.places.keys());
        }
    }

    /// Hears what has changed on the network, and says which devices have been deleted.
    pub(crate) fn take_changes(&mut self) -> Vec<(SessionKey, Arc<Device>)> {
        // What could not be read comes again with the next message.
        let Ok(seen) = self.changes.take() else { return Vec::new() };
        if seen.routes || seen.overrun {
            self.due.extend(self.places.keys());
        }
        for hop in &seen.neighbours {
            self.due.extend(self.by_hop.get(hop).into_iter().flatten());
        }
        self.doubt_units(&seen);
        self.doubt_cutter(&seen);
        for device in seen.links.union(&seen.gone) {
            let towards = self.by_hop.range((*device, FIRST)..=(*device, LAST));
            self.due.extend(towards.flat_map(|(_, sessions)| sessions));
        }
        for lower in &seen.gone {
            // Deleted, which its descriptor tells, or moved away, where the programs would do harm.
            let moved = self.devices.remove(lower);
            self.due.extend(moved.map(|(session, _)| session));
        }
        let of_links = seen.links.iter().filter_map(|index| self.devices.get(index));
        let all: Vec<_> = match seen.overrun {
            true => self.devices.values().cloned().collect(),
            false => of_links.cloned().collect(),
        };
        let mut is_alone = |device: &Device| self.rtnl.has_upper(device.tap.index()).is_ok_and(|has| !has);
        all.into_iter().filter(|(_, device)| is_alone(device)).collect()
    }
}
