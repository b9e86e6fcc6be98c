use crate::offload::flow::SEGMENTS_MAX;
use crate::offload::tests::{ACK, CWR, ECE, FIN, PSH, Packet, RST, SYN, URG, join, stream};
use crate::offload::vnet::VnetHeader;

use super::*;

/// Three consecutive segments of 100 octets.
fn three() -> [Packet; 3] {
    [0, 1, 2].map(|at| Packet { id: 1000 + at, ..Packet::tcp(100 * u32::from(at), 100) })
}

/// The payload octets of each TCP frame that is written for `packets`.
fn written(packets: &[Packet]) -> Vec<usize> {
    let frames: Vec<_> = packets.iter().map(Packet::frame).collect();
    join(&frames).iter().map(|(_, frame)| frame.len() - packets[0].header_len()).collect()
}

/// What is written for three segments when `change` is made to the second.
fn with_second(change: impl FnOnce(&mut Packet)) -> Vec<usize> {
    let mut packets = three();
    change(&mut packets[1]);
    written(&packets)
}

#[test]
fn consecutive_segments_become_one_frame() {
    for v6 in [false, true] {
        let packets = three().map(|packet| Packet { v6, ..packet });
        let whole = Packet {
            payload: packets.iter().flat_map(|p| p.payload.clone()).collect(),
            ..packets[0].clone()
        };
        let frames = packets.map(|packet| packet.frame());
        let (header, frame) = whole.super_frame(100);
        assert_eq!(join(&frames), [(header, frame)]);
        assert_eq!(header.gso_type, if v6 { VnetHeader::GSO_TCPV6 } else { VnetHeader::GSO_TCPV4 });
    }
}

#[test]
fn payloads_are_not_copied() {
    let frames = three().map(|packet| packet.frame());
    coalesce(Link::Ethernet, true, frames.iter().map(Vec::as_slice), |slices| {
        assert_eq!(slices.len(), 4);
        assert_eq!(slices[0].len(), VnetHeader::LEN + 66);
        for (slice, frame) in slices[1..].iter().zip(&frames) {
            assert_eq!(slice.as_ptr(), frame[66..].as_ptr());
        }
    });
}

#[test]
fn single_segment_is_unchanged() {
    let frame = Packet::tcp(1, 100).frame();
    assert_eq!(join(std::slice::from_ref(&frame)), [(VnetHeader::default(), frame)]);
    assert_eq!(join(&[]), []);
}

#[test]
fn what_must_be_equal_ends_the_train() {
    assert_eq!(with_second(|_| ()), [300]);
    let changes: [fn(&mut Packet); 11] = [
        |packet| packet.urgent = 1,
        |packet| packet.options = vec![1; 12],
        |packet| packet.tos = 3,
        |packet| packet.ttl = 63,
        |packet| packet.fragment = 0,
        |packet| packet.id = 1000 + 5,
        |packet| packet.ack += 1,
        |packet| packet.window += 1,
        |packet| packet.options[11] += 1,
        |packet| packet.seq += 1,
        |packet| packet.flags |= ECE,
    ];
    for change in changes {
        assert_eq!(with_second(change), [100, 100, 100]);
    }
}

#[test]
fn ipv6_headers_must_be_equal() {
    let v6 = three().map(|packet| Packet { v6: true, extra: 2, ..packet });
    assert_eq!(written(&v6), [300]);
    let changes: [fn(&mut Packet); 4] =
        [|p| p.tos = 3, |p| p.ttl = 63, |p| p.flow_label = 1, |p| p.extra = 3];
    for change in changes {
        let mut packets = v6.clone();
        change(&mut packets[1]);
        let frames = packets.map(|packet| packet.frame());
        assert_eq!(join(&frames).len(), 3);
    }
}

#[test]
fn link_headers_must_be_equal() {
    let tagged = three().map(|packet| Packet { tags: vec![[0x88, 0xa8, 0, 1], [0x81, 0, 0, 2]], ..packet });
    assert_eq!(written(&tagged), [300]);
    let frames = tagged.map(|packet| packet.frame());
    for at in [0, 6, 15, 19] {
        let mut frames = frames.clone();
        frames[1][at] ^= 0x10;
        assert_eq!(join(&frames).len(), 3);
    }
}

