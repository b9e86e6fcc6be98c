//! Properties of splitting and coalescing, alone and one after the other.

use super::*;

fn packet() -> impl Strategy<Value = Packet> {
    let link = (any::<bool>(), any::<bool>(), proptest::collection::vec(0_u8..16, 0..=4), 0_usize..=5);
    let network = (any::<u8>(), any::<u8>(), any::<u16>(), any::<bool>());
    let transport = (any::<u32>(), any::<u32>(), any::<u16>(), 0_usize..=10);
    (link, network, transport, 2_usize..20_000).prop_map(|(link, network, transport, len)| {
        let (udp, v6, tags, extra) = link;
        let (tos, ttl, id, dont_fragment) = network;
        let (seq, ack, window, options) = transport;
        let tags =
            tags.into_iter().map(|id| if id % 2 == 0 { [0x81, 0, 0, id] } else { [0x88, 0xa8, 0, id] });
        Packet {
            udp,
            v6,
            tags: tags.collect(),
            extra,
            tos,
            ttl,
            id,
            fragment: if dont_fragment { 0x4000 } else { 0 },
            ack,
            window,
            options: vec![1; 4 * options],
            ..Packet::tcp(seq, len)
        }
    })
}

/// One step of a mix of flows.
#[derive(Clone, Debug)]
enum Step {
    /// The next segment of a flow, with this payload and these flags.
    Data { flow: usize, len: usize, flags: u8 },
    /// The flow's next segment is lost.
    Loss { flow: usize },
    /// The last frame is damaged in this octet, counted from its end.
    Damage { at: usize },
    /// The last two frames change places.
    Swap,
    /// Something that is neither TCP nor UDP.
    Other { len: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let len = prop_oneof![6 => Just(100_usize), 1 => 0_usize..=100, 1 => 100_usize..140];
    let flags = prop_oneof![8 => Just(ACK), 1 => Just(ACK | PSH), 1 => Just(ACK | FIN), 1 => any::<u8>()];
    prop_oneof![
        20 => (0..usize::from(FLOWS), len, flags).prop_map(|(flow, len, flags)| Step::Data { flow, len, flags }),
        1 => (0..usize::from(FLOWS)).prop_map(|flow| Step::Loss { flow }),
        1 => (0_usize..150).prop_map(|at| Step::Damage { at }),
        1 => Just(Step::Swap),
        1 => (0_usize..60).prop_map(|len| Step::Other { len }),
    ]
}

fn flows() -> Vec<Packet> {
    (0..FLOWS)
        .map(|flow| Packet {
            // The others are TCP.
            udp: flow >= 6,
            v6: flow % 2 == 1,
            tags: vec![[0x81, 0, 0, 3]; usize::from(flow % 3)],
            extra: usize::from(flow == 3),
            fragment: if flow == 4 { 0 } else { 0x4000 },
            port: flow,
            ..Packet::tcp(u32::MAX - 250, 0)
        })
        .collect()
}

/// As many as are gathered side by side, and one more: with and without tags, IPv4 and IPv6, TCP and UDP.
const FLOWS: u16 = 9;

/// The frames of `steps`, each with its flow; without one if it is damaged or of no flow.
fn frames_of(steps: &[Step]) -> Vec<(Option<usize>, Vec<u8>)> {
    let mut flows = flows();
    let mut frames: Vec<(Option<usize>, Vec<u8>)> = vec![];
    for step in steps {
        let last = frames.len().wrapping_sub(1);
        match *step {
            Step::Data { flow, len, flags } => {
                let packet = &mut flows[flow];
                packet.payload = stream(packet.seq, len);
                packet.flags = flags;
                frames.push((Some(flow), packet.frame()));
                packet.seq = packet.seq.wrapping_add(u32::try_from(len).unwrap());
                packet.id = packet.id.wrapping_add(1);
            }
            Step::Loss { flow } => flows[flow].seq = flows[flow].seq.wrapping_add(100),
            Step::Damage { at } => {
                if let Some((flow, frame)) = frames.last_mut() {
                    *flow = None;
                    frame.iter_mut().rev().nth(at).into_iter().for_each(|octet| *octet ^= 0x11);
                }
            }
            Step::Swap if frames.len() >= 2 => frames.swap(last, last - 1),
            Step::Swap => {}
            Step::Other { len } => frames.push((None, vec![9; len])),
        }
    }
    frames
}

proptest! {
    /// Every segment stands for itself, and their payloads are the stream.
    #[test]
    fn split_segments_are_valid_and_keep_the_stream(packet in packet(), gso_size in 1_u16..3000, flags: u8) {
        let gso_size = gso_size.max(u16::try_from(packet.payload.len() / 60).unwrap());
        let packet = Packet { flags, ..packet };
        let (header, frame) = packet.super_frame(gso_size);
        let segments = split(header, &frame);
        prop_assert_eq!(segments.len(), packet.payload.len().div_ceil(usize::from(gso_size)));
        let mut payload = vec![];
        for segment in &segments {
            payload.extend(judge(segment, packet.network()));
        }
        prop_assert_eq!(payload, packet.payload);
    }

    /// Each segment is the very frame that a sender without offload had sent.
    #[test]
    fn split_segments_are_what_a_sender_would_have_sent(packet in packet(), gso_size in 1_u16..3000) {
        let gso_size = gso_size.max(u16::try_from(packet.payload.len() / 60).unwrap());
        let packet = Packet { flags: ACK | PSH, ..packet };
        let (header, frame) = packet.super_frame(gso_size);
        let chunks: Vec<&[u8]> = packet.payload.chunks(usize::from(gso_size)).collect();
        for (index, segment) in split(header, &frame).into_iter().enumerate() {
            let expected = Packet {
                id: packet.id.wrapping_add(u16::try_from(index).unwrap()),
                seq: packet.seq.wrapping_add(u32::try_from(index * usize::from(gso_size)).unwrap()),
                flags: if index + 1 == chunks.len() { ACK | PSH } else { ACK },
                payload: chunks[index].to_vec(),
                ..packet.clone()
            };
            prop_assert_eq!(segment, expected.frame());
        }
    }

    /// What was split is coalesced to the very frame that it was, vnet header included.
    #[test]
    fn coalesce_undoes_split(packet in packet(), gso_size in 1_u16..3000, end: bool) {
        let gso_size = gso_size.max(u16::try_from(packet.payload.len().div_ceil(60)).unwrap());
        let gso_size = gso_size.min(u16::try_from(packet.payload.len() / 2).unwrap());
        let flags = if end { ACK | PSH | FIN } else { ACK | ECE };
        let extra = if packet.v6 { packet.extra } else { 0 };
        let packet = Packet { extra, flags, ..packet };
        let (header, frame) = packet.super_frame(gso_size);
        prop_assert_eq!(join(&split(header, &frame)), [(header, frame)]);
    }

    /// What was coalesced is split to the very frames that came, in the order of each flow, whatever was lost,
    /// damaged, reordered or mixed in.
    #[test]
    fn split_undoes_coalesce(steps in proptest::collection::vec(step(), 0..200)) {
        let (flow_of, frames): (Vec<_>, Vec<_>) = frames_of(&steps).into_iter().unzip();
        let mut back: Vec<Vec<u8>> =
            join(&frames).iter().flat_map(|(header, frame)| split(*header, frame)).collect();
        for flow in 0..usize::from(FLOWS) {
            let sent: Vec<_> =
                frames.iter().zip(&flow_of).filter(|(_, of)| **of == Some(flow)).map(|(frame, _)| frame).collect();
            let found: Vec<_> = back.iter().filter(|frame| sent.contains(frame)).collect();
            prop_assert_eq!(found, sent);
        }
        let mut all = frames;
        all.sort();
        back.sort();
        prop_assert_eq!(back, all);
    }

    /// Without its link header a packet is cut and joined as with it.
    #[test]
    fn packets_without_a_link_header_are_treated_alike(steps in proptest::collection::vec(step(), 0..60)) {
        let untagged = |frame: &Vec<u8>| matches!(frame.get(12..14), Some([0x08, 0x00] | [0x86, 0xdd]));
        let frames: Vec<_> = frames_of(&steps).into_iter().map(|(_, frame)| frame).filter(untagged).collect();
        let packets: Vec<_> = frames.iter().map(|frame| frame[14..].to_vec()).collect();
        let back: Vec<_> = join_as(Link::Ip, &packets)
            .iter()
            .flat_map(|(header, packet)| split_as(Link::Ip, *header, packet))
            .collect();
        // Packets of two link addresses, which Ethernet keeps apart, may be joined here.
        let in_order = |list: &[Vec<u8>]| {
            let mut list = list.to_vec();
            list.sort();
            list
        };
        prop_assert_eq!(in_order(&back), in_order(&packets));
    }

    #[test]
    fn arbitrary_bytes_never_panic(
        mut frame in proptest::collection::vec(any::<u8>(), 0..200),
        vnet: [u8; VnetHeader::LEN],
        out in 0_usize..300,
    ) {
        let (header, _) = VnetHeader::parse(&vnet).unwrap();
        if let Ok(Prepared::Train(train)) = prepare(Link::Ethernet, &header, &mut frame) {
            train.emit(&frame, 0, &mut vec![0; out]);
        }
        prop_assert_eq!(join(std::slice::from_ref(&frame)), [(VnetHeader::default(), frame)]);
    }

    /// A frame with some octets overwritten and a header with some fields off: refused, or split into segments
    /// whose payloads lie in the frame, without a panic.
    #[test]
    fn nearly_right_frames_never_panic(
        packet in packet(),
        gso_size: u16,
        damage in proptest::collection::vec((0_usize..160, any::<u8>()), 0..4),
        vnet in proptest::collection::vec((0_usize..VnetHeader::LEN, any::<u8>()), 0..2),
        cut in 0_usize..300,
    ) {
        let (header, mut frame) = packet.super_frame(gso_size);
        let mut header = header.emit();
        vnet.into_iter().for_each(|(at, octet)| header[at] = octet);
        frame.truncate(cut.max(packet.header_len().saturating_sub(4)));
        for (at, octet) in damage {
            frame.get_mut(at).into_iter().for_each(|to| *to = octet);
        }
        let (header, _) = VnetHeader::parse(&header).unwrap();
        if let Ok(Prepared::Train(train)) = prepare(Link::Ethernet, &header, &mut frame) {
            let mut out = vec![0; train.header_len()];
            let mut next = train.header_len();
            for index in 0..train.segments() {
                let payload = train.emit(&frame, index, &mut out);
                prop_assert_eq!(payload.start, next);
                prop_assert!(!payload.is_empty());
                next = payload.end;
            }
            prop_assert_eq!(next, frame.len());
            prop_assert_eq!(train.emit(&frame, train.segments(), &mut out), 0..0);
        }
        join(&[frame.clone(), frame]);
    }
}
