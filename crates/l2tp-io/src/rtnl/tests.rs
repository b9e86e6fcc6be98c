//! Requests against the running kernel.

use super::Rtnl;
use crate::netns::NetNs;
use crate::tap::Tap;
use crate::testns::{configure, in_fresh_netns, in_fresh_netns_with_taps, veth_to_new_netns};
use std::net::{IpAddr, UdpSocket};

#[test]
fn errors_carry_the_kernels_errno() {
    in_fresh_netns(|| {
        let mut rtnl = Rtnl::open().unwrap();
        let errno = |result: std::io::Result<()>| result.unwrap_err().raw_os_error().unwrap();
        assert_eq!(rtnl.index_of("nothing").unwrap_err().raw_os_error(), Some(libc::ENODEV));
        assert_eq!(rtnl.link(4711).unwrap_err().raw_os_error(), Some(libc::ENODEV));
        assert_eq!(errno(rtnl.set_mtu(4711, 1500)), libc::ENODEV);
        assert_eq!(errno(rtnl.delete(4711)), libc::ENODEV);
        assert_eq!(errno(rtnl.delete_group(4711)), libc::ENODEV);
        assert_eq!(errno(rtnl.delete_group(0)), libc::EPERM);
        rtnl.create_veth("a", "b", None).unwrap();
        assert_eq!(errno(rtnl.create_veth("a", "c", None)), libc::EEXIST);
        let index = rtnl.index_of("a").unwrap();
        assert_eq!(errno(rtnl.rename(index, "b")), libc::EEXIST);
        assert_eq!(errno(rtnl.add_address(index, IpAddr::from([10, 0, 0, 1]), 33)), libc::EINVAL);
        // The socket is in step after every error.
        assert_eq!(rtnl.link(index).unwrap().name, "a");
    });
}

#[test]
fn what_is_set_is_shown() {
    in_fresh_netns(|| {
        let mut rtnl = Rtnl::open().unwrap();
        rtnl.create_veth("a", "b", None).unwrap();
        let index = rtnl.index_of("a").unwrap();
        assert!(!rtnl.link(index).unwrap().up);
        rtnl.set_up(index, true).unwrap();
        rtnl.set_mtu(index, 1400).unwrap();
        rtnl.set_group(index, 77).unwrap();
        rtnl.rename(index, "renamed").unwrap();
        let link = rtnl.link(index).unwrap();
        assert_eq!((link.name.as_str(), link.mtu, link.group, link.up), ("renamed", 1400, 77, true));
        assert_eq!((link.carrier, link.address.len(), link.master), (false, 6, None));
        rtnl.set_up(index, false).unwrap();
        assert!(!rtnl.link(index).unwrap().up);
        assert!(rtnl.links().unwrap().iter().any(|link| link.index == index && link.name == "renamed"));
    });
}

#[test]
fn a_bridge_takes_and_leaves_ports() {
    in_fresh_netns_with_taps(|| {
        let mut rtnl = Rtnl::open().unwrap();
        rtnl.create_bridge("br").unwrap();
        let bridge = rtnl.index_of("br").unwrap();
        let port = Tap::create("port").unwrap().index();
        assert!(rtnl.link(port).is_err(), "a TAP without its owner is gone");
        let tap = Tap::create("port").unwrap();
        rtnl.set_master(tap.index(), Some(bridge)).unwrap();
        assert_eq!(rtnl.link(tap.index()).unwrap().master, Some(bridge));
        rtnl.set_master(tap.index(), None).unwrap();
        assert_eq!(rtnl.link(tap.index()).unwrap().master, None);
    });
}

#[test]
fn a_group_is_deleted_at_once() {
    in_fresh_netns_with_taps(|| {
        let mut rtnl = Rtnl::open().unwrap();
        let taps: Vec<_> = (0..20).map(|_| Tap::create("t%d").unwrap()).collect();
        for tap in taps.iter().skip(1) {
            rtnl.set_group(tap.index(), 9).unwrap();
        }
        rtnl.delete_group(9).unwrap();
        let names: Vec<_> = rtnl.links().unwrap().into_iter().map(|link| link.name).collect();
        assert!(names.contains(&"t0".to_owned()) && !names.contains(&"t1".to_owned()), "{names:?}");
        assert_eq!(taps[5].current_name().unwrap_err().raw_os_error(), Some(libc::EBADFD));
        assert_eq!(rtnl.delete_group(9).unwrap_err().raw_os_error(), Some(libc::ENODEV));
    });
}

