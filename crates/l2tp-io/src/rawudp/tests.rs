//! Datagrams over the running kernel, taken by a raw socket beside the UDP socket.

use super::{Datagram, PORTS_MAX, RawUdp};
use crate::batch::{Outgoing, Received, RecvBatch};
use crate::rawip::Family;
use crate::testns::{in_fresh_netns, veth_to_new_netns};
use crate::udp::{UdpConfig, UdpSocket};
use proptest::prelude::*;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::IoSlice;
use std::net::SocketAddr;

fn wait(socket: &RawUdp) -> bool {
    let timeout = Timespec { tv_sec: 2, tv_nsec: 0 };
    poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&timeout)).unwrap() > 0
}

/// Waits for packets and returns what they are.
fn receive(socket: &RawUdp, batch: &mut RecvBatch) -> Vec<(SocketAddr, SocketAddr, Vec<u8>, bool)> {
    assert!(wait(socket));
    socket.recv_batch(batch).unwrap();
    let read = |received: Received<'_>| {
        let datagram = Datagram::parse(&received).expect("intact");
        (datagram.from, datagram.to, datagram.payload.to_vec(), datagram.unchecked)
    };
    batch.iter().map(read).collect()
}

fn send(socket: &UdpSocket, payload: &[u8], segment: Option<u16>) {
    let report = socket.send_batch(&[Outgoing { parts: &[IoSlice::new(payload)], segment }]);
    assert_eq!(report.sent, 1, "{:?}", report.last_error);
}

const ADDRESSES: [(&str, &str); 2] =
    [("10.0.0.1:4000", "10.0.0.2:1701"), ("[fd00::1]:4000", "[fd00::2]:1701")];

#[test]
fn data_to_a_port_is_received_whole_or_as_a_train() {
    in_fresh_netns(|| {
        let far = veth_to_new_netns(1500);
        for (near, peer) in ADDRESSES.map(|(a, b)| (a.parse().unwrap(), b.parse::<SocketAddr>().unwrap())) {
            let raw = far.within(|| RawUdp::open(Family::of(peer.ip()))).unwrap().unwrap();
            raw.listen(&[7, 1701]).unwrap();
            let mut batch = RecvBatch::new(8, 65_536);
            for checksum in [true, false] {
                let socket = UdpSocket::open(&UdpConfig {
                    local: Some(near),
                    peer: Some(peer),
                    checksum,
                    zero_csum6_tx: !checksum,
                    zero_csum6_rx: false,
                });
                let socket = socket.unwrap();
                // 3000 bytes are fragments on the way.
                for size in [14, 100, 1400, 3000] {
                    let payload = vec![3; size];
                    send(&socket, &payload, None);
                    assert_eq!(receive(&raw, &mut batch), [(near, peer, payload, !checksum)]);
                }
            }
            let socket = UdpSocket::open(&UdpConfig {
                local: Some(near),
                peer: Some(peer),
                checksum: true,
                ..UdpConfig::default()
            });
            let train = vec![5; 14_100];
            send(&socket.unwrap(), &train, Some(1400));
            let got: Vec<u8> = receive(&raw, &mut batch).into_iter().flat_map(|row| row.2).collect();
            assert_eq!(got, train);
        }
    });
}

#[test]
fn what_is_not_data_to_a_port_stays_out() {
    in_fresh_netns(|| {
        let receiver = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let port = receiver.local_addr().unwrap().port();
        let sender = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
        let raw = RawUdp::open(Family::V4).unwrap();
        let mut batch = RecvBatch::new(8, 2048);
        let mut hears = |ports: &[u16]| {
            raw.listen(ports).unwrap();
            for payload in [vec![0; 13], vec![0x80; 40], vec![0x7f; 40]] {
                sender.send_to(&payload, ("127.0.0.1", port)).unwrap();
            }
            raw.recv_batch(&mut batch).unwrap();
            batch.iter().map(|received| received.bytes.len() - 8).collect::<Vec<_>>()
        };
        assert!(hears(&[]).is_empty());
        assert!(hears(&[port ^ 1]).is_empty());
        assert_eq!(hears(&[port]), [40]);
        let many: Vec<u16> = (1..).take(PORTS_MAX + 1).collect();
        assert_eq!(hears(&many), [40], "too many to tell apart");
        let most: Vec<u16> = (1..).filter(|other| *other != port).take(PORTS_MAX - 1).chain([port]).collect();
        assert_eq!(hears(&most), [40]);
    });
}

fn parse<'a>(bytes: &'a [u8], from: &str, to: &str) -> Option<Datagram<'a>> {
    let (from, to) = (Some(from.parse().unwrap()), Some(to.parse().unwrap()));
    Datagram::parse(&Received { bytes, segment_size: bytes.len(), from, local: to })
}

proptest! {
    #[test]
    fn any_bytes_are_a_datagram_or_none(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
        if let Some(datagram) = parse(&bytes, "192.0.2.1:0", "192.0.2.2") {
            prop_assert!(datagram.payload.len() + 8 <= bytes.len());
        }
        prop_assert_eq!(parse(&bytes, "192.0.2.1:0", "::1"), None, "no checksum is right across families");
    }

    #[test]
    fn every_single_fault_is_found(payload in proptest::collection::vec(any::<u8>(), 14..80), bit in 0..1000_usize) {
        let builder = etherparse::PacketBuilder::ipv4([192, 0, 2, 1], [192, 0, 2, 2], 64).udp(1701, 1702);
        let mut packet = Vec::new();
        builder.write(&mut packet, &payload).unwrap();
        let mut udp = packet.split_off(20);
        prop_assert_eq!(parse(&udp, "192.0.2.1:0", "192.0.2.2").unwrap().payload, &payload[..]);
        // The payload and its checksum; a fault in the length is no datagram or a wrong checksum as well.
        let bit = 48 + bit % (udp.len() * 8 - 48);
        udp[bit / 8] ^= 0x80 >> (bit % 8);
        let unchecked = udp[6..8] == [0, 0];
        prop_assert!(unchecked || parse(&udp, "192.0.2.1:0", "192.0.2.2").is_none());
    }
}
