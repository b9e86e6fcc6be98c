//! Addresses of the subsystem's own sockets, as programs pass them to `bind`, `connect` and `sendto`.
//!
//! Integers are in the byte order of the machine unless told otherwise. Source: `include/uapi/linux/l2tp.h`,
//! `if_pppox.h`, `if_pppol2tp.h`.

mod l2tpip;
mod pppol2tp;

pub use l2tpip::{SockaddrL2tpip, SockaddrL2tpip6};
pub use pppol2tp::{AF_PPPOX, PX_PROTO_OL2TP, Pppol2tpForm, SockaddrPppol2tp};

/// `AF_UNSPEC`: no address; `connect` to it disconnects.
pub const AF_UNSPEC: u16 = 0;
/// `AF_INET`.
pub const AF_INET: u16 = 2;
/// `AF_INET6`.
pub const AF_INET6: u16 = 10;

/// The family that every address begins with, a u16; `None` below two bytes.
#[must_use]
pub fn family(address: &[u8]) -> Option<u16> {
    address.first_chunk().map(|bytes| u16::from_ne_bytes(*bytes))
}
