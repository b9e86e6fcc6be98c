//! Datagrams and trains over the running kernel's loopback and veth.

use super::{UdpConfig, UdpSocket};
use crate::batch::{MAX_BATCH, Outgoing, RecvBatch, SendReport};
use crate::netns::NetNs;
use crate::rawip::{Family, RawSocket};
use crate::rtnl::Rtnl;
use crate::testns::{in_fresh_netns, veth_to_new_netns};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt;
use std::io::IoSlice;
use std::net::SocketAddr;
use std::os::fd::AsFd;

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn open(local: &str, peer: &str, checksum: bool) -> std::io::Result<UdpSocket> {
    let (local, peer) = (Some(address(local)), Some(address(peer)));
    UdpSocket::open(&UdpConfig { local, peer, checksum, zero_csum6_tx: !checksum, zero_csum6_rx: !checksum })
}

fn errno(result: std::io::Result<UdpSocket>) -> i32 {
    result.err().and_then(|error| error.raw_os_error()).unwrap_or(0)
}

/// Receives until `bytes` bytes have come, or nothing has come for two seconds: all payload, and the largest joined length.
fn drain(socket: &UdpSocket, batch: &mut RecvBatch, bytes: usize) -> (Vec<Vec<u8>>, usize) {
    let (mut segments, mut largest) = (Vec::new(), 0);
    while segments.iter().map(Vec::len).sum::<usize>() < bytes && wait(socket) {
        socket.recv_batch(batch).unwrap();
        for received in batch.iter() {
            largest = largest.max(received.bytes.len());
            segments.extend(received.segments().map(<[u8]>::to_vec));
        }
    }
    (segments, largest)
}

fn wait(socket: impl AsFd) -> bool {
    let timeout = Timespec { tv_sec: 2, tv_nsec: 0 };
    poll(&mut [PollFd::new(&socket, PollFlags::IN)], Some(&timeout)).unwrap() > 0
}

fn pattern(size: usize) -> Vec<u8> {
    (0..size).map(|index| (index % 251).try_into().unwrap()).collect()
}

fn send(socket: &UdpSocket, payload: &[u8], segment: Option<u16>) -> SendReport {
    // In two pieces, the first ending within a segment.
    let (head, tail) = payload.split_at(payload.len() / 3);
    socket.send_batch(&[Outgoing { parts: &[IoSlice::new(head), IoSlice::new(tail)], segment }])
}

/// Both ends on 10.0.0.x and fd00::x, the second in another namespace, over a veth of this MTU.
fn across_veth(mtu: u32, checksum: bool, test: impl Fn(&UdpSocket, &UdpSocket) + Sync) {
    in_fresh_netns(|| {
        let far = veth_to_new_netns(mtu);
        for (near, peer) in [("10.0.0.1:1701", "10.0.0.2:1701"), ("[fd00::1]:1701", "[fd00::2]:1701")] {
            let receiver = far.within(|| open(peer, near, checksum)).unwrap().unwrap();
            println!("{near}, checksum {checksum}");
            test(&open(near, peer, checksum).unwrap(), &receiver);
        }
    });
}

#[test]
fn addresses_are_those_asked_for() {
    in_fresh_netns(|| {
        let any = UdpSocket::open(&UdpConfig::default()).unwrap();
        assert!(any.local_addr().unwrap().ip().is_unspecified() && any.local_addr().unwrap().port() != 0);
        assert_eq!((any.peer_addr(), any.path_mtu()), (None, None));
        let unconnected = open("127.0.0.1:1701", "127.0.0.2:0", false).unwrap();
        assert_eq!((unconnected.peer_addr(), unconnected.path_mtu()), (None, None));
        // The kernel caps an MTU at what a packet of the family can be.
        for (local, peer, mtu) in [("127.0.0.1:7", "127.0.0.2:8", 65_535), ("[::1]:7", "[::1]:8", 65_536)] {
            let socket = open(local, peer, false).unwrap();
            assert_eq!(
                (socket.local_addr().unwrap(), socket.peer_addr()),
                (address(local), Some(address(peer)))
            );
            assert_eq!(socket.path_mtu(), Some(mtu));
        }
    });
}

