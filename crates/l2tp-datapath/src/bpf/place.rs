//! How one session is carried, and what has been counted of it.

use l2tp_abi::genl::ferrowire::path::Path;
use l2tp_ebpf::{Carrier, Counters, FastPath, Handle, Pattern, Payload, Session};

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
    /// What the unit of a PPP session has been told.
    unit_told: Counters,
    /// Of a PPP session that the programs have ever carried.
    headers: Option<Headers>,
}

/// A session that the programs carry.
pub(super) struct Ride {
    pub(super) handle: Handle,
    pub(super) session: Session,
    pub(super) hop: Hop,
}

/// Bytes in front of each packet of a PPP session, which its unit does not count.
#[derive(Clone, Copy)]
struct Headers {
    rx: u64,
    tx: u64,
}

/// Bytes of PPP's address, control and protocol. A peer may leave the first two out: its packets count as two bytes less than they
/// are, for the programs count but the sum.
const PPP_HEADER: u64 = 4;

impl Headers {
    /// `None` for a session that does not carry PPP.
    fn of(session: &Session) -> Option<Self> {
        if session.payload != Payload::Ppp {
            return None;
        }
        let tx = session.tx.as_ref().map_or(0, |tx| tx.header.len() as u64);
        let rx = match session.rx.as_ref().map(|rx| &rx.pattern) {
            // Flags, tunnel id, session id.
            Some(Pattern::V2 { .. }) => 6,
            Some(Pattern::V3 { cookie, sublayer, .. }) => {
                let start = if session.carrier == Carrier::Ip { 4 } else { 8 };
                start + cookie.len() as u64 + if *sublayer { 4 } else { 0 }
            }
            None => 0,
        };
        Some(Self { rx: rx + PPP_HEADER, tx: tx + PPP_HEADER })
    }
}

impl Place {
    /// Begins a ride, or goes on otherwise; returns what was before.
    pub(super) fn ride(&mut self, ride: Ride) -> Option<Ride> {
        self.headers = Headers::of(&ride.session);
        self.ride.replace(ride)
    }

    /// What was counted since this was last asked.
    pub(super) fn take_counted(&mut self, programs: &FastPath) -> Counters {
        let all = self.counted(programs);
        let new = all - self.told;
        self.told = all;
        new
    }

    /// What was counted of a PPP session since this was last asked, the bytes without headers, as its unit counts; `None` for any
    /// other session.
    pub(super) fn take_packets(&mut self, programs: &FastPath) -> Option<Counters> {
        let Headers { rx, tx } = self.headers?;
        let all = self.counted(programs);
        let Counters { rx_packets, rx_bytes, tx_packets, tx_bytes } = all - self.unit_told;
        self.unit_told = all;
        let rx_bytes = rx_bytes.saturating_sub(rx * rx_packets);
        let tx_bytes = tx_bytes.saturating_sub(tx * tx_packets);
        Some(Counters { rx_packets, rx_bytes, tx_packets, tx_bytes })
    }

    fn counted(&self, programs: &FastPath) -> Counters {
        let rides = self.ride.iter().map(|ride| ride.handle).chain(self.left.iter().copied());
        rides.fold(self.settled, |sum, handle| sum + programs.counters(handle))
    }

    /// A ride has come to its end.
    pub(super) fn settle(&mut self, handle: Handle, counted: Counters) {
        self.left.retain(|left| *left != handle);
        self.settled = self.settled + counted;
    }
}
