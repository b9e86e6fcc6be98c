//! `connect`.

use crate::lab::{Host, ONE, ip, of_family, scoped, sockets, v4, v6};
use l2tp_abi::Errno;
use l2tp_abi::sockaddr::SockaddrL2tpip;
use l2tp_sockets::l2tpip::Domain::{V4, V6};

#[test]
fn which_addresses() {
    let (ok, inval, unreach) = (Ok(()), Err(Errno::EINVAL), Err(Errno::ENETUNREACH));
    for (address, unbound, bound) in [
        (v4("10.0.0.2", 9), inval, ok),
        (v4("10.0.0.2", 0), inval, ok),
        (v4("10.0.0.2", 9)[..15].to_vec(), inval, inval),
        (vec![], inval, inval),
        (vec![2], inval, inval),
        (v4("224.0.0.9", 9), inval, inval),
        (v4("192.0.2.1", 9), inval, unreach),
        (of_family(10, v4("10.0.0.2", 9)), inval, Err(Errno::EAFNOSUPPORT)),
        // AF_UNSPEC disconnects what was never connected too.
        (of_family(0, v4("10.0.0.2", 9)), ok, ok),
        (vec![0, 0], ok, ok),
    ] {
        let mut sockets = sockets(&[V4]);
        assert_eq!(sockets.connect(ONE, &address, &Host), unbound, "unbound {address:?}");
        sockets.bind(ONE, &v4("0.0.0.0", 1), &Host).unwrap();
        assert_eq!(sockets.connect(ONE, &address, &Host), bound, "bound {address:?}");
    }
    for (address, unbound, bound) in [
        (v6("fd00::2", 9), inval, ok),
        (v6("fd00::2", 9)[..31].to_vec(), inval, inval),
        (v6("ff02::9", 9), inval, inval),
        (v6("::ffff:224.0.0.9", 9), inval, inval),
        (v6("::ffff:10.0.0.2", 9), inval, unreach),
        (v6("2001:db8::1", 9), inval, unreach),
        (of_family(2, v6("fd00::2", 9)), inval, inval),
        (v6("fe80::2", 9), inval, inval),
        (scoped("fe80::2", 2, 9), inval, ok),
        (vec![0, 0], ok, ok),
    ] {
        let mut sockets = sockets(&[V6]);
        assert_eq!(sockets.connect(ONE, &address, &Host), unbound, "unbound {address:?}");
        sockets.bind(ONE, &v6("::", 1), &Host).unwrap();
        assert_eq!(sockets.connect(ONE, &address, &Host), bound, "bound {address:?}");
    }
}

#[test]
fn it_settles_the_local_address_and_may_be_repeated() {
    let mut sockets = sockets(&[V4]);
    sockets.bind(ONE, &v4("0.0.0.0", 1), &Host).unwrap();
    for peer in ["10.0.0.2", "10.0.0.3"] {
        sockets.connect(ONE, &v4(peer, 9), &Host).unwrap();
        let socket = sockets.get(ONE).unwrap();
        assert_eq!((socket.local(), socket.peer()), (ip("10.0.0.1"), Some(ip(peer))));
    }
    // One that fails changes nothing.
    assert_eq!(sockets.connect(ONE, &v4("192.0.2.1", 9), &Host), Err(Errno::ENETUNREACH));
    assert_eq!(sockets.get(ONE).unwrap().peer(), Some(ip("10.0.0.3")));
    sockets.connect(ONE, &v4("0.0.0.0", 9), &Host).unwrap();
    assert_eq!(sockets.get(ONE).unwrap().peer(), Some(ip("127.0.0.1")));
}

#[test]
fn to_nobody_it_forgets_the_local_address_and_keeps_the_id() {
    let mut sockets = sockets(&[V4]);
    sockets.bind(ONE, &v4("10.0.0.9", 42), &Host).unwrap();
    sockets.connect(ONE, &v4("10.0.0.2", 9), &Host).unwrap();
    sockets.connect(ONE, &[0; 16], &Host).unwrap();
    let socket = sockets.get(ONE).unwrap();
    assert_eq!((socket.local(), socket.peer(), socket.conn_id()), (ip("0.0.0.0"), None, Some(42)));
    let name = SockaddrL2tpip::parse(&socket.name()).unwrap();
    assert_eq!((name.address, name.conn_id), ("0.0.0.0".parse().unwrap(), 42));
    assert_eq!(sockets.find(V4, 42, ip("10.0.0.1"), Some(ip("10.0.0.7")), 0), Some(ONE));
    sockets.connect(ONE, &v4("10.0.0.2", 9), &Host).unwrap();
}
