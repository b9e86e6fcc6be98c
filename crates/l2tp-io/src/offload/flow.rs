//! Segments of one TCP flow, or datagrams of one UDP flow, gathered into a super-frame.

use std::io::IoSlice;

use super::checksum::Checksum;
use super::layers::{Family, IPV6_LEN};
use super::segment::Segment;
use super::vnet::VnetHeader;
use super::{HEADER_MAX, Link, put, unfinished};

/// Segments of one super-frame: as many as the kernel's UDP GRO gives in one datagram.
pub(super) const SEGMENTS_MAX: usize = 64;

/// Octets of one super-frame, Ethernet header included. That it counts keeps the IP lengths in 16 bits.
const FRAME_MAX: usize = 65_535;

/// Consecutive segments of one flow, at least one.
pub(super) struct Flow<'a> {
    first: Segment<'a>,
    /// Where the headers will go, then one payload for each of `count` segments.
    slices: [IoSlice<'a>; 1 + SEGMENTS_MAX],
    count: usize,
    payload_len: usize,
    /// The sequence number that comes next in a TCP flow.
    next: Option<u32>,
    /// All IPv4 identifications are equal (a sender that sets don't-fragment may do so, RFC 6864 section 4.1)
    /// rather than counting up.
    fixed_identification: bool,
    /// FIN and PSH of the last segment.
    end_flags: u8,
    complete: bool,
}

impl<'a> Flow<'a> {
    /// Begins with `first`, which [is mergeable](Segment::is_mergeable).
    pub(super) fn new(first: Segment<'a>) -> Self {
        let mut flow = Self {
            first,
            slices: [IoSlice::new(&[]); 1 + SEGMENTS_MAX],
            count: 0,
            payload_len: 0,
            next: first.sequence(),
            fixed_identification: false,
            end_flags: 0,
            complete: false,
        };
        flow.append(&first);
        flow
    }

    pub(super) fn same_conversation(&self, segment: &Segment<'_>) -> bool {
        self.first.same_conversation(segment)
    }

    /// Whether the super-frame can take no further segment.
    pub(super) fn is_complete(&self) -> bool {
        self.complete
    }

    /// Takes `segment`, if it is the next one of the train; not to be asked of a complete one.
    pub(super) fn push(&mut self, segment: &Segment<'a>) -> bool {
        let len = self.first.header_len + self.payload_len + segment.payload().len();
        let fits = segment.payload().len() <= self.gso_size()
            && len <= FRAME_MAX
            && segment.sequence() == self.next
            && segment.same_headers(&self.first)
            && self.identification_follows(segment)
            && segment.is_mergeable();
        if fits {
            self.append(segment);
        }
        fits
    }

    fn gso_size(&self) -> usize {
        self.first.payload().len()
    }

    /// As `inet_gro_flush`: the second segment decides whether the identification counts or stays.
    fn identification_follows(&mut self, segment: &Segment<'_>) -> bool {
        let (Some((first, dont_fragment)), Some((this, _))) =
            (self.first.identification(), segment.identification())
        else {
            return true;
        };
        if self.count == 1 {
            self.fixed_identification = dont_fragment && this == first;
        }
        let step = if self.fixed_identification { 0 } else { self.count };
        usize::from(this.wrapping_sub(first)) == step
    }

    fn append(&mut self, segment: &Segment<'a>) {
        let len = segment.payload().len();
        self.count += 1;
        if let Some(slice) = self.slices.get_mut(self.count) {
            *slice = IoSlice::new(segment.payload());
        }
        self.payload_len += len;
        self.next = self.next.map(|next| next.wrapping_add(u32::try_from(len).unwrap_or_default()));
        self.end_flags = segment.end_flags();
        self.complete = len < self.gso_size() || segment.ends_train() || self.count == SEGMENTS_MAX;
    }

    /// Writes the super-frame; a single segment as it came.
    pub(super) fn write(&self, write: &mut impl FnMut(&[IoSlice<'_>])) {
        if self.count == 1 {
            return write_as(VnetHeader::default(), self.first.frame, write);
        }
        let mut headers = [0; VnetHeader::LEN + HEADER_MAX];
        let (vnet, rest) = headers.split_at_mut(VnetHeader::LEN);
        put(vnet, 0, self.vnet_header().emit());
        self.write_headers(rest);
        // Another array, for it may hold slices that do not live as long.
        let mut slices: [IoSlice<'_>; 1 + SEGMENTS_MAX] = self.slices;
        let used = headers.get(..VnetHeader::LEN + self.first.header_len).unwrap_or_default();
        if let Some(slice) = slices.first_mut() {
            *slice = IoSlice::new(used);
        }
        write(slices.get(..=self.count).unwrap_or_default());
    }

    fn vnet_header(&self) -> VnetHeader {
        VnetHeader {
            flags: VnetHeader::NEEDS_CSUM,
            gso_type: match self.first.layers.family {
                _ if self.first.is_udp() => VnetHeader::GSO_UDP_L4,
                Family::V4 => VnetHeader::GSO_TCPV4,
                Family::V6 => VnetHeader::GSO_TCPV6,
            },
            hdr_len: length(self.first.header_len),
            gso_size: length(self.gso_size()),
            csum_start: length(self.first.layers.transport),
            csum_offset: if self.first.is_udp() { 6 } else { 16 },
        }
    }

    /// The first segment's headers, with the lengths, flags and checksums of the whole.
    fn write_headers(&self, out: &mut [u8]) {
        let (network, transport) = (self.first.layers.network, self.first.layers.transport);
        let len = self.first.header_len + self.payload_len;
        let (Some(headers), Some(out)) =
            (self.first.frame.get(..self.first.header_len), out.get_mut(..self.first.header_len))
        else {
            return;
        };
        out.copy_from_slice(headers);
        match self.first.layers.family {
            Family::V4 => {
                put(out, network + 2, length(len - network).to_be_bytes());
                put(out, network + 10, [0, 0]);
                let checksum = Checksum::new().bytes(out.get(network..transport).unwrap_or_default());
                put(out, network + 10, checksum.finish());
            }
            Family::V6 => put(out, network + 4, length(len - network - IPV6_LEN).to_be_bytes()),
        }
        let checksum = self.first.pseudo_header(len - transport).partial();
        if self.first.is_udp() {
            put(out, transport + 4, length(len - transport).to_be_bytes());
            return put(out, transport + 6, checksum);
        }
        if let Some(flags) = out.get_mut(transport + 13) {
            *flags |= self.end_flags;
        }
        put(out, transport + 16, checksum);
    }
}

/// Writes `frame` by itself.
pub(super) fn write_alone(link: Link, frame: &[u8], write: &mut impl FnMut(&[IoSlice<'_>])) {
    write_as(unfinished::header(link, frame), frame, write);
}

fn write_as(header: VnetHeader, frame: &[u8], write: &mut impl FnMut(&[IoSlice<'_>])) {
    write(&[IoSlice::new(&header.emit()), IoSlice::new(frame)]);
}

/// A length or offset within [`FRAME_MAX`].
fn length(len: usize) -> u16 {
    u16::try_from(len).unwrap_or(u16::MAX)
}
