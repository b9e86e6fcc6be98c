//! Packets for the tests, built and judged without the code under test, and the properties of both directions
//! together.

use std::io::IoSlice;

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use proptest::prelude::*;

use super::Link;
use super::coalesce::coalesce;
use super::split::{Prepared, prepare};
use super::vnet::VnetHeader;

mod properties;

pub(super) const FIN: u8 = 0x01;
pub(super) const SYN: u8 = 0x02;
pub(super) const RST: u8 = 0x04;
pub(super) const PSH: u8 = 0x08;
pub(super) const ACK: u8 = 0x10;
pub(super) const URG: u8 = 0x20;
pub(super) const ECE: u8 = 0x40;
pub(super) const CWR: u8 = 0x80;

/// A TCP or UDP packet in an Ethernet frame.
#[derive(Clone, Debug)]
pub(super) struct Packet {
    pub(super) udp: bool,
    pub(super) v6: bool,
    pub(super) tags: Vec<[u8; 4]>,
    /// IPv4 options, or IPv6 extension headers: one hop-by-hop and then destination headers, each of 8 octets.
    pub(super) extra: usize,
    pub(super) tos: u8,
    pub(super) ttl: u8,
    pub(super) id: u16,
    /// Flags and offset of the IPv4 header.
    pub(super) fragment: u16,
    pub(super) flow_label: u8,
    /// Last octet of the source address.
    pub(super) host: u8,
    pub(super) port: u16,
    pub(super) seq: u32,
    pub(super) ack: u32,
    pub(super) flags: u8,
    pub(super) window: u16,
    pub(super) urgent: u16,
    pub(super) options: Vec<u8>,
    pub(super) payload: Vec<u8>,
}

impl Packet {
    /// A data segment as a Linux host sends it, its payload told by its sequence number.
    pub(super) fn tcp(seq: u32, len: usize) -> Self {
        let mut options = vec![1, 1, 8, 10];
        options.extend([0, 0, 1, 2, 0, 0, 3, 4]);
        Self {
            udp: false,
            v6: false,
            tags: vec![],
            extra: 0,
            tos: 0,
            ttl: 64,
            id: 1000,
            fragment: 0x4000,
            flow_label: 0,
            host: 1,
            port: 5001,
            seq,
            ack: 77,
            flags: ACK,
            window: 501,
            urgent: 0,
            options,
            payload: stream(seq, len),
        }
    }

    pub(super) fn network(&self) -> usize {
        14 + 4 * self.tags.len()
    }

    pub(super) fn transport(&self) -> usize {
        self.network() + if self.v6 { 40 + 8 * self.extra } else { 20 + 4 * self.extra }
    }

    pub(super) fn header_len(&self) -> usize {
        self.transport() + if self.udp { 8 } else { 20 + self.options.len() }
    }

    fn protocol(&self) -> u8 {
        if self.udp { 17 } else { 6 }
    }

    /// The complete frame.
    pub(super) fn frame(&self) -> Vec<u8> {
        let mut frame = self.partial();
        let at = self.csum_at();
        let checksum = match !naive_sum(&frame[self.transport()..]) {
            0 if self.udp => 0xffff,
            checksum => checksum,
        };
        frame[at..at + 2].copy_from_slice(&checksum.to_be_bytes());
        frame
    }

    fn csum_at(&self) -> usize {
        self.transport() + if self.udp { 6 } else { 16 }
    }

