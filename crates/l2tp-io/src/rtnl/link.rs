//! Network devices.

use super::Rtnl;
use crate::netns::NetNs;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_EXCL};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{
    AfSpecInet6, AfSpecUnspec, InfoData, InfoKind, InfoVeth, InfoVxlan, LinkAttribute, LinkFlags, LinkInfo,
    LinkLayerType, LinkMessage, State,
};
use rustix::io::Errno;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, AsRawFd};

/// What a namespace knows of a network device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Link {
    /// Number of the device in its namespace.
    pub index: u32,
    /// Name.
    pub name: String,
    /// MTU in bytes: the largest payload of a frame.
    pub mtu: u32,
    /// MTU in bytes for IPv6, which a router may have made smaller (RFC 4861 section 4.6.4); none where the device has no IPv6.
    pub mtu6: Option<u32>,
    /// Group number, 0 unless set.
    pub group: u32,
    /// Administratively up (IFF_UP).
    pub up: bool,
    /// It has a carrier (IFF_LOWER_UP).
    pub carrier: bool,
    /// RFC 2863 operational state (`IF_OPER_*` of include/uapi/linux/if.h): 0 unknown, 2 down, 6 up.
    pub operstate: u8,
    /// Its frames begin with an Ethernet header (ARPHRD_ETHER).
    pub ethernet: bool,
    /// Hardware address.
    pub address: Vec<u8>,
    /// Index of the bridge or other device that it is a port of.
    pub master: Option<u32>,
}

impl Rtnl {
    /// Index of the device with this name.
    ///
    /// # Errors
    /// `ENODEV` when there is none.
    pub fn index_of(&mut self, name: &str) -> io::Result<u32> {
        // By ioctl on the netlink socket: it looks in the socket's namespace, like every request here.
        Ok(rustix::net::netdevice::name_to_index(&self.socket, name)?)
    }

    /// The device with this index.
    ///
    /// # Errors
    /// `ENODEV` when there is none.
    pub fn link(&mut self, index: u32) -> io::Result<Link> {
        let mut found = None;
        let request = RouteNetlinkMessage::GetLink(message(index));
        self.exchange(request, netlink_packet_core::NLM_F_ACK, |answer| found = link_of(answer))?;
        found.ok_or_else(|| Errno::NODEV.into())
    }

    /// All devices.
    ///
    /// # Errors
    /// Those of the dump: none in practice.
    pub fn links(&mut self) -> io::Result<Vec<Link>> {
        let mut links = Vec::new();
        self.dump(RouteNetlinkMessage::GetLink(message(0)), |answer| links.extend(link_of(answer)))?;
        Ok(links)
    }

    /// Brings a device up or down.
    ///
    /// # Errors
    /// `ENODEV`, `EPERM`, or what the driver says.
    pub fn set_up(&mut self, index: u32, up: bool) -> io::Result<()> {
        let mut request = message(index);
        request.header.change_mask = LinkFlags::Up;
        request.header.flags = if up { LinkFlags::Up } else { LinkFlags::empty() };
        self.execute(RouteNetlinkMessage::SetLink(request), 0)
    }

    /// Sets the MTU in bytes.
    ///
    /// # Errors
    /// `EINVAL` outside the device's limits, `ENODEV`, `EPERM`.
    pub fn set_mtu(&mut self, index: u32, mtu: u32) -> io::Result<()> {
        self.set(index, LinkAttribute::Mtu(mtu))
    }

    /// Sets how long a super-frame may be that a device is given, in bytes; the network stack cuts what is as long or longer.
    ///
    /// # Errors
    /// `EINVAL` above the device's own limit, `ENODEV`, `EPERM`.
    pub fn set_gso_max_size(&mut self, index: u32, bytes: u32) -> io::Result<()> {
        self.set(index, LinkAttribute::GsoMaxSize(bytes))
    }

    /// Puts a device into a group, to be deleted with it.
    ///
    /// # Errors
    /// `ENODEV`, `EPERM`.
    pub fn set_group(&mut self, index: u32, group: u32) -> io::Result<()> {
        self.set(index, LinkAttribute::Group(group))
    }

    /// Renames a device.
    ///
    /// # Errors
    /// `EEXIST` when the name is in use, `EINVAL` when it is not allowed, `EBUSY` on a device that is up,
    /// on older kernels.
    pub fn rename(&mut self, index: u32, name: &str) -> io::Result<()> {
        self.set(index, LinkAttribute::IfName(name.into()))
    }

    /// Gives a device another Ethernet address.
    ///
    /// # Errors
    /// `EADDRNOTAVAIL` for one that is zero or a group's, `EBUSY` for a device that must be down for it, `EOPNOTSUPP` for one whose
    /// address is fixed, `ENODEV`, `EPERM`.
    pub fn set_address(&mut self, index: u32, address: [u8; 6]) -> io::Result<()> {
        self.set(index, LinkAttribute::Address(address.to_vec()))
    }

    /// Makes a device a port of `master` (a bridge), or of none.
    ///
    /// # Errors
    /// `EINVAL` when `master` takes no ports, `ENODEV`, `EPERM`.
    pub fn set_master(&mut self, index: u32, master: Option<u32>) -> io::Result<()> {
        self.set(index, LinkAttribute::Controller(master.unwrap_or(0)))
    }

