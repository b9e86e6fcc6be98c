//! One socket: its states and what each call answers.

use super::{Domain, Network, Options};
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use l2tp_abi::Errno;
use l2tp_abi::sockaddr::{AF_UNSPEC, SockaddrL2tpip, SockaddrL2tpip6, family};

/// An L2TPIP socket. What can change its place among the others (`bind`, `connect`, close) goes through
/// [`super::Sockets`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Socket {
    domain: Domain,
    /// It has a connection id: `bind` was called. It has one for good, even without an address.
    bound: bool,
    conn_id: u32,
    peer_conn_id: u32,
    local: IpAddr,
    peer: Option<IpAddr>,
    flowinfo: [u8; 4],
    /// Index of the interface of its link-local addresses, else 0.
    device: u32,
    options: Options,
}

/// Where a message goes, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Route {
    /// Our address; unspecified: routing chooses.
    pub source: IpAddr,
    /// The other's.
    pub destination: IpAddr,
    /// Index of the interface of a link-local destination, else 0.
    pub scope_id: u32,
    /// TOS or traffic class.
    pub tos: u8,
    /// TTL or hop limit; `None`: the host's default.
    pub ttl: Option<u8>,
    /// Not to be cut, neither here (`EMSGSIZE`) nor on its way (DF).
    pub whole: bool,
}

impl Route {
    /// The errno of `sendmsg` where the host answered `errno`: over IPv4, whatever has no route is `EHOSTUNREACH`.
    #[must_use]
    pub fn refusal(&self, errno: Errno) -> Errno {
        if errno == Errno::ENETUNREACH && self.destination.is_ipv4() { Errno::EHOSTUNREACH } else { errno }
    }
}

impl Socket {
    pub(super) fn new(domain: Domain) -> Self {
        Self {
            domain,
            bound: false,
            conn_id: 0,
            peer_conn_id: 0,
            local: domain.unspecified(),
            peer: None,
            flowinfo: [0; 4],
            device: 0,
            options: Options::default(),
        }
    }

    /// Its address family.
    #[must_use]
    pub const fn domain(&self) -> Domain {
        self.domain
    }

    /// The connection id that it is bound to, if it is.
    #[must_use]
    pub fn conn_id(&self) -> Option<u32> {
        self.bound.then_some(self.conn_id)
    }

    /// Its own address; unspecified: any.
    #[must_use]
    pub const fn local(&self) -> IpAddr {
        self.local
    }

    /// The address that it is connected to, if it is.
    #[must_use]
    pub const fn peer(&self) -> Option<IpAddr> {
        self.peer
    }

    /// Its options.
    #[must_use]
    pub const fn options(&self) -> &Options {
        &self.options
    }

    /// `setsockopt`.
    ///
    /// # Errors
    /// `ENOPROTOOPT` for an option that is not known here, `EINVAL` for a value out of range or too short.
    pub fn set_option(&mut self, level: u32, option: u32, value: &[u8]) -> Result<(), Errno> {
        self.options.set(self.domain, level, option, value)
    }

    /// `getsockopt`: an `int`.
    ///
    /// # Errors
    /// `ENOPROTOOPT`.
    pub fn option(&self, level: u32, option: u32) -> Result<Vec<u8>, Errno> {
        self.options.get(self.domain, level, option)
    }

    /// `getsockname`.
    #[must_use]
    pub fn name(&self) -> Vec<u8> {
        self.emit(self.local, [0; 4], self.conn_id)
    }

    /// `getpeername`.
    ///
    /// # Errors
    /// `ENOTCONN`: over IPv6 while the peer's connection id is 0, over IPv4 always, because the kernel looks at a port that
    /// such a socket does not have.
    pub fn peer_name(&self) -> Result<Vec<u8>, Errno> {
        if self.domain == Domain::V4 || self.peer_conn_id == 0 {
            return Err(Errno::ENOTCONN);
        }
        let peer = self.peer.unwrap_or(self.domain.unspecified());
        Ok(self.emit(peer, self.flowinfo, self.peer_conn_id))
    }

    fn emit(&self, address: IpAddr, flowinfo: [u8; 4], conn_id: u32) -> Vec<u8> {
        match address {
            IpAddr::V4(address) => SockaddrL2tpip { address, conn_id }.emit(),
            IpAddr::V6(address) => {
                let scope_id = if address.is_unicast_link_local() { self.device } else { 0 };
                SockaddrL2tpip6 { flowinfo, address, scope_id, conn_id }.emit()
            }
        }
    }

    /// Checks the address of a `bind`; the bound socket, which its table has still to compare with the others.
    pub(super) fn to_bound(&self, address: &[u8], network: &impl Network) -> Result<Self, Errno> {
        let (local, scope_id, conn_id) = parse(self.domain, address)?;
        if family(address) != Some(self.domain.number()) {
            return Err(Errno::EINVAL);
        }
        if matches!(local, IpAddr::V6(local) if local.is_multicast() || local.to_ipv4_mapped().is_some()) {
            return Err(Errno::EADDRNOTAVAIL);
        }
        if self.bound || self.peer.is_some() {
            return Err(Errno::EINVAL);
        }
        let device = if is_link_local(local) { scope_id } else { 0 };
        if is_link_local(local) && device == 0 {
            return Err(Errno::EINVAL);
        }
        if !local.is_unspecified() {
            network.check_local(with_scope(local, device))?;
        }
        Ok(Self { bound: true, local, conn_id, device, ..self.clone() })
    }

