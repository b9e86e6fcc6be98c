//! `ioctl` on every socket.

use crate::lab::{Lab, NoDevices, v2};
use l2tp_abi::Errno;
use l2tp_abi::ppp::L2tpStats;
use l2tp_abi::ppp::ioctl::*;
use l2tp_core::tx::Sent;
use l2tp_core::{Encap, PwType};
use l2tp_sockets::ppp::Read;
use l2tp_sockets::pppol2tp::Delivered;

fn int(value: i32) -> Vec<u8> {
    value.to_ne_bytes().to_vec()
}

#[test]
fn every_request_on_every_socket() {
    let (notty, nosys) = (Err(Errno::ENOTTY), Err(Errno::ENOSYS));
    for (cmd, argument, on_session, on_management) in [
        (PPPIOCGCHAN, vec![], Ok(int(1)), Ok(int(-1))),
        (PPPIOCGMRU, vec![], Ok(int(0)), nosys.clone()),
        (PPPIOCGFLAGS, vec![], Ok(int(0)), nosys.clone()),
        (PPPIOCSMRU, int(1400), Ok(vec![]), nosys.clone()),
        (PPPIOCSFLAGS, int(-1), Ok(vec![]), nosys.clone()),
        (PPPIOCSMRU, vec![0; 3], Err(Errno::EFAULT), nosys),
        (PPPIOCGUNIT, vec![], notty.clone(), notty.clone()),
        (PPPIOCCONNECT, int(0), notty.clone(), notty.clone()),
        (PPPIOCATTCHAN, int(1), notty.clone(), notty.clone()),
        // FIONREAD.
        (0x541b, vec![], notty.clone(), notty.clone()),
    ] {
        let mut lab = Lab::default();
        let (management, session) = lab.call();
        let fresh = lab.open();
        let unknown = on_session == notty;
        assert_eq!(lab.ioctl(session, cmd, &argument), on_session, "{cmd:#x} on a session's");
        assert_eq!(lab.ioctl(management, cmd, &argument), on_management, "{cmd:#x} on a management socket");
        let unconnected = if unknown { notty.clone() } else { Err(Errno::ENOTCONN) };
        assert_eq!(lab.ioctl(fresh, cmd, &argument), unconnected, "{cmd:#x} unconnected");
        lab.delete_tunnel(1);
        for key in [session, management] {
            assert_eq!(lab.ioctl(key, cmd, &argument), unconnected, "{cmd:#x} when all is gone");
        }
    }
    let mut lab = Lab::default();
    let fresh = lab.open();
    assert_eq!(lab.ioctl(fresh, PPPIOCGL2TPSTATS, &[0; 72]), Err(Errno::ENOTCONN));
}

/// Lets session 10 send and all of it be counted.
fn counted() -> Lab {
    let mut lab = Lab::default();
    lab.tunnel(3, 1, 2, Encap::Udp);
    lab.session(1, 5, PwType::Eth);
    let session = lab.session(1, 10, PwType::Ppp);
    lab.engine.finish_tx(session, &Sent { packets: 3, bytes: 50, errors: 1 });
    lab
}

fn parse(bytes: &[u8]) -> (u16, u16, Vec<u64>) {
    let u16_at = |at: usize| u16::from_ne_bytes(bytes[at..at + 2].try_into().unwrap());
    let counters = bytes[8..].chunks(8).map(|bytes| u64::from_ne_bytes(bytes.try_into().unwrap()));
    (u16_at(0), u16_at(2), counters.collect())
}

#[test]
fn counters_of_a_session_whatever_is_asked() {
    let mut lab = counted();
    let key = lab.connected(v2(1, 10, 2, 20));
    for asked in [0, 5, 99] {
        let argument = [&[0; 2][..], &u16::to_ne_bytes(asked), &[0; 68]].concat();
        let answer = lab.ioctl(key, PPPIOCGL2TPSTATS, &argument).unwrap();
        assert_eq!(parse(&answer), (1, 10, vec![3, 50, 1, 0, 0, 0, 0, 0]));
        assert_eq!(answer.len(), L2tpStats::SIZE);
    }
}

#[test]
fn counters_of_a_tunnel_or_of_one_of_its_sessions() {
    let mut lab = counted();
    let key = lab.connected(v2(1, 0, 2, 0));
    let mut ask = |session: u16| {
        let argument = [&[0; 2][..], &session.to_ne_bytes(), &[0; 68]].concat();
        lab.ioctl(key, PPPIOCGL2TPSTATS, &argument).map(|bytes| parse(&bytes))
    };
    assert_eq!(ask(0), Ok((1, 0, vec![3, 50, 1, 0, 0, 0, 0, 0])));
    assert_eq!(ask(10), Ok((1, 10, vec![3, 50, 1, 0, 0, 0, 0, 0])));
    assert_eq!(ask(99), Err(Errno::EBADR));
    assert_eq!(ask(5), Err(Errno::EBADR), "not PPP");
    assert_eq!(lab.ioctl(key, PPPIOCGL2TPSTATS, &[0; 3]), Err(Errno::EFAULT));
}

#[test]
fn the_channel_takes_over_frames_that_wait() {
    let mut lab = Lab::default();
    let (_, key) = lab.call();
    let session = lab.find(1, 10).unwrap();
    for number in [1, 2] {
        let frame = [0xff, 3, 0xc0, 0x21, number];
        let delivered = lab.sockets.deliver(&mut lab.ppp, session, &frame, lab.now);
        assert_eq!(delivered, Delivered::Queued(key));
    }
    let index = lab.ioctl(key, PPPIOCGCHAN, &[]).unwrap();
    assert_eq!(lab.ioctl(key, PPPIOCGCHAN, &[]), Ok(index.clone()), "as often as one likes");
    assert_eq!(lab.sockets.recv(key, 100), Err(Errno::EIO));
    let file = lab.ppp.open(true).unwrap();
    lab.ppp.ioctl(&mut NoDevices, file, PPPIOCATTCHAN, &index, lab.now).unwrap();
    lab.sockets.deliver(&mut lab.ppp, session, &[0xc0, 0x21, 3], lab.now);
    for number in [1, 2, 3] {
        assert_eq!(lab.ppp.read(file, 100), Ok(Read::Frame(vec![0xc0, 0x21, number])));
    }
}
