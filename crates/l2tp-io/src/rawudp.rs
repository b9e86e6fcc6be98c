//! Data packets that arrive for UDP sockets of programs, by a raw socket beside them: one for each family of a namespace,
//! shared by all tunnels. It sees what the UDP sockets see: packets put together again, out of IPsec, past the firewall.

use crate::batch::{Received, RecvBatch};
use crate::bpf::attach_classic;
use crate::offload::checksum::Checksum;
use crate::rawip::{Family, RawSocket};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};

/// IP protocol number of UDP.
const UDP: u8 = 17;
/// Bytes of the UDP header (RFC 768), behind which the payload is.
pub const UDP_LEN: usize = 8;

/// With more ports than this, data packets to all ports are received, and the others ignored later.
const PORTS_MAX: usize = 64;

/// A raw socket that receives L2TP data packets for a set of local UDP ports.
pub struct RawUdp {
    socket: RawSocket,
    family: Family,
}

/// A UDP datagram, its checksum found right or absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Datagram<'a> {
    /// The sender.
    pub from: SocketAddr,
    /// Where it was sent to.
    pub to: SocketAddr,
    /// The payload. From a sender on this machine it may be a whole train of datagrams, of one length but for the last:
    /// such trains are cut only on their way to a card or to a UDP socket.
    pub payload: &'a [u8],
    /// It came without a checksum.
    pub unchecked: bool,
}

impl RawUdp {
    /// Opens the socket in the namespace of the calling thread. It receives nothing until [`Self::listen`].
    ///
    /// # Errors
    /// `EPERM` without CAP_NET_RAW; `EAFNOSUPPORT` where IPv6 is off.
    pub fn open(family: Family) -> io::Result<Self> {
        let socket = RawSocket::open_protocol(family, UDP)?;
        attach_classic(&socket, &[RET_NOTHING])?;
        Ok(Self { socket, family })
    }

    /// Receives data packets to these local ports from now on.
    ///
    /// # Errors
    /// `ENOMEM`.
    pub fn listen(&self, ports: &[u16]) -> io::Result<()> {
        attach_classic(&self.socket, &filter(self.family, ports))
    }

    /// Receives what waits, up to the size of the batch; see [`RawSocket::recv_batch`].
    ///
    /// # Errors
    /// Those of recvmmsg(2) that no peer can cause.
    pub fn recv_batch(&self, batch: &mut RecvBatch) -> io::Result<usize> {
        self.socket.recv_batch(batch)
    }
}

impl AsFd for RawUdp {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl<'a> Datagram<'a> {
    /// Reads what [`RawUdp::recv_batch`] received. `None` for what a UDP socket would not take: cut short, or with a wrong
    /// checksum (net/ipv4/udp.c __udp4_lib_rcv, net/ipv6/udp.c).
    #[must_use]
    pub fn parse(received: &Received<'a>) -> Option<Self> {
        let (from, to) = (received.from?, received.local?);
        let (header, _) = received.bytes.split_first_chunk::<UDP_LEN>()?;
        let [s0, s1, d0, d1, l0, l1, checksum @ ..] = *header;
        let length = usize::from(u16::from_be_bytes([l0, l1]));
        let datagram = received.bytes.get(..length).filter(|_| length >= UDP_LEN)?;
        let unchecked = checksum == [0, 0];
        if !unchecked && !is_intact(from.ip(), to, datagram, checksum) {
            return None;
        }
        Some(Self {
            from: with_port(from, u16::from_be_bytes([s0, s1])),
            to: SocketAddr::new(to, u16::from_be_bytes([d0, d1])),
            payload: datagram.get(UDP_LEN..)?,
            unchecked,
        })
    }
}

/// Keeps the scope of a link-local address.
fn with_port(mut address: SocketAddr, port: u16) -> SocketAddr {
    address.set_port(port);
    address
}

/// Whether the checksum is right, or left for a card to complete, as it is on packets that never leave the machine.
fn is_intact(from: IpAddr, to: IpAddr, datagram: &[u8], checksum: [u8; 2]) -> bool {
    let Ok(length) = u32::try_from(datagram.len()) else { return false };
    let pseudo = match (from, to) {
        (IpAddr::V4(from), IpAddr::V4(to)) => {
            Checksum::pseudo_header(&from.octets(), UDP, length).bytes(&to.octets())
        }
        (IpAddr::V6(from), IpAddr::V6(to)) => {
            Checksum::pseudo_header(&from.octets(), UDP, length).bytes(&to.octets())
        }
        _ => return false,
    };
    pseudo.partial() == checksum || pseudo.bytes(datagram).is_valid()
}

/// BPF_RET | BPF_K, the value of an instruction that ends the filter.
const RET: u16 = 0x06;
pub(crate) const RET_NOTHING: libc::sock_filter = libc::sock_filter { code: RET, jt: 0, jf: 0, k: 0 };
const RET_ALL: libc::sock_filter = libc::sock_filter { code: RET, jt: 0, jf: 0, k: u32::MAX };

/// Packets of 14 bytes and more, without the T bit, to one of the ports.
fn filter(family: Family, ports: &[u16]) -> Vec<libc::sock_filter> {
    let put = |code, k, jt, jf| libc::sock_filter { code, jt, jf, k };
    let mut code = vec![match family {
        // X = 4 * (P[0] & 15), the length of the IP header (BPF_LDX | BPF_B | BPF_MSH); IPv6 begins with the UDP header.
        Family::V4 => put(0xb1, 0, 0, 0),
        Family::V6 => put(0x01, 0, 0, 0),
    }];
    // A = length - X
    code.extend([put(0x80, 0, 0, 0), put(0x1c, 0, 0, 0)]);
    code.extend([put(0x35, 22, 1, 0), RET_NOTHING]);
    // A = P[X + 8], the first byte of the L2TP header
    code.extend([put(0x50, 8, 0, 0), put(0x45, 0x80, 0, 1), RET_NOTHING]);
    if ports.len() > PORTS_MAX {
        code.push(RET_ALL);
        return code;
    }
    // A = P[X + 2..4], the destination port
    code.push(put(0x48, 2, 0, 0));
    for port in ports {
        code.extend([put(0x15, u32::from(*port), 0, 1), RET_ALL]);
    }
    code.push(RET_NOTHING);
    code
}

#[cfg(test)]
mod tests;
