//! Neighbours as the running kernel knows them.

use super::{NeighbourAddress, NeighbourAttribute, NeighbourMessage, NeighbourState, usable};
use crate::rtnl::Rtnl;
use crate::testns::{in_fresh_netns, veth_to_new_netns};
use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use std::net::{IpAddr, UdpSocket};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn what_was_resolved_is_known() {
    in_fresh_netns(|| {
        let far = veth_to_new_netns(1500);
        let mut rtnl = Rtnl::open().unwrap();
        let near = rtnl.index_of("near").unwrap();
        let address = far.within(|| {
            let mut rtnl = Rtnl::open().unwrap();
            let index = rtnl.index_of("far").unwrap();
            rtnl.link(index).unwrap().address
        });
        let address: [u8; 6] = address.unwrap().try_into().unwrap();
        for (local, peer) in [("10.0.0.1:0", "10.0.0.2"), ("[fd00::1]:0", "fd00::2")] {
            assert_eq!(rtnl.neighbour(near, ip(peer)).unwrap(), None, "nobody has asked");
            let receiver = far.within(|| UdpSocket::bind((ip(peer), 0))).unwrap().unwrap();
            UdpSocket::bind(local).unwrap().send_to(b"x", receiver.local_addr().unwrap()).unwrap();
            receiver.recv_from(&mut [0; 8]).unwrap();
            assert_eq!(rtnl.neighbour(near, ip(peer)).unwrap(), Some(address));
        }
        // Being asked: incomplete.
        UdpSocket::bind("10.0.0.1:0").unwrap().send_to(b"x", "10.0.0.77:9").unwrap();
        assert_eq!(rtnl.neighbour(near, ip("10.0.0.77")).unwrap(), None);
        let gone = rtnl.neighbour(4711, ip("10.0.0.2")).unwrap_err();
        assert_eq!(gone.raw_os_error(), Some(libc::ENODEV));
    });
}

#[test]
fn only_usable_states_count() {
    use NeighbourState::{Delay, Failed, Incomplete, Noarp, Permanent, Probe, Reachable, Stale};
    in_fresh_netns(|| {
        let _far = veth_to_new_netns(1500);
        let mut rtnl = Rtnl::open().unwrap();
        let near = rtnl.index_of("near").unwrap();
        for state in [Reachable, Stale, Noarp, Permanent, Failed] {
            let mut entry = NeighbourMessage::default();
            entry.header.family = AddressFamily::Inet;
            entry.header.ifindex = near;
            entry.header.state = state;
            let destination = NeighbourAddress::Inet([10, 0, 0, 9].into());
            entry.attributes.push(NeighbourAttribute::Destination(destination));
            entry.attributes.push(NeighbourAttribute::LinkLayerAddress(vec![2, 0, 0, 0, 0, 9]));
            let request = RouteNetlinkMessage::NewNeighbour(entry);
            rtnl.execute(request, NLM_F_CREATE | NLM_F_REPLACE).unwrap();
            let wanted = usable(state).then_some([2, 0, 0, 0, 0, 9]);
            assert_eq!(rtnl.neighbour(near, ip("10.0.0.9")).unwrap(), wanted, "{state:?}");
        }
        assert!(usable(Delay) && usable(Probe) && usable(Stale) && usable(Permanent));
        assert!(!usable(Incomplete) && !usable(Failed) && !usable(NeighbourState::None));
    });
}

/// A neighbour in use is asked anew when it has not been heard of for a while.
#[test]
fn a_neighbour_in_use_is_made_sure_of() {
    in_fresh_netns(|| {
        let _far = veth_to_new_netns(1500);
        let mut rtnl = Rtnl::open().unwrap();
        let near = rtnl.index_of("near").unwrap();
        let unknown = rtnl.use_neighbour(near, ip("10.0.0.2")).unwrap_err();
        assert_eq!(unknown.raw_os_error(), Some(libc::ENOENT));
        let mut entry = NeighbourMessage::default();
        entry.header.family = AddressFamily::Inet;
        entry.header.ifindex = near;
        entry.header.state = NeighbourState::Stale;
        entry.attributes.push(NeighbourAttribute::Destination(NeighbourAddress::Inet([10, 0, 0, 2].into())));
        // Somebody else's: who asks will be told.
        entry.attributes.push(NeighbourAttribute::LinkLayerAddress(vec![2, 0, 0, 0, 0, 9]));
        rtnl.execute(RouteNetlinkMessage::NewNeighbour(entry), NLM_F_CREATE).unwrap();
        rtnl.use_neighbour(near, ip("10.0.0.2")).unwrap();
        let wrong = || rtnl.neighbour(near, ip("10.0.0.2")).unwrap() == Some([2, 0, 0, 0, 0, 9]);
        let patience = std::time::Instant::now();
        let mut wrong = wrong;
        while wrong() {
            assert!(patience.elapsed().as_secs() < 60, "nobody has asked");
            std::thread::sleep(std::time::Duration::from_millis(100));
        }
    });
}
