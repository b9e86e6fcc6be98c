//! The filters on sockets of the running kernel.

use super::*;
use crate::sockopt::cookie;
use crate::testns::{in_fresh_netns, skip};
use std::net::UdpSocket;
use std::time::Duration;

/// A program's socket with the filter on it, and its peer.
fn sockets(divert: &Divert, any: &str) -> (UdpSocket, UdpSocket) {
    let (program, peer) = (UdpSocket::bind(any).unwrap(), UdpSocket::bind(any).unwrap());
    peer.connect(program.local_addr().unwrap()).unwrap();
    program.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    divert.attach(&program).unwrap();
    (program, peer)
}

/// Which of the packets reach the program, in order. Each is told by its last byte; a control message ends the row.
fn reach(program: &UdpSocket, peer: &UdpSocket, packets: &[Vec<u8>]) -> Vec<u8> {
    for packet in packets {
        peer.send(packet).unwrap();
    }
    peer.send(&control()).unwrap();
    let (mut buffer, mut seen) = ([0; 100], Vec::new());
    loop {
        let length = program.recv(&mut buffer).unwrap();
        if buffer[..length] == control() {
            return seen;
        }
        seen.push(buffer[length - 1]);
    }
}

fn control() -> Vec<u8> {
    [vec![0xc8, 0x03], vec![0; 18]].concat()
}

fn packet(header: &[u8], length: usize, mark: u8) -> Vec<u8> {
    let mut packet = header.to_vec();
    packet.resize(length - 1, 0);
    packet.push(mark);
    packet
}

fn exact() -> Option<Divert> {
    let divert = Divert::load();
    if divert.is_exact() {
        return Some(divert);
    }
    skip("leave to load a BPF filter (run as root)");
    None
}

#[test]
fn what_is_of_a_known_session_is_dropped_and_nothing_else() {
    let Some(divert) = exact() else { return };
    in_fresh_netns(|| {
        for any in ["127.0.0.1:0", "[::1]:0"] {
            let (program, peer) = sockets(&divert, any);
            let v3 =
                |version, session, length, mark| packet(&[0, version, 0, 0, 0, 0, 0, session], length, mark);
            let rows = [
                v3(3, 10, 40, 1),
                v3(3, 11, 40, 2),                                     // another session
                v3(3, 10, 13, 3),                                     // too short for anybody
                v3(3, 10, 15, 4),                                     // shorter than its header
                v3(3, 10, 16, 5),                                     // its header and nothing else
                v3(4, 10, 40, 6),                                     // another version
                packet(&[0x80, 3, 0, 0, 0, 0, 0, 10], 40, 7),         // control
                packet(&[0, 2, 0, 5, 0, 10], 40, 8),                  // version 2
                packet(&[0, 2, 0, 6, 0, 10], 40, 9),                  // of another tunnel
                packet(&[0x40, 2, 0, 40, 0, 5, 0, 10], 40, 10),       // with a length
                packet(&[0x48, 2, 0, 40, 0, 5, 0, 11, 0, 0], 40, 11), // and another session
            ];
            let all: Vec<u8> = (1..=11).collect();
            assert_eq!(reach(&program, &peer, &rows), all, "no group");
            let group = Group(7);
            divert.join(cookie(&program).unwrap(), group).unwrap();
            assert_eq!(reach(&program, &peer, &rows), all, "no session");
            let v3 = Pattern { version: 3, tunnel_id: None, session_id: 10, header_len: 16 };
            let v2 = Pattern { version: 2, tunnel_id: Some(5), session_id: 10, header_len: 6 };
            divert.insert(group, &v3).unwrap();
            divert.insert(group, &v2).unwrap();
            assert_eq!(reach(&program, &peer, &rows), [2, 3, 4, 6, 7, 9, 11]);
            divert.remove(group, &v3);
            assert_eq!(reach(&program, &peer, &rows), [1, 2, 3, 4, 5, 6, 7, 9, 11]);
            divert.leave(cookie(&program).unwrap());
            assert_eq!(reach(&program, &peer, &rows), all);
            divert.remove(group, &v2);
        }
    });
}

#[test]
fn sockets_are_told_apart() {
    let Some(divert) = exact() else { return };
    in_fresh_netns(|| {
        let (ours, others) = (sockets(&divert, "127.0.0.1:0"), sockets(&divert, "127.0.0.1:0"));
        divert.join(cookie(&ours.0).unwrap(), Group(1)).unwrap();
        divert.join(cookie(&others.0).unwrap(), Group(2)).unwrap();
        let pattern = Pattern { version: 3, tunnel_id: None, session_id: 1, header_len: 8 };
        divert.insert(Group(1), &pattern).unwrap();
        let rows = [packet(&[0, 3, 0, 0, 0, 0, 0, 1], 40, 1)];
        assert!(reach(&ours.0, &ours.1, &rows).is_empty());
        assert_eq!(reach(&others.0, &others.1, &rows), [1]);
    });
}

#[test]
fn the_classic_filter_passes_control_and_short_packets() {
    in_fresh_netns(|| {
        let divert = Divert::classic();
        let (program, peer) = sockets(&divert, "127.0.0.1:0");
        let rows = [
            packet(&[0, 3, 0, 0, 0, 0, 0, 1], 40, 1),
            packet(&[0, 3, 0, 0, 0, 0, 0, 1], 13, 2),
            packet(&[0xc8, 2], 40, 3),
            packet(&[0, 2], 14, 4),
        ];
        assert_eq!(reach(&program, &peer, &rows), [2, 3]);
        // What the exact filter must be told changes nothing here.
        divert.join(1, Group(1)).unwrap();
        divert
            .insert(Group(1), &Pattern { version: 3, tunnel_id: None, session_id: 1, header_len: 8 })
            .unwrap();
        divert.leave(1);
    });
}
