//! `sockaddr_in` and `sockaddr_in6` as bytes, so that they can sit in preallocated batches.
//!
//! Both begin with the family in host order and the port in network order (ip(7), ipv6(7)).

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};

/// Size of `sockaddr_in6`, the larger of the two.
const CAPACITY: usize = 28;
/// Size of `sockaddr_in`.
const V4_SIZE: usize = 16;

/// Room for one socket address.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(crate) struct SockAddr {
    bytes: [u8; CAPACITY],
    size: u32,
}

impl SockAddr {
    pub(crate) const EMPTY: Self = Self { bytes: [0; CAPACITY], size: 0 };
    pub(crate) const CAPACITY: u32 = 28;

    pub(crate) fn size(&self) -> u32 {
        self.size
    }

    /// The length that the kernel reported for what it wrote here.
    pub(crate) fn set_size(&mut self, size: u32) {
        self.size = size;
    }

    pub(crate) fn as_ptr(&self) -> *const u8 {
        self.bytes.as_ptr()
    }

    pub(crate) fn as_mut_ptr(&mut self) -> *mut u8 {
        self.bytes.as_mut_ptr()
    }

    /// The address, if one of the two families was written.
    pub(crate) fn decode(&self) -> Option<SocketAddr> {
        let bytes = self.bytes.get(..usize::try_from(self.size).ok()?)?;
        let (family, rest) = bytes.split_first_chunk::<2>()?;
        let (port, rest) = rest.split_first_chunk::<2>()?;
        let port = u16::from_be_bytes(*port);
        let (first, rest) = rest.split_first_chunk::<4>()?;
        match i32::from(u16::from_ne_bytes(*family)) {
            libc::AF_INET => Some((Ipv4Addr::from(*first), port).into()),
            libc::AF_INET6 => {
                let (address, rest) = rest.split_first_chunk::<16>()?;
                let scope = u32::from_ne_bytes(*rest.first_chunk::<4>()?);
                let flowinfo = u32::from_ne_bytes(*first);
                Some(SocketAddrV6::new(Ipv6Addr::from(*address), port, flowinfo, scope).into())
            }
            _ => None,
        }
    }
}

impl From<SocketAddr> for SockAddr {
    fn from(address: SocketAddr) -> Self {
        let mut bytes = [0; CAPACITY];
        let size = match address {
            SocketAddr::V4(v4) => {
                let fields: [&[u8]; 2] = [&address.port().to_be_bytes(), &v4.ip().octets()];
                put(&mut bytes, libc::AF_INET, &fields);
                V4_SIZE
            }
            SocketAddr::V6(v6) => {
                let (flow, scope) = (v6.flowinfo().to_ne_bytes(), v6.scope_id().to_ne_bytes());
                put(
                    &mut bytes,
                    libc::AF_INET6,
                    &[&v6.port().to_be_bytes(), &flow, &v6.ip().octets(), &scope],
                );
                CAPACITY
            }
        };
        Self { bytes, size: u32::try_from(size).unwrap_or_default() }
    }
}

fn put(bytes: &mut [u8], family: i32, fields: &[&[u8]]) {
    let family = u16::try_from(family).unwrap_or_default().to_ne_bytes();
    let source = family.iter().chain(fields.iter().copied().flatten());
    for (to, from) in bytes.iter_mut().zip(source) {
        *to = *from;
    }
}

#[cfg(test)]
mod tests {
    use super::SockAddr;
    use std::net::{SocketAddr, SocketAddrV6};

    #[test]
    fn encodes_as_the_c_structures() {
        let v4 = SockAddr::from("192.0.2.1:1701".parse::<SocketAddr>().unwrap());
        assert_eq!((v4.size(), &v4.bytes[2..8]), (16, &[0x06, 0xa5, 192, 0, 2, 1][..]));
        assert_eq!(v4.bytes[..2], 2_u16.to_ne_bytes());
        let v6 = SockAddr::from(SocketAddr::from(SocketAddrV6::new("fe80::7".parse().unwrap(), 9, 5, 3)));
        assert_eq!((v6.size(), &v6.bytes[..2]), (28, &10_u16.to_ne_bytes()[..]));
        assert_eq!((v6.bytes[8], v6.bytes[23], &v6.bytes[24..28]), (0xfe, 7, &3_u32.to_ne_bytes()[..]));
    }

    #[test]
    fn decodes_what_it_encodes() {
        let scoped = SocketAddrV6::new("fe80::7".parse().unwrap(), 65535, 9, 3).into();
        for address in ["0.0.0.0:0".parse().unwrap(), "198.51.100.7:1701".parse().unwrap(), scoped] {
            assert_eq!(SockAddr::from(address).decode(), Some(address));
        }
    }

    #[test]
    fn any_bytes_and_sizes_give_an_address_or_none() {
        let mut address = SockAddr::from("192.0.2.1:1701".parse::<SocketAddr>().unwrap());
        for size in (0..8).chain([29, u32::MAX]) {
            address.set_size(size);
            assert_eq!(address.decode(), None, "size {size}");
        }
        let mut garbage = SockAddr { bytes: [0xff; 28], size: 28 };
        assert_eq!(garbage.decode(), None);
        garbage.bytes[..2].copy_from_slice(&10_u16.to_ne_bytes());
        garbage.set_size(27);
        assert_eq!(garbage.decode(), None);
    }
}
