//! Counters of a tunnel and of a session, with the names of `L2TP_ATTR_STATS`.
//!
//! Bytes are those of the L2TP packet from its first header byte, without UDP and IP. A tunnel counts only packets, bytes,
//! `tx_errors` and `rx_invalid`; what a session refuses is the session's.

/// The ten counters of `L2TP_ATTR_STATS`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Packets sent.
    pub tx_packets: u64,
    /// Bytes sent.
    pub tx_bytes: u64,
    /// Packets that could not be sent.
    pub tx_errors: u64,
    /// Packets taken, delivered to the pseudowire.
    pub rx_packets: u64,
    /// Bytes of them.
    pub rx_bytes: u64,
    /// Dropped: no number where one is required, one out of order, or waited too long.
    pub rx_seq_discards: u64,
    /// Arrived before a packet with a later number left the reorder queue.
    pub rx_oos_packets: u64,
    /// Dropped by the session for any reason.
    pub rx_errors: u64,
    /// Dropped: wrong cookie.
    pub rx_cookie_discards: u64,
    /// Too short for the session's header, or of the wrong version (tunnels only).
    pub rx_invalid: u64,
}

impl Stats {
    /// Counts a packet taken.
    pub(crate) fn received(&mut self, bytes: usize) {
        self.rx_packets += 1;
        self.rx_bytes += bytes as u64;
    }

    /// Adds the outcome of a transmission.
    pub(crate) fn sent(&mut self, outcome: &crate::tx::Sent) {
        self.tx_packets += outcome.packets;
        self.tx_bytes += outcome.bytes;
        self.tx_errors += outcome.errors;
    }
}
