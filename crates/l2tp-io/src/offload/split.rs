//! Super-frames read from the device: completed, or cut into frames for the wire (the kernel's `skb_segment`,
//! `tcp_gso_segment` and `__udp_gso_segment`).

use std::error::Error;
use std::fmt;
use std::ops::Range;

use super::checksum::Checksum;
use super::layers::{Family, IPV6_LEN, Layers, TCP, UDP, UDP_LEN, tcp_header_len};
use super::vnet::VnetHeader;
use super::{HEADER_MAX, Link, put};

const FIN: u16 = 0x01;
const PSH: u16 = 0x08;
const CWR: u16 = 0x80;

/// What [`prepare`] made of a frame.
#[derive(Clone, Debug)]
pub enum Prepared {
    /// The frame is complete and goes out as it is.
    Single,
    /// The frame goes out as several segments; it was not changed.
    Train(Train),
}

/// Why a frame cannot be sent: its [`VnetHeader`] does not fit it. A kernel's own device never gives one, a
/// virtual machine behind a bridge may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Malformed {
    /// `csum_start` and `csum_offset` lie beyond the frame.
    ChecksumField,
    /// A super-frame without [`VnetHeader::NEEDS_CSUM`].
    ChecksumMissing,
    /// A `gso_type` that is unknown or was never asked of the device, UDP fragmentation among them.
    GsoType,
    /// A super-frame with a `gso_size` of zero.
    GsoSize,
    /// Not an unfragmented packet of the protocol that `gso_type` names, or `csum_start` and `csum_offset` are
    /// not those of its transport header.
    Protocol,
    /// The transport header reaches beyond the frame.
    HeaderTruncated,
    /// The headers are longer than [`HEADER_MAX`].
    HeaderTooLong,
    /// A segment would not fit the 16-bit length of its IP or UDP header.
    SegmentTooLong,
}

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ChecksumField => "checksum field lies beyond the frame",
            Self::ChecksumMissing => "super-frame without a checksum to complete",
            Self::GsoType => "unknown kind of super-frame",
            Self::GsoSize => "super-frame with segments of no length",
            Self::Protocol => "super-frame is not of the protocol that it claims",
            Self::HeaderTruncated => "transport header reaches beyond the frame",
            Self::HeaderTooLong => "headers of the super-frame are too long",
            Self::SegmentTooLong => "segments of the super-frame are too long",
        })
    }
}

impl Error for Malformed {}

/// A super-frame of at least two segments.
///
/// Holds what all segments have in common, their unchanging checksums summed once. The frame itself stays with
/// the caller and is passed again to each [`emit`](Self::emit).
#[derive(Clone, Debug)]
pub struct Train {
    layers: Layers,
    header_len: usize,
    payload_len: usize,
    gso_size: usize,
    /// Sum of an IPv4 header without length, identification and checksum.
    network_sum: Checksum,
    /// Sum of pseudo-header and transport header without what differs between segments.
    transport_sum: Checksum,
    identification: u16,
    sequence: u32,
    /// Data offset, reserved bits and flags: octets 12 and 13 of the TCP header.
    flags: u16,
}

/// Makes a frame read from the device ready to be sent. The header's `hdr_len` is not used.
///
/// A single frame gets its checksum completed in place; a super-frame that needs cutting is left as it is.
///
/// # Errors
/// [`Malformed`] if `header` does not fit `frame`, which is then unchanged.
pub fn prepare(link: Link, header: &VnetHeader, frame: &mut [u8]) -> Result<Prepared, Malformed> {
    if let Some(train) = Train::of(link, header, frame)? {
        return Ok(Prepared::Train(train));
    }
    if header.needs_csum() {
        complete_checksum(header, frame).ok_or(Malformed::ChecksumField)?;
    }
    Ok(Prepared::Single)
}

/// As `skb_checksum_help`: also outside UDP a checksum of zero is written as all ones, its equal.
fn complete_checksum(header: &VnetHeader, frame: &mut [u8]) -> Option<()> {
    let covered = frame.get_mut(usize::from(header.csum_start)..)?;
    let checksum = Checksum::new().bytes(covered).finish_nonzero();
    *covered.get_mut(usize::from(header.csum_offset)..)?.first_chunk_mut()? = checksum;
    Some(())
}

