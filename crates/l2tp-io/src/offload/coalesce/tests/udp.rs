//! Datagrams of UDP flows.

use super::*;

/// Three datagrams of 100 octets, as one socket sends them.
fn datagrams() -> [Packet; 3] {
    three().map(|packet| Packet { udp: true, ..packet })
}

/// What is written for three datagrams when `change` is made to the second.
fn with_second(change: impl FnOnce(&mut Packet)) -> Vec<usize> {
    let mut packets = datagrams();
    change(&mut packets[1]);
    written(&packets)
}

/// Also inside VLAN tags: one frame, which a device cuts to the very same.
#[test]
fn datagrams_of_one_flow_become_one_frame() {
    for (v6, tags) in [(false, 0), (true, 0), (false, 1), (true, 2)] {
        let tags = vec![[0x81, 0, 0, 5]; tags];
        let packets = datagrams().map(|packet| Packet { v6, tags: tags.clone(), ..packet });
        let whole = Packet {
            payload: packets.iter().flat_map(|p| p.payload.clone()).collect(),
            ..packets[0].clone()
        };
        let frames = packets.map(|packet| packet.frame());
        let (header, frame) = whole.super_frame(100);
        assert_eq!(join(&frames), [(header, frame.clone())]);
        assert_eq!(header.gso_type, VnetHeader::GSO_UDP_L4);
        assert_eq!(crate::offload::tests::split(header, &frame), frames);
    }
}

#[test]
fn a_device_without_trains_of_datagrams_gets_them_one_by_one() {
    let frames = datagrams().map(|packet| packet.frame());
    let mut written = vec![];
    coalesce(Link::Ethernet, false, frames.iter().map(Vec::as_slice), |slices| {
        written.push(slices.iter().map(|slice| slice.len()).sum::<usize>());
    });
    assert_eq!(written, [VnetHeader::LEN + 142; 3]);
}

#[test]
fn only_the_last_datagram_is_shorter() {
    assert_eq!(with_second(|p| p.payload = stream(7, 60)), [160, 100]);
    assert_eq!(with_second(|p| p.payload = stream(7, 140)), [100, 240]);
    assert_eq!(with_second(|p| p.payload.clear()), [100, 0, 100]);
}

#[test]
fn what_must_be_equal_ends_the_train_of_datagrams() {
    assert_eq!(with_second(|p| p.tos = 4), [100, 100, 100]);
    assert_eq!(with_second(|p| p.ttl = 9), [100, 100, 100]);
    assert_eq!(with_second(|p| p.id = 7), [100, 100, 100]);
}

#[test]
fn a_datagram_and_a_segment_with_the_same_ports_are_of_two_flows() {
    let (tcp, udp) = (three(), datagrams());
    let mixed: Vec<_> = tcp.into_iter().zip(udp).flat_map(|(a, b)| [a.frame(), b.frame()]).collect();
    let kinds: Vec<u8> = join(&mixed).iter().map(|(header, _)| header.gso_type).collect();
    assert_eq!(kinds, [VnetHeader::GSO_TCPV4, VnetHeader::GSO_UDP_L4]);
}

/// Without a checksum, with a wrong one or with octets behind it, a datagram passes alone and untouched, in its turn.
#[test]
fn a_datagram_that_cannot_be_made_anew_passes_alone() {
    let [a, b, c] = datagrams().map(|packet| packet.frame());
    let change = |at: usize, to: [u8; 2]| {
        let mut frame = b.clone();
        frame[at..at + 2].copy_from_slice(&to);
        frame
    };
    let padded = [&b[..], &[0; 4]].concat();
    for odd in [change(40, [0, 0]), change(60, [1, 2]), change(38, [0, 50]), padded] {
        let frames = [a.clone(), odd, c.clone()];
        let plain = frames.each_ref().map(|frame| (VnetHeader::default(), frame.clone()));
        assert_eq!(join(&frames), plain);
    }
}

#[test]
fn a_train_of_datagrams_ends_at_its_most() {
    let packets: Vec<Packet> =
        (0..70).map(|id| Packet { udp: true, id, payload: stream(9, 8), ..Packet::tcp(0, 0) }).collect();
    let count: Vec<usize> = join(&packets.iter().map(Packet::frame).collect::<Vec<_>>())
        .iter()
        .map(|(_, frame)| (frame.len() - 42) / 8)
        .collect();
    assert_eq!(count, [SEGMENTS_MAX, 70 - SEGMENTS_MAX]);
}
