//! A host of values, and sockets on it.

use l2tp_abi::Errno;
use l2tp_abi::sockaddr::{SockaddrL2tpip, SockaddrL2tpip6};
use l2tp_core::host::Caller;
use l2tp_sockets::l2tpip::{Domain, Network, Path, Sockets};
use std::net::{IpAddr, SocketAddr};

/// A host with 10.0.0.1 and 10.0.0.9, fd00::1 and, on interface 2, fe80::1; a route to 10.0.0.0/8 and fd00::/16 and nowhere else.
pub(crate) struct Host;

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

const OURS: [&str; 6] = ["10.0.0.1", "10.0.0.9", "127.0.0.1", "fd00::1", "::1", "fe80::1"];

impl Network for Host {
    fn check_local(&self, address: SocketAddr) -> Result<(), Errno> {
        match address {
            SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() && v6.scope_id() != 2 => Err(Errno::ENODEV),
            SocketAddr::V4(v4) if v4.ip().is_multicast() || v4.ip().is_broadcast() => Ok(()),
            _ if OURS.iter().any(|ours| ip(ours) == address.ip()) => Ok(()),
            _ => Err(Errno::EADDRNOTAVAIL),
        }
    }

    fn connect(&self, local: SocketAddr, peer: SocketAddr) -> Result<Path, Errno> {
        let default = match peer {
            SocketAddr::V4(v4) if v4.ip().is_unspecified() => {
                return self.connect(local, SocketAddr::new(ip("127.0.0.1"), 0));
            }
            SocketAddr::V4(v4) if v4.ip().is_loopback() => ip("127.0.0.1"),
            SocketAddr::V4(v4) if v4.ip().octets()[0] == 10 => ip("10.0.0.1"),
            SocketAddr::V6(v6) if v6.ip().segments()[0] == 0xfd00 => ip("fd00::1"),
            SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() && v6.scope_id() == 2 => ip("fe80::1"),
            SocketAddr::V6(v6) if v6.ip().is_unicast_link_local() => return Err(Errno::EINVAL),
            _ => return Err(Errno::ENETUNREACH),
        };
        let local = if local.ip().is_unspecified() { default } else { local.ip() };
        Ok(Path { local, peer: peer.ip() })
    }
}

/// The number of the only socket of most tests.
pub(crate) const ONE: u64 = 1;

pub(crate) fn caller(connection: u32) -> Caller {
    Caller { connection, user: connection, privileged: false, port: connection }
}

/// A namespace with sockets 1, 2, … of these families.
pub(crate) fn sockets(domains: &[Domain]) -> Sockets {
    let mut sockets = Sockets::default();
    for (domain, number) in domains.iter().zip(1..) {
        sockets.open(number, caller(7), *domain);
    }
    sockets
}

pub(crate) fn v4(address: &str, conn_id: u32) -> Vec<u8> {
    SockaddrL2tpip { address: address.parse().unwrap(), conn_id }.emit()
}

pub(crate) fn v6(address: &str, conn_id: u32) -> Vec<u8> {
    scoped(address, 0, conn_id)
}

pub(crate) fn scoped(address: &str, scope_id: u32, conn_id: u32) -> Vec<u8> {
    SockaddrL2tpip6 { flowinfo: [0; 4], address: address.parse().unwrap(), scope_id, conn_id }.emit()
}

/// The address with another family.
pub(crate) fn of_family(family: u16, mut address: Vec<u8>) -> Vec<u8> {
    address[..2].copy_from_slice(&family.to_ne_bytes());
    address
}
