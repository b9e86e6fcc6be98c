//! Options of a socket: the ordinary ones of sockets, IP and IPv6 that mean something for control messages.

use super::{Domain, IPPROTO_L2TP};
use alloc::vec::Vec;
use l2tp_abi::Errno;
use l2tp_abi::sockopt::{
    IP_MTU_DISCOVER, IP_RECVERR, IP_TOS, IP_TTL, IPV6_MTU_DISCOVER, IPV6_RECVERR, IPV6_TCLASS,
    IPV6_UNICAST_HOPS, SO_DOMAIN, SO_ERROR, SO_PROTOCOL, SO_RCVBUF, SO_SNDBUF, SO_TYPE, SOL_IP, SOL_IPV6,
    SOL_SOCKET,
};

/// `IP_PMTUDISC_WANT`: the default.
const PMTUDISC_WANT: u8 = 1;
/// `IP_PMTUDISC_DO`.
const PMTUDISC_DO: u8 = 2;
/// `IP_PMTUDISC_PROBE`.
const PMTUDISC_PROBE: u8 = 3;
/// `IP_PMTUDISC_OMIT`: the last.
const PMTUDISC_OMIT: u8 = 5;

/// `SOCK_DGRAM`.
const SOCK_DGRAM: i32 = 2;

/// The largest buffer that may be asked for, in bytes: the default of `net.core.rmem_max` and `wmem_max`.
const BUFFER_MAX: u32 = 212_992;
/// The least that the kernel gives, in bytes.
const BUFFER_MIN: u32 = 2304;
/// TTL and hop limit of a host that was told nothing else.
const DEFAULT_TTL: u8 = 64;

/// What was set. TOS and TTL stand for the traffic class and the hop limit of IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// TOS or traffic class.
    pub tos: u8,
    /// TTL or hop limit; `None`: the host's default.
    pub ttl: Option<u8>,
    /// `IP_PMTUDISC_*`, 0 to 5.
    pub mtu_discover: u8,
    /// Asked for the error queue. It is always empty here.
    pub recverr: bool,
    /// Receive buffer in bytes, as the kernel tells it: twice what was asked for.
    pub rcvbuf: u32,
    /// Send buffer, the same.
    pub sndbuf: u32,
}

impl Default for Options {
    fn default() -> Self {
        let (rcvbuf, sndbuf) = (BUFFER_MAX, BUFFER_MAX);
        Self { tos: 0, ttl: None, mtu_discover: PMTUDISC_WANT, recverr: false, rcvbuf, sndbuf }
    }
}

impl Options {
    /// Whether a message must leave in one piece: with DF, and refused where it is above the path's MTU. Over IPv6 the
    /// sender cuts what is too large unless it is told not to.
    pub(super) const fn keeps_whole(&self, domain: Domain) -> bool {
        match domain {
            Domain::V4 => matches!(self.mtu_discover, PMTUDISC_WANT..=PMTUDISC_PROBE),
            Domain::V6 => matches!(self.mtu_discover, PMTUDISC_DO..=PMTUDISC_PROBE),
        }
    }

    /// `setsockopt`.
    ///
    /// # Errors
    /// `ENOPROTOOPT` for an option that is not known here, `EINVAL` for a value out of range or too short.
    pub(super) fn set(&mut self, domain: Domain, level: u32, option: u32, value: &[u8]) -> Result<(), Errno> {
        let value = integer(level, value).ok_or(Errno::EINVAL)?;
        match (level, option, domain) {
            (SOL_SOCKET, SO_RCVBUF, _) => self.rcvbuf = buffer(value),
            (SOL_SOCKET, SO_SNDBUF, _) => self.sndbuf = buffer(value),
            (SOL_IP, IP_TOS, Domain::V4) => [self.tos, ..] = value.to_le_bytes(),
            (SOL_IPV6, IPV6_TCLASS, Domain::V6) => self.tos = default_or_byte(value, 0)?.unwrap_or(0),
            (SOL_IP, IP_TTL, Domain::V4) => self.ttl = default_or_byte(value, 1)?,
            (SOL_IPV6, IPV6_UNICAST_HOPS, Domain::V6) => self.ttl = default_or_byte(value, 0)?,
            (SOL_IP, IP_MTU_DISCOVER, Domain::V4) | (SOL_IPV6, IPV6_MTU_DISCOVER, Domain::V6) => {
                let mode = u8::try_from(value).ok().filter(|mode| *mode <= PMTUDISC_OMIT);
                self.mtu_discover = mode.ok_or(Errno::EINVAL)?;
            }
            (SOL_IP, IP_RECVERR, Domain::V4) | (SOL_IPV6, IPV6_RECVERR, Domain::V6) => {
                self.recverr = value != 0;
            }
            _ => return Err(Errno::ENOPROTOOPT),
        }
        Ok(())
    }