    /// Checks the address of a `connect`; the socket as it is afterwards.
    pub(super) fn to_connected(&self, address: &[u8], network: &impl Network) -> Result<Self, Errno> {
        if family(address).ok_or(Errno::EINVAL)? == AF_UNSPEC {
            return Ok(self.to_disconnected());
        }
        let (peer, scope_id, peer_conn_id) = parse(self.domain, address)?;
        if !self.bound || peer.to_canonical().is_multicast() {
            return Err(Errno::EINVAL);
        }
        if family(address) != Some(self.domain.number()) {
            return Err(if self.domain == Domain::V4 { Errno::EAFNOSUPPORT } else { Errno::EINVAL });
        }
        if matches!(peer, IpAddr::V6(peer) if peer.to_ipv4_mapped().is_some()) {
            return Err(Errno::ENETUNREACH);
        }
        let device = if is_link_local(peer) && scope_id != 0 { scope_id } else { self.device };
        let path = network.connect(with_scope(self.local, device), with_scope(peer, device))?;
        let local = if self.local.is_unspecified() { path.local } else { self.local };
        let flowinfo = SockaddrL2tpip6::parse(address).map_or([0; 4], |address| address.flowinfo);
        Ok(Self { local, peer: Some(path.peer), peer_conn_id, device, flowinfo, ..self.clone() })
    }

    /// Without peer and without address of its own. Both connection ids stay.
    fn to_disconnected(&self) -> Self {
        if !self.bound {
            return self.clone();
        }
        Self { local: self.domain.unspecified(), peer: None, device: 0, ..self.clone() }
    }

    /// Where `sendmsg` with the address `to`, or without one, sends.
    ///
    /// # Errors
    /// `EDESTADDRREQ` without address on a socket that is not connected, `EINVAL` for an address that is too short,
    /// `EAFNOSUPPORT` for one of another family.
    pub fn route(&self, to: Option<&[u8]>) -> Result<Route, Errno> {
        let Some(address) = to else { return self.route_to(None) };
        let (address, scope_id) = match self.domain {
            Domain::V4 => {
                let to = SockaddrL2tpip::parse(address).ok_or(Errno::EINVAL)?;
                (to.address.into(), 0)
            }
            Domain::V6 => {
                let to = SockaddrL2tpip6::parse_to_send(address).ok_or(Errno::EINVAL)?;
                (to.address.into(), to.scope_id)
            }
        };
        let named = [AF_UNSPEC, self.domain.number()];
        if family(to.unwrap_or_default()).is_none_or(|family| !named.contains(&family)) {
            return Err(Errno::EAFNOSUPPORT);
        }
        self.route_to(Some((address, scope_id)))
    }

    /// [`Self::route`] to an address and a scope id, or to the peer.
    ///
    /// # Errors
    /// `EDESTADDRREQ` and `EAFNOSUPPORT` as there.
    pub fn route_to(&self, to: Option<(IpAddr, u32)>) -> Result<Route, Errno> {
        let (destination, scope_id) = match to {
            Some(to) => to,
            None => (self.peer.ok_or(Errno::EDESTADDRREQ)?, self.device),
        };
        if Domain::of(destination) != self.domain {
            return Err(Errno::EAFNOSUPPORT);
        }
        let destination = match destination {
            IpAddr::V6(any) if any.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
            other => other,
        };
        let scope_id = if scope_id == 0 { self.device } else { scope_id };
        Ok(Route {
            source: self.source(),
            destination,
            scope_id: if is_link_local(destination) { scope_id } else { 0 },
            tos: self.options.tos,
            ttl: self.options.ttl,
            whole: self.options.keeps_whole(self.domain),
        })
    }

    /// What it sends from: nobody is a group.
    fn source(&self) -> IpAddr {
        let is_group = self.local.is_multicast() || self.local == IpAddr::V4(Ipv4Addr::BROADCAST);
        if is_group { self.domain.unspecified() } else { self.local }
    }

    /// Whether a message to `local` from `remote` that came in on `device` is for this socket; an unspecified address and a
    /// device 0 fit all. `bind` asks the same of the sockets that are there (`__l2tp_ip_bind_lookup`).
    pub(super) fn matches(&self, local: IpAddr, remote: Option<IpAddr>, device: u32) -> bool {
        let fits_local = self.local.is_unspecified() || local.is_unspecified() || self.local == local;
        let fits_remote = self.peer.zip(remote).is_none_or(|(peer, remote)| peer == remote);
        let fits_device = self.device == 0 || device == 0 || self.device == device;
        fits_local && fits_remote && fits_device
    }

    pub(super) const fn device(&self) -> u32 {
        self.device
    }
}

/// Address, scope id and connection id; the family is not looked at.
fn parse(domain: Domain, address: &[u8]) -> Result<(IpAddr, u32, u32), Errno> {
    let v4 = |parsed: SockaddrL2tpip| (parsed.address.into(), 0, parsed.conn_id);
    let v6 = |parsed: SockaddrL2tpip6| (parsed.address.into(), parsed.scope_id, parsed.conn_id);
    let parsed = match domain {
        Domain::V4 => SockaddrL2tpip::parse(address).map(v4),
        Domain::V6 => SockaddrL2tpip6::parse(address).map(v6),
    };
    parsed.ok_or(Errno::EINVAL)
}

fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

fn with_scope(address: IpAddr, scope_id: u32) -> SocketAddr {
    match address {
        IpAddr::V4(_) => SocketAddr::new(address, 0),
        IpAddr::V6(v6) => {
            SocketAddrV6::new(v6, 0, 0, if is_link_local(address) { scope_id } else { 0 }).into()
        }
    }
}
