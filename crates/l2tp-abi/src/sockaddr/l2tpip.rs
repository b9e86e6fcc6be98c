//! Addresses of L2TPIP sockets: an IP address and a control connection id.

use super::{AF_INET, AF_INET6};
use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr};

/// `struct sockaddr_l2tpip`, 16 bytes. Layout: family u16, unused u16, address (network order), connection id u32, four
/// unused bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SockaddrL2tpip {
    /// The IPv4 address.
    pub address: Ipv4Addr,
    /// The control connection id; 0 in the address of a sender.
    pub conn_id: u32,
}

impl SockaddrL2tpip {
    /// Its size in bytes.
    pub const SIZE: usize = 16;

    /// Reads an address; the family is not looked at ([`super::family`]). `None` below [`Self::SIZE`] bytes.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::SIZE] = bytes.first_chunk()?;
        let [_, _, _, _, a, b, c, d, i, j, k, l, ..] = *bytes;
        Some(Self { address: Ipv4Addr::new(a, b, c, d), conn_id: u32::from_ne_bytes([i, j, k, l]) })
    }

    /// Its bytes.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::SIZE);
        out.extend_from_slice(&AF_INET.to_ne_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&self.address.octets());
        out.extend_from_slice(&self.conn_id.to_ne_bytes());
        out.extend_from_slice(&[0; 4]);
        out
    }
}

/// `struct sockaddr_l2tpip6`, 32 bytes. Layout: family u16, unused u16, flow information u32 (network order), address,
/// scope id u32, connection id u32.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SockaddrL2tpip6 {
    /// Flow label and traffic class, in network order as they came.
    pub flowinfo: [u8; 4],
    /// The IPv6 address.
    pub address: Ipv6Addr,
    /// Index of the interface of a link-local address, else 0.
    pub scope_id: u32,
    /// The control connection id; 0 in the address of a sender.
    pub conn_id: u32,
}

impl SockaddrL2tpip6 {
    /// Its size in bytes.
    pub const SIZE: usize = 32;
    /// The least that `sendmsg` takes: up to and with the address (`SIN6_LEN_RFC2133`).
    pub const SIZE_TO_SEND: usize = 24;

    /// Reads an address; the family is not looked at ([`super::family`]). `None` below [`Self::SIZE`] bytes.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        bytes.first_chunk::<{ Self::SIZE }>().and_then(|bytes| Self::parse_to_send(bytes))
    }

    /// Reads an address that may lack its scope id and its connection id, which are then 0. `None` below
    /// [`Self::SIZE_TO_SEND`] bytes.
    #[must_use]
    pub fn parse_to_send(bytes: &[u8]) -> Option<Self> {
        let (head, rest) = bytes.split_first_chunk::<8>()?;
        let (address, rest) = rest.split_first_chunk::<16>()?;
        let [.., e, f, g, h] = *head;
        let u32_at = |at: usize| rest.get(at..)?.first_chunk::<4>().map(|bytes| u32::from_ne_bytes(*bytes));
        Some(Self {
            flowinfo: [e, f, g, h],
            address: Ipv6Addr::from(*address),
            scope_id: u32_at(0).unwrap_or(0),
            conn_id: u32_at(4).unwrap_or(0),
        })
    }

    /// Its bytes.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(Self::SIZE);
        out.extend_from_slice(&AF_INET6.to_ne_bytes());
        out.extend_from_slice(&[0; 2]);
        out.extend_from_slice(&self.flowinfo);
        out.extend_from_slice(&self.address.octets());
        out.extend_from_slice(&self.scope_id.to_ne_bytes());
        out.extend_from_slice(&self.conn_id.to_ne_bytes());
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sockaddr::family;

    #[test]
    #[cfg(target_endian = "little")]
    fn byte_for_byte() {
        let v4 = SockaddrL2tpip { address: Ipv4Addr::new(192, 0, 2, 1), conn_id: 0x0102_0304 };
        assert_eq!(v4.emit(), [2, 0, 0, 0, 192, 0, 2, 1, 4, 3, 2, 1, 0, 0, 0, 0]);
        let address = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 7);
        let v6 = SockaddrL2tpip6 { flowinfo: [0, 0, 0, 9], address, scope_id: 3, conn_id: 42 };
        let mut want = alloc::vec![10, 0, 0, 0, 0, 0, 0, 9, 0xfe, 0x80];
        want.extend_from_slice(&[0; 13]);
        want.extend_from_slice(&[7, 3, 0, 0, 0, 42, 0, 0, 0]);
        assert_eq!(v6.emit(), want);
    }

    #[test]
    fn what_is_emitted_is_parsed_and_nothing_shorter() {
        let v4 = SockaddrL2tpip { address: Ipv4Addr::LOCALHOST, conn_id: u32::MAX };
        let bytes = v4.emit();
        assert_eq!((family(&bytes), SockaddrL2tpip::parse(&bytes)), (Some(AF_INET), Some(v4)));
        assert!((0..bytes.len()).all(|len| SockaddrL2tpip::parse(&bytes[..len]).is_none()));

        let address = Ipv6Addr::LOCALHOST;
        let v6 = SockaddrL2tpip6 { flowinfo: [1, 2, 3, 4], address, scope_id: 8, conn_id: 9 };
        let bytes = v6.emit();
        assert_eq!((family(&bytes), SockaddrL2tpip6::parse(&bytes)), (Some(AF_INET6), Some(v6)));
        assert!((0..bytes.len()).all(|len| SockaddrL2tpip6::parse(&bytes[..len]).is_none()));
        for len in 0..bytes.len() {
            let parsed = SockaddrL2tpip6::parse_to_send(&bytes[..len]);
            assert_eq!(parsed.is_some(), len >= SockaddrL2tpip6::SIZE_TO_SEND);
            assert!(parsed.is_none_or(|to| to.address == address && (to.scope_id == 8) == (len >= 28)));
        }
        assert_eq!((family(&[]), family(&[1])), (None, None));
    }
}
