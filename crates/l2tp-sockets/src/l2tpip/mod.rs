//! L2TPIP sockets: a program's control messages over IP protocol 115 (`net/l2tp/l2tp_ip.c`, `l2tp_ip6.c`).
//!
//! | room | what |
//! |---|---|
//! | [`Sockets`] | all of a namespace: who may have one, which id is taken, whose a message is |
//! | [`Socket`] | one: `bind`, `connect`, names, where a message goes |
//! | [`Options`] | `setsockopt` and `getsockopt` |
//! | [`Network`] | what is asked of the host |

mod options;
mod socket;
mod table;

pub use options::Options;
pub use socket::{Route, Socket};
pub use table::{SOCKETS_MAX, Sockets};

use core::net::{IpAddr, SocketAddr};
use l2tp_abi::Errno;

/// The number of L2TP among the protocols of IP (RFC 3931 section 4.1.1).
pub const IPPROTO_L2TP: u8 = 115;

/// What only the host can say. Ports are 0 throughout; the scope id of a link-local address is the index of its interface.
pub trait Network {
    /// Whether a socket can be bound to `address`, which is not unspecified.
    ///
    /// # Errors
    /// `EADDRNOTAVAIL` for one that is neither ours nor, in IPv4, multicast or broadcast; `ENODEV` for an unknown interface.
    fn check_local(&self, address: SocketAddr) -> Result<(), Errno>;

    /// The addresses of a socket on `local` (perhaps unspecified) after it was connected to `peer`.
    ///
    /// # Errors
    /// `ENETUNREACH`, `EHOSTUNREACH`, `EACCES` (broadcast), `EINVAL`.
    fn connect(&self, local: SocketAddr, peer: SocketAddr) -> Result<Path, Errno>;
}

/// Two ends, as routing has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Path {
    /// Our address.
    pub local: IpAddr,
    /// The peer's: the loopback address for an unspecified one.
    pub peer: IpAddr,
}

/// The address family of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Domain {
    /// `AF_INET`.
    V4,
    /// `AF_INET6`.
    V6,
}

impl Domain {
    /// The family of that number.
    #[must_use]
    pub const fn from_number(number: u16) -> Option<Self> {
        match number {
            l2tp_abi::sockaddr::AF_INET => Some(Self::V4),
            l2tp_abi::sockaddr::AF_INET6 => Some(Self::V6),
            _ => None,
        }
    }

    /// Its number.
    #[must_use]
    pub const fn number(self) -> u16 {
        match self {
            Self::V4 => l2tp_abi::sockaddr::AF_INET,
            Self::V6 => l2tp_abi::sockaddr::AF_INET6,
        }
    }

    /// The family of an address.
    #[must_use]
    pub const fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    const fn unspecified(self) -> IpAddr {
        match self {
            Self::V4 => IpAddr::V4(core::net::Ipv4Addr::UNSPECIFIED),
            Self::V6 => IpAddr::V6(core::net::Ipv6Addr::UNSPECIFIED),
        }
    }
}
