//! `send` and `recv`.

use crate::lab::{Lab, v2};
use l2tp_abi::Errno;
use l2tp_abi::ppp::ioctl::PPPIOCGCHAN;
use l2tp_core::Encap;
use l2tp_sockets::ppp::Received;
use l2tp_sockets::pppol2tp::{Delivered, Frame, RECEIVE_BUFFER};

#[test]
fn sending_needs_a_session() {
    let mut lab = Lab::default();
    let fresh = lab.open();
    assert_eq!(lab.send(fresh), Err(Errno::ENOTCONN));
    let (management, session) = lab.call();
    assert_eq!(lab.send(session), Ok(lab.find(1, 10).unwrap()));
    // On a management socket too: session 0.
    assert_eq!(lab.send(management), Ok(lab.find(1, 0).unwrap()));
    // And when the channel was asked for.
    lab.ioctl(session, PPPIOCGCHAN, &[]).unwrap();
    assert_eq!(lab.send(session), Ok(lab.find(1, 10).unwrap()));
    lab.delete_session(1, 10);
    assert_eq!(lab.send(session), Err(Errno::EBADF));
}

#[test]
fn a_frame_is_read_from_its_protocol_on() {
    let mut lab = Lab::default();
    let (_, key) = lab.call();
    let session = lab.find(1, 10).unwrap();
    assert_eq!(lab.sockets.recv(key, 10), Ok(None));
    assert!(!lab.sockets.is_readable(key));
    for frame in [&[0xff, 3, 0xc0, 0x21, 1][..], &[0xc0, 0x21, 1], &[0xff, 3]] {
        assert_eq!(lab.sockets.deliver(&mut lab.ppp, session, frame, lab.now), Delivered::Queued(key));
    }
    assert!(lab.sockets.is_readable(key));
    let whole = Frame { bytes: vec![0xc0, 0x21, 1], truncated: false };
    assert_eq!(lab.sockets.recv(key, 10), Ok(Some(whole)));
    let cut = Frame { bytes: vec![0xc0, 0x21], truncated: true };
    assert_eq!(lab.sockets.recv(key, 2), Ok(Some(cut)));
    assert_eq!(lab.sockets.recv(key, 2), Ok(Some(Frame { bytes: vec![], truncated: false })));
    assert_eq!(lab.sockets.recv(key, 10), Ok(None));
}

#[test]
fn frames_are_the_channels_once_it_was_asked_for() {
    let mut lab = Lab::default();
    let (management, key) = lab.call();
    let session = lab.find(1, 10).unwrap();
    lab.ioctl(key, PPPIOCGCHAN, &[]).unwrap();
    let channel = lab.sockets.channel(session).unwrap();
    let frame = [0xff, 3, 0xc0, 0x21, 1];
    let delivered = lab.sockets.deliver(&mut lab.ppp, session, &frame, lab.now);
    assert_eq!(delivered, Delivered::Ppp(Received::ToChannel(channel)));
    assert_eq!(lab.sockets.recv(key, 10), Err(Errno::EIO));
    // A management socket has none.
    lab.ioctl(management, PPPIOCGCHAN, &[]).unwrap();
    let zero = lab.find(1, 0).unwrap();
    assert_eq!(lab.sockets.deliver(&mut lab.ppp, zero, &frame, lab.now), Delivered::NoReader);
}

#[test]
fn a_session_without_socket_has_no_reader() {
    let mut lab = Lab::default();
    lab.tunnel(2, 1, 2, Encap::Udp);
    let session = lab.session(1, 10, l2tp_core::PwType::Ppp);
    let frame = [0xc0, 0x21, 1];
    assert_eq!(lab.sockets.deliver(&mut lab.ppp, session, &frame, lab.now), Delivered::NoReader);
    let key = lab.connected(v2(1, 10, 2, 20));
    assert_eq!(lab.sockets.deliver(&mut lab.ppp, session, &frame, lab.now), Delivered::Queued(key));
    lab.close(key);
    assert_eq!(lab.sockets.deliver(&mut lab.ppp, session, &frame, lab.now), Delivered::NoReader);
}

#[test]
fn who_does_not_read_has_a_bound_and_an_error_is_counted() {
    let mut lab = Lab::default();
    let (_, key) = lab.call();
    let session = lab.find(1, 10).unwrap();
    let frame = [0xc0; 1000];
    let taken = (0..1000).take_while(|_| {
        lab.sockets.deliver(&mut lab.ppp, session, &frame, lab.now) == Delivered::Queued(key)
    });
    assert_eq!(taken.count(), RECEIVE_BUFFER / frame.len());
    assert_eq!(lab.sockets.deliver(&mut lab.ppp, session, &frame, lab.now), Delivered::Full);
    lab.engine.count_overrun(session);
    assert_eq!(lab.engine.session(session).unwrap().stats.rx_errors, 1);
    lab.sockets.recv(key, 1000).unwrap().unwrap();
    assert_eq!(lab.sockets.deliver(&mut lab.ppp, session, &frame, lab.now), Delivered::Queued(key));
}
