//! Where a packet would go.

use super::address::family;
use super::{Link, Rtnl};
use netlink_packet_core::NLM_F_ACK;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteMetric, RouteVia};
use rustix::io::Errno;
use std::io;
use std::net::IpAddr;

/// The way of packets from one address to another, as the kernel finds it now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Index of the device by which they leave; that of `lo` when the peer is this host.
    pub index: u32,
    /// Whose link-layer address they get: the gateway, or the peer itself when it is on the link. The gateway of an IPv4 route may have
    /// an IPv6 address (RFC 8950): its neighbour entry is IPv6's.
    pub next_hop: IpAddr,
    /// The largest packet in bytes, IP header included: what path MTU discovery has found out or the route says, and at
    /// most the device's MTU.
    pub mtu: u32,
    /// Ethernet address of the device; none when its frames have no Ethernet header, as those of `lo`.
    pub device_address: Option<[u8; 6]>,
}

impl Rtnl {
    /// The route from `local` (unspecified: an address that the kernel chooses) to `peer`, by the rules and tables of the namespace, for a packet
    /// without a mark. Where a route has several ways, one of them.
    ///
    /// [`Changes`](super::Changes) tell when routes change, but not when path MTU discovery finds a smaller MTU, or forgets it (in ten
    /// minutes, unless it is told again).
    ///
    /// # Errors
    /// `ENETUNREACH` without a route, or when `local` is IPv4 and not an address of this host; `EHOSTUNREACH`, `EACCES` or `EINVAL` when the route
    /// says so (unreachable, prohibit, blackhole); `EINVAL` when `local` and `peer` are of different families, `EAFNOSUPPORT` for a next hop that is no IP address (MPLS),
    /// `EOPNOTSUPP` without IPv6.
    pub fn route(&mut self, local: IpAddr, peer: IpAddr) -> io::Result<Route> {
        if local.is_ipv4() != peer.is_ipv4() {
            return Err(Errno::INVAL.into());
        }
        let mut found = None;
        let request = RouteNetlinkMessage::GetRoute(request(local, peer));
        self.exchange(request, NLM_F_ACK, |answer| {
            if let RouteNetlinkMessage::NewRoute(route) = answer {
                found = Some(Way::of(&route, peer));
            }
        })?;
        let way = found.ok_or(Errno::NETUNREACH)??;
        let device = self.link(way.index)?;
        Ok(Route {
            index: way.index,
            next_hop: way.next_hop,
            mtu: mtu_of(&device, peer).min(way.mtu),
            device_address: device.address.try_into().ok().filter(|_| device.ethernet),
        })
    }
}

fn request(local: IpAddr, peer: IpAddr) -> RouteMessage {
    let whole = if peer.is_ipv4() { 32 } else { 128 };
    let mut request = RouteMessage::default();
    request.header.address_family = family(peer);
    request.header.destination_prefix_length = whole;
    request.attributes.push(RouteAttribute::Destination(RouteAddress::from(peer)));
    if !local.is_unspecified() {
        request.header.source_prefix_length = whole;
        request.attributes.push(RouteAttribute::Source(RouteAddress::from(local)));
    }
    request
}

fn mtu_of(device: &Link, peer: IpAddr) -> u32 {
    device.mtu6.filter(|_| peer.is_ipv6()).unwrap_or(device.mtu)
}

/// What the answer says.
struct Way {
    index: u32,
    next_hop: IpAddr,
    /// `u32::MAX` when it says none.
    mtu: u32,
}

impl Way {
    fn of(route: &RouteMessage, peer: IpAddr) -> io::Result<Self> {
        let mut way = Self { index: 0, next_hop: peer, mtu: u32::MAX };
        for attribute in &route.attributes {
            match attribute {
                RouteAttribute::Oif(index) => way.index = *index,
                RouteAttribute::Gateway(RouteAddress::Inet(gateway)) => way.next_hop = (*gateway).into(),
                RouteAttribute::Gateway(RouteAddress::Inet6(gateway)) => way.next_hop = (*gateway).into(),
                RouteAttribute::Via(RouteVia::Inet(gateway)) => way.next_hop = (*gateway).into(),
                RouteAttribute::Via(RouteVia::Inet6(gateway)) => way.next_hop = (*gateway).into(),
                RouteAttribute::Gateway(_) | RouteAttribute::Via(_) => return Err(Errno::AFNOSUPPORT.into()),
                RouteAttribute::Metrics(metrics) => {
                    way.mtu = metrics.iter().find_map(mtu).unwrap_or(u32::MAX);
                }
                _ => {}
            }
        }
        Ok(way)
    }
}

fn mtu(metric: &RouteMetric) -> Option<u32> {
    if let RouteMetric::Mtu(mtu) = metric { Some(*mtu) } else { None }
}

#[cfg(test)]
mod tests;
