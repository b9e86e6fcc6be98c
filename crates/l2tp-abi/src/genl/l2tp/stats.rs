//! The counters of a tunnel or session.

use super::{
    L2TP_ATTR_RX_BYTES, L2TP_ATTR_RX_COOKIE_DISCARDS, L2TP_ATTR_RX_ERRORS, L2TP_ATTR_RX_INVALID,
    L2TP_ATTR_RX_OOS_PACKETS, L2TP_ATTR_RX_PACKETS, L2TP_ATTR_RX_SEQ_DISCARDS, L2TP_ATTR_STATS,
    L2TP_ATTR_TX_BYTES, L2TP_ATTR_TX_ERRORS, L2TP_ATTR_TX_PACKETS, Stats,
};
use crate::nl::{Attribute, MessageBuilder};

impl Stats {
    /// Appends the nest, its members in the kernel's order.
    pub(super) fn emit(&self, message: &mut MessageBuilder<'_>) {
        message.nest(L2TP_ATTR_STATS, |nest| {
            nest.u64(L2TP_ATTR_TX_PACKETS, self.tx_packets)
                .u64(L2TP_ATTR_TX_BYTES, self.tx_bytes)
                .u64(L2TP_ATTR_TX_ERRORS, self.tx_errors)
                .u64(L2TP_ATTR_RX_PACKETS, self.rx_packets)
                .u64(L2TP_ATTR_RX_BYTES, self.rx_bytes)
                .u64(L2TP_ATTR_RX_SEQ_DISCARDS, self.rx_seq_discards)
                .u64(L2TP_ATTR_RX_COOKIE_DISCARDS, self.rx_cookie_discards)
                .u64(L2TP_ATTR_RX_OOS_PACKETS, self.rx_oos_packets)
                .u64(L2TP_ATTR_RX_ERRORS, self.rx_errors)
                .u64(L2TP_ATTR_RX_INVALID, self.rx_invalid);
        });
    }

    /// Reads the nest; what is missing is 0.
    pub(super) fn parse(nest: &Attribute<'_>) -> Self {
        let mut stats = Self::default();
        for attribute in nest.attributes() {
            let counter = match attribute.kind {
                L2TP_ATTR_TX_PACKETS => &mut stats.tx_packets,
                L2TP_ATTR_TX_BYTES => &mut stats.tx_bytes,
                L2TP_ATTR_TX_ERRORS => &mut stats.tx_errors,
                L2TP_ATTR_RX_PACKETS => &mut stats.rx_packets,
                L2TP_ATTR_RX_BYTES => &mut stats.rx_bytes,
                L2TP_ATTR_RX_SEQ_DISCARDS => &mut stats.rx_seq_discards,
                L2TP_ATTR_RX_COOKIE_DISCARDS => &mut stats.rx_cookie_discards,
                L2TP_ATTR_RX_OOS_PACKETS => &mut stats.rx_oos_packets,
                L2TP_ATTR_RX_ERRORS => &mut stats.rx_errors,
                L2TP_ATTR_RX_INVALID => &mut stats.rx_invalid,
                _ => continue,
            };
            *counter = attribute.u64().unwrap_or_default();
        }
        stats
    }
}
