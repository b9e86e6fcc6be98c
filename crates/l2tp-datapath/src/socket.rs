//! A tunnel's socket: UDP of its own, a program's, or a share in the raw socket of its family.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use l2tp_core::Endpoints;
use l2tp_io::batch::{Outgoing, SendReport};
use l2tp_io::rawip::{RawRoute, RawSocket, probe};
use l2tp_io::udp::{UdpConfig, UdpSocket};

use crate::managed::socket::ManagedSocket;

/// What a tunnel sends on.
pub enum TunnelSocket {
    /// Connected to the peer, where it has one.
    Udp {
        /// The socket.
        socket: UdpSocket,
        /// What it was opened with.
        config: UdpConfig,
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
}

impl TunnelSocket {
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
        }
    }

    /// Addresses and settings as they are now.
    #[must_use]
    pub fn endpoints(&self) -> Endpoints {
        match self {
            Self::Udp { socket, config } => {
                let local = socket.local_addr().ok().or(config.local).unwrap_or(UNSPECIFIED);
                let nowhere = if local.is_ipv4() { UNSPECIFIED } else { UNSPECIFIED_V6 };
                Endpoints {
                    local,
                    peer: socket.peer_addr().unwrap_or(nowhere),
                    udp_csum: config.checksum,
                    zero_csum6_tx: config.zero_csum6_tx,
                    zero_csum6_rx: config.zero_csum6_rx,
                }
            }
            Self::Managed(socket) => socket.endpoints(),
            Self::Ip { route, .. } => Endpoints {
                local: SocketAddr::new(route.source, 0),
                peer: SocketAddr::new(route.destination, 0),
                udp_csum: false,
                zero_csum6_tx: false,
                zero_csum6_rx: false,
            },
        }
    }

    /// MTU of the route to the peer in bytes; 0 where there is none.
    #[must_use]
    pub fn route_mtu(&self) -> u32 {
        match self {
            Self::Udp { socket, .. } => socket.path_mtu().unwrap_or(0),
            Self::Managed(socket) => socket.route_mtu(),
            Self::Ip { route, .. } => probe(route.source, route.destination).map_or(0, |found| found.mtu),
        }
    }
}

const UNSPECIFIED: SocketAddr = SocketAddr::new(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED), 0);
const UNSPECIFIED_V6: SocketAddr = SocketAddr::new(IpAddr::V6(std::net::Ipv6Addr::UNSPECIFIED), 0);
