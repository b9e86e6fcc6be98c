//! `bind`.

use crate::lab::{Host, ONE, of_family, scoped, sockets, v4, v6};
use l2tp_abi::Errno;
use l2tp_sockets::l2tpip::Domain::{self, V4, V6};

fn bind(domain: Domain, address: &[u8]) -> Result<(), Errno> {
    sockets(&[domain]).bind(ONE, address, &Host)
}

#[test]
fn which_addresses() {
    let (ok, inval, notavail) = (Ok(()), Err(Errno::EINVAL), Err(Errno::EADDRNOTAVAIL));
    for (domain, address, want) in [
        (V4, v4("10.0.0.1", 1), ok),
        (V4, v4("0.0.0.0", 1), ok),
        (V4, v4("10.0.0.1", 0), ok),
        (V4, v4("224.0.0.9", 1), ok),
        (V4, v4("255.255.255.255", 1), ok),
        (V4, v4("10.0.0.2", 1), notavail),
        (V4, v4("10.0.0.1", 1)[..15].to_vec(), inval),
        (V4, vec![], inval),
        (V4, [v4("10.0.0.1", 1), vec![0; 9]].concat(), ok),
        (V4, of_family(0, v4("10.0.0.1", 1)), inval),
        (V4, of_family(10, v4("10.0.0.1", 1)), inval),
        (V4, v6("fd00::1", 1), inval),
        (V6, v6("fd00::1", 1), ok),
        (V6, v6("::", 1), ok),
        (V6, v6("fd00::2", 1), notavail),
        (V6, v6("ff02::9", 1), notavail),
        (V6, v6("::ffff:10.0.0.1", 1), notavail),
        (V6, v6("fd00::1", 1)[..31].to_vec(), inval),
        (V6, of_family(0, v6("fd00::1", 1)), inval),
        (V6, of_family(2, v6("fd00::1", 1)), inval),
        (V6, v6("fe80::1", 1), inval),
        (V6, scoped("fe80::1", 9, 1), Err(Errno::ENODEV)),
        (V6, scoped("fe80::1", 2, 1), ok),
        // The scope id of another address means nothing.
        (V6, scoped("fd00::1", 9, 1), ok),
    ] {
        assert_eq!(bind(domain, &address), want, "{domain:?} {address:?}");
    }
    assert_eq!(sockets(&[]).bind(ONE, &v4("0.0.0.0", 1), &Host), Err(Errno::EBADF));
}

#[test]
fn once_only() {
    let mut sockets = sockets(&[V4, V6]);
    for (number, address) in [(1, v4("0.0.0.0", 1)), (2, v6("::", 1))] {
        assert_eq!(sockets.bind(number, &address, &Host), Ok(()));
        assert_eq!(sockets.bind(number, &address, &Host), Err(Errno::EINVAL));
    }
    // Nor after it was disconnected.
    assert_eq!(sockets.connect(1, &v4("10.0.0.2", 2), &Host), Ok(()));
    assert_eq!(sockets.bind(1, &v4("0.0.0.0", 9), &Host), Err(Errno::EINVAL));
    assert_eq!(sockets.connect(1, &[0; 16], &Host), Ok(()));
    assert_eq!(sockets.bind(1, &v4("0.0.0.0", 9), &Host), Err(Errno::EINVAL));
    // An address that is never one comes before the state.
    assert_eq!(sockets.bind(2, &v6("ff02::9", 9), &Host), Err(Errno::EADDRNOTAVAIL));
    assert_eq!(sockets.bind(1, &v4("10.0.0.2", 9), &Host), Err(Errno::EINVAL));
}

#[test]
fn which_are_taken() {
    let (ok, inuse) = (Ok(()), Err(Errno::EADDRINUSE));
    for (first, second, want) in [
        (v4("0.0.0.0", 1), v4("0.0.0.0", 1), inuse),
        (v4("0.0.0.0", 1), v4("10.0.0.1", 1), inuse),
        (v4("10.0.0.1", 1), v4("0.0.0.0", 1), inuse),
        (v4("10.0.0.1", 1), v4("10.0.0.1", 1), inuse),
        (v4("10.0.0.1", 1), v4("10.0.0.9", 1), ok),
        (v4("0.0.0.0", 1), v4("0.0.0.0", 2), ok),
        (v4("0.0.0.0", 0), v4("0.0.0.0", 0), inuse),
        (v6("::", 1), v6("fd00::1", 1), inuse),
        (v6("fd00::1", 1), v6("::1", 1), ok),
        // The families have nothing to do with each other.
        (v6("::", 1), v4("0.0.0.0", 1), ok),
        // A refused bind takes nothing.
        (v4("10.0.0.2", 1), v4("0.0.0.0", 1), ok),
    ] {
        let domain = |address: &[u8]| if address.len() == 16 { V4 } else { V6 };
        let mut sockets = sockets(&[domain(&first), domain(&second)]);
        let _ = sockets.bind(1, &first, &Host);
        assert_eq!(sockets.bind(2, &second, &Host), want, "{first:?} {second:?}");
    }
}

#[test]
fn a_connected_socket_takes_its_id_too_and_a_closed_one_none() {
    let mut sockets = sockets(&[V4, V4]);
    sockets.bind(1, &v4("10.0.0.1", 1), &Host).unwrap();
    sockets.connect(1, &v4("10.0.0.2", 5), &Host).unwrap();
    assert_eq!(sockets.bind(2, &v4("0.0.0.0", 1), &Host), Err(Errno::EADDRINUSE));
    assert!(sockets.close(1).is_some());
    assert_eq!(sockets.bind(2, &v4("0.0.0.0", 1), &Host), Ok(()));
    assert!(sockets.close(1).is_none());
    assert_eq!(sockets.len(), 1);
}
