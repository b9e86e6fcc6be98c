//! Protocol 115 over the running kernel, and the header parser over anything.

use super::control::{ControlSender, check_local, find_path};
use super::{Family, Probe, RawRoute, RawSocket, ipv4_header, probe};
use crate::batch::{Outgoing, RecvBatch};
use crate::testns::{in_fresh_netns, veth_to_new_netns};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::io::IoSlice;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn wait(socket: &RawSocket) -> bool {
    let timeout = Timespec { tv_sec: 2, tv_nsec: 0 };
    poll(&mut [PollFd::new(socket, PollFlags::IN)], Some(&timeout)).unwrap() > 0
}

#[test]
fn packets_of_all_sizes_cross_in_both_families() {
    in_fresh_netns(|| {
        let far = veth_to_new_netns(1500);
        for (family, near, peer) in [(Family::V4, "10.0.0.1", "10.0.0.2"), (Family::V6, "fd00::1", "fd00::2")]
        {
            let receiver = far.within(|| RawSocket::open(family)).unwrap().unwrap();
            let sender = RawSocket::open(family).unwrap();
            let route = RawRoute::new(ip(near), ip(peer));
            let mut batch = RecvBatch::new(8, 65_536);
            for size in [1, 4, 1480, 4000, 60_000] {
                let payload: Vec<u8> = (0..size).map(|index| u8::try_from(index % 251).unwrap()).collect();
                let (head, tail) = payload.split_at(size / 2);
                let parts = [IoSlice::new(head), IoSlice::new(tail)];
                let report = sender.send_batch(&route, &[Outgoing { parts: &parts, segment: None }; 2]);
                assert_eq!((report.sent, report.failed), (2, 0), "{:?}", report.last_error);
                let mut received = 0;
                while received < 2 && wait(&receiver) {
                    received += receiver.recv_batch(&mut batch).unwrap();
                    for packet in batch.iter() {
                        assert_eq!(packet.bytes, payload);
                        assert_eq!(packet.segment_size, size);
                        assert_eq!(packet.from, Some(SocketAddr::new(ip(near), 0)));
                        assert_eq!(packet.local, Some(ip(peer)));
                    }
                }
                assert_eq!(received, 2, "{near}, {size} bytes");
            }
            assert_eq!(batch.faults(), Default::default());
            assert_eq!(receiver.recv_batch(&mut batch).unwrap(), 0);
        }
    });
}

#[test]
fn the_source_address_is_the_one_asked_for() {
    in_fresh_netns(|| {
        let socket = RawSocket::open(Family::V4).unwrap();
        let mut batch = RecvBatch::new(8, 2048);
        let parts = [IoSlice::new(b"payload")];
        let message = [Outgoing { parts: &parts, segment: None }];
        let send = |source| socket.send_batch(&RawRoute::new(ip(source), ip("127.0.0.1")), &message);
        for (source, seen) in [("127.0.0.9", "127.0.0.9"), ("0.0.0.0", "127.0.0.1")] {
            assert_eq!(send(source).sent, 1);
            assert!(wait(&socket));
            socket.recv_batch(&mut batch).unwrap();
            assert_eq!(batch.iter().next().unwrap().from.unwrap().ip(), ip(seen));
        }
        let foreign = send("192.0.2.1");
        assert_eq!((foreign.sent, foreign.failed), (0, 1));
        let unreachable = RawRoute::new(ip("0.0.0.0"), ip("192.0.2.1"));
        let report = socket.send_batch(&unreachable, &message);
        assert_eq!(report.last_error.unwrap().raw_os_error(), Some(libc::ENETUNREACH));
    });
}

#[test]
fn an_open_socket_keeps_the_host_from_answering_protocol_unreachable() {
    in_fresh_netns(|| {
        let unreachables = || {
            let text = std::fs::read_to_string("/proc/thread-self/net/snmp").unwrap();
            let mut rows = text.lines().filter(|line| line.starts_with("Icmp:")).map(str::split_whitespace);
            let column = rows.next().unwrap().position(|name| name == "OutDestUnreachs").unwrap();
            rows.next().unwrap().nth(column).unwrap().parse::<u64>().unwrap()
        };
        let parts = [IoSlice::new(b"anyone there")];
        let route = RawRoute::new(ip("0.0.0.0"), ip("127.0.0.1"));
        let socket = RawSocket::open(Family::V4).unwrap();
        assert_eq!(socket.send_batch(&route, &[Outgoing { parts: &parts, segment: None }]).sent, 1);
        assert!(wait(&socket));
        assert_eq!(unreachables(), 0);
    });
}

