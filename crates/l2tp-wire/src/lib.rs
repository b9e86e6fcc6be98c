//! Bytes on the network: the headers of L2TPv2 and L2TPv3 data messages, and as much of a control message's header as
//! telling the two apart and finding the owner of a control connection needs.
//!
//! No state, no allocation, no unsafe. Every parser is total: any bytes give a value or an error.
//!
//! | module | what | source |
//! |---|---|---|
//! | [`flags`] | the first 16 bits of everything that UDP carries | RFC 2661 3.1, RFC 3931 4.1.2 |
//! | [`classify`] | control or data, and whose | the order of tests of `net/l2tp/l2tp_core.c` |
//! | [`v2`] | L2TPv2 data header | RFC 2661 3.1 |
//! | [`v3`] | L2TPv3 data header over UDP and over IP | RFC 3931 4.1 |
//! | [`cookie`] | the cookie of a v3 session | RFC 3931 4.1 |
//! | [`l2specific`] | the default sublayer with its sequence number | RFC 3931 4.6 |
//! | [`control`] | the header of a control message | RFC 2661 3.1, RFC 3931 3.2.1 |
//! | [`ppp`] | address and control field of a PPP frame | RFC 1661 2, RFC 1662 3.1 |
//! | [`train`] | datagrams that nobody has cut yet | |
//! | [`vlan`] | the tag of a VLAN pseudowire's frames | RFC 4719 2.2, IEEE 802.1Q 9.6 |
#![no_std]
#![forbid(unsafe_code)]

pub mod classify;
pub mod control;
pub mod cookie;
pub mod flags;
pub mod l2specific;
pub mod ppp;
pub mod train;
pub mod v2;
pub mod v3;
pub mod vlan;

pub use cookie::Cookie;

/// A header that ends before its last field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Truncated;

impl core::fmt::Display for Truncated {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("the packet ends inside its header")
    }
}

impl core::error::Error for Truncated {}

/// The big-endian 16-bit field at `at`.
pub(crate) fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..)?.first_chunk().copied().map(u16::from_be_bytes)
}

/// The big-endian 32-bit field at `at`.
pub(crate) fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_be_bytes)
}
