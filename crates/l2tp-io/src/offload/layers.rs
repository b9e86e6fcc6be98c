//! Where the headers of an IP packet lie in an Ethernet frame.

use std::ops::Range;

use super::Link;

/// IP protocol number of TCP.
pub(super) const TCP: u8 = 6;
/// IP protocol number of UDP.
pub(super) const UDP: u8 = 17;

/// Octets of a TCP header without options.
pub(super) const TCP_LEN: usize = 20;
/// Octets of a UDP header.
pub(super) const UDP_LEN: usize = 8;
/// Octets of the fixed IPv6 header, which its payload length does not count.
pub(super) const IPV6_LEN: usize = 40;

/// VLAN tags that are looked through: `VLAN_MAX_DEPTH` of the kernel (`include/linux/if_vlan.h`).
const VLAN_DEPTH: usize = 8;

/// The version of an IP packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    V4,
    V6,
}

impl Family {
    /// Where source and destination lie in the IP header.
    pub(super) fn addresses(self) -> Range<usize> {
        match self {
            Self::V4 => 12..20,
            Self::V6 => 8..40,
        }
    }
}

/// The offsets of the headers of one frame, all inside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layers {
    pub(super) family: Family,
    /// Offset of the IP header, after the MAC addresses, tags and Ethernet type.
    pub(super) network: usize,
    /// Offset of what follows the IP header, its options or extension headers.
    pub(super) transport: usize,
    /// The IP protocol found there.
    pub(super) protocol: u8,
    /// Whether the packet is a fragment, so that its transport header may be missing or not cover the rest.
    pub(super) fragment: bool,
}

impl Layers {
    /// Finds the headers of `frame`; `None` if it is not IPv4 or IPv6 or they are cut short.
    pub(super) fn parse(link: Link, frame: &[u8]) -> Option<Self> {
        let (ether_type, network) = match link {
            Link::Ethernet => ether_type(frame)?,
            Link::Ip => (ip_type(frame)?, 0),
        };
        let packet = frame.get(network..)?;
        match ether_type {
            0x0800 => Self::parse_ipv4(packet, network),
            0x86dd => Self::parse_ipv6(packet, network),
            _ => None,
        }
    }

    fn parse_ipv4(packet: &[u8], network: usize) -> Option<Self> {
        let header: &[u8; 20] = packet.first_chunk()?;
        let len = usize::from(header[0] & 0x0f) * 4;
        if header[0] >> 4 != 4 || len < header.len() || len > packet.len() {
            return None;
        }
        // More Fragments or an offset (RFC 791 section 3.1).
        let fragment = u16::from_be_bytes([header[6], header[7]]) & 0x3fff != 0;
        let transport = network + len;
        Some(Self { family: Family::V4, network, transport, protocol: header[9], fragment })
    }

    fn parse_ipv6(packet: &[u8], network: usize) -> Option<Self> {
        let (header, rest) = packet.split_first_chunk::<IPV6_LEN>()?;
        if header[0] >> 4 != 6 {
            return None;
        }
        let (protocol, extensions) = skip_extensions(header[6], rest)?;
        let transport = network + IPV6_LEN + extensions;
        Some(Self { family: Family::V6, network, transport, protocol, fragment: protocol == FRAGMENT })
    }
}

/// The Ethernet type of a packet, by its version.
fn ip_type(packet: &[u8]) -> Option<u16> {
    match packet.first()? >> 4 {
        4 => Some(0x0800),
        6 => Some(0x86dd),
        _ => None,
    }
}

/// The Ethernet type behind all VLAN tags, and the offset of what follows it.
fn ether_type(frame: &[u8]) -> Option<(u16, usize)> {
    let mut at = 12;
    for _ in 0..=VLAN_DEPTH {
        let ether_type = u16::from_be_bytes(*frame.get(at..)?.first_chunk()?);
        match ether_type {
            0x8100 | 0x88a8 => at += 4,
            _ => return Some((ether_type, at + 2)),
        }
    }
    None
}

const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const DESTINATION: u8 = 60;

/// Walks the extension headers that may stand before a transport header (those that the kernel's GSO and GRO
/// know, `net/ipv6/exthdrs_offload.c`). Gives the first other protocol and the octets before it.
fn skip_extensions(mut protocol: u8, chain: &[u8]) -> Option<(u8, usize)> {
    let mut rest = chain;
    while matches!(protocol, HOP_BY_HOP | ROUTING | DESTINATION) {
        let &[next, units] = rest.first_chunk()?;
        rest = rest.get((usize::from(units) + 1) * 8..)?;
        protocol = next;
    }
    Some((protocol, chain.len() - rest.len()))
}

