//! How channels, units and files come, meet and go.

use crate::lab::{Lab, session};
use l2tp_abi::Errno;
use l2tp_abi::ppp::ioctl::*;
use l2tp_sockets::ppp::{Read, Received, Sent};

#[test]
fn a_file_needs_privilege() {
    let mut lab = Lab::default();
    assert_eq!(lab.ppp.open(false), Err(Errno::EPERM));
    assert!(lab.is_clean());
}

#[test]
fn units_have_the_lowest_number_that_is_free_or_the_one_asked_for() {
    let mut lab = Lab::default();
    lab.names.taken = vec![1];
    let files = &mut Vec::new();
    let new = |lab: &mut Lab, files: &mut Vec<_>, wanted| {
        let file = lab.open();
        files.push(file);
        lab.ask(file, PPPIOCNEWUNIT, wanted)
    };
    assert_eq!(new(&mut lab, files, -1), Ok(0));
    assert_eq!(new(&mut lab, files, -1), Ok(2), "somebody else has the name ppp1");
    assert_eq!(new(&mut lab, files, 1), Err(Errno::EEXIST));
    assert_eq!(new(&mut lab, files, 2), Err(Errno::EEXIST));
    assert_eq!(new(&mut lab, files, 9), Ok(9));
    assert_eq!(new(&mut lab, files, -7), Ok(3));
    lab.close(files[0]);
    assert_eq!(new(&mut lab, files, -1), Ok(0));
    assert_eq!(new(&mut lab, files, -1), Ok(4));
    for file in files.drain(..) {
        lab.close(file);
    }
    assert!(lab.is_clean());
}

#[test]
fn a_refused_unit_leaves_the_file_fresh() {
    let mut lab = Lab::default();
    let first = lab.unit(0);
    let second = lab.open();
    assert_eq!(lab.ask(second, PPPIOCNEWUNIT, 0), Err(Errno::EEXIST));
    assert_eq!(lab.ask(second, PPPIOCNEWUNIT, 1), Ok(1));
    lab.close(first);
    lab.close(second);
    assert!(lab.is_clean());
}

#[test]
fn a_unit_dies_with_the_file_that_made_it() {
    let mut lab = Lab::default();
    let (channel, channel_file, owner) = lab.link();
    let other = lab.attached(0);
    lab.close(other);
    assert_eq!(lab.ppp.unit_of(channel), Some(0), "any other file means nothing");
    let other = lab.attached(0);
    lab.close(owner);
    assert!(lab.names.devices.is_empty());
    let ready = lab.ppp.poll(other);
    assert!(ready.hung_up && ready.writable);
    assert_eq!(lab.read(other), Ok(Read::End));
    assert_eq!(lab.ppp.write(other, &[0x80, 0x21, 1], lab.now), Ok(Sent::Dropped));
    let fresh = lab.open();
    assert_eq!(lab.ask(fresh, PPPIOCATTACH, 0), Err(Errno::ENXIO));
    // The number is free; the channel is joined to what is left of the old unit until it leaves.
    assert_eq!(lab.ask(fresh, PPPIOCNEWUNIT, 0), Ok(0));
    assert_eq!(lab.ppp.receive(channel, &[0, 0x21, 1], lab.now), Received::Dropped);
    assert_eq!(lab.ask(channel_file, PPPIOCCONNECT, 0), Err(Errno::EINVAL));
    assert_eq!(lab.ask(channel_file, PPPIOCDISCONN, 0), Ok(0));
    assert_eq!(lab.ask(channel_file, PPPIOCCONNECT, 0), Ok(0));
    lab.ppp.unregister_channel(channel);
    for file in [other, fresh, channel_file] {
        lab.close(file);
    }
    assert!(lab.is_clean());
}

