//! The UDP socket of a tunnel, made as the kernel makes the socket of an unmanaged tunnel
//! (net/l2tp/l2tp_core.c l2tp_tunnel_sock_create, net/ipv4/udp_tunnel_core.c).

use crate::batch::{Outgoing, RecvBatch, SendReport};
use crate::mmsg;
use crate::sockopt;
use rustix::io::Errno;
use rustix::net::sockopt as rsockopt;
use rustix::net::{
    AddressFamily, SocketFlags, SocketType, bind, connect, getpeername, getsockname, ipproto, socket_with,
};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

mod program;
mod stand_in;
mod train;

pub use program::{ProgramSocket, Settings};
pub use stand_in::StandIn;
use train::{NoChecksum, Route};

/// What socket to open. The family is that of the addresses; IPv4 when there are none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct UdpConfig {
    /// Address and port to bind; port 0 takes a free one. `None`: any address, a free port.
    pub local: Option<SocketAddr>,
    /// Address and port to connect to. With port 0, or `None`, the socket stays unconnected.
    pub peer: Option<SocketAddr>,
    /// IPv4: send UDP checksums. Trains carry one in any case.
    pub checksum: bool,
    /// IPv6: send checksum 0, as tunnels may (RFC 6935). Trains carry one in any case.
    pub zero_csum6_tx: bool,
    /// IPv6: accept checksum 0.
    pub zero_csum6_rx: bool,
}

/// A tunnel's UDP socket: non-blocking, received datagrams joined by GRO, never a DF bit.
pub struct UdpSocket {
    descriptor: OwnedFd,
    /// For a socket that sends checksum 0: whether it does so just now.
    no_checksum: Option<NoChecksum>,
}

impl UdpSocket {
    /// Opens, binds and connects in the namespace of the calling thread. No address is shared with another socket.
    ///
    /// # Errors
    /// The kernel's own: `EADDRNOTAVAIL` (not a local address), `EADDRINUSE`, `ENETUNREACH`, `EACCES` (broadcast
    /// peer, or a port below 1024 without CAP_NET_BIND_SERVICE), `EINVAL` (a link-local address with scope 0, or
    /// addresses of two families).
    pub fn open(config: &UdpConfig) -> io::Result<Self> {
        let local = bind_address(config)?;
        let family = if local.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let descriptor = socket_with(family, SocketType::DGRAM, flags, Some(ipproto::UDP))?;
        bind(&descriptor, &local)?;
        if let Some(peer) = config.peer.filter(|peer| peer.port() != 0) {
            connect(&descriptor, &peer)?;
        }
        let no_checksum = set_checksums(&descriptor, config, local.is_ipv4())?;
        never_set_df(&descriptor, local.is_ipv4())?;
        if local.is_ipv4() {
            // As setup_udp_tunnel_sock does: what goes to a multicast peer does not come back to us.
            rsockopt::set_ip_multicast_loop(&descriptor, false)?;
        }
        sockopt::set(&descriptor, libc::SOL_UDP, libc::UDP_GRO, 1)?;
        sockopt::enlarge_buffers(&descriptor);
        Ok(Self { descriptor, no_checksum })
    }

    /// The address that the socket is bound to; the wildcard address until it is connected.
    ///
    /// # Errors
    /// Those of getsockname(2): none in practice.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        Ok(getsockname(&self.descriptor)?.try_into()?)
    }

    /// The address that the socket is connected to, if any.
    #[must_use]
    pub fn peer_addr(&self) -> Option<SocketAddr> {
        getpeername(&self.descriptor).ok()??.try_into().ok()
    }

    /// MTU in bytes of the route to the peer, IP header included; `None` on an unconnected socket.
    #[must_use]
    pub fn path_mtu(&self) -> Option<u32> {
        if self.local_addr().ok()?.is_ipv4() {
            rsockopt::ip_mtu(&self.descriptor).ok()
        } else {
            rsockopt::ipv6_mtu(&self.descriptor).ok()
        }
    }

    /// Receives what waits, up to the size of the batch, and returns the number of datagrams; 0 when nothing waits.
    /// ICMP errors of earlier packets are counted in the batch's faults and passed over.
    ///
    /// # Errors
    /// Those of recvmmsg(2) that no peer can cause.
    pub fn recv_batch(&self, batch: &mut RecvBatch) -> io::Result<usize> {
        mmsg::receive(self.descriptor.as_fd(), batch)
    }

    /// Sends the first [`crate::batch::MAX_BATCH`] messages to the peer, in order, and goes on after one that fails. A train that
    /// the kernel refuses is sent one datagram at a time.
    pub fn send_batch(&self, messages: &[Outgoing<'_>]) -> SendReport {
        train::send_batch(self.descriptor.as_fd(), &Route::CONNECTED, self.no_checksum.as_ref(), messages)
    }
}

impl AsFd for UdpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

fn bind_address(config: &UdpConfig) -> io::Result<SocketAddr> {
    match (config.local, config.peer) {
        (Some(local), Some(peer)) if local.is_ipv4() != peer.is_ipv4() => Err(Errno::INVAL.into()),
        (Some(local), _) => Ok(local),
        (None, Some(SocketAddr::V6(_))) => Ok((Ipv6Addr::UNSPECIFIED, 0).into()),
        (None, _) => Ok((Ipv4Addr::UNSPECIFIED, 0).into()),
    }
}

fn set_checksums(socket: &OwnedFd, config: &UdpConfig, v4: bool) -> io::Result<Option<NoChecksum>> {
    if !v4 {
        sockopt::set(socket, libc::SOL_UDP, libc::UDP_NO_CHECK6_RX, config.zero_csum6_rx.into())?;
    }
    send_checksums(socket, v4, if v4 { config.checksum } else { !config.zero_csum6_tx })
}

/// Turns the checksums of what a socket sends on, or off but for trains.
fn send_checksums(socket: &OwnedFd, v4: bool, on: bool) -> io::Result<Option<NoChecksum>> {
    let (level, option) =
        if v4 { (libc::SOL_SOCKET, libc::SO_NO_CHECK) } else { (libc::SOL_UDP, libc::UDP_NO_CHECK6_TX) };
    sockopt::set(socket, level, option, (!on).into())?;
    Ok((!on).then(|| NoChecksum::new(level, option)))
}

/// The kernel never sets DF on tunnelled data and fragments what is too big.
pub(crate) fn never_set_df(socket: &OwnedFd, v4: bool) -> io::Result<()> {
    if v4 {
        rsockopt::set_ip_mtu_discover(socket, rsockopt::Ipv4PathMtuDiscovery::DONT)?;
    } else {
        rsockopt::set_ipv6_mtu_discover(socket, rsockopt::Ipv6PathMtuDiscovery::DONT)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
