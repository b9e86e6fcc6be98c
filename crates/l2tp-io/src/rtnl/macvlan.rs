//! A user's device above a hidden one: a macvlan in passthru mode (drivers/net/macvlan.c) and its "lower".
//!
//! What the macvlan sends leaves through the lower, and what comes in through the lower is the macvlan's. The kernel has no request
//! that tells whether a device has another above it. But in passthru mode the two have one Ethernet address: a new
//! address of the macvlan is the lower's too, and when the macvlan dies, the lower gets back the one that it had before
//! (macvlan_port_destroy, since 4.13). So the lower is given an address by which it is known to be alone.

use super::Rtnl;
use super::link::message;
use netlink_packet_core::{NLM_F_ACK, NLM_F_CREATE, NLM_F_ECHO, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, In6AddrGenMode, InfoData, InfoKind, InfoMacVlan, LinkAttribute, LinkFlags,
    LinkInfo, LinkMessage, MacVlanFlags, MacVlanMode,
};
use rustix::io::Errno;
use std::io;

/// Ethernet address of a lower that has no device above it: unicast, locally administered, and nobody's choice for a
/// device of his own.
const VACANT: [u8; 6] = *b"fwnone";

/// MTU of a lower, the largest of a TAP: the limit is the macvlan's own.
const LOWER_MTU: u32 = 65_521;

/// An MTU with which the kernel takes IPv6 away from a device (IPV6_MIN_MTU is 1280).
const MTU_WITHOUT_IPV6: u32 = 576;

impl Rtnl {
    /// Makes a TAP that is down ready to be a lower, and brings it up with an MTU of 65,521. It will say nothing by itself: it
    /// has no IPv6 address, joins no group that it would have to report, and resolves and answers no address. Returns the random Ethernet
    /// address that it had, which is meant for the device above.
    ///
    /// It still hears what comes in for groups and for all, beside the macvlan: programs would get it twice, and a router's advertisement would
    /// give it an address and a default route. A BPF program at its tc ingress can prevent that: it makes such frames
    /// `PACKET_OTHERHOST`, which the host ignores and the macvlan does not mind.
    ///
    /// # Errors
    /// `ENODEV`, `EPERM`; `EINVAL` when the device is no Ethernet device.
    pub fn prepare_lower(&mut self, index: u32) -> io::Result<[u8; 6]> {
        let address = <[u8; 6]>::try_from(self.link(index)?.address).map_err(|_| Errno::INVAL)?;
        // A host that forwards IPv6 has joined the routers' group with this device, as with all that know groups, and
        // would report it. IPv6 must forget the device, and meet it again when it knows none.
        self.set_mtu(index, MTU_WITHOUT_IPV6)?;
        let mut flags = message(index);
        flags.header.change_mask = LinkFlags::Noarp | LinkFlags::Multicast | LinkFlags::Allmulti;
        // Frames for groups that only the macvlan's user wants, a bridge's, are the macvlan's too.
        flags.header.flags = LinkFlags::Noarp | LinkFlags::Allmulti;
        self.execute(RouteNetlinkMessage::SetLink(flags), 0)?;
        self.set_mtu(index, LOWER_MTU)?;
        self.forbid_own_ipv6_address(index)?;
        self.set_address(index, VACANT)?;
        self.set_up(index, true)?;
        Ok(address)
    }

    /// Has IPv6 make no address for a device (`addrgenmode none`); done where there is no IPv6.
    fn forbid_own_ipv6_address(&mut self, index: u32) -> io::Result<()> {
        let mode = AfSpecUnspec::Inet6(vec![AfSpecInet6::AddrGenMode(In6AddrGenMode::None)]);
        match self.set(index, LinkAttribute::AfSpecUnspec(vec![mode])) {
            Err(error) if error.raw_os_error() == Some(libc::EAFNOSUPPORT) => Ok(()),
            other => other,
        }
    }