#[test]
fn a_control_message_has_four_zeros_and_what_its_socket_was_told() {
    in_fresh_netns(|| {
        let far = veth_to_new_netns(1500);
        let receiver = far.within(|| RawSocket::open(Family::V4)).unwrap().unwrap();
        let sender = ControlSender::open(Family::V4).unwrap();
        let route = RawRoute { tos: 0xb8, ttl: Some(7), ..RawRoute::new(ip("10.0.0.1"), ip("10.0.0.2")) };
        for (whole, message) in [(true, &b"hello"[..]), (false, b"hello"), (true, b"")] {
            sender.send(&route, whole, message).unwrap();
            assert!(wait(&receiver));
            let mut packet = [0; 100];
            let length = rustix::io::read(&receiver, &mut packet).unwrap();
            let (header, payload) = etherparse::Ipv4Header::from_slice(&packet[..length]).unwrap();
            assert_eq!((header.dont_fragment, header.time_to_live), (whole, 7));
            assert_eq!((packet[1], header.protocol.0, header.source), (0xb8, 115, [10, 0, 0, 1]));
            assert_eq!(payload, [&[0; 4], message].concat());
        }
        // What must stay whole and is too long is refused; what may be cut is cut.
        let error = sender.send(&route, true, &[0; 1477]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EMSGSIZE));
        sender.send(&route, true, &[0; 1476]).unwrap();
        sender.send(&route, false, &[0; 9000]).unwrap();
        let mut batch = RecvBatch::new(8, 65_536);
        let mut lengths = Vec::new();
        while lengths.len() < 2 && wait(&receiver) {
            receiver.recv_batch(&mut batch).unwrap();
            lengths.extend(batch.iter().map(|packet| packet.bytes.len()));
        }
        assert_eq!(lengths, [1480, 9004]);
        let nowhere = RawRoute::new(ip("0.0.0.0"), ip("192.0.2.1"));
        let error = sender.send(&nowhere, true, b"hello").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENETUNREACH));
    });
}

#[test]
fn a_control_message_over_ipv6() {
    in_fresh_netns(|| {
        let far = veth_to_new_netns(1500);
        let receiver = far.within(|| RawSocket::open(Family::V6)).unwrap().unwrap();
        let sender = ControlSender::open(Family::V6).unwrap();
        let route = RawRoute { tos: 0xb8, ttl: Some(7), ..RawRoute::new(ip("fd00::1"), ip("fd00::2")) };
        let mut batch = RecvBatch::new(8, 65_536);
        for (whole, size) in [(false, 5), (true, 5), (false, 9000)] {
            sender.send(&route, whole, &vec![7; size]).unwrap();
            assert!(wait(&receiver));
            receiver.recv_batch(&mut batch).unwrap();
            let packet = batch.iter().next().unwrap();
            assert_eq!(packet.bytes, [&[0; 4][..], &vec![7; size]].concat());
            assert_eq!((packet.from.unwrap().ip(), packet.local), (ip("fd00::1"), Some(ip("fd00::2"))));
        }
        let error = sender.send(&route, true, &[0; 1500]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EMSGSIZE));
    });
}

