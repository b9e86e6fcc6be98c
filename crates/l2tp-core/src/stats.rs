//! What a tunnel and a session count: [`Stats`], under the names that programs see.
//!
//! A tunnel counts only packets, bytes, `tx_errors` and `rx_invalid`; what a session refuses is the session's.

pub use l2tp_abi::genl::l2tp::Stats;

use crate::tx::Sent;

/// Counts a packet taken.
pub(crate) fn count_received(stats: &mut Stats, bytes: usize) {
    stats.rx_packets += 1;
    stats.rx_bytes += bytes as u64;
}

/// Adds the outcome of a transmission.
pub(crate) fn count_sent(stats: &mut Stats, sent: &Sent) {
    stats.tx_packets += sent.packets;
    stats.tx_bytes += sent.bytes;
    stats.tx_errors += sent.errors;
}