    /// The frame with the pseudo-header's sum for its checksum.
    pub(super) fn partial(&self) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        self.tags.iter().for_each(|tag| frame.extend(tag));
        let transport = self.transport_bytes();
        let pseudo = if self.v6 {
            self.ipv6(&mut frame, transport.len())
        } else {
            self.ipv4(&mut frame, transport.len())
        };
        frame.extend(&transport);
        let mut summed = pseudo.to_vec();
        summed.extend([0, self.protocol()]);
        summed.extend(u32::try_from(transport.len()).unwrap().to_be_bytes());
        let at = self.csum_at();
        frame[at..at + 2].copy_from_slice(&naive_sum(&summed).to_be_bytes());
        frame
    }

    fn ipv4(&self, frame: &mut Vec<u8>, len: usize) -> Vec<u8> {
        let words = 5 + self.extra;
        let total = u16::try_from(4 * words + len).unwrap_or(0);
        frame.extend([0x08, 0x00]);
        let at = frame.len();
        frame.extend([0x40 | u8::try_from(words).unwrap(), self.tos]);
        frame.extend(total.to_be_bytes());
        frame.extend(self.id.to_be_bytes());
        frame.extend(self.fragment.to_be_bytes());
        frame.extend([self.ttl, self.protocol(), 0, 0]);
        frame.extend([10, 0, 0, self.host, 10, 0, 0, 2]);
        frame.extend([1; 4].repeat(self.extra));
        let checksum = !naive_sum(&frame[at..]);
        frame[at + 10..at + 12].copy_from_slice(&checksum.to_be_bytes());
        frame[at + 12..at + 20].to_vec()
    }

    fn ipv6(&self, frame: &mut Vec<u8>, len: usize) -> Vec<u8> {
        let mut kinds = vec![60; self.extra];
        kinds.push(self.protocol());
        if self.extra > 0 {
            kinds[0] = 0;
        }
        frame.extend([0x86, 0xdd]);
        let at = frame.len();
        frame.extend([0x60 | self.tos >> 4, self.tos << 4, 0, self.flow_label]);
        frame.extend(u16::try_from(8 * self.extra + len).unwrap_or(0).to_be_bytes());
        frame.extend([kinds[0], self.ttl]);
        frame.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, self.host]);
        frame.extend([0xfd, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2]);
        kinds[1..].iter().for_each(|next| frame.extend([*next, 0, 1, 4, 0, 0, 0, 0]));
        frame[at + 8..at + 40].to_vec()
    }

    fn transport_bytes(&self) -> Vec<u8> {
        let mut bytes = self.port.to_be_bytes().to_vec();
        bytes.extend(9_u16.to_be_bytes());
        if self.udp {
            bytes.extend(u16::try_from(8 + self.payload.len()).unwrap_or(0).to_be_bytes());
            bytes.extend([0; 2]);
        } else {
            bytes.extend(self.seq.to_be_bytes());
            bytes.extend(self.ack.to_be_bytes());
            bytes.extend([u8::try_from(5 + self.options.len() / 4).unwrap() << 4, self.flags]);
            bytes.extend(self.window.to_be_bytes());
            bytes.extend([0; 2]);
            bytes.extend(self.urgent.to_be_bytes());
            bytes.extend(&self.options);
        }
        bytes.extend(&self.payload);
        bytes
    }

    /// What the device hands over for this packet when it is to be cut every `gso_size` octets.
    pub(super) fn super_frame(&self, gso_size: u16) -> (VnetHeader, Vec<u8>) {
        let header = VnetHeader {
            flags: VnetHeader::NEEDS_CSUM,
            gso_type: match (self.udp, self.v6) {
                (true, _) => VnetHeader::GSO_UDP_L4,
                (false, false) => VnetHeader::GSO_TCPV4,
                (false, true) => VnetHeader::GSO_TCPV6,
            },
            hdr_len: u16::try_from(self.header_len()).unwrap(),
            gso_size,
            csum_start: u16::try_from(self.transport()).unwrap(),
            csum_offset: if self.udp { 6 } else { 16 },
        };
        (header, self.partial())
    }
}

/// Octets of a TCP stream from `seq` on: each place has its own value.
pub(super) fn stream(seq: u32, len: usize) -> Vec<u8> {
    (0..u32::try_from(len).unwrap())
        .map(|at| seq.wrapping_add(at))
        .map(|at| (at.wrapping_mul(0x9e37_79b1) >> 24).to_le_bytes()[0])
        .collect()
}

