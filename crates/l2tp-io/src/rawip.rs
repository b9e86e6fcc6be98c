//! L2TPv3 over IP, protocol 115 (RFC 3931 section 4.1.1), by raw sockets: one for each family of a namespace, shared
//! by all its tunnels, as the kernel has one handler for each (net/l2tp/l2tp_ip.c, l2tp_ip6.c).

use crate::batch::{MAX_BATCH, Outgoing, RecvBatch, SendReport};
use crate::cmsg::ControlSpace;
use crate::mmsg::{self, OutHeader};
use crate::sockaddr::SockAddr;
use crate::sockopt;
use crate::udp::never_set_df;
use rustix::io::Errno;
use rustix::net::sockopt as rsockopt;
use rustix::net::{AddressFamily, Protocol, RawProtocol, SocketFlags, SocketType};
use rustix::net::{bind, connect, getsockname, ipproto, socket_with};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

pub mod control;

/// IP protocol number of L2TPv3 (RFC 3931 section 10.1).
pub const IPPROTO_L2TP: u8 = 115;

/// The IP version of a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Family {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Family {
    /// The version of an address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        if address.is_ipv4() { Self::V4 } else { Self::V6 }
    }
}

/// What the IP headers of one tunnel's packets carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawRoute {
    /// Our address; the unspecified one lets routing choose.
    pub source: IpAddr,
    /// The peer's.
    pub destination: IpAddr,
    /// Index of the interface of a link-local peer, else 0.
    pub scope_id: u32,
    /// TOS or traffic class.
    pub tos: u8,
    /// TTL or hop limit; `None`: the host's default.
    pub ttl: Option<u8>,
}

impl RawRoute {
    /// Between two addresses, all else by default.
    #[must_use]
    pub const fn new(source: IpAddr, destination: IpAddr) -> Self {
        Self { source, destination, scope_id: 0, tos: 0, ttl: None }
    }

    fn to(&self) -> SockAddr {
        SockAddr::from(match self.destination {
            IpAddr::V4(_) => SocketAddr::new(self.destination, 0),
            IpAddr::V6(address) => SocketAddrV6::new(address, 0, 0, self.scope_id).into(),
        })
    }

    /// What sendmsg(2) is told beside the address: our own, TOS and TTL.
    fn control(&self) -> ControlSpace<88> {
        let mut control = source_control(self.source);
        let (level, tos, ttl) = match self.destination {
            IpAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_TOS, libc::IP_TTL),
            IpAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_TCLASS, libc::IPV6_HOPLIMIT),
        };
        if self.tos != 0 {
            control.push(level, tos, &i32::from(self.tos).to_ne_bytes());
        }
        if let Some(value) = self.ttl {
            control.push(level, ttl, &i32::from(value).to_ne_bytes());
        }
        control
    }
}

/// A raw socket that receives every packet of protocol 115 and one family that arrives in its namespace, fragments
/// put together. While it is open the host sends no ICMP "protocol unreachable" for them.
pub struct RawSocket {
    descriptor: OwnedFd,
    family: Family,
}

impl RawSocket {
    /// Opens the socket in the namespace of the calling thread: non-blocking, never a DF bit.
    ///
    /// # Errors
    /// `EPERM` without CAP_NET_RAW; `EAFNOSUPPORT` where IPv6 is off.
    pub fn open(family: Family) -> io::Result<Self> {
        Self::open_protocol(family, IPPROTO_L2TP)
    }