/// Length of the TCP header, options included, at the start of `transport`; `None` if it is cut short.
pub(super) fn tcp_header_len(transport: &[u8]) -> Option<usize> {
    let header: &[u8; TCP_LEN] = transport.first_chunk()?;
    let len = usize::from(header[12] >> 4) * 4;
    (TCP_LEN..=transport.len()).contains(&len).then_some(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(tags: &[u16], ether_type: u16, packet: &[u8]) -> Vec<u8> {
        let mut frame = vec![2; 12];
        for tag in tags {
            frame.extend(tag.to_be_bytes());
            frame.extend([0, 5]);
        }
        frame.extend(ether_type.to_be_bytes());
        frame.extend(packet);
        frame
    }

    fn ipv6(next: u8, rest: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; IPV6_LEN];
        packet[0] = 0x60;
        packet[6] = next;
        packet.extend(rest);
        packet
    }

    #[test]
    fn tags_up_to_the_kernels_depth_are_looked_through() {
        let mut packet = [0; 20];
        packet[0] = 0x45;
        packet[9] = UDP;
        for depth in 0..=VLAN_DEPTH {
            let tags = [0x88a8, 0x8100].repeat(4);
            let layers = Layers::parse(Link::Ethernet, &frame(&tags[..depth], 0x0800, &packet)).unwrap();
            assert_eq!((layers.network, layers.transport), (14 + 4 * depth, 34 + 4 * depth));
            assert_eq!((layers.protocol, layers.fragment), (UDP, false));
        }
        assert_eq!(Layers::parse(Link::Ethernet, &frame(&[0x8100; 9], 0x0800, &packet)), None);
    }

    #[test]
    fn extension_headers_are_walked_to_the_transport() {
        let mut rest = vec![ROUTING, 1];
        rest.extend([0; 14]);
        rest.extend([DESTINATION, 0, 0, 0, 0, 0, 0, 0]);
        rest.extend([TCP, 0, 0, 0, 0, 0, 0, 0]);
        let layers = Layers::parse(Link::Ethernet, &frame(&[], 0x86dd, &ipv6(HOP_BY_HOP, &rest))).unwrap();
        assert_eq!((layers.protocol, layers.transport), (TCP, 14 + 40 + 32));
        rest.pop();
        assert_eq!(Layers::parse(Link::Ethernet, &frame(&[], 0x86dd, &ipv6(HOP_BY_HOP, &rest))), None);
    }

    #[test]
    fn fragments_are_told() {
        let mut packet = [0; 20];
        packet[0] = 0x45;
        for (flags, fragment) in [(0x4000_u16, false), (0x2000, true), (0x0001, true), (0x8000, false)] {
            packet[6..8].copy_from_slice(&flags.to_be_bytes());
            assert_eq!(
                Layers::parse(Link::Ethernet, &frame(&[], 0x0800, &packet)).unwrap().fragment,
                fragment
            );
        }
        let fragment = ipv6(FRAGMENT, &[TCP, 0, 0, 1, 0, 0, 0, 0]);
        assert!(Layers::parse(Link::Ethernet, &frame(&[], 0x86dd, &fragment)).unwrap().fragment);
    }

    #[test]
    fn what_is_not_ip_or_is_cut_short_is_none() {
        let arp = frame(&[], 0x0806, &[0; 28]);
        let llc = frame(&[], 38, &[0x42; 38]);
        let wrong_version = frame(&[], 0x0800, &ipv6(TCP, &[]));
        let mut short_ihl = [0; 20];
        short_ihl[0] = 0x44;
        let short_ihl = frame(&[], 0x0800, &short_ihl);
        let mut options_missing = [0; 20];
        options_missing[0] = 0x46;
        let options_missing = frame(&[], 0x0800, &options_missing);
        for bytes in [arp, llc, wrong_version, short_ihl, options_missing, vec![], vec![0; 13]] {
            assert_eq!(Layers::parse(Link::Ethernet, &bytes), None);
        }
    }

    #[test]
    fn tcp_data_offset_is_bounded_by_the_octets_there() {
        let mut header = [0; 24];
        for (offset, len) in [(4, None), (5, Some(20)), (6, Some(24)), (7, None)] {
            header[12] = offset << 4;
            assert_eq!(tcp_header_len(&header), len);
        }
        assert_eq!(tcp_header_len(&header[..19]), None);
    }
}
