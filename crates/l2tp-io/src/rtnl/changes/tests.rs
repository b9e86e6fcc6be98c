//! What the running kernel tells.

use super::{Changes, DATAGRAMS_AT_ONCE, Seen};
use crate::netns::NetNs;
use crate::rtnl::Rtnl;
use crate::sockopt;
use crate::testns::{in_fresh_netns, veth_to_new_netns};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::net::{IpAddr, UdpSocket};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn readable(changes: &Changes) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::new(changes, PollFlags::IN)], Some(&now)).unwrap() > 0
}

/// Changes of a namespace in which nothing happens by itself any more.
fn quiet() -> Changes {
    let mut changes = Changes::open().unwrap();
    for _ in 0..1000 {
        std::thread::sleep(std::time::Duration::from_millis(5));
        if changes.take().unwrap() == Seen::default() {
            break;
        }
    }
    changes
}

/// Whether what is `wanted` is told within five seconds.
fn told(changes: &mut Changes, wanted: impl Fn(&Seen) -> bool) -> bool {
    let second = Timespec { tv_sec: 1, tv_nsec: 0 };
    (0..5).any(|_| {
        poll(&mut [PollFd::new(changes, PollFlags::IN)], Some(&second)).unwrap();
        wanted(&changes.take().unwrap())
    })
}

#[test]
fn links_come_change_and_go() {
    in_fresh_netns(|| {
        let mut changes = quiet();
        let mut rtnl = Rtnl::open().unwrap();
        assert!(!readable(&changes));
        rtnl.create_bridge("br").unwrap();
        let index = rtnl.index_of("br").unwrap();
        assert!(readable(&changes));
        let seen = changes.take().unwrap();
        assert!(seen.links.contains(&index) && seen.gone.is_empty() && !seen.overrun, "{seen:?}");
        rtnl.set_mtu(index, 1300).unwrap();
        assert!(changes.take().unwrap().links.contains(&index));
        assert_eq!(changes.take().unwrap(), Seen::default(), "each is told once");
        rtnl.delete(index).unwrap();
        assert!(changes.take().unwrap().gone.contains(&index));
    });
}

#[test]
fn a_device_that_moves_away_is_gone_and_a_port_that_leaves_its_bridge_is_not() {
    in_fresh_netns(|| {
        let mut rtnl = Rtnl::open().unwrap();
        rtnl.create_veth("a", "b", None).unwrap();
        rtnl.create_bridge("br").unwrap();
        let [a, bridge] = ["a", "br"].map(|name| rtnl.index_of(name).unwrap());
        rtnl.set_master(a, Some(bridge)).unwrap();
        let mut changes = quiet();
        rtnl.set_master(a, None).unwrap();
        let seen = changes.take().unwrap();
        assert!(seen.links.contains(&a) && seen.gone.is_empty(), "{seen:?}");
        let elsewhere = std::thread::scope(|scope| scope.spawn(|| NetNs::unshare().unwrap()).join().unwrap());
        rtnl.move_to(a, &elsewhere).unwrap();
        assert!(changes.take().unwrap().gone.contains(&a));
    });
}

#[test]
fn addresses_and_routes_of_both_families_are_routes() {
    in_fresh_netns(|| {
        let _far = veth_to_new_netns(1500);
        let mut rtnl = Rtnl::open().unwrap();
        let near = rtnl.index_of("near").unwrap();
        let mut changes = quiet();
        for address in ["10.0.0.9", "fd00::9"] {
            rtnl.add_address(near, ip(address), if ip(address).is_ipv4() { 24 } else { 64 }).unwrap();
            // IPv6 tells of an address when a kernel thread has made it usable.
            assert!(told(&mut changes, |seen| seen.routes), "{address}");
        }
        for (destination, gateway) in [("192.0.2.0", "10.0.0.2"), ("2001:db8::", "fd00::2")] {
            changes = quiet();
            rtnl.add_route(ip(destination), 24, ip(gateway)).unwrap();
            let seen = changes.take().unwrap();
            assert!(seen.routes && seen.links.is_empty() && seen.gone.is_empty(), "{destination}: {seen:?}");
        }
        rtnl.set_up(near, false).unwrap();
        assert!(changes.take().unwrap().links.contains(&near), "IPv4's routes go without a word");
    });
}