/// RFC 1071 as its text says it.
pub(super) fn naive_sum(bytes: &[u8]) -> u16 {
    let words =
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | pair.get(1).map_or(0, |&b| u32::from(b)));
    words.fold(0, |sum, word| {
        let sum = u32::from(sum) + word;
        u16::try_from((sum >> 16) + (sum & 0xffff)).unwrap()
    })
}

/// Fails unless the packet at `network` in `frame` has right lengths and checksums in the eyes of another
/// implementation. Gives its transport payload.
pub(super) fn judge(frame: &[u8], network: usize) -> Vec<u8> {
    let packet = SlicedPacket::from_ip(&frame[network..]).unwrap();
    let (transport, net) = (packet.transport.unwrap(), packet.net.unwrap());
    let ip_len = match &net {
        NetSlice::Ipv4(ip) => {
            let header = ip.header().to_header();
            assert_eq!(header.header_checksum, header.calc_header_checksum());
            usize::from(header.total_len)
        }
        NetSlice::Ipv6(ip) => 40 + usize::from(ip.header().payload_length()),
        _ => panic!("not IP"),
    };
    assert_eq!(ip_len, frame.len() - network);
    let (expected, found, payload) = match (&transport, &net) {
        (TransportSlice::Tcp(tcp), NetSlice::Ipv4(ip)) => {
            let (from, to) = (ip.header().source(), ip.header().destination());
            (tcp.calc_checksum_ipv4(from, to).unwrap(), tcp.checksum(), tcp.payload())
        }
        (TransportSlice::Tcp(tcp), NetSlice::Ipv6(ip)) => {
            let (from, to) = (ip.header().source(), ip.header().destination());
            (tcp.calc_checksum_ipv6(from, to).unwrap(), tcp.checksum(), tcp.payload())
        }
        (TransportSlice::Udp(udp), NetSlice::Ipv4(ip)) => {
            let (from, to) = (ip.header().source(), ip.header().destination());
            let expected = udp.to_header().calc_checksum_ipv4_raw(from, to, udp.payload()).unwrap();
            (expected, udp.checksum(), udp.payload())
        }
        (TransportSlice::Udp(udp), NetSlice::Ipv6(ip)) => {
            let (from, to) = (ip.header().source(), ip.header().destination());
            let expected = udp.to_header().calc_checksum_ipv6_raw(from, to, udp.payload()).unwrap();
            (expected, udp.checksum(), udp.payload())
        }
        _ => panic!("neither TCP nor UDP"),
    };
    assert_eq!(found, expected);
    payload.to_vec()
}

/// The frames that go on the wire for one frame read from the device.
pub(super) fn split(header: VnetHeader, frame: &[u8]) -> Vec<Vec<u8>> {
    split_as(Link::Ethernet, header, frame)
}

fn split_as(link: Link, header: VnetHeader, frame: &[u8]) -> Vec<Vec<u8>> {
    let mut frame = frame.to_vec();
    match prepare(link, &header, &mut frame).unwrap() {
        Prepared::Single => vec![frame],
        Prepared::Train(train) => (0..train.segments())
            .map(|index| {
                let mut out = vec![0; train.header_len()];
                let payload = train.emit(&frame, index, &mut out);
                out.extend(&frame[payload]);
                out
            })
            .collect(),
    }
}

/// What is written to the device for `frames`.
pub(super) fn join(frames: &[Vec<u8>]) -> Vec<(VnetHeader, Vec<u8>)> {
    join_as(Link::Ethernet, frames)
}

fn join_as(link: Link, frames: &[Vec<u8>]) -> Vec<(VnetHeader, Vec<u8>)> {
    let mut written = vec![];
    coalesce(link, true, frames.iter().map(Vec::as_slice), |slices: &[IoSlice<'_>]| {
        let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
        let (header, frame) = VnetHeader::parse(&bytes).unwrap();
        written.push((header, frame.to_vec()));
    });
    written
}
