use super::*;
use crate::offload::tests::{ACK, Packet, judge, naive_sum, split};

const CWR: u8 = 0x80;
const PSH: u8 = 0x08;
const FIN: u8 = 0x01;

fn train(header: &VnetHeader, frame: &mut [u8]) -> Train {
    match prepare(Link::Ethernet, header, frame).unwrap() {
        Prepared::Train(train) => train,
        Prepared::Single => panic!("one segment"),
    }
}

fn refusal(header: &VnetHeader, frame: &[u8]) -> Malformed {
    let mut changed = frame.to_vec();
    let error = prepare(Link::Ethernet, header, &mut changed).unwrap_err();
    assert_eq!(changed, frame, "a refused frame is not changed");
    error
}

#[test]
fn finished_frame_is_left_alone() {
    for bytes in [vec![], vec![1; 5], Packet::tcp(1, 100).frame()] {
        let mut frame = bytes.clone();
        assert!(matches!(prepare(Link::Ethernet, &VnetHeader::default(), &mut frame), Ok(Prepared::Single)));
        assert_eq!(frame, bytes);
    }
}

#[test]
fn single_frame_gets_its_checksum() {
    for udp in [false, true] {
        let packet = Packet { udp, ..Packet::tcp(1, 101) };
        let (header, mut frame) = packet.super_frame(0);
        let header = VnetHeader { gso_type: VnetHeader::GSO_NONE, ..header };
        assert!(matches!(prepare(Link::Ethernet, &header, &mut frame), Ok(Prepared::Single)));
        assert_eq!(frame, packet.frame());
        judge(&frame, 14);
    }
}

#[test]
fn udp_checksum_of_zero_is_sent_as_ones() {
    let mut packet = Packet { udp: true, payload: vec![0; 4], ..Packet::tcp(1, 0) };
    let sum = naive_sum(&packet.partial()[packet.transport()..]);
    packet.payload[..2].copy_from_slice(&(!sum).to_be_bytes());
    let (header, mut frame) = packet.super_frame(4);
    prepare(Link::Ethernet, &header, &mut frame).unwrap();
    assert_eq!(frame[40..42], [0xff, 0xff]);
    judge(&frame, 14);

    packet.payload.extend(packet.payload.clone());
    let (header, frame) = packet.super_frame(4);
    for segment in split(header, &frame) {
        assert_eq!(segment[40..42], [0xff, 0xff]);
        judge(&segment, 14);
    }
}

#[test]
fn frame_of_one_segment_is_single() {
    for len in [0, 1, 1000] {
        let packet = Packet::tcp(1, len);
        let (header, mut frame) = packet.super_frame(1000);
        assert!(matches!(prepare(Link::Ethernet, &header, &mut frame), Ok(Prepared::Single)));
        assert_eq!(frame, packet.frame());
    }
}

#[test]
fn sizes_of_a_train() {
    let packet = Packet { tags: vec![[0x81, 0, 0, 1]], ..Packet::tcp(1, 2500) };
    let (header, mut frame) = packet.super_frame(1000);
    let train = train(&header, &mut frame);
    assert_eq!((train.segments(), train.header_len(), train.payload_per_segment()), (3, 70, 1000));
    let mut out = [0; HEADER_MAX];
    assert_eq!(train.emit(&frame, 0, &mut out), 70..1070);
    assert_eq!(train.emit(&frame, 2, &mut out), 2070..2570);
}

#[test]
fn hdr_len_is_not_believed() {
    let packet = Packet::tcp(1, 2500);
    let (header, frame) = packet.super_frame(1000);
    for hdr_len in [0, 10, 5000] {
        assert_eq!(split(VnetHeader { hdr_len, ..header }, &frame), split(header, &frame));
    }
}

#[test]
fn flags_stay_where_they_belong() {
    let packet = Packet { flags: ACK | CWR | PSH | FIN, ..Packet::tcp(1, 300) };
    let (header, frame) = packet.super_frame(100);
    let header = VnetHeader { gso_type: header.gso_type | VnetHeader::GSO_ECN, ..header };
    let flags: Vec<u8> = split(header, &frame).iter().map(|segment| segment[47]).collect();
    assert_eq!(flags, [ACK | CWR, ACK, ACK | PSH | FIN]);
}

#[test]
fn sequence_and_identification_count_over_their_ends() {
    let packet = Packet { id: 0xffff, ..Packet::tcp(u32::MAX - 99, 300) };
    let (header, frame) = packet.super_frame(100);
    let counted: Vec<_> = split(header, &frame)
        .iter()
        .map(|segment| {
            judge(segment, 14);
            (u16::from_be_bytes([segment[18], segment[19]]), segment[38..42].to_vec())
        })
        .collect();
    let expected = [(0xffff, u32::MAX - 99), (0, 0), (1, 100)];
    assert_eq!(counted, expected.map(|(id, sequence)| (id, sequence.to_be_bytes().to_vec())));
}