    /// `getsockopt`: always an `int`.
    ///
    /// # Errors
    /// `ENOPROTOOPT` for an option that is not known here.
    pub(super) fn get(&self, domain: Domain, level: u32, option: u32) -> Result<Vec<u8>, Errno> {
        let value = match (level, option, domain) {
            (SOL_SOCKET, SO_TYPE, _) => SOCK_DGRAM,
            (SOL_SOCKET, SO_DOMAIN, _) => domain.number().into(),
            (SOL_SOCKET, SO_PROTOCOL, _) => IPPROTO_L2TP.into(),
            (SOL_SOCKET, SO_ERROR, _) => 0,
            (SOL_SOCKET, SO_RCVBUF, _) => i32::try_from(self.rcvbuf).unwrap_or(i32::MAX),
            (SOL_SOCKET, SO_SNDBUF, _) => i32::try_from(self.sndbuf).unwrap_or(i32::MAX),
            (SOL_IP, IP_TOS, Domain::V4) | (SOL_IPV6, IPV6_TCLASS, Domain::V6) => self.tos.into(),
            (SOL_IP, IP_TTL, Domain::V4) | (SOL_IPV6, IPV6_UNICAST_HOPS, Domain::V6) => {
                self.ttl.unwrap_or(DEFAULT_TTL).into()
            }
            (SOL_IP, IP_MTU_DISCOVER, Domain::V4) | (SOL_IPV6, IPV6_MTU_DISCOVER, Domain::V6) => {
                self.mtu_discover.into()
            }
            (SOL_IP, IP_RECVERR, Domain::V4) | (SOL_IPV6, IPV6_RECVERR, Domain::V6) => self.recverr.into(),
            _ => return Err(Errno::ENOPROTOOPT),
        };
        Ok(value.to_ne_bytes().to_vec())
    }
}

/// What `optval` holds. Options of IPv4 may be a single byte, or nothing at all, which is 0 (`do_ip_setsockopt`).
fn integer(level: u32, value: &[u8]) -> Option<i32> {
    match (value.first_chunk(), value.first()) {
        (Some(bytes), _) => Some(i32::from_ne_bytes(*bytes)),
        (None, Some(byte)) => (level == SOL_IP).then(|| i32::from(*byte)),
        (None, None) => (level == SOL_IP).then_some(0),
    }
}

/// Twice what was asked for, within the kernel's bounds (`__sock_set_rcvbuf`).
fn buffer(value: i32) -> u32 {
    let asked = u32::try_from(value).unwrap_or(BUFFER_MAX).min(BUFFER_MAX);
    (2 * asked).max(BUFFER_MIN)
}

