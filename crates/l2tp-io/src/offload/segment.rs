//! One received TCP segment or UDP datagram, and whether it may join another.

use std::ops::Range;

use super::checksum::Checksum;
use super::layers::{Family, IPV6_LEN, Layers, TCP, TCP_LEN, UDP, UDP_LEN, tcp_header_len};
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
    /// A whole TCP segment or UDP datagram.
    Segment(Segment<'a>),
    /// A packet that certainly belongs to no conversation that is gathered.
    Unrelated,
    /// Anything else, a fragment or a damaged segment among it.
    Opaque,
}

/// A TCP segment or UDP datagram, cut at its headers. The lengths of all parts agree with the IP header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Segment<'a> {
    /// The whole frame, with whatever follows the IP packet.
    pub(super) frame: &'a [u8],
    pub(super) layers: Layers,
    /// Octets of Ethernet, IP and transport header.
    pub(super) header_len: usize,
    /// Where the IP packet ends, and with it the payload.
    end: usize,
    transport: Transport<'a>,
}

/// The transport header.
#[derive(Clone, Copy, Debug)]
enum Transport<'a> {
    Tcp { header: &'a [u8; TCP_LEN], options: &'a [u8] },
    Udp { header: &'a [u8; UDP_LEN] },
}

impl<'a> Transport<'a> {
    /// Splits the header off what an IP packet carries; gives the payload too.
    fn parse(protocol: u8, covered: &'a [u8]) -> Option<(Self, &'a [u8])> {
        if protocol == UDP {
            let (header, payload) = covered.split_first_chunk()?;
            return Some((Self::Udp { header }, payload));
        }
        let (header, payload) = covered.split_at_checked(tcp_header_len(covered)?)?;
        let (header, options) = header.split_first_chunk()?;
        Some((Self::Tcp { header, options }, payload))
    }

    /// Source and destination port.
    fn ports(self) -> [u8; 4] {
        let (Self::Tcp { header: &[a, b, c, d, ..], .. } | Self::Udp { header: &[a, b, c, d, ..] }) = self;
        [a, b, c, d]
    }

    /// Whether nothing in the header itself keeps it out of a super-frame. `len` counts header and payload.
    ///
    /// UDP: a checksum, as `udp_gro_receive_segment` wants it (each frame of a super-frame gets one), and the length
    /// of the IP packet.
    fn is_plain(self, len: usize) -> bool {
        match self {
            Self::Tcp { header, .. } => header[13] & (SYN | RST | URG | CWR) == 0,
            Self::Udp { header: &[_, _, _, _, l0, l1, c0, c1] } => {
                usize::from(u16::from_be_bytes([l0, l1])) == len && [c0, c1] != [0, 0]
            }
        }
    }

    /// Whether it equals that of `first` in all that a super-frame has only once.
    fn continues(self, first: Self) -> bool {
        match (self, first) {
            (Self::Tcp { header, options }, Self::Tcp { header: first, options: first_options }) => {
                header[8..12] == first[8..12]
                    && flag_word(header) == flag_word(first)
                    && header[18..] == first[18..]
                    && options == first_options
            }
            (Self::Udp { .. }, Self::Udp { .. }) => true,
            _ => false,
        }
    }
}

/// Octets 12 to 15 of a TCP header, FIN and PSH masked out: data offset, flags, window.
fn flag_word(tcp: &[u8; TCP_LEN]) -> [u8; 4] {
    let [_, _, _, _, _, _, _, _, _, _, _, _, offset, flags, w0, w1, ..] = *tcp;
    [offset, flags & !(FIN | PSH), w0, w1]
}

impl<'a> Kind<'a> {
    /// Looks at a frame. UDP datagrams are gathered only where the device takes trains of them (`with_udp`).
    #[inline]
    pub(super) fn of(link: Link, with_udp: bool, frame: &'a [u8]) -> Self {
        match Layers::parse(link, frame) {
            Some(layers) if layers.fragment => Self::Opaque,
            Some(layers) if layers.protocol == TCP || (with_udp && layers.protocol == UDP) => {
                Segment::parse(frame, layers).map_or(Self::Opaque, Self::Segment)
            }
            Some(_) => Self::Unrelated,
            None => Self::Opaque,
        }
    }
}

impl<'a> Segment<'a> {
    #[inline]
    fn parse(frame: &'a [u8], layers: Layers) -> Option<Self> {
        let end = layers.network + packet_len(layers.family, frame.get(layers.network..)?)?;
        let covered = frame.get(layers.transport..end)?;
        let (transport, payload) = Transport::parse(layers.protocol, covered)?;
        Some(Self { frame, layers, header_len: end - payload.len(), end, transport })
    }

