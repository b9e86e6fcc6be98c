//! Sessions that come, change and go while frames pass.

use std::io;
use std::time::Duration;

use l2tp_ebpf::{Hook, Refused};
use nix::errno::Errno;

use crate::form::{Arrangement, Form, PLAIN};
use crate::host::UNDERLAY;
use crate::packet::{PacketSocket, ipv4_frame};
use crate::require;
use crate::tunnel::{DEVICE, Tunnel};

const SHORTLY: Duration = Duration::from_millis(200);

#[test]
fn frames_that_are_too_long_are_left_to_the_user_path() {
    if !require::met(&[]) {
        return;
    }
    for arrangement in [Arrangement::Tap, Arrangement::Veth] {
        let tunnel = Tunnel::silent(Form { arrangement, ..PLAIN });
        let [a, b] = &tunnel.hosts;
        let end = &tunnel.ends[0];
        a.call(&["ip", "link", "set", DEVICE, "mtu", "3000"]);
        let [from, wire] = [PacketSocket::open(a, DEVICE), PacketSocket::open(b, UNDERLAY)];
        let hidden = (end.tap.is_none()).then(|| PacketSocket::open(a, &tunnel.form.devices()[1]));
        let mtu = tunnel.form.mtu() as usize;
        from.send(&ipv4_frame(mtu, 1));
        wire.receive_ending(&ipv4_frame(mtu, 1));
        let long = ipv4_frame(mtu + 1, 2);
        from.send(&long);
        match (&end.tap, hidden) {
            (Some(tap), _) => assert!(read(tap).ends_with(&long)),
            (None, Some(hidden)) => assert_eq!(hidden.receive_ending(&long), long),
            (None, None) => panic!("neither TAP nor veth"),
        }
        assert_eq!(wire.receive(SHORTLY, |packet| packet.ends_with(&[2; 100])), None);
        assert_eq!(tunnel.counters()[0].tx_packets, 1);
    }
}

/// What the user path reads, the vnet header first.
pub(crate) fn read(tap: &l2tp_io::tap::Tap) -> Vec<u8> {
    let mut buffer = vec![0; 0x2_0000];
    for _ in 0..1000 {
        match tap.read(&mut buffer) {
            Ok(len) => return buffer[..len].to_vec(),
            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    panic!("nothing to read");
}

#[test]
fn frames_pass_while_the_session_is_replaced() {
    if !require::met(&[]) {
        return;
    }
    let mut tunnel = Tunnel::silent(PLAIN);
    let frames = 2000;
    let from = PacketSocket::open(&tunnel.hosts[0], DEVICE);
    let [a, b] = &mut tunnel.hosts;
    let [first, second] = &tunnel.ends;
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            for _ in 0..frames {
                from.send(&ipv4_frame(100, 1));
                std::thread::sleep(Duration::from_micros(50));
            }
        });
        let mut session = first.session.clone();
        while !sender.is_finished() {
            // Now by address, now by route.
            let route = &mut session.tx.as_mut().unwrap().route;
            route.link =
                if route.link.is_none() { first.session.tx.clone().unwrap().route.link } else { None };
            a.fast.replace(first.handle, &session).unwrap();
            b.fast.replace(second.handle, &second.session).unwrap();
        }
    });
    let [sent, received] = tunnel.settled_counters();
    assert_eq!((sent.tx_packets, received.rx_packets), (frames, frames));
}

#[test]
fn a_session_that_ends_leaves_its_frames_and_its_counters() {
    if !require::met(&[]) {
        return;
    }
    let mut tunnel = Tunnel::silent(PLAIN);
    let from = PacketSocket::open(&tunnel.hosts[0], DEVICE);
    let frames = 3000_u64;
    let (mut carried, mut read_frames) = (0, 0);
    let end = &tunnel.ends[0];
    let fast = &mut tunnel.hosts[0].fast;
    let tap = end.tap.as_ref().unwrap();
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            for _ in 0..frames {
                from.send(&ipv4_frame(100, 1));
                // A TAP holds 500 frames.
                std::thread::sleep(Duration::from_micros(100));
            }
        });
        std::thread::sleep(Duration::from_millis(2));
        // To the user path and back, as often as it goes.
        let mut handle = end.handle;
        let mut buffer = vec![0; 0x1_0000];
        let mut drain = || {
            while tap.read(&mut buffer).is_ok() {
                read_frames += 1;
            }
        };
        while !sender.is_finished() {
            fast.retire(handle);
            drain();
            handle = fast.insert(&end.session).unwrap();
            drain();
        }
        fast.retire(handle);
        carried += fast.settle().iter().map(|(_, counters)| counters.tx_packets).sum::<u64>();
        drain();
    });
    assert_eq!(carried + read_frames, frames, "{carried} carried, {read_frames} by the user path");
    assert!(carried > 0);
    assert_eq!(tunnel.settled_counters()[1].rx_packets, carried);
    assert!(tunnel.hosts[0].fast.settle().is_empty());
}

#[test]
fn a_session_has_its_ids_and_its_device_alone() {
    if !require::met(&[]) {
        return;
    }
    let mut tunnel = Tunnel::silent(PLAIN);
    let mut session = tunnel.ends[0].session.clone();
    let fast = &mut tunnel.hosts[0].fast;
    assert!(matches!(fast.insert(&session), Err(Refused::Taken)));
    // The way in is free again after the way out was refused.
    session.rx.as_mut().unwrap().pattern = Form { nth: 1, ..PLAIN }.pattern(1);
    assert!(matches!(fast.insert(&session), Err(Refused::Taken)));
    session.tx = None;
    let handle = fast.insert(&session).unwrap();
    // A refused change changes nothing.
    let first = tunnel.ends[0].session.clone();
    assert!(matches!(fast.replace(handle, &first), Err(Refused::Taken)));
    assert!(matches!(fast.insert(&session), Err(Refused::Taken)));
    assert_eq!(fast.remove(handle), [(handle, fast.counters(handle))]);
    assert!(matches!(fast.replace(handle, &session), Err(Refused::Kernel(_))));
    let handle = fast.insert(&session).unwrap();
    assert!(handle > tunnel.ends[0].handle);
}

#[test]
fn devices_that_are_not_there() {
    if !require::met(&[]) {
        return;
    }
    let mut tunnel = Tunnel::silent(PLAIN);
    let underlay = tunnel.hosts[0].underlay;
    let host = &mut tunnel.hosts[0];
    let fast = &mut host.fast;
    let results = host.netns.within(|| {
        let missing = [fast.watch_underlay(99), fast.attach_device(99, Hook::Egress)];
        (missing.map(|result| result.unwrap_err().raw_os_error()), fast.watch_underlay(underlay))
    });
    let (missing, again) = results.unwrap();
    assert_eq!(missing, [Some(Errno::ENODEV as i32); 2]);
    again.unwrap();
    // Without programs nothing is carried.
    host.netns.within(|| fast.detach_device(tunnel.ends[0].device)).unwrap();
    PacketSocket::open(&tunnel.hosts[0], DEVICE).send(&ipv4_frame(100, 1));
    assert!(read(tunnel.ends[0].tap.as_ref().unwrap()).ends_with(&ipv4_frame(100, 1)));
    assert_eq!(tunnel.counters()[0].tx_packets, 0);
}
