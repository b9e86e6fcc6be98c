//! How tunnels are carried.

/// Encapsulation and IP version of the outer packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Udp4,
    Udp6,
    Ip4,
    Ip6,
}

impl Form {
    pub(crate) const ALL: [Self; 4] = [Self::Udp4, Self::Udp6, Self::Ip4, Self::Ip6];

    pub(crate) fn is_udp(self) -> bool {
        matches!(self, Self::Udp4 | Self::Udp6)
    }

    pub(crate) fn is_v4(self) -> bool {
        matches!(self, Self::Udp4 | Self::Ip4)
    }

    /// The outer address of host `number` (1 or 2).
    pub(crate) fn address(self, number: u8) -> String {
        if self.is_v4() { format!("192.0.2.{number}") } else { format!("2001:db8::{number}") }
    }

    /// Bytes before the L2TP header's session id and behind the Ethernet header.
    pub(crate) fn outer_bytes(self) -> u32 {
        let ip = if self.is_v4() { 20 } else { 40 };
        // The UDP header, then flags and the reserved field of L2TP over UDP.
        ip + if self.is_udp() { 8 + 4 } else { 0 }
    }
}
