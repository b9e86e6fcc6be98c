//! What the kernel knows of UDP sockets that are not ours (sock_diag(7)): where one is bound and connected to by now, and
//! the moment at which its last descriptor is closed. No socket is kept alive by it.

use crate::netlink::NetlinkSocket;
use crate::sockopt;
use netlink_packet_core::{NLM_F_DUMP, NetlinkBuffer, NetlinkMessage, NetlinkPayload};
use netlink_packet_sock_diag::SockDiagMessage;
use netlink_packet_sock_diag::constants::{AF_INET, AF_INET6, IPPROTO_UDP};
use netlink_packet_sock_diag::inet::{ExtensionFlags, InetRequest, InetResponse, SocketId, StateFlags};
use rustix::io::Errno;
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{AddressFamily, RecvFlags, SocketFlags, SocketType, bind, recv, socket_with};
use std::io;
use std::net::{IpAddr, SocketAddr, SocketAddrV6};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// A UDP socket of whatever process, by the number that the kernel gives each socket once (SO_COOKIE).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct UdpIdentity {
    /// The number.
    pub cookie: u64,
    /// Whether it is of AF_INET6.
    pub v6: bool,
}

/// Where a UDP socket is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UdpPlace {
    /// Its address and port; the address is unspecified where it is bound to none.
    pub local: SocketAddr,
    /// The address and port that it is connected to, if it is.
    pub peer: Option<SocketAddr>,
}

/// Asks about UDP sockets of the namespace in which it was opened.
pub struct UdpDiag {
    netlink: NetlinkSocket,
}

impl UdpDiag {
    /// Opens a socket in the namespace of the calling thread.
    ///
    /// # Errors
    /// `EPROTONOSUPPORT` on a kernel without CONFIG_INET_DIAG; those of socket(2).
    pub fn open() -> io::Result<Self> {
        Ok(Self { netlink: NetlinkSocket::open(Some(netlink::SOCK_DIAG))? })
    }

    /// Where the socket is by now; `None` if it is gone or bound to no port. Asked for at the place `last` first, which
    /// costs a look-up; only if it has moved are all sockets of its family gone through.
    ///
    /// # Errors
    /// `ENOENT` on a kernel without CONFIG_INET_UDP_DIAG; those of send(2) and recv(2).
    pub fn find(&mut self, socket: UdpIdentity, last: Option<&UdpPlace>) -> io::Result<Option<UdpPlace>> {
        if let Some(last) = last.filter(|last| last.local.port() != 0)
            && let Some(place) = self.find_at(socket, last)?
        {
            return Ok(Some(place));
        }
        let mut found = None;
        let request = InetRequest { socket_id: id(socket.v6), ..request(socket.v6) };
        self.ask(request, NLM_F_DUMP, |answer| found = found.or(place_of(socket, answer)))?;
        Ok(found)
    }

    /// The socket, if it is the one that receives at this place and no other.
    fn find_at(&mut self, socket: UdpIdentity, last: &UdpPlace) -> io::Result<Option<UdpPlace>> {
        let Some(peer) = last.peer else { return Ok(None) };
        // The kernel looks for the receiver of a packet (udp_dump_one): from the peer, to the socket.
        let socket_id = SocketId {
            source_port: peer.port(),
            destination_port: last.local.port(),
            source_address: peer.ip(),
            destination_address: last.local.ip(),
            interface_id: 0,
            cookie: socket.cookie.to_ne_bytes(),
        };
        let mut found = None;
        let request = InetRequest { socket_id, ..request(socket.v6) };
        match self.ask(request, 0, |answer| found = place_of(socket, answer)) {
            // ESTALE: another socket is there.
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ESTALE)) => Ok(None),
            result => result.map(|()| found),
        }
    }

    fn ask(
        &mut self,
        request: InetRequest,
        flags: u16,
        mut each: impl FnMut(&InetResponse),
    ) -> io::Result<()> {
        self.netlink.exchange(SockDiagMessage::InetRequest(request), flags, |message| {
            if let SockDiagMessage::InetResponse(response) = message {
                each(&response);
            }
        })
    }
}

