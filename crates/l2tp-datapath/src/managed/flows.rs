//! From where a UDP packet came and went to, to the tunnels whose sockets receive it.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, SocketAddr};

use l2tp_core::TunnelKey;
use l2tp_io::divert::Group;
use l2tp_io::inet_diag::UdpPlace;

/// The packets that a socket receives. Addresses of IPv4 are that, also where the socket is of IPv6.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Flow {
    port: u16,
    /// `None`: any.
    local: Option<IpAddr>,
    /// `None`: any.
    peer: Option<(IpAddr, u16)>,
}

impl Flow {
    /// What a socket at this place receives; `None` while it is bound to no port.
    pub(crate) fn of(place: &UdpPlace) -> Option<Self> {
        let local = place.local.ip().to_canonical();
        Some(Self {
            port: Some(place.local.port()).filter(|port| *port != 0)?,
            local: Some(local).filter(|local| !local.is_unspecified()),
            peer: place.peer.map(|peer| (peer.ip().to_canonical(), peer.port())),
        })
    }

    /// The flows that a packet may be of, in the order in which the kernel prefers sockets (net/ipv4/udp.c compute_score).
    fn candidates(to: SocketAddr, from: SocketAddr) -> [Self; 4] {
        let (port, local, peer) = (to.port(), Some(to.ip()), Some((from.ip(), from.port())));
        [(local, peer), (None, peer), (local, None), (None, None)].map(|(local, peer)| Self {
            port,
            local,
            peer,
        })
    }
}

/// The tunnels whose sockets receive the same packets.
#[derive(Debug)]
pub(crate) struct Members {
    /// In ascending order.
    pub(crate) tunnels: Vec<TunnelKey>,
    /// Packets of IPv6 without checksum are taken.
    pub(crate) unchecked: bool,
    group: Group,
}

/// All flows of managed tunnels.
#[derive(Debug, Default)]
pub(crate) struct Flows {
    members: HashMap<Flow, Members>,
    sizes: HashMap<Group, usize>,
    ports: BTreeMap<u16, usize>,
    ports_changed: bool,
    last_group: u32,
}

impl Flows {
    /// Adds a tunnel's socket.
    pub(crate) fn insert(&mut self, flow: Flow, tunnel: TunnelKey, unchecked: bool) -> Group {
        let fresh = Group(self.last_group.wrapping_add(1));
        let members = self.members.entry(flow).or_insert_with(|| {
            self.last_group = fresh.0;
            Members { tunnels: Vec::new(), unchecked, group: fresh }
        });
        if let Err(place) = members.tunnels.binary_search(&tunnel) {
            members.tunnels.insert(place, tunnel);
            members.unchecked |= unchecked;
            *self.sizes.entry(members.group).or_default() += 1;
            let uses = self.ports.entry(flow.port).or_default();
            *uses += 1;
            self.ports_changed |= *uses == 1;
        }
        members.group
    }

    /// Removes a tunnel's socket.
    pub(crate) fn remove(&mut self, flow: &Flow, tunnel: TunnelKey) {
        let Some(members) = self.members.get_mut(flow) else { return };
        let Ok(place) = members.tunnels.binary_search(&tunnel) else { return };
        members.tunnels.remove(place);
        if decrement(&mut self.sizes, members.group) {
            self.members.remove(flow);
        }
        let Some(uses) = self.ports.get_mut(&flow.port) else { return };
        *uses -= 1;
        if *uses == 0 {
            self.ports.remove(&flow.port);
            self.ports_changed = true;
        }
    }

    /// The tunnels whose sockets receive a packet.
    pub(crate) fn find(&self, to: SocketAddr, from: SocketAddr) -> Option<&Members> {
        Flow::candidates(to, from).iter().find_map(|flow| self.members.get(flow))
    }

    /// How many sockets receive there.
    pub(crate) fn size(&self, group: Group) -> usize {
        self.sizes.get(&group).copied().unwrap_or(0)
    }

    /// The local ports, if they are others than when this was last asked.
    pub(crate) fn take_new_ports(&mut self) -> Option<Vec<u16>> {
        std::mem::take(&mut self.ports_changed).then(|| self.ports.keys().copied().collect())
    }
}

/// Takes one away; true when none is left.
fn decrement(sizes: &mut HashMap<Group, usize>, group: Group) -> bool {
    let Some(size) = sizes.get_mut(&group) else { return true };
    *size -= 1;
    let is_last = *size == 0;
    if is_last {
        sizes.remove(&group);
    }
    is_last
}

#[cfg(test)]
mod tests {
    use super::*;
    use l2tp_core::slots::Key;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn flow(local: &str, peer: Option<&str>) -> Flow {
        Flow::of(&UdpPlace { local: address(local), peer: peer.map(address) }).unwrap()
    }

    fn tunnel(number: u64) -> TunnelKey {
        TunnelKey(Key::from_bits(number))
    }

    #[test]
    fn a_packet_is_the_most_exact_sockets() {
        let mut flows = Flows::default();
        flows.insert(flow("0.0.0.0:1701", None), tunnel(1), false);
        flows.insert(flow("192.0.2.1:1701", None), tunnel(2), false);
        flows.insert(flow("192.0.2.1:1701", Some("192.0.2.9:1701")), tunnel(3), false);
        flows.insert(flow("[::ffff:192.0.2.1]:1701", Some("[::ffff:192.0.2.8]:7")), tunnel(4), false);
        let find = |to, from| flows.find(address(to), address(from)).map(|members| members.tunnels.clone());
        assert_eq!(find("192.0.2.1:1701", "192.0.2.9:1701"), Some(vec![tunnel(3)]));
        assert_eq!(find("192.0.2.1:1701", "192.0.2.8:7"), Some(vec![tunnel(4)]));
        assert_eq!(find("192.0.2.1:1701", "192.0.2.9:1702"), Some(vec![tunnel(2)]));
        assert_eq!(find("192.0.2.2:1701", "192.0.2.9:1701"), Some(vec![tunnel(1)]));
        assert_eq!(find("[2001:db8::1]:1701", "[2001:db8::2]:1701"), Some(vec![tunnel(1)]));
        assert_eq!(find("192.0.2.1:1702", "192.0.2.9:1701"), None);
        assert_eq!(Flow::of(&UdpPlace { local: address("0.0.0.0:0"), peer: None }), None);
    }

    #[test]
    fn sockets_at_one_place_are_a_group() {
        let mut flows = Flows::default();
        let (here, there) = (flow("127.0.0.1:1", Some("127.0.0.1:2")), flow("127.0.0.1:1", None));
        let group = flows.insert(here, tunnel(9), false);
        assert_eq!(flows.insert(here, tunnel(3), true), group);
        assert_ne!(flows.insert(there, tunnel(5), false), group);
        let members = flows.find(address("127.0.0.1:1"), address("127.0.0.1:2")).unwrap();
        assert_eq!((&members.tunnels[..], members.unchecked), (&[tunnel(3), tunnel(9)][..], true));
        assert_eq!(flows.take_new_ports(), Some(vec![1]));
        assert_eq!(flows.take_new_ports(), None);
        for gone in [9, 3, 9] {
            flows.remove(&here, tunnel(gone));
        }
        assert_eq!((flows.size(group), flows.take_new_ports()), (0, None));
        flows.remove(&there, tunnel(5));
        assert_eq!(flows.take_new_ports(), Some(vec![]));
        assert!(flows.members.is_empty() && flows.sizes.is_empty());
    }
}