#[test]
fn what_the_network_says_about_a_sockets_addresses() {
    in_fresh_netns(|| {
        let _far = veth_to_new_netns(1500);
        let at = |text: &str| SocketAddr::new(ip(text), 0);
        let errno = |error: std::io::Error| error.raw_os_error().unwrap();
        for (address, want) in [
            ("10.0.0.1", Ok(())),
            ("224.0.0.9", Ok(())),
            ("255.255.255.255", Ok(())),
            ("10.0.0.2", Err(libc::EADDRNOTAVAIL)),
            ("fd00::1", Ok(())),
            ("fd00::2", Err(libc::EADDRNOTAVAIL)),
        ] {
            assert_eq!(check_local(at(address)).map_err(errno), want, "{address}");
        }
        let stranger = SocketAddr::V6(SocketAddrV6::new("fe80::1".parse().unwrap(), 0, 0, 99));
        assert_eq!(check_local(stranger).map_err(errno), Err(libc::ENODEV));
        for (local, peer, want) in [
            ("0.0.0.0", "10.0.0.2", Ok(("10.0.0.1", "10.0.0.2"))),
            ("127.0.0.1", "127.0.0.2", Ok(("127.0.0.1", "127.0.0.2"))),
            ("0.0.0.0", "0.0.0.0", Ok(("127.0.0.1", "127.0.0.1"))),
            ("0.0.0.0", "192.0.2.1", Err(libc::ENETUNREACH)),
            ("::", "fd00::2", Ok(("fd00::1", "fd00::2"))),
            ("::", "fe80::2", Err(libc::EINVAL)),
        ] {
            let want = want.map(|(local, peer)| (ip(local), ip(peer)));
            assert_eq!(find_path(at(local), at(peer)).map_err(errno), want, "{local} {peer}");
        }
    });
}

#[test]
fn a_train_is_refused() {
    in_fresh_netns(|| {
        let socket = RawSocket::open(Family::V4).unwrap();
        let parts = [IoSlice::new(&[0; 100])];
        let route = RawRoute::new(ip("0.0.0.0"), ip("127.0.0.1"));
        let batch = [None, Some(50), Some(100), None].map(|segment| Outgoing { parts: &parts, segment });
        let report = socket.send_batch(&route, &batch);
        assert_eq!((report.sent, report.failed), (3, 0b0010));
        assert_eq!(report.last_error.unwrap().raw_os_error(), Some(libc::EINVAL));
    });
}

#[test]
fn a_probe_answers_as_the_kernels_socket_would() {
    in_fresh_netns(|| {
        let _far = veth_to_new_netns(1400);
        let answer =
            |local, peer| probe(ip(local), ip(peer)).map_err(|error| error.raw_os_error().unwrap_or(0));
        assert_eq!(answer("10.0.0.1", "10.0.0.2"), Ok(Probe { local: ip("10.0.0.1"), mtu: 1400 }));
        assert_eq!(answer("0.0.0.0", "10.0.0.2"), Ok(Probe { local: ip("10.0.0.1"), mtu: 1400 }));
        assert_eq!(answer("fd00::1", "fd00::2"), Ok(Probe { local: ip("fd00::1"), mtu: 1400 }));
        assert_eq!(answer("::", "fd00::2"), Ok(Probe { local: ip("fd00::1"), mtu: 1400 }));
        assert_eq!(answer("192.0.2.1", "10.0.0.2"), Err(libc::EADDRNOTAVAIL));
        assert_eq!(answer("192.0.2.1", "224.0.0.1"), Err(libc::EADDRNOTAVAIL));
        assert_eq!(answer("10.0.0.1", "192.0.2.1"), Err(libc::ENETUNREACH));
        assert_eq!(answer("10.0.0.1", "10.0.0.255"), Err(libc::EACCES));
        assert_eq!(answer("10.0.0.1", "224.0.0.1"), Err(libc::EINVAL));
        assert_eq!(answer("fd00::1", "ff02::1"), Err(libc::EINVAL));
        assert_eq!(answer("ff02::1", "fd00::2"), Err(libc::EADDRNOTAVAIL));
        assert_eq!(answer("::ffff:10.0.0.1", "fd00::2"), Err(libc::EADDRNOTAVAIL));
        assert_eq!(answer("fe80::1", "fe80::2"), Err(libc::EINVAL));
        assert_eq!(answer("10.0.0.1", "fd00::2"), Err(libc::EINVAL));
    });
}

#[test]
fn any_bytes_are_a_header_or_none() {
    let mut packet = [0_u8; 64];
    packet[16..20].copy_from_slice(&[192, 0, 2, 7]);
    let destination = Ipv4Addr::new(192, 0, 2, 7);
    for first in 0..=u8::MAX {
        packet[0] = first;
        let size = usize::from(first & 15) * 4;
        let expected = (size >= 20).then_some((size, destination));
        assert_eq!(ipv4_header(&packet), expected, "first byte {first:#x}");
        for length in 0..packet.len() {
            assert_eq!(ipv4_header(&packet[..length]), expected.filter(|_| length >= size));
        }
    }
}