#[test]
fn refusals_carry_the_kernels_errno() {
    in_fresh_netns(|| {
        let far = veth_to_new_netns(1500);
        assert_eq!(errno(open("192.0.2.1:1701", "10.0.0.2:1701", true)), libc::EADDRNOTAVAIL);
        assert_eq!(errno(open("[2001:db8::1]:1701", "[fd00::2]:1701", true)), libc::EADDRNOTAVAIL);
        assert_eq!(errno(open("10.0.0.1:1701", "192.0.2.1:1701", true)), libc::ENETUNREACH);
        assert_eq!(errno(open("10.0.0.1:1701", "10.0.0.255:1701", true)), libc::EACCES);
        assert_eq!(errno(open("[fe80::1]:1701", "[fe80::2]:1701", true)), libc::EINVAL);
        assert_eq!(errno(open("10.0.0.1:1701", "[fd00::2]:1701", true)), libc::EINVAL);
        let _first = open("10.0.0.1:1701", "10.0.0.2:1701", true).unwrap();
        assert_eq!(errno(open("10.0.0.1:1701", "10.0.0.2:9", true)), libc::EADDRINUSE);
        assert_eq!(errno(open("0.0.0.0:1701", "10.0.0.2:9", true)), libc::EADDRINUSE);
        far.within(|| open("10.0.0.2:1701", "10.0.0.1:1701", true)).unwrap().unwrap();
    });
}

#[test]
fn trains_arrive_joined_and_whole() {
    for checksum in [true, false] {
        across_veth(1500, checksum, |sender, receiver| {
            let (payload, mut batch) = (pattern(20 * 1400 + 77), RecvBatch::new(8, 65_535));
            let report = send(sender, &payload, Some(1400));
            assert_eq!((report.accepted, report.sent, report.failed), (1, 1, 0));
            assert_eq!(report.refused_trains, 0, "{:?}", report.last_error);
            let (segments, largest) = drain(receiver, &mut batch, payload.len());
            assert!(segments.concat() == payload, "payload differs: {} segments", segments.len());
            assert!(segments.iter().rev().skip(1).all(|segment| segment.len() == 1400));
            assert!(largest > 1400, "GRO joined nothing");
            assert_eq!(batch.faults(), Default::default());
        });
    }
}

#[test]
fn a_batch_keeps_its_order_through_trains_and_datagrams() {
    for checksum in [true, false] {
        across_veth(1500, checksum, |sender, receiver| {
            let payloads: Vec<Vec<u8>> = (0..30_u8).map(|n| vec![n; 100 + 50 * usize::from(n % 3)]).collect();
            let parts: Vec<_> = payloads.iter().map(|payload| [IoSlice::new(payload)]).collect();
            let train = |n: usize| (n % 4 == 1).then_some(60);
            let messages: Vec<_> =
                parts.iter().enumerate().map(|(n, parts)| Outgoing { parts, segment: train(n) }).collect();
            let report = sender.send_batch(&messages);
            assert_eq!(
                (report.sent, report.failed, report.refused_trains),
                (30, 0, 0),
                "{:?}",
                report.last_error
            );
            let all = payloads.concat();
            let (segments, _) = drain(receiver, &mut RecvBatch::new(64, 65_535), all.len());
            assert!(segments.concat() == all, "payload differs: {} segments", segments.len());
        });
    }
}

#[test]
fn a_train_of_segments_above_the_mtu_is_sent_apart() {
    for checksum in [true, false] {
        across_veth(1280, checksum, |sender, receiver| {
            let payload = pattern(5 * 1400 + 3);
            let report = send(sender, &payload, Some(1400));
            assert_eq!((report.sent, report.refused_trains), (1, 1), "{:?}", report.last_error);
            let (segments, _) = drain(receiver, &mut RecvBatch::new(16, 65_535), payload.len());
            let sizes: Vec<_> = segments.iter().map(Vec::len).collect();
            assert_eq!(sizes, [1400, 1400, 1400, 1400, 1400, 3]);
            assert!(segments.concat() == payload, "payload differs: {} segments", segments.len());
        });
    }
}

