//! How one session is carried, and what has been counted of it.

use l2tp_abi::genl::ferrowire::path::Path;
use l2tp_ebpf::{Counters, FastPath, Handle, Session};

use super::plan::Reason;
use super::ways::Hop;

/// The place of a session.
#[derive(Default)]
pub(super) struct Place {
    /// What was asked for it.
    pub(super) wanted: Option<Path>,
    /// Where the programs carry it.
    pub(super) ride: Option<Ride>,
    /// Why they do not.
    pub(super) reason: Reason,
    /// Rides that have ended and are not settled yet.
    pub(super) left: Vec<Handle>,
    /// What was counted in rides that are settled.
    settled: Counters,
    /// What has been told.
    told: Counters,
}

/// A session that the programs carry.
pub(super) struct Ride {
    pub(super) handle: Handle,
    pub(super) session: Session,
    pub(super) hop: Hop,
}

impl Place {
    /// What was counted since this was last asked.
    pub(super) fn take_counted(&mut self, programs: &FastPath) -> Counters {
        let rides = self.ride.iter().map(|ride| ride.handle).chain(self.left.iter().copied());
        let all = rides.fold(self.settled, |sum, handle| sum + programs.counters(handle));
        let new = all - self.told;
        self.told = all;
        new
    }

    /// A ride has come to its end.
    pub(super) fn settle(&mut self, handle: Handle, counted: Counters) {
        self.left.retain(|left| *left != handle);
        self.settled = self.settled + counted;
    }
}
