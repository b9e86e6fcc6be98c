//! A tunnel between two hosts.

use std::net::IpAddr;
use std::time::Duration;

use l2tp_ebpf::{Counters, Deliver, Handle, Hook, Link, Route, Rx, Session, Tx};
use l2tp_io::rtnl::Rtnl;
use l2tp_io::tap::Tap;

use crate::form::{Arrangement, Form};
use crate::host::{Host, bring_up};

/// The name of the first session's device.
pub(crate) const DEVICE: &str = "pw0";

pub(crate) struct Tunnel {
    pub(crate) form: Form,
    pub(crate) hosts: [Host; 2],
    pub(crate) ends: [End; 2],
}

/// One end of a tunnel.
pub(crate) struct End {
    /// The user's device.
    pub(crate) device: u32,
    /// The device of the program: the same, or the hidden end of a veth.
    hooked: u32,
    pub(crate) tap: Option<Tap>,
    pub(crate) session: Session,
    pub(crate) handle: Handle,
}

impl Tunnel {
    /// One with addresses: see [`addresses`].
    pub(crate) fn new(form: Form) -> Self {
        Self::with_addresses(form, |number| addresses(number).to_vec())
    }

    /// One whose devices have no addresses, and say nothing by themselves.
    pub(crate) fn silent(form: Form) -> Self {
        Self::with_addresses(form, |_| Vec::new())
    }

    fn with_addresses(form: Form, addresses: impl Fn(u8) -> Vec<IpAddr>) -> Self {
        let mut hosts = Host::two();
        let ends = End::two(&mut hosts, form);
        // What they say at once must find the other end ready.
        for host in &hosts {
            host.here(|| bring_up(DEVICE, &addresses(host.number)));
        }
        for (host, end) in hosts.iter().zip(&ends) {
            end.await_running(host);
        }
        Self { form, hosts, ends }
    }

    /// What each end has counted when nothing is on its way any more.
    pub(crate) fn settled_counters(&self) -> [Counters; 2] {
        let mut before = self.counters();
        loop {
            std::thread::sleep(Duration::from_millis(300));
            let now = self.counters();
            if now == before {
                return now;
            }
            before = now;
        }
    }

    /// What each end has counted.
    pub(crate) fn counters(&self) -> [Counters; 2] {
        [0, 1].map(|end| self.hosts[end].fast.counters(self.ends[end].handle))
    }
}

impl End {
    /// A session between two hosts, whose devices are down.
    pub(crate) fn two(hosts: &mut [Host; 2], form: Form) -> [Self; 2] {
        let macs = [hosts[1].mac, hosts[0].mac];
        let peers = [hosts[1].address(form.is_ipv6), hosts[0].address(form.is_ipv6)];
        let [a, b] = hosts;
        [Self::new(a, form, macs[0], peers[0]), Self::new(b, form, macs[1], peers[1])]
    }

    fn new(host: &mut Host, form: Form, peer_mac: [u8; 6], peer: IpAddr) -> Self {
        let (device, hooked, tap) = host.here(|| make_device(form));
        let deliver =
            if form.arrangement == Arrangement::Tap { Deliver::At(device) } else { Deliver::Through(hooked) };
        let session = Session {
            local: host.address(form.is_ipv6),
            peer,
            carrier: form.carrier(host.number),
            payload: form.payload(),
            tx: Some(Tx {
                device: hooked,
                header: form.header(3 - host.number),
                route: Route {
                    ifindex: host.underlay,
                    link: Some(Link { to: peer_mac, from: host.mac }),
                    mtu: 1500,
                },
                tos: 0,
                ttl: 64,
                flow_label: 0,
                mark: 0,
                cutter: None,
            }),
            rx: Some(Rx { pattern: form.pattern(host.number), deliver, zero_csum6: true }),
        };
        let hook = if form.arrangement == Arrangement::Tap { Hook::Egress } else { Hook::Ingress };
        let fast = &mut host.fast;
        let handle = fast.insert(&session).unwrap();
        host.netns.within(|| fast.attach_device(hooked, hook)).unwrap().unwrap();
        Self { device, hooked, tap, session, handle }
    }

    /// Waits for both ends of a veth; a TAP or a TUN runs as soon as it is up.
    pub(crate) fn await_running(&self, host: &Host) {
        if self.tap.is_none() {
            host.await_running(self.device);
            host.await_running(self.hooked);
        }
    }
}

/// Addresses of host `number` inside the tunnel.
pub(crate) fn addresses(number: u8) -> [IpAddr; 2] {
    [IpAddr::from([10, 9, 0, number]), IpAddr::from([0xfd09, 0, 0, 0, 0, 0, 0, number.into()])]
}

/// The user's device, the device of the program, and what keeps it.
pub(crate) fn make_device(form: Form) -> (u32, u32, Option<Tap>) {
    let mut rtnl = Rtnl::open().unwrap();
    let names = form.devices();
    let [name, hidden] = &names;
    if form.arrangement == Arrangement::Veth {
        rtnl.create_veth(name, hidden, None).unwrap();
        std::fs::write(format!("/proc/sys/net/ipv6/conf/{hidden}/disable_ipv6"), "1").unwrap();
        let [device, hidden] = names.map(|name| rtnl.index_of(&name).unwrap());
        rtnl.set_mtu(device, form.mtu()).unwrap();
        rtnl.set_up(hidden, true).unwrap();
        return (device, hidden, None);
    }
    let tap = if form.is_ppp { Tap::create_ppp(name, None) } else { Tap::create(name) }.unwrap();
    tap.set_mtu(form.mtu()).unwrap();
    (tap.index(), tap.index(), Some(tap))
}