fn request(v6: bool) -> InetRequest {
    InetRequest {
        family: if v6 { AF_INET6 } else { AF_INET },
        protocol: IPPROTO_UDP,
        extensions: ExtensionFlags::empty(),
        states: StateFlags::all(),
        socket_id: id(v6),
    }
}

fn id(v6: bool) -> SocketId {
    if v6 { SocketId::new_v6() } else { SocketId::new_v4() }
}

/// What the answer says, if it is about this socket.
fn place_of(socket: UdpIdentity, answer: &InetResponse) -> Option<UdpPlace> {
    let id = &answer.header.socket_id;
    let at = |ip, port| match ip {
        IpAddr::V6(ip) if ip.is_unicast_link_local() => {
            SocketAddrV6::new(ip, port, 0, id.interface_id).into()
        }
        ip => SocketAddr::new(ip, port),
    };
    let peer = (id.destination_port != 0).then(|| at(id.destination_address, id.destination_port));
    let is_it = u64::from_ne_bytes(id.cookie) == socket.cookie;
    is_it.then(|| UdpPlace { local: at(id.source_address, id.source_port), peer })
}

/// enum sknetlink_groups (include/uapi/linux/sock_diag.h).
const SKNLGRP_INET_UDP_DESTROY: i32 = 2;
const SKNLGRP_INET6_UDP_DESTROY: i32 = 4;

/// Hears of every UDP socket of a namespace that is gone: its last descriptor was closed, whoever held it.
pub struct UdpDeaths {
    socket: OwnedFd,
}

/// What [`UdpDeaths::next`] has heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UdpDeath {
    /// The socket with this SO_COOKIE is gone.
    Socket(u64),
    /// So many went at once that some were not told: whoever waits for one has to ask [`UdpDiag`].
    Missed,
}

impl UdpDeaths {
    /// Begins to listen, in the namespace of the calling thread; never blocks.
    ///
    /// # Errors
    /// `EPERM` without CAP_NET_ADMIN; `ENOENT` or `EPROTONOSUPPORT` on a kernel without CONFIG_INET_UDP_DIAG.
    pub fn open() -> io::Result<Self> {
        let (family, protocol) = (AddressFamily::NETLINK, Some(netlink::SOCK_DIAG));
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(family, SocketType::RAW, flags, protocol)?;
        bind(&socket, &SocketAddrNetlink::new(0, 0))?;
        sockopt::enlarge_buffers(&socket);
        let deaths = Self { socket };
        deaths.listen(true)?;
        Ok(deaths)
    }

    /// Listens, or does not for the time being: every UDP socket of the namespace is told of.
    ///
    /// # Errors
    /// As [`UdpDeaths::open`].
    pub fn listen(&self, wanted: bool) -> io::Result<()> {
        let option = if wanted { libc::NETLINK_ADD_MEMBERSHIP } else { libc::NETLINK_DROP_MEMBERSHIP };
        for group in [SKNLGRP_INET_UDP_DESTROY, SKNLGRP_INET6_UDP_DESTROY] {
            sockopt::set(&self.socket, libc::SOL_NETLINK, option, group)?;
        }
        Ok(())
    }

    /// The next death, if one has been told.
    pub fn next(&self) -> Option<UdpDeath> {
        let mut buffer = [0; 512];
        loop {
            match recv(&self.socket, &mut buffer, RecvFlags::empty()) {
                Ok((filled, _)) => {
                    if let Some(death) = buffer.get(..filled).and_then(death) {
                        return Some(death);
                    }
                }
                Err(Errno::NOBUFS) => return Some(UdpDeath::Missed),
                Err(Errno::INTR) => {}
                Err(_) => return None,
            }
        }
    }
}

