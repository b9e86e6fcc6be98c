//! News of links, neighbours, addresses and routes, which the kernel tells all who listen.

use netlink_packet_core::{NetlinkBuffer, Parseable};
use netlink_packet_route::AddressFamily;
use netlink_packet_route::address::{AddressAttribute, AddressMessage};
use netlink_packet_route::link::LinkHeader;
use netlink_packet_route::neighbour::{NeighbourAddress, NeighbourAttribute, NeighbourMessage};
use netlink_packet_route::route::{RouteAddress, RouteAttribute, RouteMessage};
use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{RecvFlags, SocketFlags, SocketType, bind, recvfrom, socket_with};
use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, Ipv6Addr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Larger than any message: those of links grow with the virtual functions of a card.
const MESSAGE_BYTES: usize = 64 << 10;

/// So many datagrams, most of one message, are read at once; what is left keeps the descriptor readable.
const DATAGRAMS_AT_ONCE: usize = 1024;

/// Multicast groups by number (`RTNLGRP_*` of include/uapi/linux/rtnetlink.h).
const GROUPS: [u32; 9] = [
    1,  // LINK
    3,  // NEIGH
    5,  // IPV4_IFADDR
    7,  // IPV4_ROUTE
    8,  // IPV4_RULE
    9,  // IPV6_IFADDR
    11, // IPV6_ROUTE
    19, // IPV6_RULE
    32, // NEXTHOP
];

const RTM_NEWLINK: u16 = 16;
const RTM_DELLINK: u16 = 17;
const RTM_NEWADDR: u16 = 20;
const RTM_DELADDR: u16 = 21;
const RTM_NEWROUTE: u16 = 24;
const RTM_DELROUTE: u16 = 25;
const RTM_NEWNEIGH: u16 = 28;
const RTM_DELNEIGH: u16 = 29;

/// A non-blocking socket that hears what changes in the namespace in which it was opened, from then on.
pub struct Changes {
    socket: OwnedFd,
    message: Vec<u8>,
}

/// What has changed since it was last asked. That something is named says that it may have changed: how it is now, [`Rtnl`](super::Rtnl) knows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Routes, rules, next hops or addresses were added or removed, other than those that each device has for itself in IPv6: to groups, and
    /// link-local. The kernel removes IPv4 routes without a word when their device goes down: a name in `links` or `gone` puts
    /// routes in question too.
    pub routes: bool,
    /// Indices of devices that are new or changed: name, flags, carrier, MTU, Ethernet address, bridge, or what stands above it.
    pub links: BTreeSet<u32>,
    /// Indices of devices that were deleted or moved to another namespace.
    pub gone: BTreeSet<u32>,
    /// Neighbours whose state or link-layer address changed, or that were forgotten, by device.
    pub neighbours: BTreeSet<(u32, IpAddr)>,
    /// Messages were lost: everything may have changed.
    pub overrun: bool,
}

impl Changes {
    /// Begins to listen, in the namespace of the calling thread.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`, `ENOMEM` of socket(2).
    pub fn open() -> io::Result<Self> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        // NETLINK_ROUTE is 0, which is what none stands for.
        let socket = socket_with(rustix::net::AddressFamily::NETLINK, SocketType::RAW, flags, None)?;
        let groups = GROUPS.iter().fold(0, |groups, number| groups | 1 << (number - 1));
        bind(&socket, &SocketAddrNetlink::new(0, groups))?;
        crate::sockopt::enlarge_buffers(&socket);
        Ok(Self { socket, message: vec![0; MESSAGE_BYTES] })
    }

    /// Takes what was told. To be asked when the descriptor is readable; it takes at most some thousand messages at once and leaves
    /// the rest, with which the descriptor stays readable.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn take(&mut self) -> io::Result<Seen> {
        let mut seen = Seen::default();
        for _ in 0..DATAGRAMS_AT_ONCE {
            match recvfrom(&self.socket, self.message.as_mut_slice(), RecvFlags::empty()) {
                Ok((filled, _, from)) => {
                    // Another process may write to this socket too; only the kernel has port 0.
                    let from = from.and_then(|from| SocketAddrNetlink::try_from(from).ok());
                    if from.is_some_and(|from| from.pid() == 0) {
                        seen.note_datagram(self.message.get(..filled).unwrap_or_default());
                    }
                }
                Err(Errno::AGAIN) => break,
                Err(Errno::NOBUFS) => seen.overrun = true,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(seen)
    }
}

/// Readable when there is news.
impl AsFd for Changes {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Seen {
    fn note_datagram(&mut self, mut rest: &[u8]) {
        while let Ok(message) = NetlinkBuffer::new_checked(rest) {
            self.note(message.message_type(), message.payload());
            let size = usize::try_from(message.length()).unwrap_or(usize::MAX).next_multiple_of(4);
            rest = rest.get(size..).unwrap_or_default();
        }
    }

    fn note(&mut self, kind: u16, payload: &[u8]) {
        let understood = match kind {
            RTM_NEWLINK | RTM_DELLINK => self.note_link(kind == RTM_DELLINK, payload),
            RTM_NEWNEIGH | RTM_DELNEIGH => self.note_neighbour(payload),
            RTM_NEWADDR | RTM_DELADDR if is_own_address(payload) => Some(()),
            RTM_NEWROUTE | RTM_DELROUTE if is_own_route(payload) => Some(()),
            _ => {
                self.routes = true;
                Some(())
            }
        };
        self.overrun |= understood.is_none();
    }

    fn note_link(&mut self, deleted: bool, payload: &[u8]) -> Option<()> {
        let header = LinkHeader::parse(payload).ok()?;
        // A bridge tells in its own family of a port that it has lost: the device is still there.
        let gone = deleted && header.interface_family == AddressFamily::Unspec;
        let devices = if gone { &mut self.gone } else { &mut self.links };
        devices.insert(header.index);
        Some(())
    }

    fn note_neighbour(&mut self, payload: &[u8]) -> Option<()> {
        let message = NeighbourMessage::parse(payload).ok()?;
        // What has no IP address is a bridge's.
        let address = message.attributes.into_iter().find_map(|attribute| match attribute {
            NeighbourAttribute::Destination(NeighbourAddress::Inet(address)) => Some(IpAddr::from(address)),
            NeighbourAttribute::Destination(NeighbourAddress::Inet6(address)) => Some(IpAddr::from(address)),
            _ => None,
        });
        self.neighbours.extend(address.map(|address| (message.header.ifindex, address)));
        Some(())
    }
}

/// Whether this is an IPv6 address that a device has for itself. As with the routes: thousands of devices say so when they are brought up.
fn is_own_address(payload: &[u8]) -> bool {
    AddressMessage::parse(payload).is_ok_and(|address| {
        address.attributes.iter().any(|attribute| {
            matches!(attribute, AddressAttribute::Address(IpAddr::V6(address)) if is_own(*address))
        })
    })
}

/// Whether this is an IPv6 route to a group, or to what is link-local.
fn is_own_route(payload: &[u8]) -> bool {
    RouteMessage::parse(payload).is_ok_and(|route| {
        route.attributes.iter().any(|attribute| {
            matches!(attribute, RouteAttribute::Destination(RouteAddress::Inet6(address)) if is_own(*address))
        })
    })
}

fn is_own(address: Ipv6Addr) -> bool {
    address.is_multicast() || address.is_unicast_link_local()
}

#[cfg(test)]
mod tests;
