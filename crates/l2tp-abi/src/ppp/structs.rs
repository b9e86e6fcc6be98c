//! Arguments of requests that are more than an `int`.

use super::{PPP_AT, PPP_IP, PPP_IPV6, PPP_IPX, PPP_MPLS_MC, PPP_MPLS_UC};
use crate::genl::l2tp::Stats;
use alloc::vec::Vec;

/// `struct pppol2tp_ioc_stats`, 72 bytes: tunnel id u16, session id u16, u32 whose lowest bit says that IPsec is used, eight
/// counters u64.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct L2tpStats {
    /// The low 16 bits of our tunnel id.
    pub tunnel_id: u16,
    /// The low 16 bits of our session id; 0 for the tunnel as a whole.
    pub session_id: u16,
    /// The counters.
    pub stats: Stats,
}

impl L2tpStats {
    /// Its size in bytes.
    pub const SIZE: usize = 72;

    /// The session id of the request: 0 for the tunnel. `None` below four bytes.
    #[must_use]
    pub fn asked_session(argument: &[u8]) -> Option<u16> {
        argument.get(2..)?.first_chunk().map(|bytes| u16::from_ne_bytes(*bytes))
    }

    /// The structure at the start of `bytes`; `None` where there are too few.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let tunnel_id = u16::from_ne_bytes(*bytes.first_chunk()?);
        let session_id = Self::asked_session(bytes)?;
        let (counters, _) = bytes.get(8..Self::SIZE)?.as_chunks::<8>();
        let [
            tx_packets,
            tx_bytes,
            tx_errors,
            rx_packets,
            rx_bytes,
            rx_seq_discards,
            rx_oos_packets,
            rx_errors,
        ] = <[[u8; 8]; 8]>::try_from(counters).ok()?.map(u64::from_ne_bytes);
        let stats = Stats {
            tx_packets,
            tx_bytes,
            tx_errors,
            rx_packets,
            rx_bytes,
            rx_seq_discards,
            rx_oos_packets,
            rx_errors,
            ..Stats::default()
        };
        Some(Self { tunnel_id, session_id, stats })
    }

    /// Its bytes.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let stats = &self.stats;
        let mut out = Vec::with_capacity(Self::SIZE);
        out.extend_from_slice(&self.tunnel_id.to_ne_bytes());
        out.extend_from_slice(&self.session_id.to_ne_bytes());
        out.extend_from_slice(&[0; 4]);
        for counter in [
            stats.tx_packets,
            stats.tx_bytes,
            stats.tx_errors,
            stats.rx_packets,
            stats.rx_bytes,
            stats.rx_seq_discards,
            stats.rx_oos_packets,
            stats.rx_errors,
        ] {
            out.extend_from_slice(&counter.to_ne_bytes());
        }
        out
    }
}

/// `enum NPmode`: what happens to a unit's frames of a protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum NpMode {
    /// They pass.
    #[default]
    Pass,
    /// They are dropped.
    Drop,
    /// They are dropped, with an error.
    Error,
    /// They should wait; the kernel drops them.
    Queue,
    /// Any other number, which the kernel takes and treats as dropping.
    Other(i32),
}

impl NpMode {
    /// The mode of that number.
    #[must_use]
    pub const fn from_number(number: i32) -> Self {
        match number {
            0 => Self::Pass,
            1 => Self::Drop,
            2 => Self::Error,
            3 => Self::Queue,
            other => Self::Other(other),
        }
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::Pass => 0,
            Self::Drop => 1,
            Self::Error => 2,
            Self::Queue => 3,
            Self::Other(number) => number,
        }
    }
}

/// `struct npioctl`, 8 bytes: protocol i32, mode i32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NpModeRequest {
    /// A PPP protocol.
    pub protocol: i32,
    /// Its mode.
    pub mode: NpMode,
}

impl NpModeRequest {
    /// The protocols that have a mode.
    pub const PROTOCOLS: [u16; 6] = [PPP_IP, PPP_IPV6, PPP_IPX, PPP_AT, PPP_MPLS_UC, PPP_MPLS_MC];

    /// Reads it; `None` below 8 bytes.
    #[must_use]
    pub fn parse(argument: &[u8]) -> Option<Self> {
        let (protocol, rest) = argument.split_first_chunk()?;
        let mode = NpMode::from_number(i32::from_ne_bytes(*rest.first_chunk()?));
        Some(Self { protocol: i32::from_ne_bytes(*protocol), mode })
    }

