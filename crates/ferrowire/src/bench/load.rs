//! Traffic that goes on until it is dropped: senders at the near host, and the process that receives at the far one.

use super::far::{Arrived, Far};
use super::threads::Threads;

/// Senders and their receiver. They end in this order, so that nobody sends to a port that is closed.
pub(super) struct Load {
    pub(super) senders: Threads,
    pub(super) far: Far,
}

impl Load {
    /// Senders that are still to be started, for a receiver that waits.
    pub(super) fn new(far: Far) -> Self {
        Self { senders: Threads::default(), far }
    }

    /// What has arrived.
    pub(super) fn arrived(&mut self) -> anyhow::Result<Arrived> {
        self.far.arrived()
    }
}
