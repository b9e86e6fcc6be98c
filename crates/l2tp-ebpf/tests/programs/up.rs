//! Where packets go that the programs leave alone: the tunnel's socket.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::num::NonZero;
use std::os::fd::AsFd;
use std::time::Duration;

use l2tp_ebpf::Carrier;
use l2tp_io::sockopt;
use rustix::net::{AddressFamily, Protocol, SocketFlags, SocketType, socket_with};

use crate::host::Host;

/// `UDP_NO_CHECK6_RX`, include/uapi/linux/udp.h.
const NO_CHECK6_RX: (i32, i32) = (17, 102);

/// A socket of UDP or of IP protocol 115.
pub(crate) struct Up {
    socket: UdpSocket,
    /// Bytes in front of a message.
    headers_len: usize,
}

impl Up {
    /// That of the host with this address.
    pub(crate) fn open(host: &Host, address: IpAddr, carrier: Carrier) -> Self {
        let socket = host.here(|| match carrier {
            Carrier::Udp { local_port, .. } => udp(address, local_port),
            Carrier::Ip => raw(address),
        });
        socket.set_nonblocking(true).unwrap();
        let headers_len = if carrier == Carrier::Ip && address.is_ipv4() { 20 } else { 0 };
        Self { socket, headers_len }
    }

    /// The next message, if it is there.
    pub(crate) fn take(&self) -> Option<Vec<u8>> {
        let mut buffer = [0; 2048];
        match self.socket.recv(&mut buffer) {
            Ok(len) => Some(buffer[self.headers_len..len].to_vec()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => None,
            Err(error) => panic!("{error}"),
        }
    }

    /// The next message; it has to come.
    pub(crate) fn receive(&self) -> Option<Vec<u8>> {
        let moment = || std::thread::sleep(Duration::from_millis(1));
        (0..10_000).find_map(|_| self.take().or_else(|| (moment(), None).1))
    }
}

fn udp(address: IpAddr, port: u16) -> UdpSocket {
    let socket = UdpSocket::bind(SocketAddr::new(address, port)).unwrap();
    if address.is_ipv6() {
        sockopt::set(socket.as_fd(), NO_CHECK6_RX.0, NO_CHECK6_RX.1, 1).unwrap();
    }
    socket
}

/// What reads and writes a UDP socket does so with one of another protocol.
fn raw(address: IpAddr) -> UdpSocket {
    let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let protocol = NonZero::new(115).map(Protocol::from_raw);
    socket_with(family, SocketType::RAW, SocketFlags::CLOEXEC, protocol).unwrap().into()
}