#[test]
fn push_and_fin_end_the_train_and_are_kept() {
    for flag in [PSH, FIN, PSH | FIN] {
        let mut packets = three();
        packets[1].flags |= flag;
        let frames = packets.map(|packet| packet.frame());
        let written = join(&frames);
        assert_eq!(written.len(), 2);
        assert_eq!(written[0].1.len(), 66 + 200);
        assert_eq!(written[0].1[47], ACK | flag);
        assert_eq!(written[1], (VnetHeader::default(), frames[2].clone()));
    }
    let mut packets = three();
    packets[0].flags |= PSH;
    assert_eq!(written(&packets), [100, 200], "it does not begin a train either");
}

#[test]
fn special_flags_pass_alone() {
    for flag in [SYN, RST, URG, CWR] {
        assert_eq!(with_second(|packet| packet.flags |= flag), [100, 100, 100]);
        let all = three().map(|packet| Packet { flags: packet.flags | flag, ..packet });
        assert_eq!(written(&all), [100, 100, 100]);
    }
    let echo = three().map(|packet| Packet { flags: ACK | ECE, ..packet });
    assert_eq!(written(&echo), [300]);
}

#[test]
fn identification_counts_or_stays_with_dont_fragment() {
    let fixed = three().map(|packet| Packet { id: 0, ..packet });
    assert_eq!(written(&fixed), [300]);
    let may_fragment = fixed.clone().map(|packet| Packet { fragment: 0, ..packet });
    assert_eq!(written(&may_fragment), [100, 100, 100]);
    let counting = three().map(|packet| Packet { fragment: 0, ..packet });
    assert_eq!(written(&counting), [300]);
    let mut changing = fixed;
    changing[2].id = 2;
    assert_eq!(written(&changing), [200, 100], "the second segment decides");
    let over_the_end = three().map(|packet| Packet { id: packet.id.wrapping_add(0xffff - 1000), ..packet });
    assert_eq!(written(&over_the_end), [300]);
}

#[test]
fn only_the_last_is_shorter() {
    let sizes = |lens: &[usize]| {
        let mut seq = 0;
        let packets: Vec<_> = lens
            .iter()
            .zip(1000..)
            .map(|(len, id)| {
                let packet = Packet { id, ..Packet::tcp(seq, *len) };
                seq += u32::try_from(*len).unwrap();
                packet
            })
            .collect();
        written(&packets)
    };
    assert_eq!(sizes(&[100, 100, 40, 40, 40]), [240, 80]);
    assert_eq!(sizes(&[100, 101, 101]), [100, 202]);
    assert_eq!(sizes(&[100, 0, 100]), [100, 0, 100]);
    assert_eq!(sizes(&[1; 3]), [3]);
}

#[test]
fn damaged_segment_passes_alone_and_untouched() {
    for v6 in [false, true] {
        let packets = three().map(|packet| Packet { v6, ..packet });
        let frames = packets.clone().map(|packet| packet.frame());
        let covered = [packets[0].transport() + 16, packets[0].header_len(), frames[0].len() - 1];
        let ip_checksum = (!v6).then_some(24);
        for at in covered.into_iter().chain(ip_checksum) {
            for damaged in 0..3 {
                let mut frames = frames.clone();
                frames[damaged][at] ^= 0x40;
                let written = join(&frames);
                assert!(written.contains(&(VnetHeader::default(), frames[damaged].clone())));
                assert_eq!(written.len(), if damaged == 1 { 3 } else { 2 });
            }
        }
    }
}

#[test]
fn padding_options_and_fragments_are_not_merged() {
    let mut frames = three().map(|packet| packet.frame());
    frames[1].extend([0; 4]);
    assert_eq!(join(&frames).len(), 3);
    let options = three().map(|packet| Packet { extra: 1, ..packet });
    assert_eq!(written(&options), [100, 100, 100]);
    for fragment in [0x2000, 0x0001, 0xc000] {
        let packets = three().map(|packet| Packet { fragment, ..packet });
        assert_eq!(written(&packets), [100, 100, 100]);
    }
}

