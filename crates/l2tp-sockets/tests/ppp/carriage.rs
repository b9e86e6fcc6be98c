//! Which packets a path below may carry, when that changes, and what it has carried.

use crate::lab::{Lab, int, session};
use l2tp_abi::ppp::ioctl::*;
use l2tp_abi::ppp::{
    IdleTimes, NpMode, NpModeRequest, PPP_IP, PPP_IPV6, PPP_IPX, SC_LOOP_TRAFFIC, SC_MULTILINK, UnitStats,
};
use l2tp_core::SessionKey;
use l2tp_core::carriage::Carried;
use l2tp_sockets::ppp::{ChannelKey, FileKey, Unfit};
use std::time::Duration;

/// Whether the channel's packets may be carried; and the session must have been named since it was asked last.
fn changed(lab: &mut Lab, channel: ChannelKey, number: u64) -> Option<Unfit> {
    assert!(lab.ppp.take_changed().contains(&session(number)), "it has changed");
    lab.ppp.plain_unit(channel).err()
}

fn none_changed(lab: &mut Lab) -> bool {
    lab.ppp.take_changed().is_empty()
}

fn set_mode(lab: &mut Lab, unit: FileKey, protocol: u16, mode: NpMode) {
    let argument = NpModeRequest { protocol: protocol.into(), mode }.emit();
    lab.ioctl(unit, PPPIOCSNPMODE, &argument).unwrap();
}

#[test]
fn a_channel_in_its_unit() {
    let mut lab = Lab::default();
    let (channel, file, _) = lab.link();
    assert_eq!(changed(&mut lab, channel, 7), None);
    assert_eq!(lab.ppp.plain_unit(channel), Ok(lab.unit_key()));
    lab.ask(file, PPPIOCDISCONN, 0).unwrap();
    assert_eq!(changed(&mut lab, channel, 7), Some(Unfit::NoUnit));
    lab.ask(file, PPPIOCCONNECT, 0).unwrap();
    assert_eq!(changed(&mut lab, channel, 7), None);
    assert!(none_changed(&mut lab));
}

#[test]
fn the_end_of_unit_and_channel() {
    let mut lab = Lab::default();
    let (channel, file, unit) = lab.link();
    none_changed(&mut lab);
    lab.close(unit);
    assert_eq!(changed(&mut lab, channel, 7), Some(Unfit::NoUnit));
    lab.ppp.unregister_channel(channel);
    assert_eq!(changed(&mut lab, channel, 7), Some(Unfit::NoUnit));
    lab.close(file);
    assert!(none_changed(&mut lab) && lab.is_clean());
}

#[test]
fn another_channel() {
    let mut lab = Lab::default();
    let (channel, _, _) = lab.link();
    let (other, file) = lab.channel(8);
    none_changed(&mut lab);
    lab.ask(file, PPPIOCCONNECT, 0).unwrap();
    assert_eq!(lab.ppp.take_changed().into_iter().collect::<Vec<SessionKey>>(), [session(7), session(8)]);
    assert_eq!(lab.ppp.plain_unit(channel), Err(Unfit::Multilink));
    assert_eq!(lab.ppp.plain_unit(other), Err(Unfit::Multilink));
    lab.ask(file, PPPIOCDISCONN, 0).unwrap();
    assert_eq!(changed(&mut lab, channel, 7), None);
}

#[test]
fn a_bridge() {
    let mut lab = Lab::default();
    let ((first, file), (second, _)) = (lab.channel(7), lab.channel(8));
    let index = lab.index(second);
    lab.ask(file, PPPIOCBRIDGECHAN, index).unwrap();
    assert_eq!(lab.ppp.take_changed().len(), 2);
    assert_eq!(lab.ppp.plain_unit(first), Err(Unfit::Bridged));
    assert_eq!(lab.ppp.plain_unit(second), Err(Unfit::Bridged));
    lab.ask(file, PPPIOCUNBRIDGECHAN, 0).unwrap();
    assert_eq!(changed(&mut lab, second, 8), Some(Unfit::NoUnit));
}

#[test]
fn modes_and_flags() {
    let mut lab = Lab::default();
    let (channel, _, unit) = lab.link();
    for protocol in [PPP_IP, PPP_IPV6] {
        for mode in [NpMode::Drop, NpMode::Error, NpMode::Queue] {
            set_mode(&mut lab, unit, protocol, mode);
            assert_eq!(changed(&mut lab, channel, 7), Some(Unfit::Mode), "{protocol:#x} {mode:?}");
        }
        set_mode(&mut lab, unit, protocol, NpMode::Pass);
        assert_eq!(changed(&mut lab, channel, 7), None);
    }
    // Nobody below carries it.
    set_mode(&mut lab, unit, PPP_IPX, NpMode::Drop);
    assert_eq!(changed(&mut lab, channel, 7), None);
    for (flag, unfit) in [(SC_LOOP_TRAFFIC, Unfit::Loops), (SC_MULTILINK, Unfit::Multilink)] {
        lab.ask(unit, PPPIOCSFLAGS, flag.cast_signed()).unwrap();
        assert_eq!(changed(&mut lab, channel, 7), Some(unfit));
    }
    lab.ask(unit, PPPIOCSFLAGS, 0).unwrap();
    assert_eq!(changed(&mut lab, channel, 7), None);
    lab.ioctl(unit, PPPIOCGIDLE, &int(0)).unwrap();
    assert!(none_changed(&mut lab), "a question");
}

#[test]
fn what_was_carried_counts_as_traffic_now() {
    let mut lab = Lab::default();
    let (channel, file, unit) = lab.link();
    assert_eq!((lab.ppp.sessions(file), lab.ppp.sessions(unit)), (vec![session(7)], vec![session(7)]));
    lab.now = lab.now.after(Duration::from_secs(100));
    let sent = Carried { tx_packets: 3, tx_bytes: 300, ..Carried::default() };
    lab.ppp.count_carried(channel, &sent, lab.now);
    lab.now = lab.now.after(Duration::from_secs(5));
    assert_eq!(lab.ioctl(unit, PPPIOCGIDLE, &[]), Ok(IdleTimes { xmit: 5, recv: 105 }.emit()));
    let received = Carried { rx_packets: 2, rx_bytes: 90, ..Carried::default() };
    lab.ppp.count_carried(channel, &received, lab.now);
    assert_eq!(lab.ioctl(unit, PPPIOCGIDLE, &[]), Ok(IdleTimes { xmit: 5, recv: 0 }.emit()));
    let want =
        UnitStats { tx_packets: 3, tx_bytes: 300, rx_packets: 2, rx_bytes: 90, ..UnitStats::default() };
    assert_eq!(lab.ppp.unit_stats(0), Some(want));
    // Of a channel that has left there is nobody to count it.
    lab.ask(file, PPPIOCDISCONN, 0).unwrap();
    lab.ppp.count_carried(channel, &sent, lab.now);
    assert_eq!(lab.ppp.unit_stats(0), Some(want));
}