#[test]
fn a_device_that_is_deleted_takes_its_unit_along() {
    let mut lab = Lab::default();
    let (_, _, owner) = lab.link();
    let key = lab.unit_key();
    lab.ppp.lose_unit(&mut lab.names, key);
    assert!(lab.ppp.poll(owner).hung_up && lab.names.devices.is_empty());
    lab.ppp.lose_unit(&mut lab.names, key);
    assert_eq!(lab.ppp.unit_stats(0), None);
    lab.close(owner);
    assert_eq!(lab.ppp.counts().2, 1, "a channel is joined to it");
}

#[test]
fn a_channel_that_dies_hangs_up_and_leaves_its_unit() {
    let mut lab = Lab::default();
    let (channel, file, unit) = lab.link();
    lab.ppp.receive(channel, &[0xc0, 0x21, 1, 1, 0, 4], lab.now);
    lab.ppp.unregister_channel(channel);
    let (channel_ready, unit_ready) = (lab.ppp.poll(file), lab.ppp.poll(unit));
    assert!(channel_ready.hung_up && channel_ready.writable && channel_ready.readable);
    assert!(unit_ready.readable && unit_ready.writable && !unit_ready.hung_up);
    // What had come is read before the end.
    assert_eq!(lab.read(file), Ok(Read::Frame(vec![0xc0, 0x21, 1, 1, 0, 4])));
    assert_eq!((lab.read(file), lab.read(unit)), (Ok(Read::End), Ok(Read::End)));
    assert_eq!(lab.ppp.write(file, &[0xc0, 0x21, 1, 1, 0, 4], lab.now), Ok(Sent::Dropped));
    assert_eq!(lab.ppp.channel_index(channel), None);
    lab.ppp.unregister_channel(channel);
    lab.close(file);
    lab.close(unit);
    assert!(lab.is_clean());
}

#[test]
fn indices_of_channels_are_not_used_again_at_once() {
    let mut lab = Lab::default();
    let first = lab.ppp.register_channel(session(1));
    assert_eq!(lab.index(first), 1);
    lab.ppp.unregister_channel(first);
    let second = lab.ppp.register_channel(session(1));
    assert_eq!(lab.index(second), 2);
    lab.ppp.unregister_channel(second);
    assert!(lab.is_clean());
}

#[test]
fn two_channels_are_bridged() {
    let mut lab = Lab::default();
    let [(one, one_file), (two, two_file), (three, three_file)] = [1, 2, 3].map(|n| lab.channel(n));
    let index = lab.index(two);
    assert_eq!(lab.ask(one_file, PPPIOCBRIDGECHAN, index), Ok(0));
    let (own, third) = (lab.index(one), lab.index(three));
    for (file, other) in [(one_file, third), (two_file, own), (three_file, own), (three_file, third)] {
        assert_eq!(lab.ask(file, PPPIOCBRIDGECHAN, other), Err(Errno::EALREADY));
    }
    lab.unit(0);
    assert_eq!(lab.ask(one_file, PPPIOCCONNECT, 0), Err(Errno::EINVAL));
    // Everything crosses as it is, even what makes no sense.
    for frame in [&[0xc0, 0x21, 1][..], &[0, 0x21], &[0x21], &[]] {
        assert_eq!(lab.ppp.receive(one, frame, lab.now), Received::Bridged(session(2)));
        assert_eq!(lab.ppp.receive(two, frame, lab.now), Received::Bridged(session(1)));
    }
    // From either side it ends; by the death of one too.
    assert_eq!(lab.ask(two_file, PPPIOCUNBRIDGECHAN, 0), Ok(0));
    assert_eq!(lab.ask(one_file, PPPIOCUNBRIDGECHAN, 0), Err(Errno::EINVAL));
    assert_eq!(lab.ask(three_file, PPPIOCBRIDGECHAN, own), Ok(0));
    lab.ppp.unregister_channel(three);
    assert_eq!(lab.ask(one_file, PPPIOCUNBRIDGECHAN, 0), Err(Errno::EINVAL));
    assert_eq!(lab.ask(one_file, PPPIOCCONNECT, 0), Ok(0));
}