#[test]
fn no_socket_ever_sets_df() {
    in_fresh_netns(|| {
        let v4 = (open("127.0.0.1:7", "127.0.0.1:8", true).unwrap(), RawSocket::open(Family::V4).unwrap());
        let never = sockopt::Ipv4PathMtuDiscovery::DONT;
        assert_eq!(sockopt::ip_mtu_discover(&v4.0).unwrap(), never);
        assert_eq!(sockopt::ip_mtu_discover(&v4.1).unwrap(), never);
        let v6 = (open("[::1]:7", "[::1]:8", true).unwrap(), RawSocket::open(Family::V6).unwrap());
        let never = sockopt::Ipv6PathMtuDiscovery::DONT;
        assert_eq!(sockopt::ipv6_mtu_discover(&v6.0).unwrap(), never);
        assert_eq!(sockopt::ipv6_mtu_discover(&v6.1).unwrap(), never);
    });
}

#[test]
fn an_oversize_datagram_is_fragmented() {
    for checksum in [true, false] {
        across_veth(1500, checksum, |sender, receiver| {
            let before = fragments_made();
            for size in [4000, 60_000] {
                let payload = pattern(size);
                assert_eq!(send(sender, &payload, None).sent, 1);
                let (segments, _) = drain(receiver, &mut RecvBatch::new(4, 65_535), size);
                assert!(segments == [payload], "payload differs: {} segments", segments.len());
            }
            assert!(fragments_made() >= before + 40);
        });
    }
}

/// FragCreates of IPv4 and Ip6FragCreates together, in the calling thread's namespace.
fn fragments_made() -> u64 {
    let read = |file| std::fs::read_to_string(format!("/proc/thread-self/net/{file}")).unwrap();
    let v4 = read("snmp");
    let mut rows = v4.lines().filter(|line| line.starts_with("Ip:")).map(str::split_whitespace);
    let column = rows.next().unwrap().position(|name| name == "FragCreates").unwrap();
    let v4: u64 = rows.next().unwrap().nth(column).unwrap().parse().unwrap();
    let v6 = read("snmp6");
    let v6 = v6.lines().find_map(|line| line.strip_prefix("Ip6FragCreates")).unwrap();
    v4 + v6.trim().parse::<u64>().unwrap()
}

/// The UDP checksum field of the next packet to a raw socket, IPv4.
fn next_checksum(raw: &std::os::fd::OwnedFd) -> u16 {
    assert!(wait(raw));
    let mut packet = [0; 65_536];
    let (_, size) = rustix::net::recv(raw, &mut packet, rustix::net::RecvFlags::empty()).unwrap();
    assert_eq!(packet[6] & 0x40, 0, "DF is set");
    let udp = &packet[..size][20..];
    u16::from_be_bytes([udp[6], udp[7]])
}

#[test]
fn single_datagrams_carry_a_checksum_only_when_asked_to() {
    use rustix::net::{AddressFamily, SocketType, ipproto, socket};
    for checksum in [true, false] {
        in_fresh_netns(|| {
            let raw = socket(AddressFamily::INET, SocketType::RAW, Some(ipproto::UDP)).unwrap();
            let _receiver = open("127.0.0.1:8", "127.0.0.1:7", checksum).unwrap();
            let sender = open("127.0.0.1:7", "127.0.0.1:8", checksum).unwrap();
            for train in [false, true, true, false, false, true] {
                let segment = train.then_some(100);
                assert_eq!(send(&sender, &pattern(1000), segment).refused_trains, 0);
                assert_eq!(next_checksum(&raw) != 0, checksum || train, "checksum {checksum}, train {train}");
                while train && more(&raw) {
                    next_checksum(&raw);
                }
            }
        });
    }
}

fn more(socket: impl AsFd) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::new(&socket, PollFlags::IN)], Some(&now)).unwrap() > 0
}

#[test]
fn ipv6_without_a_checksum_is_dropped_unless_allowed() {
    in_fresh_netns(|| {
        let config = |local, peer, tx, rx| UdpConfig {
            local: Some(address(local)),
            peer: Some(address(peer)),
            checksum: false,
            zero_csum6_tx: tx,
            zero_csum6_rx: rx,
        };
        let sender = UdpSocket::open(&config("[::1]:7", "[::1]:8", true, false)).unwrap();
        for allowed in [false, true] {
            let receiver = UdpSocket::open(&config("[::1]:8", "[::1]:7", false, allowed)).unwrap();
            assert_eq!(send(&sender, b"plain", None).sent, 1);
            // Loopback delivers within the send.
            assert_eq!(more(&receiver), allowed);
        }
    });
}

