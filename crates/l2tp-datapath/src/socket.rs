//! A tunnel's socket: UDP of its own, a program's, or a share in the raw socket of its family.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use l2tp_core::Endpoints;
use l2tp_io::batch::{Outgoing, SendReport};
use l2tp_io::rawip::{RawRoute, RawSocket, probe};
use l2tp_io::udp::{UdpConfig, UdpSocket};

use crate::l2tpip::{LivePath, PathNow};
use crate::managed::socket::ManagedSocket;

/// What a tunnel sends on.
pub enum TunnelSocket {
    /// Connected to the peer, where it has one.
    Udp {
        /// The socket.
        socket: UdpSocket,
        /// Its addresses and settings: nobody else has it, so they stay.
        endpoints: Endpoints,
    },
    /// A program's UDP socket.
    Managed(ManagedSocket),
    /// Protocol 115: addresses, on the raw socket of the family.
    Ip {
        /// The socket that all tunnels of the family share.
        socket: Arc<RawSocket>,
        /// The tunnel's two addresses.
        route: RawRoute,
    },
    /// Protocol 115 by a program's L2TPIP socket.
    L2tpip {
        /// The socket that all tunnels of the family share.
        socket: Arc<RawSocket>,
        /// The addresses of the program's socket.
        path: Arc<LivePath>,
    },
}

impl TunnelSocket {
    /// A UDP socket that was opened with `config`.
    pub(crate) fn udp(socket: UdpSocket, config: UdpConfig) -> Self {
        let local = socket.local_addr().ok().or(config.local).unwrap_or(UNSPECIFIED);
        let nowhere = if local.is_ipv4() { UNSPECIFIED } else { UNSPECIFIED_V6 };
        let endpoints = Endpoints {
            local,
            peer: socket.peer_addr().unwrap_or(nowhere),
            udp_csum: config.checksum,
            zero_csum6_tx: config.zero_csum6_tx,
            zero_csum6_rx: config.zero_csum6_rx,
        };
        Self::Udp { socket, endpoints }
    }

    /// Whether several datagrams of one size can leave in one message.
    #[must_use]
    pub fn has_trains(&self) -> bool {
        matches!(self, Self::Udp { .. } | Self::Managed(_))
    }

    /// Sends messages to the peer; see [`UdpSocket::send_batch`].
    pub fn send_batch(&self, messages: &[Outgoing<'_>]) -> SendReport {
        match self {
            Self::Udp { socket, .. } => socket.send_batch(messages),
            Self::Managed(socket) => socket.send_batch(messages),
            Self::Ip { socket, route } => socket.send_batch(route, messages),
            Self::L2tpip { socket, path } => match path.now().peer {
                Some(route) => socket.send_batch(&route, messages),
                None => SendReport::refused(messages.len(), io::ErrorKind::NotConnected.into()),
            },
        }
    }

    /// Addresses and settings as they are now.
    #[must_use]
    pub fn endpoints(&self) -> Endpoints {
        match self {
            Self::Udp { endpoints, .. } => *endpoints,
            Self::Managed(socket) => socket.endpoints(),
            Self::Ip { route, .. } => ip_endpoints(route.source, route.destination),
            Self::L2tpip { path, .. } => {
                let PathNow { local, peer } = path.now();
                let nowhere = if local.is_ipv4() { UNSPECIFIED } else { UNSPECIFIED_V6 };
                ip_endpoints(local, peer.map_or(nowhere.ip(), |route| route.destination))
            }
        }
    }

    /// MTU of the route to the peer in bytes; 0 where there is none.
    #[must_use]
    pub fn route_mtu(&self) -> u32 {
        match self {
            Self::Udp { socket, .. } => socket.path_mtu().unwrap_or(0),
            Self::Managed(socket) => socket.route_mtu(),
            Self::Ip { route, .. } => route_mtu(route),
            Self::L2tpip { path, .. } => path.now().peer.map_or(0, |route| route_mtu(&route)),
        }
    }
}

fn route_mtu(route: &RawRoute) -> u32 {
    probe(route.source, route.destination).map_or(0, |found| found.mtu)
}

fn ip_endpoints(local: IpAddr, peer: IpAddr) -> Endpoints {
    Endpoints {
        local: SocketAddr::new(local, 0),
        peer: SocketAddr::new(peer, 0),
        udp_csum: false,
        zero_csum6_tx: false,
        zero_csum6_rx: false,
    }
}

const UNSPECIFIED: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);
const UNSPECIFIED_V6: SocketAddr = SocketAddr::new(IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED), 0);
