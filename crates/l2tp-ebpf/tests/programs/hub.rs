//! Frames that come out of one session and go into another, super-frames among them.

use l2tp_io::netns::NetNs;
use l2tp_io::rtnl::Rtnl;

use crate::cut::{check, recorded, without_offloads};
use crate::form::{Arrangement, Form, PLAIN};
use crate::host::{UNDERLAY, bring_up};
use crate::packet::PacketSocket;
use crate::require;
use crate::tcp::transfer;
use crate::tunnel::{DEVICE, End, Tunnel, addresses};

const MEGABYTES: usize = 10;

/// Two sessions between two hosts. The first begins at the first host, the second ends in a namespace of its own, and the second host is a
/// bridge between them.
struct Hub {
    tunnel: Tunnel,
    form: Form,
    second: [End; 2],
    third: NetNs,
}

impl Hub {
    fn new(first: Form) -> Self {
        let mut tunnel = Tunnel::silent(first);
        let form = Form { nth: 1, arrangement: Arrangement::Veth, ..first };
        let second = End::two(&mut tunnel.hosts, form);
        let third = std::thread::scope(|scope| scope.spawn(NetNs::unshare).join()).unwrap().unwrap();
        let [a, b] = &tunnel.hosts;
        a.here(|| {
            bring_up(DEVICE, &addresses(1));
            Rtnl::open().unwrap().move_to(second[0].device, &third).unwrap();
        });
        let [device, _] = form.devices();
        third.within(|| bring_up(&device, &addresses(2))).unwrap();
        b.here(|| {
            let mut rtnl = Rtnl::open().unwrap();
            rtnl.create_bridge("bridge").unwrap();
            let bridge = bring_up("bridge", &[]);
            for port in [tunnel.ends[1].device, second[1].device] {
                rtnl.set_up(port, true).unwrap();
                rtnl.set_master(port, Some(bridge)).unwrap();
            }
        });
        second[1].await_running(b);
        Self { tunnel, form, second, third }
    }
}

/// TCP to and fro through the hub, everything by the programs, and right where the hub's underlay passes no super-frames.
fn passes_on(first: Form) {
    if !require::met(&["ethtool"]) {
        return;
    }
    let hub = Hub::new(first);
    let [a, b] = &hub.tunnel.hosts;
    // Super-frames of the other family stay with the user path, of which there is none here.
    let family = usize::from(first.is_ipv6);
    transfer(&a.netns, &hub.third, addresses(2)[family], MEGABYTES);
    transfer(&hub.third, &a.netns, addresses(1)[family], MEGABYTES);
    let carried = b.fast.counters(hub.second[1].handle);
    assert!(carried.tx_bytes > (MEGABYTES as u64) << 20, "{carried:?}");
    assert!(carried.rx_bytes > (MEGABYTES as u64) << 20, "{carried:?}");

    without_offloads(&hub.tunnel.hosts[1..], UNDERLAY);
    let wire = PacketSocket::open(a, UNDERLAY);
    transfer(&a.netns, &hub.third, addresses(2)[family], MEGABYTES);
    let header = hub.form.header(1);
    let packets = recorded(&wire, &a.mac);
    let ours = packets.iter().filter(|packet| packet.windows(header.len()).any(|window| window == header));
    let bytes = ours.map(|packet| check(&hub.form, 2, packet)).sum::<usize>();
    assert!(bytes > MEGABYTES << 20, "{bytes}");
}

#[test]
fn from_a_tap_to_a_veth() {
    passes_on(PLAIN);
}

#[test]
fn from_a_veth_to_a_veth() {
    passes_on(Form { arrangement: Arrangement::Veth, cookie: 0, sublayer: true, ..PLAIN });
}

#[test]
fn over_ipv6() {
    passes_on(Form { is_ipv6: true, ..PLAIN });
}
