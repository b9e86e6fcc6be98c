//! One received TCP segment, and whether it may join another.

use std::ops::Range;

use super::checksum::Checksum;
use super::layers::{Family, IPV6_LEN, Layers, TCP, TCP_LEN, tcp_header_len};
use super::{HEADER_MAX, Link};

/// Flags of a TCP header (its octet 13).
const FIN: u8 = 0x01;
const SYN: u8 = 0x02;
const RST: u8 = 0x04;
const PSH: u8 = 0x08;
const URG: u8 = 0x20;
const CWR: u8 = 0x80;

/// What a frame is to the coalescer.
pub(super) enum Kind<'a> {
    /// A whole TCP segment.
    Tcp(Segment<'a>),
    /// A packet that certainly belongs to no TCP conversation.
    Unrelated,
    /// Anything else, a fragment or a damaged TCP segment among it.
    Opaque,
}

/// A TCP segment, cut at its headers. The lengths of all parts agree with the headers.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment<'a> {
    /// The whole frame, with whatever follows the IP packet.
    pub(super) frame: &'a [u8],
    pub(super) layers: Layers,
    /// Octets of Ethernet, IP and TCP header.
    pub(super) header_len: usize,
    pub(super) payload: &'a [u8],
    link: &'a [u8],
    network: &'a [u8],
    tcp: &'a [u8; TCP_LEN],
    options: &'a [u8],
    /// TCP header and payload.
    covered: &'a [u8],
}

impl<'a> Kind<'a> {
    pub(super) fn of(link: Link, frame: &'a [u8]) -> Self {
        match Layers::parse(link, frame) {
            Some(layers) if layers.fragment => Self::Opaque,
            Some(layers) if layers.protocol != TCP => Self::Unrelated,
            Some(layers) => Segment::parse(frame, layers).map_or(Self::Opaque, Self::Tcp),
            None => Self::Opaque,
        }
    }
}

impl<'a> Segment<'a> {
    fn parse(frame: &'a [u8], layers: Layers) -> Option<Self> {
        let (link, packet) = frame.split_at_checked(layers.network)?;
        let packet = packet.get(..packet_len(layers.family, packet)?)?;
        let (network, covered) = packet.split_at_checked(layers.transport - layers.network)?;
        let (header, payload) = covered.split_at_checked(tcp_header_len(covered)?)?;
        let (tcp, options) = header.split_first_chunk()?;
        let header_len = layers.transport + header.len();
        Some(Self { frame, layers, header_len, payload, link, network, tcp, options, covered })
    }

    /// Whether both are of one conversation, so that they must not overtake each other.
    pub(super) fn same_conversation(&self, other: &Self) -> bool {
        self.tcp[..4] == other.tcp[..4] && self.addresses() == other.addresses()
    }

    /// Source and destination; their number tells the IP version.
    fn addresses(&self) -> &'a [u8] {
        self.network.get(self.layers.family.addresses()).unwrap_or_default()
    }

    /// Whether the segment may be one of several in a super-frame, by itself: data, nothing special, intact.
    ///
    /// The rules are those of `inet_gro_receive`, `ipv6_gro_receive` and `tcp_gro_receive`: no IPv4 options, no
    /// octets after the packet (Ethernet padding), data, none of SYN, RST, URG and CWR. Both checksums must be
    /// right: in a super-frame they are made anew, which would turn damage into valid data.
    pub(super) fn is_mergeable(&self) -> bool {
        !self.payload.is_empty()
            && self.header_len + self.payload.len() == self.frame.len()
            && self.header_len <= HEADER_MAX
            && self.tcp[13] & (SYN | RST | URG | CWR) == 0
            && self.network_is_plain()
            && self.checksum_is_valid()
    }

    fn network_is_plain(&self) -> bool {
        match self.layers.family {
            // Five words; the reserved flag clear.
            Family::V4 => {
                self.network.len() == 20
                    && self.network.get(6).is_some_and(|flags| flags & 0x80 == 0)
                    && Checksum::new().bytes(self.network).is_valid()
            }
            Family::V6 => true,
        }
    }

    fn checksum_is_valid(&self) -> bool {
        self.pseudo_header(self.covered.len()).bytes(self.covered).is_valid()
    }

    /// Sum of the pseudo-header of a packet of this segment's addresses, with `len` octets of TCP.
    pub(super) fn pseudo_header(&self, len: usize) -> Checksum {
        Checksum::pseudo_header(self.addresses(), TCP, u32::try_from(len).unwrap_or(u32::MAX))
    }

    /// Whether nothing may follow in the same super-frame: the sender ended a burst or its stream.
    pub(super) fn ends_train(&self) -> bool {
        self.end_flags() != 0
    }

    /// The flags that the last segment gives to a super-frame.
    pub(super) fn end_flags(&self) -> u8 {
        self.tcp[13] & (FIN | PSH)
    }

    /// Octets 12 to 15 of the TCP header, FIN and PSH masked out: data offset, flags, window.
    fn flag_word(&self) -> [u8; 4] {
        let [_, _, _, _, _, _, _, _, _, _, _, _, offset, flags, w0, w1, ..] = *self.tcp;
        [offset, flags & !(FIN | PSH), w0, w1]
    }

    /// Whether the headers equal those of `first` in all that a super-frame has only once: MAC addresses, tags,
    /// IP version, traffic class, flow label, don't-fragment flag, hop limit, extension headers, and in TCP the
    /// acknowledgement, flags, window, urgent pointer and options, timestamps included.
    pub(super) fn same_headers(&self, first: &Self) -> bool {
        let once: [Range<usize>; 2] = match self.layers.family {
            Family::V4 => [0..2, 6..10],
            Family::V6 => [0..4, 6..8],
        };
        let options = self.layers.family.addresses().end..;
        self.link == first.link
            && once.into_iter().all(|range| self.network.get(range.clone()) == first.network.get(range))
            && self.network.get(options.clone()) == first.network.get(options)
            && self.tcp[8..12] == first.tcp[8..12]
            && self.flag_word() == first.flag_word()
            && self.tcp[18..] == first.tcp[18..]
            && self.options == first.options
    }

    pub(super) fn sequence(&self) -> u32 {
        let [_, _, _, _, s0, s1, s2, s3, ..] = *self.tcp;
        u32::from_be_bytes([s0, s1, s2, s3])
    }

    /// Identification and don't-fragment flag of an IPv4 header.
    pub(super) fn identification(&self) -> Option<(u16, bool)> {
        match (self.layers.family, self.network.first_chunk()) {
            (Family::V4, Some(&[_, _, _, _, i0, i1, flags])) => {
                Some((u16::from_be_bytes([i0, i1]), flags & 0x40 != 0))
            }
            _ => None,
        }
    }
}

/// Length of the IP packet by its own header.
fn packet_len(family: Family, packet: &[u8]) -> Option<usize> {
    let &[_, _, total0, total1, payload0, payload1] = packet.first_chunk()?;
    Some(match family {
        Family::V4 => usize::from(u16::from_be_bytes([total0, total1])),
        Family::V6 => IPV6_LEN + usize::from(u16::from_be_bytes([payload0, payload1])),
    })
}
