//! Macvlans above TAPs, on the running kernel.

use super::{LOWER_MTU, MTU_WITHOUT_IPV6, VACANT, passthru};
use crate::netns::NetNs;
use crate::rtnl::{Changes, Rtnl};
use crate::tap::{READ_BYTES, Tap, VNET_HEADER_BYTES};
use crate::testns::in_fresh_netns_with_taps;
use netlink_packet_core::{DefaultNla, NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::{InfoData, InfoMacVlan, LinkAttribute, LinkInfo, LinkMessage, MacVlanMode};
use std::io::IoSlice;
use std::net::IpAddr;
use std::time::{Duration, Instant};

const OURS: [u8; 6] = [2, 0, 0, 0, 0, 1];
const PEERS: [u8; 6] = [2, 0, 0, 0, 0, 2];

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// A lower and its macvlan "user", which is down.
fn pair() -> (Tap, u32) {
    let lower = Tap::create("lower").unwrap();
    let mut rtnl = Rtnl::open().unwrap();
    rtnl.prepare_lower(lower.index()).unwrap();
    let user = rtnl.create_macvlan("user", lower.index(), OURS).unwrap();
    (lower, user)
}

fn new_netns() -> NetNs {
    std::thread::scope(|scope| scope.spawn(|| NetNs::unshare().unwrap()).join().unwrap())
}

/// The frames that leave through a lower until `patience` ends.
fn sent(lower: &Tap, patience: Duration) -> Vec<Vec<u8>> {
    let end = Instant::now() + patience;
    let mut frames = Vec::new();
    let mut buffer = vec![0; READ_BYTES];
    while Instant::now() < end {
        match lower.read(&mut buffer) {
            Ok(size) => frames.push(buffer[VNET_HEADER_BYTES..size].to_vec()),
            Err(_) => std::thread::sleep(Duration::from_millis(5)),
        }
    }
    frames
}

/// Gives a frame to the lower as if a peer had sent it.
fn receive(lower: &Tap, frame: &[u8]) {
    lower.write(&[IoSlice::new(&[0; VNET_HEADER_BYTES]), IoSlice::new(frame)]).unwrap();
}

fn raw(index: u32) -> LinkMessage {
    let mut found = None;
    let request = RouteNetlinkMessage::GetLink(super::message(index));
    Rtnl::open()
        .unwrap()
        .exchange(request, netlink_packet_core::NLM_F_ACK, |answer| found = Some(answer))
        .unwrap();
    match found {
        Some(RouteNetlinkMessage::NewLink(link)) => link,
        other => panic!("{other:?}"),
    }
}

fn macvlan_settings(index: u32) -> Vec<InfoMacVlan> {
    let infos = raw(index).attributes.into_iter().find_map(|attribute| match attribute {
        LinkAttribute::LinkInfo(infos) => Some(infos),
        _ => None,
    });
    let data = infos.unwrap().into_iter().find_map(|info| match info {
        LinkInfo::Data(InfoData::MacVlan(data)) => Some(data),
        _ => None,
    });
    data.unwrap()
}

fn packets_sent(index: u32) -> usize {
    let packets = raw(index).attributes.into_iter().find_map(|attribute| match attribute {
        LinkAttribute::Stats64(stats) => Some(stats.tx_packets),
        _ => None,
    });
    packets.unwrap().try_into().unwrap()
}

fn ipv6_addresses(index: u32) -> Vec<IpAddr> {
    let mut found = Vec::new();
    let request = RouteNetlinkMessage::GetAddress(AddressMessage::default());
    Rtnl::open()
        .unwrap()
        .dump(request, |answer| {
            if let RouteNetlinkMessage::NewAddress(answer) = answer
                && answer.header.index == index
            {
                found.extend(answer.attributes.into_iter().filter_map(|attribute| match attribute {
                    AddressAttribute::Address(address) if address.is_ipv6() => Some(address),
                    _ => None,
                }));
            }
        })
        .unwrap();
    found
}

#[test]
fn a_macvlan_has_its_name_address_and_mode() {
    in_fresh_netns_with_taps(|| {
        let mut rtnl = Rtnl::open().unwrap();
        let taps = [Tap::create("t%d").unwrap(), Tap::create("t%d").unwrap()];
        let random = rtnl.link(taps[0].index()).unwrap().address;
        let address = rtnl.prepare_lower(taps[0].index()).unwrap();
        assert_eq!(address.as_slice(), random);
        rtnl.prepare_lower(taps[1].index()).unwrap();
        let first = rtnl.create_macvlan("l2tpeth%d", taps[0].index(), address).unwrap();
        let second = rtnl.create_macvlan("l2tpeth%d", taps[1].index(), OURS).unwrap();
        for (index, name, address, lower) in
            [(first, "l2tpeth0", address, &taps[0]), (second, "l2tpeth1", OURS, &taps[1])]
        {
            let link = rtnl.link(index).unwrap();
            assert_eq!((link.name.as_str(), link.up, link.mtu), (name, false, LOWER_MTU));
            assert_eq!(link.address, address);
            assert_eq!(rtnl.link(lower.index()).unwrap().address, address);
            assert_eq!(rtnl.macvlan_above(lower.index()).unwrap(), index, "without an echo");
            let settings = macvlan_settings(index);
            assert!(settings.contains(&InfoMacVlan::Mode(MacVlanMode::Passthrough)), "{settings:?}");
        }
        // Since 6.4 it can be set and is shown.
        let cutoffs =
            |index| macvlan_settings(index).into_iter().filter(|it| matches!(it, InfoMacVlan::BcCutoff(_)));
        assert!(cutoffs(first).all(|cutoff| cutoff == InfoMacVlan::BcCutoff(-1)));
    });
}

#[test]
fn what_cannot_be_made_has_its_errno_and_leaves_nothing() {
    in_fresh_netns_with_taps(|| {
        let mut rtnl = Rtnl::open().unwrap();
        let tap = Tap::create("lower").unwrap();
        rtnl.prepare_lower(tap.index()).unwrap();
        let other = Tap::create("other").unwrap();
        for (name, lower, address, errno) in [
            ("lo", tap.index(), OURS, libc::EEXIST),
            ("lower", tap.index(), OURS, libc::EEXIST),
            ("a b", tap.index(), OURS, libc::EINVAL),
            ("a%d%d", tap.index(), OURS, libc::EINVAL),
            ("user", 4711, OURS, libc::ENODEV),
            ("user", tap.index(), [0; 6], libc::EADDRNOTAVAIL),
            ("user", tap.index(), [1; 6], libc::EADDRNOTAVAIL),
        ] {
            let error = rtnl.create_macvlan(name, lower, address).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(errno), "{name:?} {lower} {address:?}");
        }
        assert!(!rtnl.has_upper(tap.index()).unwrap());
        assert!(rtnl.index_of("user").is_err());
        rtnl.create_macvlan("user", tap.index(), OURS).unwrap();
        let twice = rtnl.create_macvlan("twice", tap.index(), PEERS).unwrap_err();
        assert_eq!(twice.raw_os_error(), Some(libc::EINVAL));
        rtnl.create_bridge("br").unwrap();
        let bridge = rtnl.index_of("br").unwrap();
        rtnl.set_master(other.index(), Some(bridge)).unwrap();
        let busy = rtnl.create_macvlan("busy", other.index(), PEERS).unwrap_err();
        assert_eq!(busy.raw_os_error(), Some(libc::EBUSY));
    });
}

