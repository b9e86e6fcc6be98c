//! Where frames go.

use crate::lab::{Lab, int, session};
use l2tp_abi::Errno;
use l2tp_abi::ppp::ioctl::{PPPIOCSFLAGS, PPPIOCSNPMODE};
use l2tp_abi::ppp::{NpMode, NpModeRequest, SC_MULTILINK};
use l2tp_sockets::ppp::{Read, Received, Sent};

/// How a test says where a frame went.
#[derive(Debug, PartialEq, Eq)]
enum Way {
    Network(u16, Vec<u8>),
    Channel,
    Unit,
    Nobody,
}

fn way(received: Received, frame: &[u8]) -> Way {
    match received {
        Received::Network { protocol, packet, .. } => Way::Network(protocol, frame[packet].to_vec()),
        Received::ToChannel(_) => Way::Channel,
        Received::ToUnit(_) => Way::Unit,
        Received::Dropped => Way::Nobody,
        Received::Bridged(_) => panic!("no bridge"),
    }
}

#[test]
fn from_the_peer() {
    let network = |protocol| Way::Network(protocol, vec![9, 9]);
    for (frame, alone, joined) in [
        (&[0xc0, 0x21, 9, 9][..], Way::Channel, Way::Channel),
        (&[0xc2, 0x23, 9, 9], Way::Channel, Way::Channel),
        (&[0xfe, 0xff, 9, 9], Way::Channel, Way::Channel),
        // Compression control of one link is the link's.
        (&[0x80, 0xfb, 9, 9], Way::Channel, Way::Channel),
        (&[0x80, 0xfd, 9, 9], Way::Channel, Way::Unit),
        (&[0x80, 0x21, 9, 9], Way::Channel, Way::Unit),
        (&[0x80, 0x57, 9, 9], Way::Channel, Way::Unit),
        // Unknown ones are the program's.
        (&[0x00, 0xfd, 9, 9], Way::Channel, Way::Unit),
        (&[0x00, 0x3d, 9, 9], Way::Channel, Way::Unit),
        (&[0x00, 0x21, 9, 9], Way::Channel, network(0x21)),
        (&[0x00, 0x57, 9, 9], Way::Channel, network(0x57)),
        (&[0x02, 0x81, 9, 9], Way::Channel, network(0x281)),
        // A protocol of one byte.
        (&[0x21, 9, 9], Way::Channel, network(0x21)),
        (&[0x57, 9, 9], Way::Channel, network(0x57)),
        // VJ's, which nobody here has agreed to.
        (&[0x00, 0x2d, 9, 9], Way::Channel, Way::Nobody),
        (&[0x2f, 9, 9], Way::Channel, Way::Nobody),
        (&[0x21], Way::Nobody, Way::Nobody),
        (&[], Way::Nobody, Way::Nobody),
    ] {
        let mut lab = Lab::default();
        let (channel, _) = lab.channel(1);
        assert_eq!(way(lab.ppp.receive(channel, frame, lab.now), frame), alone, "{frame:x?} alone");
        let mut lab = Lab::default();
        let (channel, ..) = lab.link();
        assert_eq!(way(lab.ppp.receive(channel, frame, lab.now), frame), joined, "{frame:x?} joined");
    }
}

#[test]
fn programs_read_the_protocol_at_full_length() {
    let mut lab = Lab::default();
    let (_, file) = lab.channel(1);
    let (joined, _, unit) = lab.link();
    let alone = lab.ppp.register_channel(session(3));
    lab.ppp.receive(alone, &[0x21, 9], lab.now);
    lab.ppp.receive(joined, &[0xfd, 9], lab.now);
    assert_eq!(lab.read(unit), Ok(Read::Frame(vec![0, 0xfd, 9])));
    assert_eq!(lab.read(file), Ok(Read::Nothing));
}

#[test]
fn modes_of_a_network_rule_both_ways() {
    for mode in [0, 1, 2, 3, 9] {
        let mut lab = Lab::default();
        let (channel, _, unit) = lab.link();
        let key = lab.unit_key();
        let request = NpModeRequest { protocol: 0x21, mode: NpMode::from_number(mode) };
        lab.ioctl(unit, PPPIOCSNPMODE, &request.emit()).unwrap();
        let passes = mode == 0;
        let received = lab.ppp.receive(channel, &[0, 0x21, 9], lab.now);
        assert_eq!(matches!(received, Received::Network { .. }), passes);
        let sent = lab.ppp.transmit(key, 0x21, &[9], lab.now);
        assert_eq!(sent, if passes { Sent::Session(session(7)) } else { Sent::Dropped });
        // The other network's do not care; what a program writes does not either.
        assert_eq!(lab.ppp.transmit(key, 0x57, &[9], lab.now), Sent::Session(session(7)));
        assert_eq!(lab.ppp.write(unit, &[0, 0x21, 9], lab.now), Ok(Sent::Session(session(7))));
    }
}

#[test]
fn from_a_program() {
    let mut lab = Lab::default();
    let (_, channel, unit) = lab.link();
    let fresh = lab.open();
    for (frame, want) in [
        (&[][..], Err(Errno::EINVAL)),
        (&[0xc0], Err(Errno::EINVAL)),
        (&[0xc0, 0x21], Err(Errno::EINVAL)),
        (&[0xc0, 0x21, 1, 1, 0], Err(Errno::EINVAL)),
        (&[0xc0, 0x21, 1, 1, 0, 4], Ok(Sent::Session(session(7)))),
        (&[0xc0, 0x23], Ok(Sent::Session(session(7)))),
        (&[0x00, 0x21], Ok(Sent::Session(session(7)))),
    ] {
        assert_eq!(lab.ppp.write(channel, frame, lab.now), want, "{frame:x?}");
        assert_eq!(lab.ppp.write(unit, frame, lab.now), want, "{frame:x?}");
        assert_eq!(lab.ppp.write(fresh, frame, lab.now), Err(Errno::ENXIO));
    }
    let lonely = lab.unit(1);
    assert_eq!(lab.ppp.write(lonely, &[0x80, 0x21], lab.now), Ok(Sent::Dropped), "no channel");
}

#[test]
fn there_are_no_bundles() {
    let mut lab = Lab::default();
    let (_, _, unit) = lab.link();
    lab.ioctl(unit, PPPIOCSFLAGS, &int(SC_MULTILINK.cast_signed())).unwrap();
    assert_eq!(lab.ppp.write(unit, &[0, 0x21, 1], lab.now), Ok(Sent::Dropped));
}

#[test]
fn a_unit_counts_without_the_protocol() {
    let mut lab = Lab::default();
    let (channel, file, unit) = lab.link();
    let key = lab.unit_key();
    for frame in [
        &[0, 0x21, 1, 2, 3][..],
        &[0x21, 1, 2, 3],
        &[0x80, 0x21, 4],
        &[0x00, 0x2d, 1],
        &[0x21],
        &[0xc0, 0x21, 1],
    ] {
        lab.ppp.receive(channel, frame, lab.now);
    }
    lab.ppp.transmit(key, 0x57, &[1, 2, 3, 4], lab.now);
    lab.ppp.write(unit, &[0x80, 0x21, 9], lab.now).unwrap();
    // Straight to the peer: not the unit's.
    lab.ppp.write(file, &[0xc0, 0x23, 1], lab.now).unwrap();
    let stats = lab.ppp.unit_stats(0).unwrap();
    assert_eq!((stats.rx_packets, stats.rx_bytes, stats.rx_errors), (3, 7, 2));
    assert_eq!((stats.tx_packets, stats.tx_bytes, stats.tx_errors), (2, 5, 0));
}