    pub(super) fn payload(&self) -> &'a [u8] {
        self.part(self.header_len..self.end)
    }

    /// MAC addresses, tags and type.
    fn link(&self) -> &'a [u8] {
        self.part(0..self.layers.network)
    }

    /// The IP header, its options or extension headers.
    fn network(&self) -> &'a [u8] {
        self.part(self.layers.network..self.layers.transport)
    }

    /// Transport header and payload: what the checksum covers.
    fn covered(&self) -> &'a [u8] {
        self.part(self.layers.transport..self.end)
    }

    fn part(&self, range: Range<usize>) -> &'a [u8] {
        self.frame.get(range).unwrap_or_default()
    }

    /// Whether both are of one conversation, so that they must not overtake each other.
    pub(super) fn same_conversation(&self, other: &Self) -> bool {
        self.layers.protocol == other.layers.protocol
            && self.transport.ports() == other.transport.ports()
            && self.addresses() == other.addresses()
    }

    /// Whether it is a UDP datagram.
    pub(super) fn is_udp(&self) -> bool {
        matches!(self.transport, Transport::Udp { .. })
    }

    /// Source and destination; their number tells the IP version.
    fn addresses(&self) -> &'a [u8] {
        self.network().get(self.layers.family.addresses()).unwrap_or_default()
    }

    /// Whether the segment may be one of several in a super-frame, by itself: data, nothing special, intact.
    ///
    /// The rules are those of `inet_gro_receive`, `ipv6_gro_receive`, `tcp_gro_receive` and `udp_gro_receive`: no IPv4
    /// options, no octets after the packet (Ethernet padding), data, none of SYN, RST, URG and CWR. Both checksums must
    /// be right: in a super-frame they are made anew, which would turn damage into valid data. That a checksum of the
    /// tunnel covers them is not enough: the damage may be older than the tunnel.
    pub(super) fn is_mergeable(&self) -> bool {
        self.header_len < self.end
            && self.end == self.frame.len()
            && self.header_len <= HEADER_MAX
            && self.transport.is_plain(self.end - self.layers.transport)
            && self.network_is_plain()
            && self.checksum_is_valid()
    }

    fn network_is_plain(&self) -> bool {
        let network = self.network();
        match self.layers.family {
            // Five words; the reserved flag clear.
            Family::V4 => {
                network.len() == 20
                    && network.get(6).is_some_and(|flags| flags & 0x80 == 0)
                    && Checksum::new().bytes(network).is_valid()
            }
            Family::V6 => true,
        }
    }

    fn checksum_is_valid(&self) -> bool {
        let covered = self.covered();
        self.pseudo_header(covered.len()).bytes(covered).is_valid()
    }

    /// Sum of the pseudo-header of a packet of this segment's addresses, with `len` octets of transport header and payload.
    pub(super) fn pseudo_header(&self, len: usize) -> Checksum {
        let len = u32::try_from(len).unwrap_or(u32::MAX);
        Checksum::pseudo_header(self.addresses(), self.layers.protocol, len)
    }

    /// Whether nothing may follow in the same super-frame: the sender ended a burst or its stream.
    pub(super) fn ends_train(&self) -> bool {
        self.end_flags() != 0
    }

    /// The flags that the last segment gives to a super-frame; UDP has none.
    pub(super) fn end_flags(&self) -> u8 {
        match self.transport {
            Transport::Tcp { header, .. } => header[13] & (FIN | PSH),
            Transport::Udp { .. } => 0,
        }
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
        let (network, first_network) = (self.network(), first.network());
        self.link() == first.link()
            && once.into_iter().all(|range| network.get(range.clone()) == first_network.get(range))
            && network.get(options.clone()) == first_network.get(options)
            && self.transport.continues(first.transport)
    }

    /// The sequence number; UDP has none.
    pub(super) fn sequence(&self) -> Option<u32> {
        match self.transport {
            Transport::Tcp { header: &[_, _, _, _, s0, s1, s2, s3, ..], .. } => {
                Some(u32::from_be_bytes([s0, s1, s2, s3]))
            }
            Transport::Udp { .. } => None,
        }
    }

    /// Identification and don't-fragment flag of an IPv4 header.
    pub(super) fn identification(&self) -> Option<(u16, bool)> {
        match (self.layers.family, self.network().first_chunk()) {
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
