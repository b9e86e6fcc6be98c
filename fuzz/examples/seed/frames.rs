//! Seeds for segmentation: TCP and UDP frames of every form, as a device gives and takes them.

use etherparse::{PacketBuilder, PacketBuilderStep, TcpHeader, UdpHeader, VlanId};
use ferrowire_fuzz::Input;
use l2tp_io::offload::vnet::VnetHeader;

use crate::Corpus;

const MACS: [[u8; 6]; 2] = [[2, 0, 0, 0, 0, 0xa1], [2, 0, 0, 0, 0, 0xb2]];

/// Payload of the segments below.
const SEGMENT: u16 = 100;

fn tcp(v6: bool, tagged: bool, sequence: u32) -> PacketBuilderStep<TcpHeader> {
    ip(v6, tagged).tcp(40_000, 80, sequence, 64_000)
}

fn udp(v6: bool, tagged: bool) -> PacketBuilderStep<UdpHeader> {
    ip(v6, tagged).udp(40_000, 53)
}

fn ip(v6: bool, tagged: bool) -> PacketBuilderStep<etherparse::IpHeaders> {
    let ethernet = PacketBuilder::ethernet2(MACS[0], MACS[1]);
    match (tagged, v6) {
        (false, false) => ethernet.ipv4([10, 9, 0, 1], [10, 9, 0, 2], 64),
        (false, true) => ethernet.ipv6([0xfd; 16], [0xfe; 16], 64),
        (true, v6) => {
            let tagged = ethernet.single_vlan(VlanId::try_new(7).unwrap());
            if v6 {
                tagged.ipv6([0xfd; 16], [0xfe; 16], 64)
            } else {
                tagged.ipv4([10, 9, 0, 1], [10, 9, 0, 2], 64)
            }
        }
    }
}

/// A frame and what its vnet header says of it.
fn super_frame(v6: bool, tagged: bool, is_tcp: bool, payload: usize) -> Vec<u8> {
    let payload = vec![0x5a; payload];
    let mut frame = Vec::new();
    if is_tcp {
        tcp(v6, tagged, 1).ack(1).psh().write(&mut frame, &payload).unwrap();
    } else {
        udp(v6, tagged).write(&mut frame, &payload).unwrap();
    }
    let start = if tagged { 18 } else { 14 } + if v6 { 40 } else { 20 };
    let header_len = if is_tcp { 20 } else { 8 };
    let gso_type = match (is_tcp, v6) {
        (true, false) => VnetHeader::GSO_TCPV4,
        (true, true) => VnetHeader::GSO_TCPV6,
        (false, _) => VnetHeader::GSO_UDP_L4,
    };
    let vnet = VnetHeader {
        flags: VnetHeader::NEEDS_CSUM,
        gso_type,
        hdr_len: start + header_len,
        gso_size: SEGMENT,
        csum_start: start,
        csum_offset: if is_tcp { 16 } else { 6 },
    };
    [&vnet.emit()[..], &frame].concat()
}

fn every_form() -> impl Iterator<Item = (String, bool, bool, bool)> {
    [false, true].into_iter().flat_map(|v6| {
        [false, true].into_iter().flat_map(move |tagged| {
            [false, true].into_iter().map(move |is_tcp| {
                let family = if v6 { "ip6" } else { "ip4" };
                let tag = if tagged { "-vlan" } else { "" };
                (format!("{}-{family}{tag}", if is_tcp { "tcp" } else { "udp" }), v6, tagged, is_tcp)
            })
        })
    })
}

/// Trains, frames that need no cutting, and frames that only lack their checksum.
pub(crate) fn split() {
    let mut corpus = Corpus::new("split");
    for (name, v6, tagged, is_tcp) in every_form() {
        corpus.add(&format!("{name}-train"), &super_frame(v6, tagged, is_tcp, 350));
        corpus.add(&format!("{name}-one-segment"), &super_frame(v6, tagged, is_tcp, 60));
        let mut plain = super_frame(v6, tagged, is_tcp, 20);
        plain[1] = VnetHeader::GSO_NONE;
        corpus.add(&format!("{name}-checksum"), &plain);
    }
}

/// Conversations whose segments can be joined, and what comes between them.
pub(crate) fn coalesce() {
    let mut corpus = Corpus::new("coalesce");
    for (name, v6, tagged, _) in every_form().filter(|(.., is_tcp)| *is_tcp) {
        corpus.add(&format!("{name}-in-order"), &conversation(v6, tagged, &[0, 1, 2, 3]));
        corpus.add(&format!("{name}-overtaken"), &conversation(v6, tagged, &[0, 2, 1, 3]));
        corpus.add(&format!("{name}-doubled"), &conversation(v6, tagged, &[0, 0, 1, 1]));
    }
    let mut mixed = conversation(false, false, &[0, 1]);
    let mut datagram = Vec::new();
    udp(false, false).write(&mut datagram, &[1; 30]).unwrap();
    Input::put_record(&mut mixed, &datagram);
    Input::put_record(&mut mixed, &[0xff; 60]);
    mixed.extend(conversation(true, false, &[0, 1, 2]));
    mixed.extend(conversation(false, false, &[2, 3]));
    corpus.add("mixed", &mixed);
}

fn conversation(v6: bool, tagged: bool, order: &[u32]) -> Vec<u8> {
    let mut seed = Vec::new();
    for index in order {
        let mut frame = Vec::new();
        let sequence = 1000 + index * u32::from(SEGMENT);
        tcp(v6, tagged, sequence).ack(1).write(&mut frame, &[0x5a; SEGMENT as usize]).unwrap();
        if !v6 {
            count_identification(&mut frame, if tagged { 18 } else { 14 }, *index);
        }
        Input::put_record(&mut seed, &frame);
    }
    seed
}

/// Gives an IPv4 header at `at` the identification `index`, and mends its checksum.
fn count_identification(frame: &mut [u8], at: usize, index: u32) {
    let mut header = etherparse::Ipv4Header::from_slice(&frame[at..]).unwrap().0;
    header.identification = u16::try_from(index).unwrap();
    header.header_checksum = header.calc_header_checksum();
    let bytes = header.to_bytes();
    frame[at..at + bytes.len()].copy_from_slice(&bytes);
}