/// The IP version and the protocol that a `gso_type` asks for.
fn wanted(gso_type: u8) -> Option<(Option<Family>, u8)> {
    match gso_type & !VnetHeader::GSO_ECN {
        VnetHeader::GSO_TCPV4 => Some((Some(Family::V4), TCP)),
        VnetHeader::GSO_TCPV6 => Some((Some(Family::V6), TCP)),
        VnetHeader::GSO_UDP_L4 => Some((None, UDP)),
        _ => None,
    }
}

/// The layers of a super-frame, if they are what its vnet header says.
fn check_layers(link: Link, header: &VnetHeader, frame: &[u8]) -> Result<Layers, Malformed> {
    let (family, protocol) = wanted(header.gso_type).ok_or(Malformed::GsoType)?;
    if header.gso_size == 0 {
        return Err(Malformed::GsoSize);
    }
    if !header.needs_csum() {
        return Err(Malformed::ChecksumMissing);
    }
    let csum_offset = if protocol == TCP { 16 } else { 6 };
    Layers::parse(link, frame)
        .filter(|layers| layers.protocol == protocol && !layers.fragment)
        .filter(|layers| family.is_none_or(|family| family == layers.family))
        .filter(|layers| layers.transport == usize::from(header.csum_start))
        .filter(|_| header.csum_offset == csum_offset)
        .ok_or(Malformed::Protocol)
}

impl Train {
    /// The train that `frame` is, `None` if it fits one segment.
    fn of(link: Link, header: &VnetHeader, frame: &[u8]) -> Result<Option<Self>, Malformed> {
        if header.gso_type == VnetHeader::GSO_NONE {
            return Ok(None);
        }
        let layers = check_layers(link, header, frame)?;
        let (before, covered) = frame.split_at_checked(layers.transport).ok_or(Malformed::ChecksumField)?;
        let len = if layers.protocol == TCP { tcp_header_len(covered) } else { Some(UDP_LEN) };
        let (transport, payload) =
            len.and_then(|len| covered.split_at_checked(len)).ok_or(Malformed::HeaderTruncated)?;
        let gso_size = usize::from(header.gso_size);
        let header_len = before.len() + transport.len();
        if header_len > HEADER_MAX {
            return Err(Malformed::HeaderTooLong);
        }
        if payload.len() <= gso_size {
            return Ok(None);
        }
        // The length that the partial checksum holds: transport header and whole payload.
        let total = u32::try_from(covered.len()).map_err(|_| Malformed::SegmentTooLong)?;
        if header_len - layers.network + gso_size > usize::from(u16::MAX) {
            return Err(Malformed::SegmentTooLong);
        }
        let mut train = Self {
            layers,
            header_len,
            payload_len: payload.len(),
            gso_size,
            network_sum: Checksum::new(),
            transport_sum: Checksum::new().bytes(transport).without_long(total),
            identification: 0,
            sequence: 0,
            flags: 0,
        };
        train.read_network(before);
        train.read_transport(transport);
        Ok(Some(train))
    }

    fn read_network(&mut self, before: &[u8]) {
        let packet = before.get(self.layers.network..).unwrap_or_default();
        let (Family::V4, Some(&[_, _, l0, l1, i0, i1, _, _, _, _, c0, c1])) =
            (self.layers.family, packet.first_chunk())
        else {
            return;
        };
        self.identification = u16::from_be_bytes([i0, i1]);
        self.network_sum = Checksum::new()
            .bytes(packet)
            .without_word(u16::from_be_bytes([l0, l1]))
            .without_word(self.identification)
            .without_word(u16::from_be_bytes([c0, c1]));
    }

    /// The checksum field stays in the sum: it holds the sum of the pseudo-header, which only its sender knows
    /// for sure (with an IPv6 routing header the final destination is not the one in the IP header).
    fn read_transport(&mut self, transport: &[u8]) {
        if let Some(&[_, _, _, _, s0, s1, s2, s3, _, _, _, _, f0, f1]) =
            transport.first_chunk().filter(|_| self.layers.protocol == TCP)
        {
            self.sequence = u32::from_be_bytes([s0, s1, s2, s3]);
            self.flags = u16::from_be_bytes([f0, f1]);
            self.transport_sum = self.transport_sum.without_long(self.sequence).without_word(self.flags);
        } else if let Some(&[_, _, _, _, l0, l1]) = transport.first_chunk() {
            self.transport_sum = self.transport_sum.without_word(u16::from_be_bytes([l0, l1]));
        }
    }

