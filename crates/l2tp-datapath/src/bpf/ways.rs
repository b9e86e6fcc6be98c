//! The ways to peers, each asked of the kernel once in a round.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use l2tp_ebpf::{Link, Route};
use l2tp_io::rtnl::Rtnl;

use super::plan::Reason;

/// The loopback device's index, in every namespace.
const LOOPBACK: u32 = 1;

/// The device towards a peer, and who is next on the way.
pub(super) type Hop = (u32, IpAddr);

/// The addresses of a device's hops lie between these.
pub(super) const FIRST: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
pub(super) const LAST: IpAddr = IpAddr::V6(Ipv6Addr::from_bits(u128::MAX));

/// What a round has found out.
#[derive(Default)]
pub(super) struct Ways {
    found: HashMap<(IpAddr, IpAddr), Result<(Route, Hop), Reason>>,
}

impl Ways {
    /// The way from our address to a peer's.
    pub(super) fn find(
        &mut self,
        rtnl: &mut Rtnl,
        local: IpAddr,
        peer: IpAddr,
    ) -> Result<(Route, Hop), Reason> {
        self.found.entry((local, peer)).or_insert_with(|| ask(rtnl, local, peer)).clone()
    }
}

fn ask(rtnl: &mut Rtnl, local: IpAddr, peer: IpAddr) -> Result<(Route, Hop), Reason> {
    let route = rtnl.route(local, peer).map_err(|error| format!("there is no way to the peer: {error}"))?;
    if route.index == LOOPBACK {
        return Err("its peer is this host".into());
    }
    let Some(from) = route.device_address else {
        return Err("the device towards its peer is not of Ethernet".into());
    };
    // Until the kernel knows the next hop, the programs have it find the way for each packet.
    let to = rtnl.neighbour(route.index, route.next_hop).ok().flatten();
    let link = to.map(|to| Link { to, from });
    let hop = (route.index, route.next_hop);
    Ok((Route { ifindex: route.index, link, mtu: route.mtu }, hop))
}