#[test]
fn attributes_that_the_kernel_does_not_know_are_ignored() {
    // As IFLA_MACVLAN_BC_CUTOFF is before 6.4.
    in_fresh_netns_with_taps(|| {
        let tap = Tap::create("lower").unwrap();
        let mut request = passthru("user", tap.index());
        for attribute in &mut request.attributes {
            if let LinkAttribute::LinkInfo(infos) = attribute
                && let Some(LinkInfo::Data(InfoData::MacVlan(data))) = infos.last_mut()
            {
                data.push(InfoMacVlan::Other(DefaultNla::new(200, vec![0xff; 4])));
            }
        }
        let mut rtnl = Rtnl::open().unwrap();
        rtnl.execute(RouteNetlinkMessage::NewLink(request), NLM_F_CREATE | NLM_F_EXCL).unwrap();
        assert_eq!(rtnl.macvlan_above(tap.index()).unwrap(), rtnl.index_of("user").unwrap());
    });
}

#[test]
fn a_lower_of_another_namespace_is_not_ours() {
    in_fresh_netns_with_taps(|| {
        let elsewhere = new_netns();
        let (lower, user) = elsewhere.within(pair).unwrap();
        let mut far = elsewhere.within(|| Rtnl::open().unwrap()).unwrap();
        far.move_to(user, &NetNs::current().unwrap()).unwrap();
        assert!(Rtnl::open().unwrap().macvlan_above(lower.index()).is_err());
    });
}

