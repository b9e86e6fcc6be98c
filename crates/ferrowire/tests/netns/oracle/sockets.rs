//! The sockets that the recorded cases call by name.

use std::fs::File;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::OwnedFd;

use rustix::net::{AddressFamily, Protocol, SocketFlags, SocketType, ipproto, netlink, socket_with};

/// The socket, pipe or file called `name` behind `sock:`, in the namespace of the calling thread; `None`: a descriptor that is
/// closed.
pub(super) fn open(name: &str) -> Option<OwnedFd> {
    let v4 = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let v6 = |port| SocketAddr::from((Ipv6Addr::LOCALHOST, port));
    let mapped = |port| SocketAddr::from((Ipv4Addr::LOCALHOST.to_ipv6_mapped(), port));
    Some(match name {
        "udp4" => bare(AddressFamily::INET, SocketType::DGRAM, None),
        "udp4-bound" => UdpSocket::bind(v4(5001)).unwrap().into(),
        "udp4-connected" | "udp4-connected-other-netns" => connected(v4(5001), v4(5002)),
        "udp6-bound" => UdpSocket::bind(v6(5001)).unwrap().into(),
        "udp6-connected" => connected(v6(5001), v6(5002)),
        "udp6-v4mapped" => connected(mapped(5001), mapped(5002)),
        "tcp4" => bare(AddressFamily::INET, SocketType::STREAM, None),
        "tcp4-listen" => TcpListener::bind(v4(5001)).unwrap().into(),
        "tcp6" => bare(AddressFamily::INET6, SocketType::STREAM, None),
        "unix-dgram" => bare(AddressFamily::UNIX, SocketType::DGRAM, None),
        "netlink" => bare(AddressFamily::NETLINK, SocketType::RAW, Some(netlink::GENERIC)),
        "packet" => bare(AddressFamily::PACKET, SocketType::RAW, None),
        "raw4" => bare(AddressFamily::INET, SocketType::RAW, Some(ipproto::ICMP)),
        "file" => File::open("/dev/null").unwrap().into(),
        "pipe" => rustix::pipe::pipe().unwrap().0,
        "closed" => return None,
        other => panic!("no socket is called {other}"),
    })
}

fn bare(family: AddressFamily, kind: SocketType, protocol: Option<Protocol>) -> OwnedFd {
    socket_with(family, kind, SocketFlags::CLOEXEC, protocol).unwrap()
}

fn connected(local: SocketAddr, peer: SocketAddr) -> OwnedFd {
    let socket = UdpSocket::bind(local).unwrap();
    socket.connect(peer).unwrap();
    socket.into()
}
