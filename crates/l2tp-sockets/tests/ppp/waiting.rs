//! Frames that wait for programs.

use crate::lab::{Lab, int};
use l2tp_abi::Errno;
use l2tp_abi::ppp::SC_LOOP_TRAFFIC;
use l2tp_abi::ppp::ioctl::PPPIOCSFLAGS;
use l2tp_sockets::ppp::{QUEUE_MAX, QUEUED_BYTES_MAX, Read, Readiness, Received, Sent};

#[test]
fn the_oldest_gives_way() {
    let mut lab = Lab::default();
    let (channel, file, unit) = lab.link();
    for protocol in [0xc0, 0x80] {
        for number in 0..=40 {
            lab.ppp.receive(channel, &[protocol, 0x23, number], lab.now);
        }
        let file = if protocol == 0xc0 { file } else { unit };
        for number in 41 - u8::try_from(QUEUE_MAX).unwrap()..=40 {
            assert_eq!(lab.read(file), Ok(Read::Frame(vec![protocol, 0x23, number])));
        }
        assert_eq!(lab.read(file), Ok(Read::Nothing));
    }
    assert_eq!(lab.ppp.queued_bytes(), 0);
}

#[test]
fn all_files_of_one_thing_read_one_queue() {
    let mut lab = Lab::default();
    let (channel, _, unit) = lab.link();
    let other = lab.attached(0);
    lab.ppp.receive(channel, &[0x80, 0x21, 1], lab.now);
    lab.ppp.receive(channel, &[0x80, 0x21, 2], lab.now);
    assert_eq!(lab.read(other), Ok(Read::Frame(vec![0x80, 0x21, 1])));
    assert_eq!(lab.read(unit), Ok(Read::Frame(vec![0x80, 0x21, 2])));
    let key = lab.unit_key();
    assert_eq!(lab.ppp.unit_files(key), [unit, other]);
}

#[test]
fn a_buffer_that_is_too_small_loses_the_frame() {
    let mut lab = Lab::default();
    let (channel, file) = lab.channel(1);
    lab.ppp.receive(channel, &[0xc0, 0x21, 1, 2], lab.now);
    lab.ppp.receive(channel, &[0xc0, 0x21, 3, 4], lab.now);
    assert_eq!(lab.ppp.read(file, 3), Err(Errno::EOVERFLOW));
    assert_eq!(lab.ppp.read(file, 4), Ok(Read::Frame(vec![0xc0, 0x21, 3, 4])));
}

#[test]
fn what_poll_says() {
    let mut lab = Lab::default();
    let idle = Readiness { readable: false, writable: true, hung_up: false };
    let fresh = lab.open();
    assert_eq!(lab.ppp.poll(fresh), Readiness::default());
    assert_eq!(lab.read(fresh), Err(Errno::ENXIO));
    let (channel, file, unit) = lab.link();
    assert_eq!((lab.ppp.poll(file), lab.ppp.poll(unit)), (idle, idle));
    lab.ppp.receive(channel, &[0xc0, 0x21, 1], lab.now);
    assert_eq!((lab.ppp.poll(file), lab.ppp.poll(unit)), (Readiness { readable: true, ..idle }, idle));
    // A unit without channel is at its end, unless it waits for traffic.
    let lonely = lab.unit(5);
    assert_eq!(lab.ppp.poll(lonely), Readiness { readable: true, ..idle });
    assert_eq!(lab.read(lonely), Ok(Read::End));
    lab.ioctl(lonely, PPPIOCSFLAGS, &int(SC_LOOP_TRAFFIC.cast_signed())).unwrap();
    assert_eq!(lab.ppp.poll(lonely), idle);
    assert_eq!(lab.read(lonely), Ok(Read::Nothing));
}

#[test]
fn traffic_that_is_a_reason_to_dial_comes_to_the_program() {
    let mut lab = Lab::default();
    let unit = lab.unit(0);
    let key = lab.unit_key();
    lab.ioctl(unit, PPPIOCSFLAGS, &int(SC_LOOP_TRAFFIC.cast_signed())).unwrap();
    for number in 0..40 {
        let fits = usize::from(number) < QUEUE_MAX;
        let sent = lab.ppp.transmit(key, 0x21, &[number], lab.now);
        assert_eq!(sent, if fits { Sent::ToUnit(key) } else { Sent::Dropped }, "{number}");
    }
    assert_eq!(lab.ppp.unit_stats(0).unwrap().tx_errors, 40 - QUEUE_MAX as u64);
    assert_eq!(lab.read(unit), Ok(Read::Frame(vec![0, 0x21, 0])));
}

#[test]
fn all_queues_together_have_a_bound() {
    let mut lab = Lab::default();
    let frame = vec![0xc1; 65_000];
    let mut dropped = 0;
    let mut files = Vec::new();
    for number in 0..50 {
        let (channel, file) = lab.channel(number);
        files.push(file);
        for _ in 0..QUEUE_MAX {
            dropped += usize::from(lab.ppp.receive(channel, &frame, lab.now) == Received::Dropped);
            assert!(lab.ppp.queued_bytes() <= QUEUED_BYTES_MAX);
        }
    }
    assert_eq!(dropped, 50 * QUEUE_MAX - QUEUED_BYTES_MAX / (frame.len() + 1));
    for file in files {
        while let Ok(Read::Frame(_)) = lab.ppp.read(file, 1 << 17) {}
    }
    assert_eq!(lab.ppp.queued_bytes(), 0);
}
