//! The ways to peers, each asked of the kernel once in a round.

use std::collections::HashMap;
use std::net::IpAddr;

use l2tp_ebpf::{Link, Route};
use l2tp_io::rtnl::Rtnl;

use super::plan::Reason;

/// The loopback device's index, in every namespace.
const LOOPBACK: u32 = 1;

/// What a round has found out.
#[derive(Default)]
pub(super) struct Ways {
    found: HashMap<(IpAddr, IpAddr), Result<Route, Reason>>,
}

impl Ways {
    /// The way from our address to a peer's.
    pub(super) fn find(&mut self, rtnl: &mut Rtnl, local: IpAddr, peer: IpAddr) -> Result<Route, Reason> {
        self.found.entry((local, peer)).or_insert_with(|| ask(rtnl, local, peer)).clone()
    }
}

fn ask(rtnl: &mut Rtnl, local: IpAddr, peer: IpAddr) -> Result<Route, Reason> {
    let route = rtnl.route(local, peer).map_err(|error| format!("there is no way to the peer: {error}"))?;
    if route.index == LOOPBACK {
        return Err("its peer is this host".into());
    }
    let Some(from) = route.device_address else {
        return Err("the device towards its peer is not of Ethernet".into());
    };
    // Who does not know the next hop yet learns of it when a packet has gone there.
    let to = rtnl.neighbour(route.index, route.next_hop).ok().flatten();
    let link = to.map(|to| Link { to, from });
    Ok(Route { ifindex: route.index, next_hop: route.next_hop, link, mtu: route.mtu })
}
