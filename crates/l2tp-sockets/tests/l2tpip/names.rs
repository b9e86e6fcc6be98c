//! `getsockname` and `getpeername`.

use crate::lab::{Host, ONE, scoped, sockets, v4, v6};
use l2tp_abi::Errno;
use l2tp_abi::sockaddr::SockaddrL2tpip6;
use l2tp_sockets::l2tpip::Domain::{V4, V6};

#[test]
fn over_ipv4_the_peer_has_no_name() {
    let mut sockets = sockets(&[V4]);
    assert_eq!(sockets.get(ONE).unwrap().name(), v4("0.0.0.0", 0));
    assert_eq!(sockets.get(ONE).unwrap().peer_name(), Err(Errno::ENOTCONN));
    sockets.bind(ONE, &v4("0.0.0.0", 42), &Host).unwrap();
    assert_eq!(sockets.get(ONE).unwrap().name(), v4("0.0.0.0", 42));
    sockets.connect(ONE, &v4("10.0.0.2", 9), &Host).unwrap();
    assert_eq!(sockets.get(ONE).unwrap().name(), v4("10.0.0.1", 42));
    assert_eq!(sockets.get(ONE).unwrap().peer_name(), Err(Errno::ENOTCONN));
}

#[test]
fn over_ipv6_it_has_one_with_a_connection_id() {
    let mut sockets = sockets(&[V6]);
    assert_eq!(sockets.get(ONE).unwrap().name(), v6("::", 0));
    assert_eq!(sockets.get(ONE).unwrap().peer_name(), Err(Errno::ENOTCONN));
    sockets.bind(ONE, &v6("fd00::1", 42), &Host).unwrap();
    sockets.connect(ONE, &v6("fd00::2", 0), &Host).unwrap();
    assert_eq!(sockets.get(ONE).unwrap().peer_name(), Err(Errno::ENOTCONN));
    let peer = SockaddrL2tpip6 {
        flowinfo: [0, 1, 2, 3],
        address: "fd00::2".parse().unwrap(),
        scope_id: 0,
        conn_id: 9,
    };
    sockets.connect(ONE, &peer.emit(), &Host).unwrap();
    assert_eq!(sockets.get(ONE).unwrap().name(), v6("fd00::1", 42));
    assert_eq!(sockets.get(ONE).unwrap().peer_name(), Ok(peer.emit()));
}

#[test]
fn a_link_local_name_has_its_interface() {
    let mut sockets = sockets(&[V6]);
    sockets.bind(ONE, &scoped("fe80::1", 2, 42), &Host).unwrap();
    sockets.connect(ONE, &v6("fe80::2", 9), &Host).unwrap();
    assert_eq!(sockets.get(ONE).unwrap().name(), scoped("fe80::1", 2, 42));
    assert_eq!(sockets.get(ONE).unwrap().peer_name(), Ok(scoped("fe80::2", 2, 9)));
}
