//! `connect`, rule by rule.

use crate::lab::{Descriptor, Lab, ROOT, of_form, v2};
use l2tp_abi::Errno;
use l2tp_abi::sockaddr::Pppol2tpForm;
use l2tp_core::host::Caller;
use l2tp_core::{Encap, L2specType, PwType};
use l2tp_sockets::quota::{UNPRIVILEGED_MAX, USER_MAX};

#[test]
fn what_is_an_address() {
    for form in Pppol2tpForm::ALL {
        let mut lab = Lab::default();
        let key = lab.open();
        let address = of_form(form, v2(1, 0, 2, 0)).emit();
        let udp = Some(Descriptor::Udp4);
        for len in (0..60).filter(|len| Pppol2tpForm::ALL.iter().all(|form| form.size() != *len)) {
            let bytes = [&address[..], &[0; 60]].concat();
            assert_eq!(lab.connect_bytes(key, &bytes[..len], udp), Err(Errno::EINVAL), "{len}");
        }
        let mut of_pppoe = address.clone();
        of_pppoe[2..6].copy_from_slice(&0_u32.to_ne_bytes());
        assert_eq!(lab.connect_bytes(key, &of_pppoe, udp), Err(Errno::EINVAL));
        let without_tunnel = of_form(form, v2(0, 0, 2, 0)).emit();
        assert_eq!(lab.connect_bytes(key, &without_tunnel, udp), Err(Errno::EINVAL));
        assert_eq!((lab.engine.tunnel_count(), lab.host.sockets), (0, 0));
        // The family is not looked at.
        let mut of_inet = address.clone();
        of_inet[0] = 2;
        assert_eq!(lab.connect_bytes(key, &of_inet, udp), Ok(()));
        let tunnel = lab.engine.find_tunnel(1).unwrap();
        let config = &lab.engine.tunnel(tunnel).unwrap().config;
        assert_eq!((config.version, config.encap), (form.version(), Encap::Udp));
    }
}

#[test]
fn a_management_socket_makes_the_tunnel_from_a_descriptor() {
    use Descriptor::{File, Tcp, Tunnel, Udp4, Udp6};
    for (fd, descriptor, want) in [
        (3, Some(Udp4), Ok(())),
        (3, Some(Udp6), Ok(())),
        (-1, Some(Udp4), Err(Errno::EBADF)),
        (3, None, Err(Errno::EBADF)),
        (3, Some(File), Err(Errno::ENOTSOCK)),
        (3, Some(Tcp), Err(Errno::EPROTONOSUPPORT)),
        (3, Some(Tunnel), Err(Errno::EBUSY)),
    ] {
        let mut lab = Lab::default();
        let key = lab.open();
        let mut address = v2(1, 0, 2, 0);
        address.fd = fd;
        assert_eq!(lab.connect_bytes(key, &address.emit(), descriptor), want, "{fd} {descriptor:?}");
        let made = usize::from(want.is_ok());
        let made_of = (lab.engine.tunnel_count(), lab.engine.session_count(), lab.host.sockets);
        assert_eq!(made_of, (made, made, made));
        // A socket that was refused may try again.
        assert_eq!(lab.connect(key, v2(1, 0, 2, 0)).is_ok(), want.is_err());
    }
}

#[test]
fn a_session_needs_its_tunnel() {
    for (s_session, d_session) in [(10, 20), (10, 0), (0, 20)] {
        let mut lab = Lab::default();
        let key = lab.open();
        assert_eq!(lab.connect(key, v2(1, s_session, 2, d_session)), Err(Errno::ENOENT));
        assert_eq!((lab.engine.tunnel_count(), lab.host.sockets), (0, 0));
        lab.tunnel(2, 1, 2, Encap::Udp);
        // Now the descriptor does not matter.
        let mut address = v2(1, s_session, 2, d_session);
        address.fd = -1;
        assert_eq!(lab.connect_bytes(key, &address.emit(), None), Ok(()));
        let session = lab.engine.session(lab.find(1, s_session).unwrap()).unwrap();
        assert_eq!(session.config.peer_session_id, d_session);
        assert!(lab.sockets.channel(lab.find(1, s_session).unwrap()).is_some());
    }
}

#[test]
fn a_management_socket_attaches_to_any_tunnel() {
    for (version, encap) in [(2, Encap::Udp), (3, Encap::Udp), (3, Encap::Ip)] {
        let mut lab = Lab::default();
        lab.tunnel(version, 1, 2, encap);
        let key = lab.open();
        assert_eq!(lab.connect_bytes(key, &v2(1, 0, 9, 0).emit(), None), Ok(()));
        let session = lab.find(1, 0).unwrap();
        assert_eq!(lab.sockets.channel(session), None);
        // One at a time.
        let second = lab.open();
        assert_eq!(lab.connect(second, v2(1, 0, 2, 0)), Err(Errno::EEXIST));
        lab.close(key);
        assert_eq!(lab.connect(second, v2(1, 0, 2, 0)), Ok(()));
    }
}