#[test]
fn pseudo_header_of_the_sender_is_kept() {
    // As with an IPv6 routing header: the sender summed another destination than the header shows.
    let packet = Packet { v6: true, ..Packet::tcp(1, 300) };
    let (header, mut frame) = packet.super_frame(100);
    let at = packet.transport() + 16;
    let partial = u16::from_be_bytes([frame[at], frame[at + 1]]);
    frame[at..at + 2]
        .copy_from_slice(&naive_sum(&[&partial.to_be_bytes()[..], &[0, 5]].concat()).to_be_bytes());
    for segment in split(header, &frame) {
        // The header shows a destination whose sum is less by 5: seen from it, the sum is 5 short of valid.
        let covered = &segment[packet.transport()..];
        let len = u32::try_from(covered.len()).unwrap().to_be_bytes();
        let whole = [&segment[22..54], &[0, TCP], &len, covered, &[0, 5]].concat();
        assert_eq!(naive_sum(&whole), 0xffff);
    }
}

#[test]
fn emit_out_of_bounds_writes_nothing() {
    let (header, mut frame) = Packet::tcp(1, 300).super_frame(100);
    let train = train(&header, &mut frame);
    let mut out = [0; HEADER_MAX];
    assert_eq!(train.emit(&frame, 3, &mut out), 0..0);
    assert_eq!(train.emit(&frame, usize::MAX, &mut out), 0..0);
    assert_eq!(train.emit(&frame[..200], 2, &mut out), 0..0);
    assert_eq!(train.emit(&frame, 0, &mut out[..65]), 0..0);
    assert_eq!(out, [0; HEADER_MAX]);
}

#[test]
fn checksum_field_beyond_the_frame_is_refused() {
    let mut frame = Packet::tcp(1, 10).frame();
    let len = u16::try_from(frame.len()).unwrap();
    let at = |csum_start, csum_offset| VnetHeader { flags: 1, csum_start, csum_offset, ..Default::default() };
    for (start, offset) in [(len + 1, 0), (len, 0), (len - 1, 0), (0, len - 1), (u16::MAX, u16::MAX)] {
        assert_eq!(refusal(&at(start, offset), &frame), Malformed::ChecksumField);
    }
    assert!(prepare(Link::Ethernet, &at(0, len - 2), &mut frame).is_ok());
}

#[test]
fn header_that_does_not_fit_the_frame_is_refused() {
    let (good, frame) = Packet::tcp(1, 300).super_frame(100);
    let cases = [
        (VnetHeader { gso_type: VnetHeader::GSO_UDP, ..good }, Malformed::GsoType),
        (VnetHeader { gso_type: 0x21, ..good }, Malformed::GsoType),
        (VnetHeader { gso_type: VnetHeader::GSO_ECN, ..good }, Malformed::GsoType),
        (VnetHeader { gso_size: 0, ..good }, Malformed::GsoSize),
        (VnetHeader { flags: 0, ..good }, Malformed::ChecksumMissing),
        (VnetHeader { gso_type: VnetHeader::GSO_TCPV6, ..good }, Malformed::Protocol),
        (VnetHeader { gso_type: VnetHeader::GSO_UDP_L4, ..good }, Malformed::Protocol),
        (VnetHeader { csum_start: 38, ..good }, Malformed::Protocol),
        (VnetHeader { csum_start: u16::MAX, ..good }, Malformed::Protocol),
        (VnetHeader { csum_offset: 6, ..good }, Malformed::Protocol),
    ];
    for (header, error) in cases {
        assert_eq!(refusal(&header, &frame), error, "{header:?}");
    }
}

#[test]
fn frame_that_is_not_what_it_claims_is_refused() {
    let fragment = Packet { fragment: 0x2000, ..Packet::tcp(1, 300) };
    let (header, frame) = fragment.super_frame(100);
    assert_eq!(refusal(&header, &frame), Malformed::Protocol);

    let (header, mut frame) = Packet::tcp(1, 300).super_frame(100);
    assert_eq!(refusal(&header, &frame[..50]), Malformed::HeaderTruncated);
    assert_eq!(refusal(&header, &frame[..30]), Malformed::Protocol);
    frame[46] = 0x40;
    assert_eq!(refusal(&header, &frame), Malformed::HeaderTruncated);

    let (header, frame) = Packet { udp: true, ..Packet::tcp(1, 300) }.super_frame(100);
    assert_eq!(refusal(&header, &frame[..40]), Malformed::HeaderTruncated);
}

#[test]
fn headers_and_segments_have_a_longest() {
    let mut packet = Packet { v6: true, ..Packet::tcp(1, 70_000) };
    let (header, frame) = packet.super_frame(65_530);
    assert_eq!(refusal(&header, &frame), Malformed::SegmentTooLong);
    let (header, frame) = packet.super_frame(65_400);
    assert_eq!(split(header, &frame).len(), 2);

    packet.payload.truncate(300);
    let (header, frame) = packet.super_frame(100);
    // One destination header of 432 octets more.
    let mut long = frame[..54].to_vec();
    long[20] = 60;
    long.extend([6, 53]);
    long.resize(54 + 432, 0);
    long.extend(&frame[54..]);
    let header = VnetHeader { csum_start: header.csum_start + 432, ..header };
    assert_eq!(refusal(&header, &long), Malformed::HeaderTooLong);
}