    /// How many segments there are, at least 2.
    pub fn segments(&self) -> usize {
        self.payload_len.div_ceil(self.gso_size)
    }

    /// Octets of Ethernet, IP and transport header before each segment's payload, at most [`HEADER_MAX`].
    pub fn header_len(&self) -> usize {
        self.header_len
    }

    /// Payload octets of every segment but the last, which has as many or fewer, but at least one.
    pub fn payload_per_segment(&self) -> usize {
        self.gso_size
    }

    /// Writes the complete Ethernet, IP and transport header of segment `index` to the first
    /// [`header_len`](Self::header_len) octets of `header_out` and gives the range of its payload in `frame`,
    /// the frame that was prepared.
    ///
    /// As in the kernel, FIN and PSH stay on the last segment only and CWR on the first only; the IPv4
    /// identification counts up (a vnet header cannot ask for a fixed one: the kernel cuts such frames itself).
    ///
    /// An index of [`segments`](Self::segments) or more, another frame that is too short or too small a
    /// `header_out` gives an empty range and writes nothing.
    pub fn emit(&self, frame: &[u8], index: usize, header_out: &mut [u8]) -> Range<usize> {
        let range = self.payload_range(index);
        let (Some(common), Some(payload), Some(header)) =
            (frame.get(..self.header_len), frame.get(range.clone()), header_out.get_mut(..self.header_len))
        else {
            return 0..0;
        };
        if payload.is_empty() {
            return 0..0;
        }
        header.copy_from_slice(common);
        self.write_network(header, payload.len(), index);
        if self.layers.protocol == TCP {
            self.write_tcp(header, payload, index);
        } else {
            self.write_udp(header, payload);
        }
        range
    }

    fn payload_range(&self, index: usize) -> Range<usize> {
        let first = index.saturating_mul(self.gso_size).min(self.payload_len);
        let last = (first + self.gso_size).min(self.payload_len);
        self.header_len + first..self.header_len + last
    }

    fn write_network(&self, header: &mut [u8], payload_len: usize, index: usize) {
        let Layers { family, network, .. } = self.layers;
        let len = self.header_len - network + payload_len;
        if family == Family::V6 {
            return put(header, network + 4, length(len - IPV6_LEN).to_be_bytes());
        }
        let identification = self.identification.wrapping_add(low_word(index));
        let checksum = self.network_sum.word(length(len)).word(identification).finish();
        put(header, network + 2, length(len).to_be_bytes());
        put(header, network + 4, identification.to_be_bytes());
        put(header, network + 10, checksum);
    }

    fn write_tcp(&self, header: &mut [u8], payload: &[u8], index: usize) {
        let at = self.layers.transport;
        let len = length(self.header_len - at + payload.len());
        let offset = u32::try_from(index * self.gso_size).unwrap_or_default();
        let sequence = self.sequence.wrapping_add(offset);
        let last = index + 1 == self.segments();
        let cleared = if index == 0 { 0 } else { CWR } | if last { 0 } else { FIN | PSH };
        let flags = self.flags & !cleared;
        let checksum = self.transport_sum.word(len).long(sequence).word(flags).bytes(payload).finish();
        put(header, at + 4, sequence.to_be_bytes());
        put(header, at + 12, flags.to_be_bytes());
        put(header, at + 16, checksum);
    }

    fn write_udp(&self, header: &mut [u8], payload: &[u8]) {
        let at = self.layers.transport;
        let len = length(UDP_LEN + payload.len());
        // Once for the pseudo-header, once for the header.
        let checksum = self.transport_sum.word(len).word(len).bytes(payload).finish_nonzero();
        put(header, at + 4, len.to_be_bytes());
        put(header, at + 6, checksum);
    }
}

/// A length that was found to fit when the train was made.
fn length(len: usize) -> u16 {
    u16::try_from(len).unwrap_or(u16::MAX)
}

#[expect(clippy::cast_possible_truncation, reason = "the identification counts modulo 2^16")]
fn low_word(index: usize) -> u16 {
    index as u16
}

#[cfg(test)]
mod tests;