    /// The same for any protocol.
    pub(crate) fn open_protocol(family: Family, protocol: u8) -> io::Result<Self> {
        let domain = if family == Family::V4 { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let protocol = RawProtocol::new(protocol.into()).map(Protocol::from_raw);
        let descriptor = socket_with(domain, SocketType::RAW, flags, protocol)?;
        never_set_df(&descriptor, family == Family::V4)?;
        if family == Family::V6 {
            sockopt::set(&descriptor, libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO, 1)?;
        }
        sockopt::enlarge_buffers(&descriptor);
        Ok(Self { descriptor, family })
    }

    /// Receives what waits, up to the size of the batch, and returns the number of packets; 0 when nothing waits.
    /// The batch gives the IP payload, with both addresses.
    ///
    /// # Errors
    /// Those of recvmmsg(2) that no peer can cause.
    pub fn recv_batch(&self, batch: &mut RecvBatch) -> io::Result<usize> {
        let received = mmsg::receive(self.descriptor.as_fd(), batch)?;
        if self.family == Family::V4 {
            strip_ipv4_headers(batch);
        }
        Ok(received)
    }

    /// Sends the first [`MAX_BATCH`] messages, one packet each, in order, and goes on after one that fails. Trains do
    /// not exist for protocol 115: one fails with `EINVAL`.
    pub fn send_batch(&self, route: &RawRoute, messages: &[Outgoing<'_>]) -> SendReport {
        let messages = messages.get(..MAX_BATCH).unwrap_or(messages);
        let mut report = SendReport::default();
        let (to, control) = (route.to(), route.control());
        let mut headers = [OutHeader::EMPTY; MAX_BATCH];
        let mut first = 0;
        for run in messages.chunk_by(|a, b| a.train().is_some() == b.train().is_some()) {
            let mut fail = |index, error| report.fail(first + index, error);
            if run.iter().any(|message| message.train().is_some()) {
                (0..run.len()).for_each(|index| fail(index, Errno::INVAL.into()));
            } else {
                for (header, message) in headers.iter_mut().zip(run) {
                    *header = OutHeader::new(message, Some(&to), &control);
                }
                let headers = headers.get_mut(..run.len()).unwrap_or_default();
                mmsg::send_each(self.descriptor.as_fd(), headers, fail);
            }
            first += run.len();
        }
        report.close(messages.len())
    }
}

impl AsFd for RawSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// IP_PKTINFO or IPV6_PKTINFO with our address (`struct in_pktinfo`, `struct in6_pktinfo`), or nothing.
pub(crate) fn source_control<const N: usize>(source: IpAddr) -> ControlSpace<N> {
    let mut control = ControlSpace::EMPTY;
    match source {
        IpAddr::V4(address) if !address.is_unspecified() => {
            // ipi_ifindex 0, ipi_spec_dst, ipi_addr unused.
            let [a, b, c, d] = address.octets();
            control.push(libc::IPPROTO_IP, libc::IP_PKTINFO, &[0, 0, 0, 0, a, b, c, d, 0, 0, 0, 0]);
        }
        IpAddr::V6(address) if !address.is_unspecified() => {
            // ipi6_addr, ipi6_ifindex 0.
            let mut info = [0; 20];
            info.iter_mut().zip(address.octets()).for_each(|(to, from)| *to = from);
            control.push(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO, &info);
        }
        _ => {}
    }
    control
}

/// Raw IPv4 sockets hand up the IP header too (raw(7)).
fn strip_ipv4_headers(batch: &mut RecvBatch) {
    let filled = batch.slots.iter_mut().take(batch.filled);
    for (buffer, slot) in batch.buffers.chunks_exact(batch.slot_bytes).zip(filled) {
        let Some((_, length)) = slot.payload else { continue };
        let header = buffer.get(..length).and_then(ipv4_header);
        slot.payload = header.map(|(size, _)| (size, length - size));
        slot.local = header.map(|(_, destination)| destination.into());
        batch.faults.malformed += u64::from(header.is_none());
    }
}

/// Size and destination address of the IPv4 header at the start of the packet (RFC 791 section 3.1).
fn ipv4_header(packet: &[u8]) -> Option<(usize, Ipv4Addr)> {
    let size = usize::from(packet.first()? & 0x0f) * 4;
    let (_, destination) = packet.get(..size)?.split_at_checked(16)?;
    Some((size, Ipv4Addr::from(*destination.first_chunk::<4>()?)))
}

/// What the network answers to an IP tunnel between two addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Our address: the given one, or the one that routing chose for an unspecified one.
    pub local: IpAddr,
    /// MTU in bytes of the route to the peer, IP header included.
    pub mtu: u32,
}

/// Finds out, in the namespace of the calling thread, what binding and connecting the kernel's L2TPIP socket would
/// answer. Asked of a UDP socket that lives for the length of the call and sends nothing.
///
/// # Errors
/// `EADDRNOTAVAIL` (not a local address; IPv6 multicast or IPv4-mapped), `EINVAL` (multicast peer, link-local address,
/// two families), `ENETUNREACH`, `EHOSTUNREACH`, `EACCES` (broadcast peer): net/l2tp/l2tp_ip.c l2tp_ip_bind and
/// l2tp_ip_connect, and their IPv6 twins.
pub fn probe(local: IpAddr, peer: IpAddr) -> io::Result<Probe> {
    if local.is_ipv4() != peer.is_ipv4() {
        return Err(Errno::INVAL.into());
    }
    if let IpAddr::V6(local) = local
        && (local.is_multicast() || local.to_ipv4_mapped().is_some())
    {
        return Err(Errno::ADDRNOTAVAIL.into());
    }
    let family = if local.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, Some(ipproto::UDP))?;
    bind(&socket, &SocketAddr::new(local, 0))?;
    if peer.is_multicast() || matches!(peer, IpAddr::V6(peer) if maps_multicast(peer)) {
        return Err(Errno::INVAL.into());
    }
    connect(&socket, &SocketAddr::new(peer, PROBED_PORT))?;
    let mtu = if local.is_ipv4() { rsockopt::ip_mtu(&socket) } else { rsockopt::ipv6_mtu(&socket) }?;
    Ok(Probe { local: SocketAddr::try_from(getsockname(&socket)?)?.ip(), mtu })
}

/// Any port will do: routing rules by port apart, which see the one of L2TP.
const PROBED_PORT: u16 = 1701;

fn maps_multicast(peer: Ipv6Addr) -> bool {
    peer.to_ipv4_mapped().is_some_and(|mapped| mapped.is_multicast())
}

#[cfg(test)]
mod tests;
