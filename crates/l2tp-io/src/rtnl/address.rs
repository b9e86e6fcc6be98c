//! Addresses and routes.

use super::Rtnl;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::address::{AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};
use std::io;
use std::net::IpAddr;

impl Rtnl {
    /// Gives a device an address. An IPv6 address is usable at once: it is not first checked for a duplicate
    /// (`nodad`), which takes a second or two.
    ///
    /// # Errors
    /// `EEXIST` when the device has it, `EINVAL` for a prefix longer than the address, `ENODEV`, `EPERM`, `EACCES`
    /// where IPv6 is disabled.
    pub fn add_address(&mut self, index: u32, address: IpAddr, prefix_len: u8) -> io::Result<()> {
        let mut request = AddressMessage::default();
        request.header.family = family(address);
        request.header.index = index;
        request.header.prefix_len = prefix_len;
        request.attributes.push(AddressAttribute::Local(address));
        request.attributes.push(AddressAttribute::Address(address));
        if address.is_ipv6() {
            request.header.flags = AddressHeaderFlags::Nodad;
            request.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad));
        }
        self.execute(RouteNetlinkMessage::NewAddress(request), NLM_F_CREATE | NLM_F_EXCL)
    }

    /// Adds a route to `destination`/`prefix_len` (an unspecified address and 0: the default route) through a gateway.
    ///
    /// # Errors
    /// `EEXIST` when there is one, `ENETUNREACH` or `EHOSTUNREACH` when the gateway is on no link, `EINVAL`, `EPERM`.
    pub fn add_route(&mut self, destination: IpAddr, prefix_len: u8, gateway: IpAddr) -> io::Result<()> {
        let mut request = RouteMessage::default();
        request.header.address_family = family(destination);
        request.header.destination_prefix_length = prefix_len;
        request.header.table = RouteHeader::RT_TABLE_MAIN;
        request.header.protocol = RouteProtocol::Static;
        request.header.scope = RouteScope::Universe;
        request.header.kind = RouteType::Unicast;
        if prefix_len > 0 {
            request.attributes.push(RouteAttribute::Destination(RouteAddress::from(destination)));
        }
        request.attributes.push(RouteAttribute::Gateway(RouteAddress::from(gateway)));
        self.execute(RouteNetlinkMessage::NewRoute(request), NLM_F_CREATE | NLM_F_EXCL)
    }
}

pub(super) fn family(address: IpAddr) -> AddressFamily {
    if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 }
}