#[test]
fn a_refused_connection_costs_no_packet() {
    in_fresh_netns(|| {
        let sender = open("127.0.0.1:7", "127.0.0.1:8", true).unwrap();
        assert_eq!(send(&sender, b"lost", None).sent, 1);
        // The error now waits in the socket; the next send must not be lost to it.
        let receiver = open("127.0.0.1:8", "127.0.0.1:7", true).unwrap();
        let report = send(&sender, b"kept", None);
        assert_eq!((report.sent, report.failed), (1, 0), "{:?}", report.last_error);
        let mut batch = RecvBatch::new(4, 100);
        assert_eq!(drain(&receiver, &mut batch, 4).0, [b"kept"]);
        drop(receiver);
        send(&sender, b"lost", None);
        assert_eq!(sender.recv_batch(&mut batch).unwrap(), 0);
        let faults = batch.faults();
        assert_eq!((faults.reported, faults.last_reported), (1, Some(std::io::ErrorKind::ConnectionRefused)));
    });
}

#[test]
fn one_bad_message_does_not_stop_the_others() {
    in_fresh_netns(|| {
        let receiver = open("127.0.0.1:8", "127.0.0.1:7", true).unwrap();
        let sender = open("127.0.0.1:7", "127.0.0.1:8", true).unwrap();
        let huge = vec![0; 65_508];
        let parts = [[IoSlice::new(b"one")], [IoSlice::new(&huge)], [IoSlice::new(b"two")]];
        let messages = parts.each_ref().map(|parts| Outgoing { parts, segment: None });
        let report = sender.send_batch(&messages);
        assert_eq!((report.accepted, report.sent, report.failed), (3, 2, 0b010));
        assert!(report.has_failed(1) && !report.has_failed(2));
        assert_eq!(report.last_error.unwrap().raw_os_error(), Some(libc::EMSGSIZE));
        let (segments, _) = drain(&receiver, &mut RecvBatch::new(8, 65_535), 6);
        assert_eq!(segments, [b"one", b"two"]);
    });
}

#[test]
fn more_than_a_batch_is_for_the_next_one() {
    in_fresh_netns(|| {
        let _receiver = open("127.0.0.1:8", "127.0.0.1:7", true).unwrap();
        let sender = open("127.0.0.1:7", "127.0.0.1:8", true).unwrap();
        let parts = [IoSlice::new(b"x")];
        let report = sender.send_batch(&[Outgoing { parts: &parts, segment: None }; MAX_BATCH + 1]);
        assert_eq!((report.accepted, report.sent), (MAX_BATCH, MAX_BATCH));
        assert_eq!(sender.send_batch(&[]).accepted, 0);
    });
}

#[test]
fn senders_and_empty_and_long_datagrams_are_told_apart() {
    in_fresh_netns(|| {
        let receiver = open("127.0.0.1:8", "127.0.0.1:0", true).unwrap();
        let sender = open("127.0.0.2:7", "127.0.0.1:8", true).unwrap();
        for payload in [&b""[..], b"fits", b"does not fit"] {
            send(&sender, payload, None);
        }
        let mut batch = RecvBatch::new(8, 8);
        assert!(wait(&receiver));
        assert_eq!(receiver.recv_batch(&mut batch).unwrap(), 3);
        let received: Vec<_> = batch.iter().map(|received| (received.bytes, received.segment_size)).collect();
        assert_eq!(received, [(&b""[..], 0), (b"fits", 4)]);
        assert!(batch.iter().all(|received| received.from == Some(address("127.0.0.2:7"))));
        assert_eq!(batch.faults().truncated, 1);
    });
}

#[test]
fn a_socket_stays_in_the_namespace_where_it_was_opened() {
    in_fresh_netns(|| {
        let home = NetNs::current().unwrap();
        let receiver = open("127.0.0.1:8", "127.0.0.1:7", true).unwrap();
        let sender = open("127.0.0.1:7", "127.0.0.1:8", true).unwrap();
        NetNs::unshare().unwrap();
        Rtnl::open().unwrap();
        send(&sender, b"home", None);
        assert_eq!(drain(&receiver, &mut RecvBatch::new(1, 8), 4).0, [b"home"]);
        assert!(!home.same_as(&NetNs::current().unwrap()).unwrap());
    });
}
