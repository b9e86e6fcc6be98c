//! What is lost at the edges, where the engine does not see it.

use std::sync::atomic::{AtomicU64, Ordering};

/// Why something was lost, or did not go the usual way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loss {
    /// Frames that a device did not take: it is down, or its queue is full.
    DeviceRefused,
    /// Frames read from a device that were no frames: headers that do not fit.
    FrameMalformed,
    /// Frames of PPP sessions that nobody reads.
    FrameUnclaimed,
    /// Datagrams longer than the receive buffer.
    DatagramTruncated,
    /// Datagrams beside a program's socket that are none: cut short, or with a wrong checksum.
    DatagramMalformed,
    /// Errors that the network reported about packets of ours.
    NetworkReported,
    /// Trains that went out as single datagrams, because a segment was above the path's MTU.
    TrainsRefused,
    /// Control messages over IP that no L2TPIP socket waits for.
    ControlUnclaimed,
    /// Control messages and PPP frames for a program that is behind with reading.
    ControlRefused,
    /// Messages and frames that a program wrote to a socket of ours, or to `/dev/ppp`, and that could not be sent.
    ControlUnsent,
}

impl Loss {
    /// All, in the order of their declaration, with the names by which they are told.
    const ALL: [(Self, &'static str); 10] = [
        (Self::DeviceRefused, "device_refused"),
        (Self::FrameMalformed, "frame_malformed"),
        (Self::FrameUnclaimed, "frame_unclaimed"),
        (Self::DatagramTruncated, "datagram_truncated"),
        (Self::DatagramMalformed, "datagram_malformed"),
        (Self::NetworkReported, "network_reported"),
        (Self::TrainsRefused, "trains_refused"),
        (Self::ControlUnclaimed, "control_unclaimed"),
        (Self::ControlRefused, "control_refused"),
        (Self::ControlUnsent, "control_unsent"),
    ];
}

/// A counter for each; they order nothing.
#[derive(Default)]
pub(crate) struct LossCounters([AtomicU64; Loss::ALL.len()]);

impl LossCounters {
    pub(crate) fn add(&self, loss: Loss, amount: u64) {
        if amount > 0
            && let Some(counter) = self.0.get(loss as usize)
        {
            counter.fetch_add(amount, Ordering::Relaxed);
        }
    }

    /// Counts one, if it is so.
    pub(crate) fn note(&self, loss: Loss, is_lost: bool) {
        self.add(loss, is_lost.into());
    }

    /// Names and values.
    pub(crate) fn read(&self) -> Vec<(&'static str, u64)> {
        let values = self.0.iter().map(|counter| counter.load(Ordering::Relaxed));
        Loss::ALL.iter().map(|(_, name)| *name).zip(values).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::{Loss, LossCounters};

    #[test]
    fn each_has_its_name_and_its_counter() {
        let counters = LossCounters::default();
        for (place, (loss, _)) in Loss::ALL.into_iter().enumerate() {
            assert_eq!(loss as usize, place);
            counters.add(loss, place as u64);
        }
        counters.note(Loss::DeviceRefused, true);
        counters.note(Loss::DeviceRefused, false);
        let told = counters.read();
        assert_eq!((told[0], told[9]), (("device_refused", 1), ("control_unsent", 9)));
    }
}