    /// Its bytes.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        [self.protocol.to_ne_bytes(), self.mode.number().to_ne_bytes()].concat()
    }
}

/// `struct ppp_idle`: seconds since a network's frame was last sent and received, both i64 or both i32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct IdleTimes {
    /// Since the last sent.
    pub xmit: u64,
    /// Since the last received.
    pub recv: u64,
}

impl IdleTimes {
    /// Its bytes in the form of 64 bits.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        [self.xmit, self.recv]
            .map(|seconds| i64::try_from(seconds).unwrap_or(i64::MAX).to_ne_bytes())
            .concat()
    }

    /// Its bytes in the form of 32 bits.
    #[must_use]
    pub fn emit_32(&self) -> Vec<u8> {
        [self.xmit, self.recv]
            .map(|seconds| i32::try_from(seconds).unwrap_or(i32::MAX).to_ne_bytes())
            .concat()
    }
}

/// `struct ppp_stats`, 76 bytes: eleven counters u32 of the unit, of which the kernel sets six, and eight of VJ, which are 0
/// here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UnitStats {
    /// Bytes received, the protocol field not counted.
    pub rx_bytes: u64,
    /// Frames received.
    pub rx_packets: u64,
    /// Frames that could not be understood.
    pub rx_errors: u64,
    /// Bytes sent, the protocol field not counted.
    pub tx_bytes: u64,
    /// Frames sent.
    pub tx_packets: u64,
    /// Frames that could not be sent.
    pub tx_errors: u64,
}

impl UnitStats {
    /// Its size in bytes.
    pub const SIZE: usize = 76;

    /// Its bytes, each counter cut to 32 bits.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::SIZE);
        for counter in [
            0,
            self.rx_bytes,
            0,
            self.rx_packets,
            self.rx_errors,
            0,
            self.tx_bytes,
            0,
            self.tx_packets,
            self.tx_errors,
            0,
        ] {
            let [_, _, _, _, a, b, c, d] = counter.to_be_bytes();
            out.extend_from_slice(&u32::from_be_bytes([a, b, c, d]).to_ne_bytes());
        }
        out.resize(Self::SIZE, 0);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[cfg(target_endian = "little")]
    fn layouts() {
        let stats =
            Stats { tx_packets: 1, tx_errors: 3, rx_seq_discards: 6, rx_errors: 8, ..Stats::default() };
        let counters = L2tpStats { tunnel_id: 0x0102, session_id: 3, stats };
        let bytes = counters.emit();
        assert_eq!(L2tpStats::parse(&bytes), Some(counters));
        assert_eq!(L2tpStats::parse(&bytes[..L2tpStats::SIZE - 1]), None);
        assert_eq!((bytes.len(), &bytes[..9]), (L2tpStats::SIZE, &[2, 1, 3, 0, 0, 0, 0, 0, 1][..]));
        assert_eq!((bytes[24], bytes[48], bytes[64]), (3, 6, 8));
        assert_eq!(L2tpStats::asked_session(&bytes), Some(3));
        assert_eq!(L2tpStats::asked_session(&bytes[..3]), None);

        let request = NpModeRequest { protocol: 0x57, mode: NpMode::Queue };
        assert_eq!(request.emit(), [0x57, 0, 0, 0, 3, 0, 0, 0]);
        assert_eq!(NpModeRequest::parse(&request.emit()), Some(request));
        assert_eq!(NpModeRequest::parse(&[0; 7]), None);
        assert!([-1, 0, 1, 2, 3, 4].iter().all(|mode| NpMode::from_number(*mode).number() == *mode));

        let idle = IdleTimes { xmit: 5, recv: u64::MAX };
        assert_eq!(idle.emit()[..9], [5, 0, 0, 0, 0, 0, 0, 0, 0xff]);
        assert_eq!(idle.emit_32(), [5, 0, 0, 0, 0xff, 0xff, 0xff, 0x7f]);

        let unit = UnitStats {
            rx_bytes: 1 << 32 | 7,
            rx_packets: 2,
            tx_bytes: 9,
            tx_packets: 3,
            ..Default::default()
        };
        let bytes = unit.emit();
        assert_eq!(
            (bytes.len(), bytes[4], bytes[8], bytes[12], bytes[24], bytes[32]),
            (UnitStats::SIZE, 7, 0, 2, 9, 3)
        );
    }
}
