//! A program's own UDP socket, looked at when it becomes a tunnel's (net/l2tp/l2tp_core.c l2tp_validate_socket).

use crate::inet_diag::{UdpIdentity, UdpPlace};
use crate::sockopt::{self, get};
use rustix::fs::{FileType, fstat};
use rustix::io::Errno;
use rustix::net::sockopt as rsockopt;
use rustix::net::{AddressFamily, SocketFlags, SocketType, getpeername, getsockname, ipproto, socket_with};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What a program has set on its socket and the data packets of its tunnel share. Zero or -1 is the system's default, as in
/// the options.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Settings {
    /// IP_TOS.
    pub tos: i32,
    /// IP_TTL.
    pub ttl: i32,
    /// IPV6_TCLASS.
    pub tclass: i32,
    /// IPV6_UNICAST_HOPS.
    pub hops: i32,
    /// SO_MARK.
    pub mark: i32,
    /// SO_PRIORITY.
    pub priority: i32,
    /// Index of the device of SO_BINDTODEVICE; 0: none.
    pub device: i32,
    /// Over IPv4: UDP checksums are sent (not SO_NO_CHECK).
    pub checksum: bool,
    /// Over IPv6: no UDP checksums are sent (UDP_NO_CHECK6_TX).
    pub zero_csum6_tx: bool,
    /// Over IPv6: packets without UDP checksum are taken (UDP_NO_CHECK6_RX).
    pub zero_csum6_rx: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            tos: 0,
            ttl: -1,
            tclass: -1,
            hops: -1,
            mark: 0,
            priority: 0,
            device: 0,
            checksum: true,
            zero_csum6_tx: false,
            zero_csum6_rx: false,
        }
    }
}

/// SO_BINDTOIFINDEX (include/uapi/asm-generic/socket.h).
const SO_BINDTOIFINDEX: i32 = 62;

impl Settings {
    fn read(socket: BorrowedFd<'_>, v6: bool) -> io::Result<Self> {
        let of_v6 = |level, option| if v6 { get(socket, level, option) } else { Ok(0) };
        Ok(Self {
            tos: get(socket, libc::IPPROTO_IP, libc::IP_TOS)?,
            ttl: get(socket, libc::IPPROTO_IP, libc::IP_TTL)?,
            tclass: of_v6(libc::IPPROTO_IPV6, libc::IPV6_TCLASS)?,
            hops: if v6 { get(socket, libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS)? } else { -1 },
            mark: get(socket, libc::SOL_SOCKET, libc::SO_MARK)?,
            priority: get(socket, libc::SOL_SOCKET, libc::SO_PRIORITY)?,
            // Linux before 5.0 has only names.
            device: get(socket, libc::SOL_SOCKET, SO_BINDTOIFINDEX).unwrap_or_default(),
            checksum: get(socket, libc::SOL_SOCKET, libc::SO_NO_CHECK)? == 0,
            zero_csum6_tx: of_v6(libc::SOL_UDP, libc::UDP_NO_CHECK6_TX)? != 0,
            zero_csum6_rx: of_v6(libc::SOL_UDP, libc::UDP_NO_CHECK6_RX)? != 0,
        })
    }

    /// Gives another socket the same, but for checksums.
    pub(super) fn apply(&self, socket: &OwnedFd, v4: bool) -> io::Result<()> {
        let (level, class, lifetime) = if v4 {
            (libc::IPPROTO_IP, (libc::IP_TOS, self.tos), (libc::IP_TTL, self.ttl))
        } else {
            let lifetime = (libc::IPV6_UNICAST_HOPS, self.hops);
            (libc::IPPROTO_IPV6, (libc::IPV6_TCLASS, self.tclass), lifetime)
        };
        let options = [
            (level, class.0, class.1),
            (level, lifetime.0, lifetime.1),
            (libc::SOL_SOCKET, libc::SO_MARK, self.mark),
            // After the type of service, which sets it too.
            (libc::SOL_SOCKET, libc::SO_PRIORITY, self.priority),
            (libc::SOL_SOCKET, SO_BINDTOIFINDEX, self.device),
        ];
        // What is as it was needs no privilege.
        options
            .into_iter()
            .filter(|(level, option, value)| get(socket, *level, *option).is_ok_and(|now| now != *value))
            .try_for_each(|(level, option, value)| sockopt::set(socket, level, option, value))
    }

    pub(super) fn sends_checksum(&self, v4: bool) -> bool {
        if v4 { self.checksum } else { !self.zero_csum6_tx }
    }
}

/// A program's UDP socket as it was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProgramSocket {
    /// The socket itself.
    pub identity: UdpIdentity,
    /// Where it is bound and connected; port 0 while it is bound to none.
    pub place: UdpPlace,
    /// What is set on it.
    pub settings: Settings,
}

