//! Devices with several queues in namespaces of our own.

use super::Spread;
use crate::offload::Link;
use crate::rtnl::Rtnl;
use crate::tap::{READ_BYTES, Tap, VNET_HEADER_BYTES};
use crate::testns::{configure, in_fresh_netns_with_taps, skip};
use etherparse::{LaxSlicedPacket, PacketBuilder, TransportSlice};
use std::collections::BTreeMap;
use std::io::{ErrorKind, IoSlice};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};

const QUEUES: usize = 4;
const FLOWS: u16 = 64;
/// The flows' ports are even, as those that the kernel chooses for connections.
const FIRST_PORT: u16 = 40_000;
const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 99);

fn spread() -> Option<Spread> {
    match Spread::load(QUEUES) {
        Err(error) if error.kind() == ErrorKind::PermissionDenied => {
            skip("leave to load BPF (run as root)");
            None
        }
        loaded => Some(loaded.unwrap()),
    }
}

/// By flow, the queue and the number of each of its datagrams, in the order in which they were read.
type Seen = BTreeMap<u16, Vec<(usize, u8)>>;

/// Reads everything that waits.
fn read(tap: &Tap) -> Seen {
    let (mut seen, mut buffer) = (Seen::new(), vec![0; READ_BYTES]);
    for (place, queue) in tap.queues().enumerate() {
        while let Ok(size) = queue.read(&mut buffer) {
            let frame = &buffer[VNET_HEADER_BYTES..size];
            let parsed = match tap.link() {
                Link::Ethernet => LaxSlicedPacket::from_ethernet(frame).unwrap(),
                Link::Ip => LaxSlicedPacket::from_ip(frame).unwrap(),
            };
            if let Some(TransportSlice::Udp(udp)) = parsed.transport
                && udp.destination_port() == 9
            {
                seen.entry(udp.source_port()).or_default().push((place, udp.payload()[0]));
            }
        }
    }
    seen
}

/// What sends to `peer`, a socket a flow.
fn flows(local: IpAddr, peer: IpAddr) -> Vec<UdpSocket> {
    let flow = |number| {
        let socket = UdpSocket::bind((local, FIRST_PORT + 2 * number)).unwrap();
        socket.connect((peer, 9)).unwrap();
        socket
    };
    (0..FLOWS).map(flow).collect()
}

fn send(flows: &[UdpSocket], numbers: std::ops::Range<u8>) {
    for number in numbers {
        for flow in flows {
            flow.send(&[number; 20]).unwrap();
        }
    }
}

/// An answer to a flow, as it is written to the device.
fn answer(link: Link, to: SocketAddr, peer: IpAddr) -> Vec<u8> {
    let mut frame = vec![0; VNET_HEADER_BYTES];
    match (link, to.ip(), peer) {
        (Link::Ethernet, IpAddr::V4(to_ip), IpAddr::V4(peer)) => PacketBuilder::ethernet2([2; 6], [4; 6])
            .ipv4(peer.octets(), to_ip.octets(), 64)
            .udp(9, to.port())
            .write(&mut frame, &[0; 20]),
        (Link::Ip, IpAddr::V4(to_ip), IpAddr::V4(peer)) => {
            PacketBuilder::ipv4(peer.octets(), to_ip.octets(), 64)
                .udp(9, to.port())
                .write(&mut frame, &[0; 20])
        }
        (_, IpAddr::V6(to_ip), IpAddr::V6(peer)) => PacketBuilder::ipv6(peer.octets(), to_ip.octets(), 64)
            .udp(9, to.port())
            .write(&mut frame, &[0; 20]),
        _ => unreachable!(),
    }
    .unwrap();
    frame
}