/// Thousands are brought up at once, and what each then has for itself leads nowhere else.
#[test]
fn what_a_device_has_for_itself_in_ipv6_is_no_route() {
    in_fresh_netns(|| {
        let mut rtnl = Rtnl::open().unwrap();
        rtnl.create_veth("a", "b", None).unwrap();
        let [a, b] = ["a", "b"].map(|name| rtnl.index_of(name).unwrap());
        let mut changes = quiet();
        rtnl.set_up(a, true).unwrap();
        rtnl.set_up(b, true).unwrap();
        // Flags 80: no longer in question (/proc/net/if_inet6).
        let addresses = || std::fs::read_to_string("/proc/thread-self/net/if_inet6").unwrap();
        let is_there = || addresses().lines().filter(|line| line.contains(" 20 80 ")).count() == 2;
        assert!((0..1000).any(|_| {
            std::thread::sleep(std::time::Duration::from_millis(10));
            is_there()
        }));
        let seen = changes.take().unwrap();
        assert!(seen.links.contains(&a) && seen.links.contains(&b) && !seen.routes, "{seen:?}");
    });
}

#[test]
fn neighbours_of_both_families_are_named() {
    in_fresh_netns(|| {
        let far = veth_to_new_netns(1500);
        let near = Rtnl::open().unwrap().index_of("near").unwrap();
        let mut changes = quiet();
        for (local, peer) in [("10.0.0.1:0", "10.0.0.2"), ("[fd00::1]:0", "fd00::2")] {
            let receiver = far.within(|| UdpSocket::bind((ip(peer), 0))).unwrap().unwrap();
            UdpSocket::bind(local).unwrap().send_to(b"x", receiver.local_addr().unwrap()).unwrap();
            receiver.recv_from(&mut [0; 8]).unwrap();
            let seen = changes.take().unwrap();
            assert!(seen.neighbours.contains(&(near, ip(peer))), "{peer}: {seen:?}");
        }
    });
}

#[test]
fn what_was_lost_is_said_and_what_is_taken_is_bounded() {
    in_fresh_netns(|| {
        let mut rtnl = Rtnl::open().unwrap();
        rtnl.create_bridge("br").unwrap();
        let index = rtnl.index_of("br").unwrap();
        let mut small = Changes::open().unwrap();
        sockopt::set(&small.socket, libc::SOL_SOCKET, libc::SO_RCVBUF, 8192).unwrap();
        let mut large = Changes::open().unwrap();
        for number in 0..2 * u32::try_from(DATAGRAMS_AT_ONCE).unwrap() {
            rtnl.set_group(index, number % 7 + 1).unwrap();
            rtnl.set_mtu(index, 1300 + number % 2).unwrap();
        }
        let seen = small.take().unwrap();
        assert!(seen.overrun && !readable(&small), "{seen:?}");
        assert!(!small.take().unwrap().overrun, "it is said once");
        let seen = large.take().unwrap();
        assert!(seen.links.contains(&index));
        assert!(readable(&large) || seen.overrun, "the rest stays");
    });
}

#[test]
fn garbage_changes_everything_or_nothing() {
    for length in 0..40 {
        let mut seen = Seen::default();
        seen.note_datagram(&vec![0xff; length]);
        seen.note_datagram(&vec![0; length]);
        assert_eq!(seen, Seen::default(), "{length}");
    }
    for kind in [super::RTM_NEWLINK, super::RTM_DELLINK, super::RTM_NEWNEIGH, super::RTM_DELNEIGH] {
        let mut seen = Seen::default();
        seen.note(kind, &[0; 4]);
        assert!(seen.overrun, "{kind}");
    }
}
