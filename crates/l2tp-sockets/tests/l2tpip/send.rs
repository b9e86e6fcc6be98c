//! Where a message goes.

use crate::lab::{Host, ONE, ip, of_family, scoped, sockets, v4, v6};
use l2tp_abi::Errno;
use l2tp_abi::sockopt::{IP_MTU_DISCOVER, IP_TOS, IP_TTL, SOL_IP};
use l2tp_sockets::l2tpip::Domain::{V4, V6};
use l2tp_sockets::l2tpip::Sockets;
use std::net::IpAddr;

fn to(sockets: &Sockets, address: &[u8]) -> Result<(IpAddr, u32), Errno> {
    let route = sockets.get(ONE).unwrap().route(Some(address))?;
    Ok((route.destination, route.scope_id))
}

#[test]
fn with_an_address() {
    let inval = Err(Errno::EINVAL);
    let socket = sockets(&[V4]);
    for (address, want) in [
        // Unbound, and whatever the connection id.
        (v4("10.0.0.2", 9), Ok(("10.0.0.2", 0))),
        (of_family(0, v4("10.0.0.2", 9)), Ok(("10.0.0.2", 0))),
        (of_family(10, v4("10.0.0.2", 9)), Err(Errno::EAFNOSUPPORT)),
        (v4("10.0.0.2", 9)[..15].to_vec(), inval),
        (vec![], inval),
    ] {
        assert_eq!(to(&socket, &address), want.map(|(address, scope)| (ip(address), scope)), "{address:?}");
    }
    let socket = sockets(&[V6]);
    for (address, want) in [
        (v6("fd00::2", 9), Ok(("fd00::2", 0))),
        (v6("fd00::2", 9)[..24].to_vec(), Ok(("fd00::2", 0))),
        (v6("fd00::2", 9)[..23].to_vec(), inval),
        (of_family(0, v6("fd00::2", 9)), Ok(("fd00::2", 0))),
        (of_family(2, v6("fd00::2", 9)), Err(Errno::EAFNOSUPPORT)),
        (scoped("fe80::2", 2, 9), Ok(("fe80::2", 2))),
        (scoped("fd00::2", 2, 9), Ok(("fd00::2", 0))),
        (v6("::", 9), Ok(("::1", 0))),
    ] {
        assert_eq!(to(&socket, &address), want.map(|(address, scope)| (ip(address), scope)), "{address:?}");
    }
}

#[test]
fn without_one_to_the_peer() {
    let mut sockets = sockets(&[V4]);
    let route = |sockets: &Sockets| sockets.get(ONE).unwrap().route(None);
    assert_eq!(route(&sockets), Err(Errno::EDESTADDRREQ));
    sockets.bind(ONE, &v4("10.0.0.9", 1), &Host).unwrap();
    assert_eq!(route(&sockets), Err(Errno::EDESTADDRREQ));
    sockets.connect(ONE, &v4("10.0.0.2", 9), &Host).unwrap();
    let to_peer = route(&sockets).unwrap();
    assert_eq!((to_peer.source, to_peer.destination), (ip("10.0.0.9"), ip("10.0.0.2")));
    // Another address may still be given.
    assert_eq!(to(&sockets, &v4("10.0.0.3", 9)), Ok((ip("10.0.0.3"), 0)));
    sockets.connect(ONE, &[0, 0], &Host).unwrap();
    assert_eq!(route(&sockets), Err(Errno::EDESTADDRREQ));
    let other = sockets.get(ONE).unwrap().route_to(Some((ip("fd00::2"), 0)));
    assert_eq!(other, Err(Errno::EAFNOSUPPORT));
}

#[test]
fn from_no_group() {
    for group in ["224.0.0.9", "255.255.255.255"] {
        let mut sockets = sockets(&[V4]);
        sockets.bind(ONE, &v4(group, 1), &Host).unwrap();
        let route = sockets.get(ONE).unwrap().route(Some(&v4("10.0.0.2", 9))).unwrap();
        assert_eq!(route.source, ip("0.0.0.0"));
    }
}

#[test]
fn by_its_options() {
    let mut sockets = sockets(&[V4]);
    let default = sockets.get(ONE).unwrap().route(Some(&v4("10.0.0.2", 9))).unwrap();
    assert_eq!((default.tos, default.ttl, default.whole), (0, None, true));
    let socket = sockets.get_mut(ONE).unwrap();
    for (option, value) in [(IP_TOS, 0xb8), (IP_TTL, 5), (IP_MTU_DISCOVER, 0_i32)] {
        socket.set_option(SOL_IP, option, &value.to_ne_bytes()).unwrap();
        assert_eq!(socket.option(SOL_IP, option).unwrap(), value.to_ne_bytes());
    }
    let set = sockets.get(ONE).unwrap().route(Some(&v4("10.0.0.2", 9))).unwrap();
    assert_eq!((set.tos, set.ttl, set.whole), (0xb8, Some(5), false));
}

#[test]
fn over_ipv4_what_has_no_route_has_no_host() {
    let v4_route = sockets(&[V4]).get(ONE).unwrap().route(Some(&v4("10.0.0.2", 9))).unwrap();
    let v6_route = sockets(&[V6]).get(ONE).unwrap().route(Some(&v6("fd00::2", 9))).unwrap();
    assert_eq!(v4_route.refusal(Errno::ENETUNREACH), Errno::EHOSTUNREACH);
    assert_eq!(v6_route.refusal(Errno::ENETUNREACH), Errno::ENETUNREACH);
    assert_eq!(v4_route.refusal(Errno::EMSGSIZE), Errno::EMSGSIZE);
}