#[test]
fn a_lower_says_nothing_by_itself() {
    in_fresh_netns_with_taps(|| {
        // A router would report that it is one.
        for who in ["all", "default"] {
            let _read_only_where_that_is_not_allowed =
                std::fs::write(format!("/proc/sys/net/ipv6/conf/{who}/forwarding"), "1");
        }
        let lower = Tap::create("lower").unwrap();
        let mut rtnl = Rtnl::open().unwrap();
        rtnl.prepare_lower(lower.index()).unwrap();
        let link = rtnl.link(lower.index()).unwrap();
        assert_eq!((link.up, link.mtu, link.address.as_slice()), (true, LOWER_MTU, VACANT.as_slice()));
        let alone = sent(&lower, Duration::from_secs(2));
        assert!(alone.is_empty(), "{alone:02x?}");
        let user = rtnl.create_macvlan("user", lower.index(), OURS).unwrap();
        rtnl.set_up(user, true).unwrap();
        let through = sent(&lower, Duration::from_secs(3));
        assert_eq!(through.len(), packets_sent(user), "{through:02x?}");
        assert!(!through.is_empty(), "the macvlan makes itself known");
        assert!(ipv6_addresses(lower.index()).is_empty());
        assert_eq!(ipv6_addresses(user).len(), 1, "the macvlan has its own");
    });
}

#[test]
fn a_host_without_ipv6_can_have_lowers() {
    in_fresh_netns_with_taps(|| {
        let lower = Tap::create("lower").unwrap();
        let mut rtnl = Rtnl::open().unwrap();
        rtnl.set_mtu(lower.index(), MTU_WITHOUT_IPV6).unwrap();
        assert_eq!(rtnl.link(lower.index()).unwrap().mtu6, None);
        rtnl.forbid_own_ipv6_address(lower.index()).unwrap();
    });
}

