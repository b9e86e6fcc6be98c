//! Control messages over IP: sent one by one, with what the program's socket was told about TOS, TTL and fragments; and
//! what the network says about the addresses of such a socket.

use super::{Family, PROBED_PORT, RawRoute, RawSocket};
use crate::batch::Outgoing;
use crate::bpf::attach_classic;
use crate::mmsg::{self, OutHeader};
use crate::rawudp::RET_NOTHING;
use rustix::net::sockopt as rsockopt;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, connect, getpeername, getsockname, ipproto, socket_with,
};
use std::io::{self, IoSlice};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};

/// What precedes a control message over IP: session id 0 (RFC 3931 section 4.1.1.2).
const CONTROL_PREFIX: [u8; 4] = [0; 4];

/// Sends control messages of one family; receives nothing.
pub struct ControlSender {
    /// May be cut on its way.
    divisible: RawSocket,
    /// With DF, and refused where it is above the path's MTU.
    whole: RawSocket,
}

impl ControlSender {
    /// Opens its sockets in the namespace of the calling thread.
    ///
    /// # Errors
    /// `EPERM` without CAP_NET_RAW; `EAFNOSUPPORT` where IPv6 is off.
    pub fn open(family: Family) -> io::Result<Self> {
        let (divisible, whole) = (raw_socket(family)?, raw_socket(family)?);
        match family {
            Family::V4 => rsockopt::set_ip_mtu_discover(&whole, rsockopt::Ipv4PathMtuDiscovery::DO)?,
            Family::V6 => rsockopt::set_ipv6_mtu_discover(&whole, rsockopt::Ipv6PathMtuDiscovery::DO)?,
        }
        Ok(Self { divisible, whole })
    }

    /// Sends one message, behind the four bytes that it has over IP; `whole`: not to be cut.
    ///
    /// # Errors
    /// `EMSGSIZE` for one that must stay whole and is above the path's MTU; `ENETUNREACH`, `EHOSTUNREACH`, `EACCES`, `EINVAL` of
    /// sendmsg(2); `WouldBlock` when the queue is full.
    pub fn send(&self, route: &RawRoute, whole: bool, message: &[u8]) -> io::Result<()> {
        let (to, control) = (route.to(), route.control());
        let parts = [IoSlice::new(&CONTROL_PREFIX), IoSlice::new(message)];
        let outgoing = Outgoing { parts: &parts, segment: None };
        let socket = if whole { &self.whole } else { &self.divisible };
        let mut result = Ok(());
        let headers = &mut [OutHeader::new(&outgoing, Some(&to), &control)];
        mmsg::send_each(socket.as_fd(), headers, |_, error| result = Err(error));
        result
    }
}

/// A raw socket that takes no packet in: what arrives is for the one of [`super::RawSocket`].
fn raw_socket(family: Family) -> io::Result<RawSocket> {
    let socket = RawSocket::open(family)?;
    attach_classic(&socket, &[RET_NOTHING])?;
    Ok(socket)
}

const fn domain(v4: bool) -> AddressFamily {
    if v4 { AddressFamily::INET } else { AddressFamily::INET6 }
}

/// Finds out, in the namespace of the calling thread, whether a datagram socket can be bound to an address (port 0).
///
/// # Errors
/// `EADDRNOTAVAIL` for one that is not ours, `ENODEV` for a scope id without interface, `EINVAL` for link-local without scope id.
pub fn check_local(address: SocketAddr) -> io::Result<()> {
    Ok(bind(&datagram_socket(address)?, &address)?)
}

/// Finds out, in the namespace of the calling thread, which addresses a datagram socket on `local` has after it was connected to
/// `peer`: ours and the peer's. Nothing is sent.
///
/// # Errors
/// Those of bind(2) and connect(2): `EADDRNOTAVAIL`, `ENETUNREACH`, `EHOSTUNREACH`, `EACCES` (broadcast), `EINVAL`.
pub fn find_path(local: SocketAddr, peer: SocketAddr) -> io::Result<(IpAddr, IpAddr)> {
    let socket = datagram_socket(local)?;
    bind(&socket, &local)?;
    let mut probed = peer;
    probed.set_port(PROBED_PORT);
    connect(&socket, &probed)?;
    let ours = SocketAddr::try_from(getsockname(&socket)?)?;
    let theirs = getpeername(&socket)?.map(SocketAddr::try_from).transpose()?;
    Ok((ours.ip(), theirs.unwrap_or(peer).ip()))
}

fn datagram_socket(address: SocketAddr) -> io::Result<OwnedFd> {
    let flags = SocketFlags::CLOEXEC;
    Ok(socket_with(domain(address.is_ipv4()), SocketType::DGRAM, flags, Some(ipproto::UDP))?)
}