    /// Makes a macvlan in passthru mode above `lower` (see [`Rtnl::prepare_lower`]), down, with this Ethernet address and the
    /// MTU of the lower, and returns its index. In `name`, `%d` stands for the lowest free number. The address counts as chosen by
    /// somebody (`addr_assign_type` 3), so udev leaves it alone.
    ///
    /// # Errors
    /// `EEXIST` when the name is in use, `EINVAL` for a name that is not allowed or a lower that has a macvlan, `EBUSY` for a lower
    /// that is a bridge's or another's, `EADDRNOTAVAIL` for an address that is zero or a group's, `ENODEV` without the lower, `EOPNOTSUPP` on a
    /// kernel without macvlan, `EPERM`.
    pub fn create_macvlan(&mut self, name: &str, lower: u32, address: [u8; 6]) -> io::Result<u32> {
        let mut index = None;
        let request = RouteNetlinkMessage::NewLink(passthru(name, lower));
        // The kernel echoes the new device since 6.2.
        self.exchange(request, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ECHO | NLM_F_ACK, |answer| {
            if let RouteNetlinkMessage::NewLink(device) = answer {
                index = Some(device.header.index);
            }
        })?;
        let index = index.map_or_else(|| self.macvlan_above(lower), Ok)?;
        // Not possible with the creation: it takes the lower's.
        if let Err(error) = self.set_address(index, address) {
            self.delete(index)?;
            return Err(error);
        }
        Ok(index)
    }

    /// Whether the kernel can make a macvlan at all; nothing is made.
    ///
    /// # Errors
    /// `EPERM`.
    pub fn has_macvlan(&mut self) -> io::Result<bool> {
        // Above a device that no namespace has.
        let request = RouteNetlinkMessage::NewLink(passthru("l2tp-probe", 0x7fff_ffff));
        match self.execute(request, NLM_F_CREATE | NLM_F_EXCL) {
            Err(error) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(false),
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => Err(error),
            _ => Ok(true),
        }
    }

    /// Index of the macvlan in this namespace that is above a lower of this namespace.
    fn macvlan_above(&mut self, lower: u32) -> io::Result<u32> {
        let mut found = None;
        self.dump(RouteNetlinkMessage::GetLink(message(0)), |answer| {
            if let RouteNetlinkMessage::NewLink(device) = answer
                && is_macvlan_above(&device, lower)
            {
                found = Some(device.header.index);
            }
        })?;
        found.ok_or_else(|| Errno::NODEV.into())
    }

    /// Whether a lower made ready by [`Rtnl::prepare_lower`] has the macvlan of [`Rtnl::create_macvlan`] above it, wherever that is: it may
    /// have been moved to other namespaces, set down, renamed or given another address. False from the moment at which it was
    /// deleted, or died with the namespace that it was in.
    ///
    /// When that happens [`Changes`](super::Changes) of the lower's namespace hear of the lower: first that its upper device goes, with the
    /// address still there, then of its address. They hear of it at other times too, but not when the macvlan is set up or down or moved.
    ///
    /// An administrator who changes the address of the hidden lower itself makes this true for ever.
    ///
    /// # Errors
    /// `ENODEV` when the lower is gone.
    pub fn has_upper(&mut self, lower: u32) -> io::Result<bool> {
        Ok(self.link(lower)?.address != VACANT)
    }
}

fn passthru(name: &str, lower: u32) -> LinkMessage {
    let data = vec![
        InfoMacVlan::Mode(MacVlanMode::Passthrough),
        // A TAP takes every frame without being promiscuous; becoming so is a line in the kernel's log whenever the macvlan is set up.
        InfoMacVlan::Flags(MacVlanFlags::NoPromisc),
        // Frames for groups and for all are delivered at once and not by a kernel thread: in order with the rest (since 6.4; ignored before).
        InfoMacVlan::BcCutoff(-1),
    ];
    let info = vec![LinkInfo::Kind(InfoKind::MacVlan), LinkInfo::Data(InfoData::MacVlan(data))];
    let mut device = message(0);
    device.attributes.extend([
        LinkAttribute::IfName(name.into()),
        LinkAttribute::Link(lower),
        LinkAttribute::LinkInfo(info),
    ]);
    device
}

fn is_macvlan_above(device: &LinkMessage, lower: u32) -> bool {
    let has = |wanted: &dyn Fn(&LinkAttribute) -> bool| device.attributes.iter().any(wanted);
    has(&|attribute| *attribute == LinkAttribute::Link(lower))
        && has(&|attribute| matches!(attribute, LinkAttribute::LinkInfo(info) if info.contains(&LinkInfo::Kind(InfoKind::MacVlan))))
        // Else the lower is one of another namespace.
        && !has(&|attribute| matches!(attribute, LinkAttribute::LinkNetNsId(_)))
}

#[cfg(test)]
mod tests;