#[test]
fn a_pair_across_namespaces_carries_both_families() {
    in_fresh_netns(|| {
        let far = veth_to_new_netns(1500);
        for (here, there) in [("10.0.0.1:0", "10.0.0.2:0"), ("[fd00::1]:0", "[fd00::2]:0")] {
            let receiver = far.within(|| UdpSocket::bind(there)).unwrap().unwrap();
            let sender = UdpSocket::bind(here).unwrap();
            sender.send_to(b"hello", receiver.local_addr().unwrap()).unwrap();
            let mut buffer = [0; 16];
            let (size, from) = receiver.recv_from(&mut buffer).unwrap();
            assert_eq!((&buffer[..size], from), (&b"hello"[..], sender.local_addr().unwrap()));
        }
    });
}

#[test]
fn routes_lead_through_gateways() {
    in_fresh_netns(|| {
        let _far = veth_to_new_netns(1500);
        let mut rtnl = Rtnl::open().unwrap();
        let unreachable = UdpSocket::bind("0.0.0.0:0").unwrap().connect("192.0.2.1:9").unwrap_err();
        assert_eq!(unreachable.raw_os_error(), Some(libc::ENETUNREACH));
        rtnl.add_route(IpAddr::from([192, 0, 2, 0]), 24, IpAddr::from([10, 0, 0, 2])).unwrap();
        UdpSocket::bind("0.0.0.0:0").unwrap().connect("192.0.2.1:9").unwrap();
        rtnl.add_route(IpAddr::from([0; 16]), 0, IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, 2])).unwrap();
        UdpSocket::bind("[::]:0").unwrap().connect("[2001:db8::1]:9").unwrap();
        let nowhere = rtnl.add_route(IpAddr::from([0; 4]), 0, IpAddr::from([198, 51, 100, 1])).unwrap_err();
        assert_eq!(nowhere.raw_os_error(), Some(libc::ENETUNREACH));
    });
}

#[test]
fn a_device_moves_and_is_found_there() {
    in_fresh_netns_with_taps(|| {
        let home = NetNs::current().unwrap();
        let away = std::thread::scope(|scope| scope.spawn(|| NetNs::unshare().unwrap()).join().unwrap());
        let tap = Tap::create("wanderer").unwrap();
        let mut rtnl = Rtnl::open().unwrap();
        rtnl.set_up(tap.index(), true).unwrap();
        rtnl.move_to(tap.index(), &away).unwrap();
        assert!(rtnl.index_of("wanderer").is_err());
        assert!(tap.netns().unwrap().same_as(&away).unwrap());
        assert!(!tap.netns().unwrap().same_as(&home).unwrap());
        away.within(|| configure("wanderer", 7, 1300)).unwrap();
        // From home, and under its new name.
        let rename = || {
            let mut rtnl = Rtnl::open().unwrap();
            let index = rtnl.index_of("wanderer").unwrap();
            rtnl.set_up(index, false).unwrap();
            rtnl.rename(index, "settled").unwrap();
            index
        };
        let index = away.within(rename).unwrap();
        tap.set_mtu(1234).unwrap();
        let mtu = away.within(|| Rtnl::open().unwrap().link(index).unwrap().mtu).unwrap();
        assert_eq!(mtu, 1234);
        assert_eq!((tap.name(), tap.current_name().unwrap().as_str()), ("wanderer", "settled"));
    });
}

/// Not every kernel has it.
#[test]
fn a_vxlan_device_is_made_over_another() {
    in_fresh_netns(|| {
        let mut rtnl = Rtnl::open().unwrap();
        rtnl.create_veth("a", "b", None).unwrap();
        let underlay = rtnl.index_of("a").unwrap();
        rtnl.set_up(underlay, true).unwrap();
        let [local, peer] = [1, 2].map(|host| IpAddr::from([192, 0, 2, host]));
        match rtnl.create_vxlan("vx", 7, underlay, local, peer) {
            Ok(()) => {
                let index = rtnl.index_of("vx").unwrap();
                // 20 + 8 + 8 + 14 bytes are its headers.
                assert_eq!(rtnl.link(index).unwrap().mtu, 1450);
            }
            Err(error) => assert_eq!(error.raw_os_error(), Some(libc::EOPNOTSUPP)),
        }
    });
}
