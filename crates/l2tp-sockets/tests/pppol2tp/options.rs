//! `setsockopt` and `getsockopt`.

use crate::lab::{Lab, v2};
use l2tp_abi::Errno;
use l2tp_abi::ppp::SOL_PPPOL2TP;
use l2tp_core::Encap;

fn int(value: i32) -> [u8; 4] {
    value.to_ne_bytes()
}

#[test]
fn every_option_on_every_socket() {
    let (inval, noproto, notconn) = (Some(Errno::EINVAL), Some(Errno::ENOPROTOOPT), Some(Errno::ENOTCONN));
    for (level, option, value, on_session, on_management, unconnected) in [
        (SOL_PPPOL2TP, 1, int(5).to_vec(), None, None, notconn),
        (SOL_PPPOL2TP, 2, int(1).to_vec(), None, noproto, notconn),
        (SOL_PPPOL2TP, 3, int(1).to_vec(), None, noproto, notconn),
        (SOL_PPPOL2TP, 4, int(1).to_vec(), None, noproto, notconn),
        (SOL_PPPOL2TP, 5, int(100).to_vec(), None, noproto, notconn),
        (SOL_PPPOL2TP, 2, int(2).to_vec(), inval, noproto, notconn),
        (SOL_PPPOL2TP, 3, int(-1).to_vec(), inval, noproto, notconn),
        (SOL_PPPOL2TP, 4, int(256).to_vec(), inval, noproto, notconn),
        (SOL_PPPOL2TP, 6, int(1).to_vec(), noproto, noproto, notconn),
        (SOL_PPPOL2TP, 0, int(1).to_vec(), noproto, noproto, notconn),
        (SOL_PPPOL2TP, 2, vec![1, 0, 0], inval, inval, inval),
        (SOL_PPPOL2TP, 2, [int(1), int(9)].concat(), None, noproto, notconn),
        (272, 2, int(1).to_vec(), inval, inval, inval),
        (17, 100, int(3).to_vec(), inval, inval, inval),
    ] {
        let mut lab = Lab::default();
        let (management, session) = lab.call();
        let fresh = lab.open();
        let set = [session, management, fresh].map(|key| lab.set(key, (level, option), &value).err());
        assert_eq!(set, [on_session, on_management, unconnected], "{level}/{option} {value:?}");
    }
}

#[test]
fn reading() {
    let mut lab = Lab::default();
    let (management, session) = lab.call();
    let fresh = lab.open();
    let mut get = |key, option, room| lab.get(key, option, room);
    for option in 1..=5 {
        let on_management = if option == 1 { Ok(int(0).to_vec()) } else { Err(Errno::ENOPROTOOPT) };
        assert_eq!(get(session, (SOL_PPPOL2TP, option), 4), Ok(int(0).to_vec()));
        assert_eq!(get(management, (SOL_PPPOL2TP, option), 4), on_management);
        assert_eq!(get(fresh, (SOL_PPPOL2TP, option), 4), Err(Errno::ENOTCONN));
    }
    for key in [session, management] {
        assert_eq!(get(key, (SOL_PPPOL2TP, 9), 4), Err(Errno::ENOPROTOOPT));
        assert_eq!(get(key, (1, 1), 4), Err(Errno::EINVAL));
        assert_eq!(get(key, (SOL_PPPOL2TP, 1), -1), Err(Errno::EINVAL));
        assert_eq!(get(key, (SOL_PPPOL2TP, 1), 2), Ok(vec![0; 2]));
        assert_eq!(get(key, (SOL_PPPOL2TP, 1), 0), Ok(vec![]));
        assert_eq!(get(key, (SOL_PPPOL2TP, 1), 128), Ok(vec![0; 4]));
    }
}

#[test]
fn what_is_set_is_read_and_is_the_sessions() {
    let mut lab = Lab::default();
    let (_, session) = lab.call();
    for (option, value, read) in [
        (2, 1, 1),
        (3, 1, 1),
        (4, 1, 1),
        (1, 1, 0),
        (5, 1, 4),
        (5, 50, 52),
        (5, 0, 0),
        (5, -1, i32::MAX),
        (2, 0, 0),
    ] {
        lab.set(session, (SOL_PPPOL2TP, option), &int(value)).unwrap();
        assert_eq!(lab.get(session, (SOL_PPPOL2TP, option), 4), Ok(int(read).to_vec()), "{option} = {value}");
    }
    let config = &lab.engine.session(lab.find(1, 10).unwrap()).unwrap().config;
    assert!(!config.recv_seq && config.send_seq && config.lns_mode);
    assert!(config.reorder_timeout.as_millis() >= 2_147_483_647);
}

#[test]
fn a_session_of_another_tunnel_is_left_alone() {
    let mut lab = Lab::default();
    for tunnel_id in [1, 2] {
        lab.tunnel(2, tunnel_id, 9, Encap::Udp);
    }
    let [first, second] = [1, 2].map(|tunnel_id| lab.connected(v2(tunnel_id, 10, 9, 20)));
    lab.set(first, (SOL_PPPOL2TP, 4), &int(1)).unwrap();
    assert_eq!(lab.get(second, (SOL_PPPOL2TP, 4), 4), Ok(int(0).to_vec()));
}

#[test]
fn when_the_session_is_gone() {
    let mut lab = Lab::default();
    let (_, session) = lab.call();
    lab.delete_session(1, 10);
    assert_eq!(lab.set(session, (SOL_PPPOL2TP, 2), &int(1)), Err(Errno::ENOTCONN));
    assert_eq!(lab.get(session, (SOL_PPPOL2TP, 2), 4), Err(Errno::ENOTCONN));
}