    /// Moves a device to another namespace, where it is down and may have another index.
    ///
    /// # Errors
    /// `EEXIST` when its name is in use there, `ENODEV`, `EPERM`, `EINVAL` for a device that may not move.
    pub fn move_to(&mut self, index: u32, netns: &NetNs) -> io::Result<()> {
        self.set(index, LinkAttribute::NetNsFd(netns.as_fd().as_raw_fd()))
    }

    /// Deletes a device.
    ///
    /// # Errors
    /// `ENODEV`, `EPERM`, `EOPNOTSUPP` for one that only its driver can remove.
    pub fn delete(&mut self, index: u32) -> io::Result<()> {
        self.execute(RouteNetlinkMessage::DelLink(message(index)), 0)
    }

    /// Deletes all devices of a group at once, which takes little longer than deleting one.
    ///
    /// # Errors
    /// `ENODEV` when the group is empty, `EPERM` for group 0, `EOPNOTSUPP` (and nothing is deleted) when one of them
    /// cannot be deleted.
    pub fn delete_group(&mut self, group: u32) -> io::Result<()> {
        let mut request = message(0);
        request.attributes.push(LinkAttribute::Group(group));
        self.execute(RouteNetlinkMessage::DelLink(request), 0)
    }

    /// Makes a pair of connected Ethernet devices; the peer is born in `peer_netns`, where that is given.
    ///
    /// # Errors
    /// `EEXIST` when a name is in use, `EOPNOTSUPP` on a kernel without veth, `EPERM`.
    pub fn create_veth(&mut self, name: &str, peer: &str, peer_netns: Option<&NetNs>) -> io::Result<()> {
        let mut far = message(0);
        far.attributes.push(LinkAttribute::IfName(peer.into()));
        far.attributes.extend(peer_netns.map(|netns| LinkAttribute::NetNsFd(netns.as_fd().as_raw_fd())));
        let data = LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(far)));
        self.create(name, vec![LinkInfo::Kind(InfoKind::Veth), data])
    }

    /// Makes a VXLAN device (RFC 7348) to one peer, over the device with index `underlay`, with the port that IANA gave it.
    ///
    /// # Errors
    /// `EEXIST` when the name is in use, `EOPNOTSUPP` on a kernel without VXLAN, `EINVAL` for addresses of two families, `EPERM`.
    pub fn create_vxlan(
        &mut self,
        name: &str,
        vni: u32,
        underlay: u32,
        local: IpAddr,
        peer: IpAddr,
    ) -> io::Result<()> {
        let local = match local {
            IpAddr::V4(address) => InfoVxlan::Local(address),
            IpAddr::V6(address) => InfoVxlan::Local6(address),
        };
        let peer = match peer {
            IpAddr::V4(address) => InfoVxlan::Group(address),
            IpAddr::V6(address) => InfoVxlan::Group6(address),
        };
        let data = vec![InfoVxlan::Id(vni), InfoVxlan::Link(underlay), local, peer, InfoVxlan::Port(4789)];
        self.create(name, vec![LinkInfo::Kind(InfoKind::Vxlan), LinkInfo::Data(InfoData::Vxlan(data))])
    }

    /// Makes a bridge.
    ///
    /// # Errors
    /// `EEXIST` when the name is in use, `EOPNOTSUPP` on a kernel without bridges, `EPERM`.
    pub fn create_bridge(&mut self, name: &str) -> io::Result<()> {
        self.create(name, vec![LinkInfo::Kind(InfoKind::Bridge)])
    }

    fn create(&mut self, name: &str, info: Vec<LinkInfo>) -> io::Result<()> {
        let mut request = message(0);
        request.attributes.extend([LinkAttribute::IfName(name.into()), LinkAttribute::LinkInfo(info)]);
        self.execute(RouteNetlinkMessage::NewLink(request), NLM_F_CREATE | NLM_F_EXCL)
    }

    pub(super) fn set(&mut self, index: u32, attribute: LinkAttribute) -> io::Result<()> {
        let mut request = message(index);
        request.attributes.push(attribute);
        self.execute(RouteNetlinkMessage::SetLink(request), 0)
    }
}

pub(super) fn message(index: u32) -> LinkMessage {
    let mut message = LinkMessage::default();
    message.header.index = index;
    message
}

fn link_of(answer: RouteNetlinkMessage) -> Option<Link> {
    let RouteNetlinkMessage::NewLink(answer) = answer else { return None };
    let flags = answer.header.flags;
    let mut link = Link {
        index: answer.header.index,
        up: flags.contains(LinkFlags::Up),
        carrier: flags.contains(LinkFlags::LowerUp),
        ethernet: answer.header.link_layer_type == LinkLayerType::Ether,
        ..Link::default()
    };
    for attribute in answer.attributes {
        match attribute {
            LinkAttribute::IfName(name) => link.name = name,
            LinkAttribute::Mtu(mtu) => link.mtu = mtu,
            LinkAttribute::Group(group) => link.group = group,
            LinkAttribute::OperState(state) => link.operstate = State::into(state),
            LinkAttribute::Address(address) => link.address = address,
            LinkAttribute::Controller(master) => link.master = Some(master),
            LinkAttribute::AfSpecUnspec(families) => link.mtu6 = families.iter().find_map(mtu6),
            _ => {}
        }
    }
    Some(link)
}

fn mtu6(family: &AfSpecUnspec) -> Option<u32> {
    let AfSpecUnspec::Inet6(attributes) = family else { return None };
    attributes.iter().find_map(|attribute| match attribute {
        AfSpecInet6::DevConf(settings) => u32::try_from(settings.mtu6).ok(),
        _ => None,
    })
}