/// Sends, writes an answer to each flow by the first queue, and sends again.
fn divided(tap: &Tap, local: IpAddr, peer: IpAddr) {
    let flows = flows(local, peer);
    send(&flows, 0..5);
    let first = read(tap);
    for flow in &flows {
        tap.write(&[IoSlice::new(&answer(tap.link(), flow.local_addr().unwrap(), peer))]).unwrap();
    }
    send(&flows, 5..10);
    let second = read(tap);
    let mut flows_of = [0; QUEUES];
    for flow in 0..FLOWS {
        let port = FIRST_PORT + 2 * flow;
        let queue = first[&port][0].0;
        let expected =
            |numbers: std::ops::Range<u8>| numbers.map(|number| (queue, number)).collect::<Vec<_>>();
        assert_eq!((&first[&port], &second[&port]), (&expected(0..5), &expected(5..10)), "flow {flow}");
        flows_of[queue] += 1;
    }
    // 16 each, were it even; below 4 in one of a hundred thousand hashes.
    assert!(flows_of.iter().all(|flows| *flows >= 4), "{flows_of:?}");
}

#[test]
fn each_flow_of_a_tap_stays_in_one_of_its_queues() {
    let Some(spread) = spread() else { return };
    in_fresh_netns_with_taps(|| {
        let tap = Tap::create_spread("t%d", Some(&spread)).unwrap();
        assert_eq!((tap.name(), tap.queues().count(), tap.is_spread()), ("t0", QUEUES, true));
        assert!(tap.has_udp_trains() == Tap::create("other").unwrap().has_udp_trains());
        configure("t0", 1, 1400);
        divided(&tap, [10, 0, 0, 1].into(), GROUP.into());
    });
}

#[test]
fn each_flow_of_a_device_for_ppp_stays_in_one_of_its_queues() {
    let Some(spread) = spread() else { return };
    in_fresh_netns_with_taps(|| {
        let ppp = Tap::create_ppp("ppp7", Some(&spread)).unwrap();
        configure("ppp7", 1, 1400);
        divided(&ppp, [10, 0, 0, 1].into(), [10, 0, 0, 9].into());
        let at = |host| Ipv6Addr::new(0xfd00, 0, 0, 0, 0, 0, 0, host);
        divided(&ppp, at(1).into(), at(9).into());
    });
}

/// Only the first fragment has the ports.
#[test]
fn fragments_stay_together() {
    let Some(spread) = spread() else { return };
    in_fresh_netns_with_taps(|| {
        let tap = Tap::create_spread("t", Some(&spread)).unwrap();
        configure("t", 1, 1400);
        read(&tap);
        for flow in flows([10, 0, 0, 1].into(), GROUP.into()) {
            flow.send(&[1; 3000]).unwrap();
        }
        let mut buffer = vec![0; READ_BYTES];
        let mut is_fragment = |queue: &crate::tap::Queue| {
            let size = queue.read(&mut buffer).ok()?;
            Some(buffer.get(VNET_HEADER_BYTES + 14..size)?.get(16..20) == Some(&GROUP.octets()))
        };
        let fragments: Vec<_> = tap
            .queues()
            .map(|queue| std::iter::from_fn(|| is_fragment(queue)).filter(|fragment| *fragment).count())
            .collect();
        assert_eq!(fragments.iter().sum::<usize>(), 3 * usize::from(FLOWS));
        assert_eq!(fragments.iter().filter(|count| **count > 0).count(), 1, "{fragments:?}");
    });
}

#[test]
fn a_device_with_queues_ends_with_all_of_them() {
    let Some(spread) = spread() else { return };
    in_fresh_netns_with_taps(|| {
        let mut rtnl = Rtnl::open().unwrap();
        let tap = Tap::create_spread("t", Some(&spread)).unwrap();
        assert_eq!(Tap::create("t").err().unwrap().raw_os_error(), Some(libc::EEXIST));
        assert_eq!(Tap::create_spread("t", Some(&spread)).err().unwrap().raw_os_error(), Some(libc::EEXIST));
        rtnl.delete(tap.index()).unwrap();
        for queue in tap.queues() {
            assert_eq!(queue.read(&mut [0; 100]).unwrap_err().raw_os_error(), Some(libc::EBADFD));
        }
        let tap = Tap::create_spread("t", Some(&spread)).unwrap();
        let index = tap.index();
        drop(tap);
        assert_eq!(rtnl.link(index).unwrap_err().raw_os_error(), Some(libc::ENODEV));
    });
}