/// -1 for the default, or a number from `least` to 255.
fn default_or_byte(value: i32, least: u8) -> Result<Option<u8>, Errno> {
    if value == -1 {
        return Ok(None);
    }
    u8::try_from(value).ok().filter(|byte| *byte >= least).map(Some).ok_or(Errno::EINVAL)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(domain: Domain, level: u32, option: u32, value: i32) -> Result<i32, Errno> {
        let mut options = Options::default();
        options.set(domain, level, option, &value.to_ne_bytes())?;
        let read = options.get(domain, level, option)?;
        Ok(i32::from_ne_bytes(read.try_into().unwrap()))
    }

    #[test]
    fn values_are_kept_within_their_range() {
        let invalid = Err(Errno::EINVAL);
        for (domain, level, option, value, want) in [
            (Domain::V4, SOL_IP, IP_TOS, 0x1b8, Ok(0xb8)),
            (Domain::V4, SOL_IP, IP_TTL, 7, Ok(7)),
            (Domain::V4, SOL_IP, IP_TTL, -1, Ok(64)),
            (Domain::V4, SOL_IP, IP_TTL, 0, invalid),
            (Domain::V4, SOL_IP, IP_TTL, 256, invalid),
            (Domain::V4, SOL_IP, IP_MTU_DISCOVER, 0, Ok(0)),
            (Domain::V4, SOL_IP, IP_MTU_DISCOVER, 6, invalid),
            (Domain::V4, SOL_IP, IP_RECVERR, 9, Ok(1)),
            (Domain::V6, SOL_IPV6, IPV6_TCLASS, 255, Ok(255)),
            (Domain::V6, SOL_IPV6, IPV6_TCLASS, 256, invalid),
            (Domain::V6, SOL_IPV6, IPV6_UNICAST_HOPS, 0, Ok(0)),
            (Domain::V6, SOL_IPV6, IPV6_MTU_DISCOVER, 2, Ok(2)),
            (Domain::V6, SOL_IPV6, IPV6_RECVERR, 1, Ok(1)),
            (Domain::V6, SOL_IP, IP_TTL, 7, Err(Errno::ENOPROTOOPT)),
            (Domain::V4, SOL_IPV6, IPV6_TCLASS, 7, Err(Errno::ENOPROTOOPT)),
            (Domain::V4, SOL_SOCKET, SO_TYPE, 7, Err(Errno::ENOPROTOOPT)),
            (Domain::V4, 17, 1, 7, Err(Errno::ENOPROTOOPT)),
            (Domain::V4, SOL_SOCKET, SO_RCVBUF, 10_000, Ok(20_000)),
            (Domain::V4, SOL_SOCKET, SO_SNDBUF, 1, Ok(2304)),
            (Domain::V6, SOL_SOCKET, SO_RCVBUF, i32::MAX, Ok(425_984)),
        ] {
            assert_eq!(set(domain, level, option, value), want, "{domain:?} {level}/{option} = {value}");
        }
    }

    #[test]
    fn what_can_only_be_read() {
        let read = |domain, option| Options::default().get(domain, SOL_SOCKET, option).unwrap();
        assert_eq!(read(Domain::V4, SO_TYPE), 2_i32.to_ne_bytes());
        assert_eq!(read(Domain::V6, SO_DOMAIN), 10_i32.to_ne_bytes());
        assert_eq!(read(Domain::V6, SO_PROTOCOL), 115_i32.to_ne_bytes());
        assert_eq!(read(Domain::V4, SO_ERROR), 0_i32.to_ne_bytes());
        assert_eq!(Options::default().get(Domain::V4, SOL_SOCKET, 999), Err(Errno::ENOPROTOOPT));
    }

    #[test]
    fn only_options_of_ipv4_may_be_short() {
        let mut options = Options::default();
        assert_eq!(options.set(Domain::V4, SOL_IP, IP_TOS, &[0x10]), Ok(()));
        assert_eq!(options.tos, 0x10);
        assert_eq!(options.set(Domain::V4, SOL_IP, IP_TOS, &[]), Ok(()));
        assert_eq!(options.tos, 0);
        for (level, option) in [(SOL_SOCKET, SO_RCVBUF), (SOL_IPV6, IPV6_TCLASS)] {
            assert_eq!(options.set(Domain::V6, level, option, &[1]), Err(Errno::EINVAL));
        }
    }

    #[test]
    fn ipv4_keeps_messages_whole_by_default_and_ipv6_does_not() {
        let keeps = |domain, mtu_discover| Options { mtu_discover, ..Options::default() }.keeps_whole(domain);
        assert_eq!(
            [0, 1, 2, 3, 4, 5].map(|mode| keeps(Domain::V4, mode)),
            [false, true, true, true, false, false]
        );
        assert_eq!(
            [0, 1, 2, 3, 4, 5].map(|mode| keeps(Domain::V6, mode)),
            [false, false, true, true, false, false]
        );
    }
}
