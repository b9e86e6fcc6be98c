//! Link-layer addresses of neighbours: what ARP and neighbour discovery have found out.

use super::Rtnl;
use super::address::family;
use netlink_packet_core::NLM_F_ACK;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use std::io;
use std::net::IpAddr;

impl Rtnl {
    /// The Ethernet address to which the kernel would send now what is for `address` on this device; none when it does not know it, is still
    /// asking, or has asked in vain. Asking does not make the kernel resolve it, nor confirm it.
    ///
    /// # Errors
    /// `ENODEV` without the device, `EOPNOTSUPP` or `EINVAL` on a kernel before 5.0.
    pub fn neighbour(&mut self, index: u32, address: IpAddr) -> io::Result<Option<[u8; 6]>> {
        let mut found = None;
        let request = RouteNetlinkMessage::GetNeighbour(neighbour(index, address));
        let asked = self.exchange(request, NLM_F_ACK, |answer| found = usable_address(answer));
        match asked {
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
            other => other.map(|()| found),
        }
    }
}

impl Rtnl {
    /// Has the kernel make sure of a neighbour, as it does before it sends to one of which it has not heard for a while (`NTF_USE`).
    ///
    /// # Errors
    /// `ENOENT` when it does not know the neighbour, `ENODEV` without the device, `EPERM`.
    pub fn use_neighbour(&mut self, index: u32, address: IpAddr) -> io::Result<()> {
        let mut request = neighbour(index, address);
        request.header.flags = NeighbourFlags::Use;
        self.execute(RouteNetlinkMessage::NewNeighbour(request), 0)
    }
}

fn neighbour(index: u32, address: IpAddr) -> NeighbourMessage {
    let mut request = NeighbourMessage::default();
    request.header.family = family(address);
    request.header.ifindex = index;
    let destination = match address {
        IpAddr::V4(address) => NeighbourAddress::Inet(address),
        IpAddr::V6(address) => NeighbourAddress::Inet6(address),
    };
    request.attributes.push(NeighbourAttribute::Destination(destination));
    request
}

fn usable_address(answer: RouteNetlinkMessage) -> Option<[u8; 6]> {
    let RouteNetlinkMessage::NewNeighbour(answer) = answer else { return None };
    if !usable(answer.header.state) {
        return None;
    }
    answer.attributes.into_iter().find_map(|attribute| match attribute {
        NeighbourAttribute::LinkLayerAddress(address) => address.try_into().ok(),
        _ => None,
    })
}

/// NUD_VALID of include/net/neighbour.h: the kernel sends to a neighbour in these states.
fn usable(state: NeighbourState) -> bool {
    use NeighbourState::{Delay, Noarp, Permanent, Probe, Reachable, Stale};
    matches!(state, Reachable | Stale | Delay | Probe | Permanent | Noarp)
}

#[cfg(test)]
mod tests;
