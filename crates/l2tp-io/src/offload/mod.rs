//! Segmentation and checksum offload for Ethernet frames and for IP packets: what the kernel does in GSO and GRO, done on the
//! super-frames that a TAP or TUN device gives and takes.
//!
//! A TAP opened with `IFF_VNET_HDR` hands over TCP and UDP frames of up to 64 KiB with an unfinished checksum,
//! each behind a [`vnet::VnetHeader`]. [`split::prepare`] turns one into frames fit for the wire, without
//! copying payload. [`coalesce::coalesce`] goes the other way: a batch of received frames becomes as few TAP
//! writes as possible.
//!
//! Both directions understand 802.1Q and 802.1ad tags, IPv4 with options and IPv6 with extension headers.
//! Whatever they do not understand passes untouched. Nothing here makes a system call or allocates.

pub mod checksum;
pub mod coalesce;
mod flow;
mod layers;
mod segment;
pub mod split;
mod unfinished;
pub mod vnet;

#[cfg(test)]
mod tests;

/// What a frame begins with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Link {
    /// The MAC addresses: a TAP's.
    Ethernet,
    /// The IP header: a TUN's.
    Ip,
}

/// The longest Ethernet, IP and transport header, in octets, that is split or coalesced: room for eight VLAN
/// tags, a full TCP header and 366 octets of IPv6 extension headers.
pub const HEADER_MAX: usize = 512;

/// Writes `field` at offset `at`, if it lies wholly inside `bytes`.
fn put<const N: usize>(bytes: &mut [u8], at: usize, field: [u8; N]) {
    if let Some(slot) = bytes.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        *slot = field;
    }
}
