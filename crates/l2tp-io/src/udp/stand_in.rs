//! A socket that sends as if it were a program's: from the same port, with the same settings, but with trains, and without
//! keeping the program's socket alive.

use super::program::Settings;
use super::train::{self, NoChecksum, Route};
use super::{never_set_df, send_checksums};
use crate::batch::{Outgoing, SendReport};
use crate::rawip::source_control;
use crate::sockaddr::SockAddr;
use crate::sockopt;
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, ipproto, socket_with};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};

/// Where it is bound, so that no packet is ever meant for it: the dummy address of IPv4 (RFC 7600 section 4.8), one of the
/// discard prefix of IPv6 (RFC 6666). What it sends carries the program's address.
const NOWHERE_V4: Ipv4Addr = Ipv4Addr::new(192, 0, 0, 8);
const NOWHERE_V6: Ipv6Addr = Ipv6Addr::new(0x100, 0, 0, 0, 0, 0, 0, 1);

/// A sender beside a program's socket.
pub struct StandIn {
    descriptor: OwnedFd,
    no_checksum: Option<NoChecksum>,
}

impl StandIn {
    /// Opens the socket in the namespace of the calling thread, for packets of IPv4 or IPv6 from the local port `port`.
    ///
    /// # Errors
    /// `EADDRINUSE` where a socket is bound to this port and any address that shares with nobody, or shares by
    /// SO_REUSEPORT and is another user's; `EPERM` for a mark or device without CAP_NET_ADMIN; `EACCES` for a port below
    /// 1024 without CAP_NET_BIND_SERVICE.
    pub fn open(v4: bool, port: u16, settings: &Settings) -> io::Result<Self> {
        let family = if v4 { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let descriptor = socket_with(family, SocketType::DGRAM, flags, Some(ipproto::UDP))?;
        let nowhere: IpAddr = if v4 { NOWHERE_V4.into() } else { NOWHERE_V6.into() };
        for option in [libc::SO_REUSEADDR, libc::SO_REUSEPORT] {
            sockopt::set(&descriptor, libc::SOL_SOCKET, option, 1)?;
        }
        let (level, freebind) = if v4 {
            (libc::IPPROTO_IP, libc::IP_FREEBIND)
        } else {
            (libc::IPPROTO_IPV6, libc::IPV6_FREEBIND)
        };
        sockopt::set(&descriptor, level, freebind, 1)?;
        settings.apply(&descriptor, v4)?;
        let no_checksum = send_checksums(&descriptor, v4, settings.sends_checksum(v4))?;
        never_set_df(&descriptor, v4)?;
        sockopt::enlarge_buffers(&descriptor);
        bind(&descriptor, &SocketAddr::new(nowhere, port))?;
        Ok(Self { descriptor, no_checksum })
    }

    /// Sends the first [`crate::batch::MAX_BATCH`] messages from `local` to `peer`; see [`super::UdpSocket::send_batch`].
    pub fn send_batch(&self, local: IpAddr, peer: SocketAddr, messages: &[Outgoing<'_>]) -> SendReport {
        let route = Route { to: Some(SockAddr::from(peer)), source: source_control(local) };
        train::send_batch(self.descriptor.as_fd(), &route, self.no_checksum.as_ref(), messages)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sockopt::get;
    use crate::testns::in_fresh_netns;
    use rustix::io::Errno;
    use std::io::IoSlice;
    use std::net::UdpSocket;
    use std::time::Duration;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    fn socket(v4: bool, options: &[i32]) -> UdpSocket {
        let family = if v4 { AddressFamily::INET } else { AddressFamily::INET6 };
        let socket = socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None).unwrap();
        for option in options {
            sockopt::set(&socket, libc::SOL_SOCKET, *option, 1).unwrap();
        }
        UdpSocket::from(socket)
    }

    fn send(sender: &StandIn, local: &SocketAddr, peer: SocketAddr, segment: Option<u16>) -> SendReport {
        sender.send_batch(local.ip(), peer, &[Outgoing { parts: &[IoSlice::new(&[7; 300])], segment }])
    }

    #[test]
    fn it_sends_from_the_programs_address_and_receives_nothing() {
        in_fresh_netns(|| {
            for (at, to) in [("127.0.0.1:1701", "127.0.0.2:1702"), ("[::1]:1701", "[::1]:1702")]
                .map(|(a, b)| (address(a), address(b)))
            {
                let (program, peer) = (UdpSocket::bind(at).unwrap(), UdpSocket::bind(to).unwrap());
                program.connect(to).unwrap();
                for socket in [&program, &peer] {
                    socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
                }
                for checksum in [true, false] {
                    let settings = Settings { checksum, zero_csum6_tx: false, ..Settings::default() };
                    let sender = StandIn::open(at.is_ipv4(), 1701, &settings).unwrap();
                    let mut buffer = [0; 400];
                    assert_eq!(send(&sender, &at, to, None).sent, 1);
                    assert_eq!(peer.recv_from(&mut buffer).unwrap(), (300, at));
                    assert_eq!(send(&sender, &at, to, Some(100)).sent, 1);
                    for _ in 0..3 {
                        assert_eq!(peer.recv_from(&mut buffer).unwrap(), (100, at));
                    }
                    // Answers go to the program.
                    peer.send_to(&[1; 20], at).unwrap();
                    assert_eq!(program.recv(&mut buffer).unwrap(), 20);
                }
            }
        });
    }

    /// Sockets of programs share the port with others in these ways.
    #[test]
    fn ports_that_are_shared_are_shared_with_it_too() {
        in_fresh_netns(|| {
            for (v4, any, at) in
                [(true, "0.0.0.0:1701", "127.0.0.1:1701"), (false, "[::]:1701", "[::1]:1701")]
            {
                for options in [
                    &[libc::SO_REUSEADDR][..],
                    &[libc::SO_REUSEPORT],
                    &[libc::SO_REUSEADDR, libc::SO_REUSEPORT],
                ] {
                    let (listener, connected) = (socket(v4, options), socket(v4, options));
                    bind(&listener, &address(any)).unwrap();
                    bind(&connected, &address(any)).unwrap();
                    connected.connect((address(at).ip(), 1702)).unwrap();
                    let sender = StandIn::open(v4, 1701, &Settings::default()).unwrap();
                    // And it is in nobody's way.
                    bind(socket(v4, options), &address(any)).unwrap();
                    bind(socket(v4, &[]), &address(at)).unwrap_err();
                    drop(sender);
                }
                let alone = socket(v4, &[]);
                bind(&alone, &address(at)).unwrap();
                StandIn::open(v4, 1701, &Settings::default()).unwrap();
                drop(alone);
                let greedy = socket(v4, &[]);
                bind(&greedy, &address(any)).unwrap();
                let refused = StandIn::open(v4, 1701, &Settings::default()).err().unwrap();
                assert_eq!(refused.raw_os_error(), Some(Errno::ADDRINUSE.raw_os_error()));
            }
        });
    }

    #[test]
    fn it_has_the_programs_settings() {
        in_fresh_netns(|| {
            let settings = Settings {
                tos: 0x48,
                ttl: 9,
                tclass: 0x28,
                hops: 11,
                mark: 7,
                priority: 3,
                ..Settings::default()
            };
            let (v4, v6) =
                (StandIn::open(true, 0, &settings).unwrap(), StandIn::open(false, 0, &settings).unwrap());
            assert_eq!(get(&v4.descriptor, libc::IPPROTO_IP, libc::IP_TOS).unwrap(), 0x48);
            assert_eq!(get(&v4.descriptor, libc::IPPROTO_IP, libc::IP_TTL).unwrap(), 9);
            assert_eq!(get(&v6.descriptor, libc::IPPROTO_IPV6, libc::IPV6_TCLASS).unwrap(), 0x28);
            assert_eq!(get(&v6.descriptor, libc::IPPROTO_IPV6, libc::IPV6_UNICAST_HOPS).unwrap(), 11);
            for sender in [&v4, &v6] {
                assert_eq!(get(&sender.descriptor, libc::SOL_SOCKET, libc::SO_MARK).unwrap(), 7);
                assert_eq!(get(&sender.descriptor, libc::SOL_SOCKET, libc::SO_PRIORITY).unwrap(), 3);
            }
        });
    }
}
