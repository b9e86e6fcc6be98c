//! What travels on the descriptor that stands for an L2TPIP socket: one end of a SEQPACKET Unix pair. Each datagram is
//! one control message behind an [`Envelope`] that says where it goes or where it came from.
//!
//! Toward the daemon an envelope without family sends to the peer that the socket is connected to. A message that cannot
//! be sent is dropped and counted; whoever wants to know why asks for `FERROWIRE_CMD_SOCKET_SEND`
//! ([`crate::genl::ferrowire`]) instead.

use crate::sockaddr::{AF_INET, AF_INET6, AF_UNSPEC};
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Bytes of an envelope.
pub const ENVELOPE_LEN: usize = 28;

/// The other side's address. Layout, 28 bytes in machine byte order: family u16 (0: none), two zero bytes, scope id u32,
/// address (16 bytes, of which IPv4 uses the first four), control connection id u32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Envelope {
    /// The other side's address; `None`: the connected peer.
    pub address: Option<IpAddr>,
    /// Index of the interface of a link-local address, else 0.
    pub scope_id: u32,
    /// From the daemon: 0, as the kernel gives it. To the daemon: ignored, as the kernel ignores it.
    pub conn_id: u32,
}

impl Envelope {
    /// To the peer that the socket is connected to.
    pub const TO_PEER: Self = Self { address: None, scope_id: 0, conn_id: 0 };

    /// Splits the envelope off a datagram. `None` if the datagram is too short or the family is unknown.
    #[must_use]
    pub fn split(datagram: &[u8]) -> Option<(Self, &[u8])> {
        let (head, message) = datagram.split_first_chunk::<ENVELOPE_LEN>()?;
        let (family, rest) = head.split_first_chunk::<2>()?;
        let (scope_id, rest) = rest.get(2..)?.split_first_chunk::<4>()?;
        let (octets, rest) = rest.split_first_chunk::<16>()?;
        let address = match u16::from_ne_bytes(*family) {
            AF_UNSPEC => None,
            AF_INET => Some(Ipv4Addr::from(*octets.first_chunk::<4>()?).into()),
            AF_INET6 => Some(Ipv6Addr::from(*octets).into()),
            _ => return None,
        };
        let conn_id = u32::from_ne_bytes(*rest.first_chunk()?);
        Some((Self { address, scope_id: u32::from_ne_bytes(*scope_id), conn_id }, message))
    }

    /// Its bytes.
    #[must_use]
    pub fn emit(&self) -> [u8; ENVELOPE_LEN] {
        let mut octets = [0; 16];
        let family = match self.address {
            None => AF_UNSPEC,
            Some(IpAddr::V4(address)) => {
                octets.iter_mut().zip(address.octets()).for_each(|(to, from)| *to = from);
                AF_INET
            }
            Some(IpAddr::V6(address)) => {
                octets = address.octets();
                AF_INET6
            }
        };
        let mut out = [0; ENVELOPE_LEN];
        let fields = family.to_ne_bytes().into_iter().chain([0; 2]).chain(self.scope_id.to_ne_bytes());
        let fields = fields.chain(octets).chain(self.conn_id.to_ne_bytes());
        out.iter_mut().zip(fields).for_each(|(to, from)| *to = from);
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        for address in [None, Some(IpAddr::from([192, 0, 2, 1])), Some(Ipv6Addr::LOCALHOST.into())] {
            let envelope = Envelope { address, scope_id: 7, conn_id: 9 };
            let datagram = [&envelope.emit()[..], b"xyz"].concat();
            assert_eq!(Envelope::split(&datagram), Some((envelope, &b"xyz"[..])));
            assert!((0..ENVELOPE_LEN).all(|len| Envelope::split(&datagram[..len]).is_none()));
        }
        assert_eq!(Envelope::split(&[0xff; 40]), None);
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn byte_for_byte() {
        let envelope = Envelope { address: Some(IpAddr::from([192, 0, 2, 1])), scope_id: 3, conn_id: 4 };
        let mut want = [0; ENVELOPE_LEN];
        want[..12].copy_from_slice(&[2, 0, 0, 0, 3, 0, 0, 0, 192, 0, 2, 1]);
        want[24] = 4;
        assert_eq!(envelope.emit(), want);
    }
}