impl ProgramSocket {
    /// Looks at a descriptor that a program handed over, in the namespace of the calling thread, and makes its socket what
    /// a tunnel's is: UDP_ENCAP reads L2TPINUDP, and what it sends to a multicast group does not come back to it.
    ///
    /// # Errors
    /// `ENOTSOCK`; `EINVAL` for a socket of another network namespace; `EPROTONOSUPPORT` for one that is not UDP over IPv4
    /// or IPv6.
    pub fn examine(socket: BorrowedFd<'_>) -> io::Result<Self> {
        check(socket)?;
        let v6 = rsockopt::socket_domain(socket)? == AddressFamily::INET6;
        let nowhere: SocketAddr =
            if v6 { (Ipv6Addr::UNSPECIFIED, 0).into() } else { (Ipv4Addr::UNSPECIFIED, 0).into() };
        let peer = getpeername(socket).ok().flatten().and_then(|peer| peer.try_into().ok());
        let place = UdpPlace { local: getsockname(socket)?.try_into().unwrap_or(nowhere), peer };
        // A socket that cannot be marked works all the same.
        let _: io::Result<()> = sockopt::set(socket, libc::SOL_UDP, libc::UDP_ENCAP, UDP_ENCAP_L2TPINUDP);
        let _: Result<(), Errno> = rsockopt::set_ip_multicast_loop(socket, false);
        let identity = UdpIdentity { cookie: sockopt::cookie(socket)?, v6 };
        Ok(Self { identity, place, settings: Settings::read(socket, v6)? })
    }
}

/// include/uapi/linux/udp.h.
const UDP_ENCAP_L2TPINUDP: i32 = 3;

/// SO_NETNS_COOKIE (include/uapi/asm-generic/socket.h), from Linux 5.14 on.
const SO_NETNS_COOKIE: i32 = 71;

/// The checks of l2tp_validate_socket, in its order.
fn check(socket: BorrowedFd<'_>) -> io::Result<()> {
    if FileType::from_raw_mode(fstat(socket)?.st_mode) != FileType::Socket {
        return Err(Errno::NOTSOCK.into());
    }
    if let Ok(theirs) = sockopt::get_u64(socket, libc::SOL_SOCKET, SO_NETNS_COOKIE)
        && theirs != own_netns_cookie()?
    {
        return Err(Errno::INVAL.into());
    }
    let domain = rsockopt::socket_domain(socket)?;
    let is_inet = domain == AddressFamily::INET || domain == AddressFamily::INET6;
    let is_udp = is_inet
        && rsockopt::socket_type(socket)? == SocketType::DGRAM
        && rsockopt::socket_protocol(socket)? == Some(ipproto::UDP);
    if is_udp { Ok(()) } else { Err(Errno::PROTONOSUPPORT.into()) }
}

fn own_netns_cookie() -> io::Result<u64> {
    let socket = socket_with(AddressFamily::UNIX, SocketType::DGRAM, SocketFlags::CLOEXEC, None)?;
    sockopt::get_u64(socket.as_fd(), libc::SOL_SOCKET, SO_NETNS_COOKIE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::netns::NetNs;
    use crate::testns::in_fresh_netns;
    use std::fs::File;
    use std::net::{TcpListener, UdpSocket};
    use std::os::unix::net::UnixDatagram;

    fn errno(socket: impl AsFd) -> Option<i32> {
        ProgramSocket::examine(socket.as_fd()).err().and_then(|error| error.raw_os_error())
    }

    #[test]
    fn udp_sockets_of_this_namespace_and_no_others() {
        in_fresh_netns(|| {
            let not_udp = Some(libc::EPROTONOSUPPORT);
            assert_eq!(errno(File::open("/dev/null").unwrap()), Some(libc::ENOTSOCK));
            assert_eq!(errno(io::pipe().unwrap().0), Some(libc::ENOTSOCK));
            assert_eq!(errno(TcpListener::bind("127.0.0.1:0").unwrap()), not_udp);
            assert_eq!(errno(UnixDatagram::unbound().unwrap()), not_udp);
            let raw = crate::rawip::RawSocket::open(crate::rawip::Family::V4).unwrap();
            assert_eq!(errno(raw), not_udp);
            let make = || (NetNs::unshare().unwrap(), UdpSocket::bind("127.0.0.1:0").unwrap());
            let (_there, theirs) = std::thread::scope(|scope| scope.spawn(make).join().unwrap());
            assert_eq!(errno(theirs), Some(libc::EINVAL));
        });
    }

    #[test]
    fn what_is_found() {
        in_fresh_netns(|| {
            let socket = UdpSocket::bind("127.0.0.1:1701").unwrap();
            socket.connect("127.0.0.2:1702").unwrap();
            socket.set_ttl(9).unwrap();
            sockopt::set(&socket, libc::SOL_SOCKET, libc::SO_NO_CHECK, 1).unwrap();
            let found = ProgramSocket::examine(socket.as_fd()).unwrap();
            assert_eq!(found.place.local, "127.0.0.1:1701".parse().unwrap());
            assert_eq!(found.place.peer, Some("127.0.0.2:1702".parse().unwrap()));
            assert_eq!((found.settings.ttl, found.settings.checksum), (9, false));
            assert_eq!(get(&socket, libc::SOL_UDP, libc::UDP_ENCAP).unwrap(), UDP_ENCAP_L2TPINUDP);

            let family = AddressFamily::INET6;
            let socket = socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None).unwrap();
            sockopt::set(&socket, libc::IPPROTO_IPV6, libc::IPV6_TCLASS, 0x28).unwrap();
            let found = ProgramSocket::examine(socket.as_fd()).unwrap();
            let nowhere = UdpPlace { local: "[::]:0".parse().unwrap(), peer: None };
            assert_eq!((found.place, found.identity.v6, found.settings.tclass), (nowhere, true, 0x28));
        });
    }
}
