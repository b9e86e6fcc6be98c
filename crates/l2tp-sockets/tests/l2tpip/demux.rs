//! Whose a control message is.

use crate::lab::{Host, ip, scoped, sockets, v4, v6};
use l2tp_sockets::l2tpip::Domain::{V4, V6};
use l2tp_sockets::l2tpip::Sockets;

fn find(sockets: &Sockets, conn_id: u32, local: &str, remote: &str) -> Option<u64> {
    let domain = if ip(local).is_ipv4() { V4 } else { V6 };
    sockets.find(domain, conn_id, ip(local), Some(ip(remote)), 0)
}

#[test]
fn by_id_and_addresses() {
    let mut sockets = sockets(&[V4, V4, V4]);
    assert_eq!(find(&sockets, 0, "10.0.0.1", "10.0.0.2"), None, "nobody is bound");
    sockets.bind(1, &v4("0.0.0.0", 0), &Host).unwrap();
    sockets.bind(2, &v4("10.0.0.1", 5), &Host).unwrap();
    sockets.bind(3, &v4("10.0.0.9", 5), &Host).unwrap();
    assert_eq!(find(&sockets, 0, "10.0.0.1", "10.0.0.2"), Some(1), "the listener");
    assert_eq!(find(&sockets, 5, "10.0.0.1", "10.0.0.2"), Some(2));
    assert_eq!(find(&sockets, 5, "10.0.0.9", "10.0.0.2"), Some(3));
    assert_eq!(find(&sockets, 5, "127.0.0.1", "10.0.0.2"), None);
    assert_eq!(find(&sockets, 6, "10.0.0.1", "10.0.0.2"), None);
    assert_eq!(find(&sockets, 5, "fd00::1", "fd00::2"), None);
    sockets.connect(2, &v4("10.0.0.2", 77), &Host).unwrap();
    assert_eq!(find(&sockets, 5, "10.0.0.1", "10.0.0.2"), Some(2));
    assert_eq!(find(&sockets, 5, "10.0.0.1", "10.0.0.3"), None, "not its peer");
    sockets.close(2);
    assert_eq!(find(&sockets, 5, "10.0.0.1", "10.0.0.2"), None);
}

#[test]
fn the_last_that_connected_is_asked_first() {
    let mut sockets = sockets(&[V4, V4]);
    sockets.bind(1, &v4("10.0.0.1", 5), &Host).unwrap();
    sockets.bind(2, &v4("10.0.0.9", 5), &Host).unwrap();
    // After a disconnect both have any address.
    for number in [1, 2] {
        sockets.connect(number, &v4("10.0.0.2", 1), &Host).unwrap();
        sockets.connect(number, &[0; 16], &Host).unwrap();
    }
    assert_eq!(find(&sockets, 5, "10.0.0.1", "10.0.0.2"), Some(2));
    sockets.connect(1, &v4("10.0.0.2", 1), &Host).unwrap();
    assert_eq!(find(&sockets, 5, "10.0.0.1", "10.0.0.2"), Some(1));
    assert_eq!(find(&sockets, 5, "10.0.0.1", "10.0.0.3"), Some(2));
    sockets.connect(2, &v4("10.0.0.2", 1), &Host).unwrap();
    assert_eq!(find(&sockets, 5, "10.0.0.1", "10.0.0.2"), Some(2));
}

#[test]
fn by_interface_where_one_is_known() {
    let mut sockets = sockets(&[V6, V6]);
    sockets.bind(1, &scoped("fe80::1", 2, 5), &Host).unwrap();
    sockets.bind(2, &v6("fd00::1", 5), &Host).unwrap();
    let find = |device| sockets.find(V6, 5, ip("fe80::1"), Some(ip("fe80::2")), device);
    assert_eq!((find(2), find(3), find(0)), (Some(1), None, Some(1)));
}