impl AsFd for UdpDeaths {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn death(datagram: &[u8]) -> Option<UdpDeath> {
    NetlinkBuffer::new_checked(datagram).ok()?;
    match NetlinkMessage::deserialize(datagram).ok()?.payload {
        NetlinkPayload::InnerMessage(SockDiagMessage::InetResponse(response)) => {
            Some(UdpDeath::Socket(u64::from_ne_bytes(response.header.socket_id.cookie)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sockopt::cookie;
    use crate::testns::{in_fresh_netns, in_fresh_netns_forking};
    use std::net::UdpSocket;

    fn identity(socket: &UdpSocket, v6: bool) -> UdpIdentity {
        UdpIdentity { cookie: cookie(socket).unwrap(), v6 }
    }

    #[test]
    fn a_socket_is_found_wherever_it_goes() {
        in_fresh_netns(|| {
            let mut diag = UdpDiag::open().unwrap();
            for (any, home, peers) in [
                ("0.0.0.0:0", "127.0.0.1", ["127.0.0.1:1701", "127.0.0.2:1702"]),
                ("[::]:0", "::1", ["[::1]:1701", "[::1]:1702"]),
            ] {
                let socket = UdpSocket::bind(any).unwrap();
                let local = socket.local_addr().unwrap();
                let identity = identity(&socket, local.is_ipv6());
                let mut place = diag.find(identity, None).unwrap();
                assert_eq!(place, Some(UdpPlace { local, peer: None }));
                for peer in peers.map(|peer| peer.parse::<SocketAddr>().unwrap()) {
                    socket.connect(peer).unwrap();
                    let local = SocketAddr::new(home.parse().unwrap(), local.port());
                    place = diag.find(identity, place.as_ref()).unwrap();
                    assert_eq!(place, Some(UdpPlace { local, peer: Some(peer) }));
                    assert_eq!(diag.find_at(identity, &place.unwrap()).unwrap(), place, "by one look-up");
                }
                drop(socket);
                assert_eq!(diag.find(identity, place.as_ref()).unwrap(), None);
            }
        });
    }

    #[test]
    fn of_two_sockets_at_one_place_each_is_found() {
        in_fresh_netns(|| {
            let open = || {
                let (family, kind) = (AddressFamily::INET, SocketType::DGRAM);
                let socket = socket_with(family, kind, SocketFlags::CLOEXEC, None).unwrap();
                sockopt::set(&socket, libc::SOL_SOCKET, libc::SO_REUSEADDR, 1).unwrap();
                let socket = UdpSocket::from(socket);
                bind(&socket, &"127.0.0.1:1701".parse::<SocketAddr>().unwrap()).unwrap();
                socket.connect("127.0.0.2:1701").unwrap();
                socket
            };
            let sockets = [open(), open()];
            let mut diag = UdpDiag::open().unwrap();
            let local = sockets[0].local_addr().unwrap();
            let want = Some(UdpPlace { local, peer: Some("127.0.0.2:1701".parse().unwrap()) });
            for socket in &sockets {
                assert_eq!(diag.find(identity(socket, false), want.as_ref()).unwrap(), want);
            }
        });
    }

    #[test]
    fn the_last_close_is_told_and_no_other() {
        in_fresh_netns_forking(|| {
            let deaths = UdpDeaths::open().unwrap();
            for any in ["127.0.0.1:0", "[::1]:0"] {
                let socket = UdpSocket::bind(any).unwrap();
                let cookie = cookie(&socket).unwrap();
                let copy = socket.try_clone().unwrap();
                let mut child =
                    std::process::Command::new("sleep").arg("100").stdin(OwnedFd::from(copy)).spawn();
                drop(socket);
                assert_eq!(deaths.next(), None, "another process still has it");
                let child = child.as_mut().unwrap();
                child.kill().unwrap();
                child.wait().unwrap();
                let told = (0..500).find_map(|_| {
                    std::thread::sleep(std::time::Duration::from_millis(10));
                    deaths.next()
                });
                assert_eq!(told, Some(UdpDeath::Socket(cookie)));
            }
        });
    }

    #[test]
    fn garbage_is_no_death() {
        for length in [0, 1, 15, 16, 40, 100] {
            assert_eq!(death(&vec![0xff; length]), None);
            assert_eq!(death(&vec![0; length]), None);
        }
    }
}
