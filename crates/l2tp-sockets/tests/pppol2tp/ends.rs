//! Every way to end.

use crate::lab::{Lab, NoDevices, v2};
use l2tp_abi::Errno;
use l2tp_abi::ppp::ioctl::{PPPIOCATTCHAN, PPPIOCGCHAN};
use l2tp_core::{Encap, PwType};
use l2tp_sockets::ppp::{FileKey, Read};
use l2tp_sockets::pppol2tp::SocketKey;

/// A file of the channel of a socket.
fn channel_file(lab: &mut Lab, key: SocketKey) -> FileKey {
    let index = lab.ioctl(key, PPPIOCGCHAN, &[]).unwrap();
    let file = lab.ppp.open(true).unwrap();
    lab.ppp.ioctl(&mut NoDevices, file, PPPIOCATTCHAN, &index, lab.now).unwrap();
    file
}

fn hung_up(lab: &mut Lab, file: FileKey) -> bool {
    lab.ppp.poll(file).hung_up && lab.ppp.read(file, 100) == Ok(Read::End)
}

#[test]
fn a_session_ends_with_its_socket_whoever_made_it() {
    for by_netlink in [false, true] {
        let mut lab = Lab::default();
        lab.tunnel(2, 1, 2, Encap::Udp);
        if by_netlink {
            lab.session(1, 10, PwType::Ppp);
        }
        let key = lab.connected(v2(1, 10, 2, 20));
        let file = channel_file(&mut lab, key);
        assert!(!hung_up(&mut lab, file));
        lab.close(key);
        assert!(hung_up(&mut lab, file));
        assert_eq!((lab.find(1, 10), lab.engine.tunnel_count(), lab.sockets.len()), (None, 1, 0));
        // Redial at once.
        lab.connected(v2(1, 10, 2, 20));
    }
}

#[test]
fn a_tunnel_outlives_its_management_socket() {
    let mut lab = Lab::default();
    let (management, session) = lab.call();
    lab.close(management);
    assert_eq!((lab.find(1, 0), lab.engine.tunnel_count()), (None, 1));
    assert!(lab.name(session).is_ok());
    let again = lab.open();
    assert_eq!(lab.connect(again, v2(1, 0, 2, 0)), Ok(()));
    lab.close(session);
    lab.close(again);
    assert_eq!((lab.engine.tunnel_count(), lab.engine.session_count()), (1, 0));
}

#[test]
fn a_deleted_session_hangs_up_and_leaves_the_socket() {
    for whole_tunnel in [false, true] {
        let mut lab = Lab::default();
        let (management, key) = lab.call();
        let file = channel_file(&mut lab, key);
        if whole_tunnel {
            lab.delete_tunnel(1);
        } else {
            lab.delete_session(1, 10);
        }
        assert!(hung_up(&mut lab, file), "the kernel would leave it waiting");
        assert_eq!(lab.send(key), Err(Errno::EBADF));
        assert_eq!(lab.name(key), Err(Errno::EBADF));
        assert_eq!(lab.ioctl(key, PPPIOCGCHAN, &[]), Err(Errno::ENOTCONN));
        lab.tunnel(2, 7, 8, Encap::Udp);
        assert_eq!(lab.connect(key, v2(7, 1, 8, 1)), Err(Errno::EBUSY), "once connected, always");
        // The ids are free, and closing the old socket does not touch whoever has them next.
        if whole_tunnel {
            lab.tunnel(2, 1, 2, Encap::Udp);
        }
        let successor = lab.connected(v2(1, 10, 2, 20));
        lab.close(key);
        assert!(lab.find(1, 10).is_some() && lab.name(successor).is_ok());
        lab.close(management);
        lab.close(successor);
        lab.ppp.close(&mut NoDevices, file);
        assert_eq!((lab.ppp.counts(), lab.sockets.len()), ((0, 0, 0), 0));
    }
}

#[test]
fn a_socket_that_was_never_connected_just_goes() {
    let mut lab = Lab::default();
    let key = lab.open();
    lab.close(key);
    lab.close(key);
    assert!(lab.sockets.is_empty());
}