#[test]
fn once_only_and_nothing_is_left_of_what_failed() {
    let mut lab = Lab::default();
    let (management, session) = lab.call();
    for key in [management, session] {
        for address in [v2(1, 10, 2, 20), v2(1, 11, 2, 21), v2(1, 0, 2, 0)] {
            assert_eq!(lab.connect(key, address), Err(Errno::EBUSY));
        }
        // The tunnel that this call makes on its way is gone again.
        assert_eq!(lab.connect(key, v2(5, 0, 6, 0)), Err(Errno::EBUSY));
    }
    assert_eq!((lab.engine.tunnel_count(), lab.engine.session_count(), lab.host.sockets), (1, 2, 1));
    assert_eq!(lab.connect(management, v2(0, 0, 2, 0)), Err(Errno::EINVAL), "the address comes first");
    assert_eq!(lab.connect(management, v2(7, 1, 2, 1)), Err(Errno::ENOENT), "and the tunnel");
}

#[test]
fn a_tunnel_without_peer_adopts_one() {
    let mut lab = Lab::default();
    lab.tunnel(2, 1, 0, Encap::Udp);
    let before = lab.session(1, 5, PwType::Ppp);
    lab.connected(v2(1, 10, 77, 20));
    let peer =
        |lab: &Lab| lab.engine.tunnel(lab.engine.find_tunnel(1).unwrap()).unwrap().config.peer_tunnel_id;
    assert_eq!(peer(&lab), 77);
    assert_eq!(lab.engine.session(before).unwrap().peer_tunnel_id, 77);
    lab.connected(v2(1, 11, 78, 21));
    assert_eq!(peer(&lab), 77, "once");
}

#[test]
fn sessions_that_are_there() {
    let mut lab = Lab::default();
    lab.tunnel(3, 1, 2, Encap::Udp);
    lab.session(1, 5, PwType::Eth);
    let ppp = lab.session(1, 6, PwType::Ppp);
    let key = lab.open();
    assert_eq!(lab.connect(key, v2(1, 5, 2, 9)), Err(Errno::EPROTOTYPE));
    // Whatever peer's id the address has.
    assert_eq!(lab.connect(key, v2(1, 6, 99, 999)), Ok(()));
    let config = &lab.engine.session(ppp).unwrap().config;
    assert_eq!((config.peer_session_id, config.l2spec), (106, L2specType::Default));
    let second = lab.open();
    assert_eq!(lab.connect(second, v2(1, 6, 2, 106)), Err(Errno::EEXIST));
    assert_eq!(lab.engine.session_count(), 2);
}

#[test]
fn sessions_that_are_made() {
    let mut lab = Lab::default();
    for (version, tunnel_id) in [(2, 1), (3, 2)] {
        lab.tunnel(version, tunnel_id, 9, Encap::Udp);
        lab.connected(of_form(Pppol2tpForm::V3In, v2(tunnel_id, 10, 9, 20)));
        let config = &lab.engine.session(lab.find(tunnel_id, 10).unwrap()).unwrap().config;
        assert_eq!((config.pw_type, config.l2spec), (PwType::Ppp, L2specType::None));
        assert!(!config.send_seq && !config.recv_seq && !config.lns_mode && config.cookie.is_empty());
    }
    // Over IP, ids of version 3 are of the whole namespace.
    lab.tunnel(3, 3, 9, Encap::Ip);
    let key = lab.open();
    assert_eq!(lab.connect(key, of_form(Pppol2tpForm::V3In, v2(3, 10, 9, 20))), Err(Errno::EEXIST));
    assert_eq!(lab.connect(key, of_form(Pppol2tpForm::V3In, v2(3, 11, 9, 20))), Ok(()));
}

#[test]
fn each_session_has_a_channel_of_its_own() {
    let mut lab = Lab::default();
    lab.tunnel(2, 1, 2, Encap::Udp);
    let indices: Vec<_> = (10..14)
        .map(|session_id| {
            lab.connected(v2(1, session_id, 2, session_id));
            let channel = lab.sockets.channel(lab.find(1, session_id).unwrap()).unwrap();
            lab.ppp.channel_index(channel).unwrap()
        })
        .collect();
    assert_eq!(indices, [1, 2, 3, 4]);
}

#[test]
fn tunnels_of_users_without_privilege_are_counted_while_they_live() {
    let mut lab = Lab::default();
    let mut next = 1;
    let mut make = |lab: &mut Lab, user, privileged| {
        let (key, owner) = (lab.open(), Caller { user, privileged, ..ROOT });
        next += 1;
        let made = lab.connect_of(owner, key, &v2(next, 0, 2, 0).emit(), Some(Descriptor::Udp4));
        // A tunnel outlives its management socket: the bound on sockets is none on tunnels.
        lab.close(key);
        made.map(|()| next)
    };
    let users = 1..=u32::try_from(UNPRIVILEGED_MAX / USER_MAX).unwrap();
    let mut tunnels = Vec::new();
    for user in users {
        tunnels.extend((0..USER_MAX).map(|_| make(&mut lab, user, false).unwrap()));
        assert_eq!(make(&mut lab, user, false), Err(Errno::EMFILE));
    }
    assert_eq!(make(&mut lab, 1000, false), Err(Errno::ENFILE));
    assert!(make(&mut lab, 0, true).is_ok());
    let (_, on) = lab.on();
    on.engine.delete_tunnel(on.host, tunnels[0]).unwrap();
    assert!(make(&mut lab, 1000, false).is_ok());
    assert_eq!(make(&mut lab, 1000, false), Err(Errno::ENFILE));
    // Who makes none is refused nothing.
    let (key, owner) = (lab.open(), Caller { user: 1000, privileged: false, ..ROOT });
    assert_eq!(lab.connect_of(owner, key, &v2(tunnels[1], 0, 2, 0).emit(), None), Ok(()));
}