#[test]
fn one_request_for_an_address_has_one_answer() {
    in_fresh_netns_with_taps(|| {
        let (lower, user) = pair();
        let mut rtnl = Rtnl::open().unwrap();
        rtnl.set_up(user, true).unwrap();
        rtnl.add_address(user, ip("10.0.0.1"), 24).unwrap();
        let before = sent(&lower, Duration::from_millis(500));
        // RFC 826: who has 10.0.0.1, tell 10.0.0.2
        let mut request = [[0xff; 6], PEERS].concat();
        request.extend([8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
        request.extend(PEERS);
        request.extend([10, 0, 0, 2, 0, 0, 0, 0, 0, 0, 10, 0, 0, 1]);
        receive(&lower, &request);
        let is_answer = |frame: &&Vec<u8>| frame[12..14] == [8, 6] && frame[20..22] == [0, 2];
        let after = sent(&lower, Duration::from_secs(1));
        let answers: Vec<_> = after.iter().filter(is_answer).collect();
        assert_eq!(answers.len(), 1, "{answers:02x?}, before {}", before.len());
        assert_eq!(answers[0][..12], [PEERS, OURS].concat());
    });
}

/// Whether the lower's namespace hears of the lower within five seconds, at a time when it has no upper any more.
fn hears_of_the_end(changes: &mut Changes, lower: u32) -> bool {
    let mut rtnl = Rtnl::open().unwrap();
    (0..500).any(|_| {
        std::thread::sleep(Duration::from_millis(10));
        changes.take().unwrap().links.contains(&lower) && !rtnl.has_upper(lower).unwrap()
    })
}

#[test]
fn a_macvlan_that_is_deleted_is_gone() {
    in_fresh_netns_with_taps(|| {
        let (lower, user) = pair();
        let mut rtnl = Rtnl::open().unwrap();
        let mut changes = Changes::open().unwrap();
        assert!(rtnl.has_upper(lower.index()).unwrap());
        rtnl.delete(user).unwrap();
        assert!(!rtnl.has_upper(lower.index()).unwrap(), "at once");
        assert!(hears_of_the_end(&mut changes, lower.index()));
        let next = rtnl.create_macvlan("user", lower.index(), PEERS).unwrap();
        assert!(rtnl.has_upper(lower.index()).unwrap() && next != user);
    });
}

#[test]
fn a_macvlan_that_is_down_renamed_or_changed_is_not_gone() {
    in_fresh_netns_with_taps(|| {
        let (lower, user) = pair();
        let mut rtnl = Rtnl::open().unwrap();
        let mut changes = Changes::open().unwrap();
        for up in [true, false, true, false] {
            rtnl.set_up(user, up).unwrap();
            assert!(rtnl.has_upper(lower.index()).unwrap(), "{up}");
        }
        assert!(!changes.take().unwrap().links.contains(&lower.index()), "this is not even told");
        rtnl.rename(user, "renamed").unwrap();
        rtnl.set_mtu(user, 1400).unwrap();
        rtnl.set_address(user, PEERS).unwrap();
        rtnl.set_up(lower.index(), false).unwrap();
        assert!(rtnl.has_upper(lower.index()).unwrap());
        rtnl.delete(user).unwrap();
        assert!(!rtnl.has_upper(lower.index()).unwrap());
    });
}

#[test]
fn a_macvlan_that_is_deleted_in_another_namespace_is_gone() {
    in_fresh_netns_with_taps(|| {
        let (lower, user) = pair();
        let mut rtnl = Rtnl::open().unwrap();
        let mut changes = Changes::open().unwrap();
        let namespaces = [new_netns(), new_netns()];
        rtnl.move_to(user, &namespaces[0]).unwrap();
        let mut first = namespaces[0].within(|| Rtnl::open().unwrap()).unwrap();
        let mut second = namespaces[1].within(|| Rtnl::open().unwrap()).unwrap();
        let user = first.index_of("user").unwrap();
        first.set_up(user, true).unwrap();
        first.move_to(user, &namespaces[1]).unwrap();
        let user = second.index_of("user").unwrap();
        second.set_up(user, true).unwrap();
        second.set_address(user, PEERS).unwrap();
        second.set_up(user, false).unwrap();
        assert!(rtnl.has_upper(lower.index()).unwrap(), "it only moved");
        changes.take().unwrap();
        second.delete(user).unwrap();
        assert!(!rtnl.has_upper(lower.index()).unwrap());
        assert!(hears_of_the_end(&mut changes, lower.index()));
    });
}

#[test]
fn a_macvlan_that_dies_with_its_namespace_is_gone() {
    in_fresh_netns_with_taps(|| {
        for up in [false, true] {
            let (lower, user) = pair();
            let mut rtnl = Rtnl::open().unwrap();
            let elsewhere = new_netns();
            rtnl.move_to(user, &elsewhere).unwrap();
            elsewhere
                .within(|| {
                    let mut rtnl = Rtnl::open().unwrap();
                    let user = rtnl.index_of("user").unwrap();
                    rtnl.set_up(user, up).unwrap();
                })
                .unwrap();
            let mut changes = Changes::open().unwrap();
            assert!(rtnl.has_upper(lower.index()).unwrap());
            drop(elsewhere);
            assert!(hears_of_the_end(&mut changes, lower.index()));
        }
    });
}

#[test]
fn a_macvlan_dies_with_its_lower_wherever_it_is() {
    in_fresh_netns_with_taps(|| {
        let (lower, user) = pair();
        let mut rtnl = Rtnl::open().unwrap();
        let elsewhere = new_netns();
        rtnl.move_to(user, &elsewhere).unwrap();
        let mut far = elsewhere.within(|| Rtnl::open().unwrap()).unwrap();
        far.index_of("user").unwrap();
        let index = lower.index();
        drop(lower);
        assert!(far.index_of("user").is_err());
        assert_eq!(rtnl.has_upper(index).unwrap_err().raw_os_error(), Some(libc::ENODEV));
    });
}

#[test]
fn both_have_one_address() {
    in_fresh_netns_with_taps(|| {
        let (lower, user) = pair();
        let mut rtnl = Rtnl::open().unwrap();
        for (up, address) in [(false, PEERS), (true, OURS), (true, PEERS)] {
            rtnl.set_up(user, up).unwrap();
            rtnl.set_address(user, address).unwrap();
            for index in [user, lower.index()] {
                assert_eq!(rtnl.link(index).unwrap().address, address);
            }
        }
    });
}

#[test]
fn the_mtu_is_the_users() {
    in_fresh_netns_with_taps(|| {
        let (lower, user) = pair();
        let mut rtnl = Rtnl::open().unwrap();
        for mtu in [68, 1446, 9000, LOWER_MTU] {
            rtnl.set_mtu(user, mtu).unwrap();
            assert_eq!(rtnl.link(user).unwrap().mtu, mtu);
            assert_eq!(rtnl.link(lower.index()).unwrap().mtu, LOWER_MTU);
        }
        let error = rtnl.set_mtu(user, LOWER_MTU + 1).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
    });
}

#[test]
fn as_a_port_of_a_bridge_it_passes_all_frames() {
    in_fresh_netns_with_taps(|| {
        let (lower, user) = pair();
        let other = Tap::create("other").unwrap();
        let mut rtnl = Rtnl::open().unwrap();
        rtnl.create_bridge("br").unwrap();
        let bridge = rtnl.index_of("br").unwrap();
        for port in [user, other.index()] {
            // Nothing of the ports' own.
            rtnl.forbid_own_ipv6_address(port).unwrap();
            rtnl.set_master(port, Some(bridge)).unwrap();
            rtnl.set_up(port, true).unwrap();
        }
        rtnl.forbid_own_ipv6_address(bridge).unwrap();
        rtnl.set_up(bridge, true).unwrap();
        let frame =
            |to: [u8; 6], from: [u8; 6], mark: u8| [&to[..], &from, &[0x88, 0xb5], &[mark; 50]].concat();
        let [near, far] = [[2, 0, 0, 0, 9, 1], [2, 0, 0, 0, 9, 2]];
        let groups = [[0xff; 6], [1, 0, 0x5e, 1, 2, 3], [0x33, 0x33, 0, 0, 1, 2]];
        let targets = [groups[0], groups[1], groups[2], [2, 0, 0, 0, 9, 77]];
        let ours = |tap: &Tap| -> Vec<_> {
            sent(tap, Duration::from_millis(500))
                .into_iter()
                .filter(|frame| frame[12..14] == [0x88, 0xb5])
                .collect()
        };
        for (to, mark) in targets.into_iter().zip(0..) {
            receive(&lower, &frame(to, near, mark));
            assert_eq!(ours(&other), [frame(to, near, mark)]);
            receive(&other, &frame(to, far, mark));
            assert_eq!(ours(&lower), [frame(to, far, mark)]);
        }
        // Learnt: between two behind one port nothing passes the other, and a known address is reached.
        receive(&lower, &frame(near, [2, 0, 0, 0, 9, 3], 9));
        assert!(ours(&other).is_empty());
        receive(&lower, &frame(far, near, 10));
        assert_eq!(ours(&other), [frame(far, near, 10)]);
    });
}

#[test]
fn a_probe_leaves_nothing() {
    in_fresh_netns_with_taps(|| {
        let mut rtnl = Rtnl::open().unwrap();
        let before = rtnl.links().unwrap();
        assert!(rtnl.has_macvlan().unwrap(), "the other tests make some");
        assert_eq!(rtnl.links().unwrap(), before);
    });
}