#[test]
fn bounds_of_a_super_frame() {
    let train = |count: u16, len: usize| -> Vec<Packet> {
        (0..count)
            .map(|at| Packet { id: at, ..Packet::tcp(u32::from(at) * u32::try_from(len).unwrap(), len) })
            .collect()
    };
    assert_eq!(written(&train(65, 10)), [10 * SEGMENTS_MAX, 10]);
    let jumbo = written(&train(8, 8948));
    assert_eq!(jumbo, [7 * 8948, 8948]);
    let frames: Vec<_> = train(16, 65_469 / 3).iter().map(Packet::frame).collect();
    let longest = join(&frames).iter().map(|(_, frame)| frame.len()).max();
    assert_eq!(longest, Some(65_535));
}

#[test]
fn flows_are_gathered_side_by_side() {
    let [a, b, c] = [5001, 5002, 5003].map(|port| three().map(|packet| Packet { port, ..packet }));
    let mixed: Vec<Packet> = (0..3).flat_map(|at| [a[at].clone(), b[at].clone(), c[at].clone()]).collect();
    assert_eq!(written(&mixed), [300, 300, 300]);
}

#[test]
fn same_ports_of_other_hosts_are_another_flow() {
    for v6 in [false, true] {
        let here = three().map(|packet| Packet { v6, ..packet });
        let there = here.clone().map(|packet| Packet { host: 9, ..packet });
        assert_eq!(written(&[&here[..2], &there[2..]].concat()), [200, 100]);
        let mixed: Vec<_> = here.into_iter().zip(there).flat_map(<[_; 2]>::from).collect();
        assert_eq!(written(&mixed), [300, 300]);
    }
}

#[test]
fn headers_too_long_to_copy_pass_alone() {
    let long = three().map(|packet| Packet { v6: true, extra: 54, ..packet });
    assert_eq!(long[0].header_len(), 518);
    assert_eq!(written(&long), [100, 100, 100]);
    let longest = long.map(|packet| Packet { extra: 53, ..packet });
    assert_eq!(written(&longest), [300]);
}

#[test]
fn slots_are_cleared_in_turn() {
    let packets: Vec<_> = (1..=14).map(|port| Packet { port, ..Packet::tcp(1, 10) }).collect();
    let frames: Vec<_> = packets.iter().map(Packet::frame).collect();
    let written = join(&frames);
    for (index, frame) in frames[..6].iter().enumerate() {
        assert_eq!(written[index].1, *frame);
    }
}

#[test]
fn one_flow_too_many_ends_the_first() {
    let flow = |port| three().map(|packet| Packet { port, ..packet });
    let flows: Vec<[Packet; 3]> = (1..=9).map(flow).collect();
    let mixed: Vec<Packet> = (0..2).flat_map(|at| flows.iter().map(move |flow| flow[at].clone())).collect();
    assert_eq!(written(&mixed).iter().sum::<usize>(), 1800);
    assert_eq!(written(&mixed)[0], 100);
    let fewer: Vec<Packet> =
        (0..2).flat_map(|at| flows[..8].iter().map(move |flow| flow[at].clone())).collect();
    assert_eq!(written(&fewer), [200; 8]);
}

#[test]
fn acknowledgement_does_not_overtake_data() {
    let [first, second, third] = three();
    let empty = Packet { payload: vec![], ..second.clone() };
    assert_eq!(written(&[first, second, empty, third]), [200, 0, 100]);
}

#[test]
fn what_belongs_to_no_conversation_passes_between() {
    let [a, b, c] = three().map(|packet| packet.frame());
    let mut icmp = Packet { udp: true, ..Packet::tcp(1, 30) }.frame();
    icmp[23] = 1;
    let plain = |frame: &Vec<u8>| (VnetHeader::default(), frame.clone());
    let written = join(&[a.clone(), icmp.clone(), b.clone()]);
    assert_eq!(written.len(), 2);
    assert_eq!(written[0], plain(&icmp), "ICMP leaves the train alone");

    let mut arp = vec![0xff; 42];
    arp[12..14].copy_from_slice(&[0x08, 0x06]);
    let truncated = c[..60].to_vec();
    for frame in [arp, truncated, vec![], vec![1; 9]] {
        assert_eq!(join(&[a.clone(), frame.clone(), b.clone()]), [plain(&a), plain(&frame), plain(&b)]);
    }
}

mod udp;
