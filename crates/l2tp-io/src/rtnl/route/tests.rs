//! Routes as the running kernel finds them.

use super::Route;
use crate::rtnl::Rtnl;
use crate::tap::Tap;
use crate::testns::{in_fresh_netns, in_fresh_netns_with_taps, veth_to_new_netns};
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteMetric, RouteProtocol, RouteScope,
    RouteType, RouteVia,
};
use std::net::IpAddr;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn errno(found: std::io::Result<Route>) -> Option<i32> {
    found.unwrap_err().raw_os_error()
}

/// Adds a route with these attributes to `destination`/`prefix_len`.
fn add(destination: &str, prefix_len: u8, kind: RouteType, attributes: &[RouteAttribute]) {
    let destination = ip(destination);
    let mut route = RouteMessage::default();
    route.header.address_family = super::family(destination);
    route.header.destination_prefix_length = prefix_len;
    route.header.table = RouteHeader::RT_TABLE_MAIN;
    route.header.protocol = RouteProtocol::Static;
    route.header.scope = RouteScope::Universe;
    route.header.kind = kind;
    route.attributes.push(RouteAttribute::Destination(RouteAddress::from(destination)));
    route.attributes.extend_from_slice(attributes);
    let request = RouteNetlinkMessage::NewRoute(route);
    Rtnl::open().unwrap().execute(request, NLM_F_CREATE | NLM_F_EXCL).unwrap();
}

#[test]
fn on_the_link_and_through_gateways() {
    in_fresh_netns(|| {
        let _far = veth_to_new_netns(1500);
        let mut rtnl = Rtnl::open().unwrap();
        let near = rtnl.index_of("near").unwrap();
        let device_address = rtnl.link(near).unwrap().address.try_into().ok();
        rtnl.add_route(ip("192.0.2.0"), 24, ip("10.0.0.2")).unwrap();
        rtnl.add_route(ip("2001:db8::"), 32, ip("fd00::2")).unwrap();
        for (local, peer, next_hop) in [
            ("10.0.0.1", "10.0.0.2", "10.0.0.2"),
            ("10.0.0.1", "192.0.2.7", "10.0.0.2"),
            ("0.0.0.0", "192.0.2.7", "10.0.0.2"),
            ("fd00::1", "fd00::2", "fd00::2"),
            ("fd00::1", "2001:db8::7", "fd00::2"),
            ("::", "2001:db8::7", "fd00::2"),
        ] {
            let want = Route { index: near, next_hop: ip(next_hop), mtu: 1500, device_address };
            assert_eq!(rtnl.route(ip(local), ip(peer)).unwrap(), want, "{peer}");
        }
        assert!(device_address.is_some());
    });
}

#[test]
fn an_ipv4_route_may_have_an_ipv6_gateway() {
    in_fresh_netns(|| {
        let _far = veth_to_new_netns(1500);
        let mut rtnl = Rtnl::open().unwrap();
        let near = rtnl.index_of("near").unwrap();
        let gateway = RouteAttribute::Via(RouteVia::Inet6("fd00::2".parse().unwrap()));
        add("192.0.2.0", 24, RouteType::Unicast, &[gateway, RouteAttribute::Oif(near)]);
        let found = rtnl.route(ip("10.0.0.1"), ip("192.0.2.7")).unwrap();
        assert_eq!((found.index, found.next_hop), (near, ip("fd00::2")));
    });
}

#[test]
fn the_mtu_is_the_smallest_that_is_known() {
    in_fresh_netns(|| {
        let _far = veth_to_new_netns(1400);
        let mut rtnl = Rtnl::open().unwrap();
        let near = rtnl.index_of("near").unwrap();
        let out = RouteAttribute::Oif(near);
        for (destination, prefix_len, mtu) in [
            ("192.0.2.0", 24, 1300),
            ("198.51.100.0", 24, 9000),
            ("2001:db8::", 32, 1290),
            ("2001:db9::", 32, 9000),
        ] {
            let metrics = RouteAttribute::Metrics(vec![RouteMetric::Mtu(mtu)]);
            add(destination, prefix_len, RouteType::Unicast, &[out.clone(), metrics]);
        }
        for (local, peer, mtu) in [
            ("10.0.0.1", "10.0.0.2", 1400),
            ("10.0.0.1", "192.0.2.7", 1300),
            ("10.0.0.1", "198.51.100.7", 1400),
            ("fd00::1", "fd00::2", 1400),
            ("fd00::1", "2001:db8::7", 1290),
            ("fd00::1", "2001:db9::7", 1400),
        ] {
            assert_eq!(rtnl.route(ip(local), ip(peer)).unwrap().mtu, mtu, "{peer}");
        }
        // As a router's advertisement does.
        if std::fs::write("/proc/sys/net/ipv6/conf/near/mtu", "1350").is_ok() {
            assert_eq!(rtnl.route(ip("fd00::1"), ip("fd00::2")).unwrap().mtu, 1350);
            assert_eq!(rtnl.route(ip("10.0.0.1"), ip("10.0.0.2")).unwrap().mtu, 1400);
        }
    });
}

#[test]
fn this_host_is_reached_by_lo() {
    in_fresh_netns(|| {
        let _far = veth_to_new_netns(1500);
        let mut rtnl = Rtnl::open().unwrap();
        let index = rtnl.index_of("lo").unwrap();
        for (local, peer) in
            [("10.0.0.1", "10.0.0.1"), ("127.0.0.1", "127.0.0.2"), ("fd00::1", "fd00::1"), ("::1", "::1")]
        {
            let want = Route { index, next_hop: ip(peer), mtu: 65_536, device_address: None };
            assert_eq!(rtnl.route(ip(local), ip(peer)).unwrap(), want);
        }
    });
}

#[test]
fn devices_without_ethernet_have_no_address() {
    in_fresh_netns_with_taps(|| {
        let ppp = Tap::create_ppp("ppp0", None).unwrap();
        crate::testns::configure("ppp0", 1, 1400);
        let found = Rtnl::open().unwrap().route(ip("10.0.0.1"), ip("10.0.0.2")).unwrap();
        assert_eq!((found.index, found.device_address, found.mtu), (ppp.index(), None, 1400));
    });
}

#[test]
fn no_way_has_its_errno() {
    in_fresh_netns(|| {
        let _far = veth_to_new_netns(1500);
        add("203.0.113.0", 24, RouteType::Unreachable, &[]);
        add("198.51.100.0", 24, RouteType::Prohibit, &[]);
        add("2001:db8::", 32, RouteType::Prohibit, &[]);
        let mut rtnl = Rtnl::open().unwrap();
        for (local, peer, wanted) in [
            ("10.0.0.1", "192.0.2.1", libc::ENETUNREACH),
            ("10.0.0.1", "203.0.113.1", libc::EHOSTUNREACH),
            ("10.0.0.1", "198.51.100.1", libc::EACCES),
            ("10.0.0.99", "10.0.0.2", libc::ENETUNREACH),
            ("10.0.0.1", "fd00::2", libc::EINVAL),
            ("fd00::1", "2001:dead::1", libc::ENETUNREACH),
            ("fd00::1", "2001:db8::1", libc::EACCES),
        ] {
            assert_eq!(errno(rtnl.route(ip(local), ip(peer))), Some(wanted), "{local} {peer}");
        }
        // The socket is in step after every error.
        rtnl.route(ip("10.0.0.1"), ip("10.0.0.2")).unwrap();
    });
}
