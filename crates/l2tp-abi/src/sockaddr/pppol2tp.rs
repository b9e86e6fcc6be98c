//! Addresses of PPPoL2TP sockets: a tunnel's and a session's ids, and the socket that carries the tunnel.

use alloc::vec::Vec;
use core::net::{Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

use super::{AF_INET, AF_INET6};

/// `AF_PPPOX`.
pub const AF_PPPOX: u16 = 24;
/// `PX_PROTO_OL2TP`: L2TP among the protocols of that family.
pub const PX_PROTO_OL2TP: u32 = 1;

/// Bytes in front of the part in which the forms differ.
const HEAD: usize = 14;
/// Bytes of `struct sockaddr_in`.
const IN: usize = 16;
/// Bytes of `struct sockaddr_in6`.
const IN6: usize = 28;

/// One of the four structures; a program says which by its length alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pppol2tpForm {
    /// `struct sockaddr_pppol2tp`: L2TPv2 over IPv4.
    V2In,
    /// `struct sockaddr_pppol2tpv3`.
    V3In,
    /// `struct sockaddr_pppol2tpin6`.
    V2In6,
    /// `struct sockaddr_pppol2tpv3in6`.
    V3In6,
}

impl Pppol2tpForm {
    /// All, by ascending size.
    pub const ALL: [Self; 4] = [Self::V2In, Self::V3In, Self::V2In6, Self::V3In6];

    /// The form of a tunnel's version and of its socket's address family.
    #[must_use]
    pub const fn of(is_v2: bool, is_ipv4: bool) -> Self {
        match (is_v2, is_ipv4) {
            (true, true) => Self::V2In,
            (false, true) => Self::V3In,
            (true, false) => Self::V2In6,
            (false, false) => Self::V3In6,
        }
    }

    /// Its size in bytes.
    #[must_use]
    pub const fn size(self) -> usize {
        match self {
            Self::V2In => 38,
            Self::V3In => 46,
            Self::V2In6 => 50,
            Self::V3In6 => 58,
        }
    }

    /// The L2TP version of a tunnel that is made by it: 2 or 3.
    #[must_use]
    pub const fn version(self) -> u8 {
        if self.is_v2() { 2 } else { 3 }
    }

    const fn is_v2(self) -> bool {
        matches!(self, Self::V2In | Self::V2In6)
    }

    const fn is_ipv4(self) -> bool {
        matches!(self, Self::V2In | Self::V3In)
    }

    /// Where the ids begin, and where the embedded address.
    const fn places(self) -> (usize, usize) {
        let ids = if self.is_v2() { 4 * 2 } else { 4 * 4 };
        if self.is_ipv4() { (HEAD + IN, HEAD) } else { (HEAD, HEAD + ids) }
    }
}

/// Any of the four. Layout, packed: family u16, protocol u32, pid i32, fd i32; then over IPv4 a `sockaddr_in` and the ids,
/// over IPv6 the ids and a `sockaddr_in6`. The ids, u16 in version 2 and u32 in version 3: our tunnel, our session, the peer's
/// tunnel, the peer's session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SockaddrPppol2tp {
    /// Which structure.
    pub form: Pppol2tpForm,
    /// The process that made the session; not looked at by `connect`.
    pub pid: i32,
    /// The program's descriptor of the tunnel's socket.
    pub fd: i32,
    /// The peer of the tunnel's socket; not looked at by `connect`.
    pub peer: SocketAddr,
    /// Our tunnel id.
    pub s_tunnel: u32,
    /// Our session id; 0 together with the peer's: the tunnel's management socket.
    pub s_session: u32,
    /// The peer's tunnel id.
    pub d_tunnel: u32,
    /// The peer's session id.
    pub d_session: u32,
}

impl SockaddrPppol2tp {
    /// Reads an address. The family is not looked at, as the kernel does not look at it.
    ///
    /// `None` where the length is none of the four, or the protocol is another.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let form = Pppol2tpForm::ALL.into_iter().find(|form| form.size() == bytes.len())?;
        if u32::from_ne_bytes(*bytes.get(2..)?.first_chunk()?) != PX_PROTO_OL2TP {
            return None;
        }
        let i32_at = |at: usize| Some(i32::from_ne_bytes(*bytes.get(at..)?.first_chunk()?));
        let (ids, address) = form.places();
        let id = |index: usize| -> Option<u32> {
            if form.is_v2() {
                Some(u16::from_ne_bytes(*bytes.get(ids + 2 * index..)?.first_chunk()?).into())
            } else {
                Some(u32::from_ne_bytes(*bytes.get(ids + 4 * index..)?.first_chunk()?))
            }
        };
        Some(Self {
            form,
            pid: i32_at(6)?,
            fd: i32_at(10)?,
            peer: parse_peer(form, bytes.get(address..)?)?,
            s_tunnel: id(0)?,
            s_session: id(1)?,
            d_tunnel: id(2)?,
            d_session: id(3)?,
        })
    }

    /// Its bytes. Ids of version 2 are cut to 16 bits; an address of the other family is written as the unspecified one.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.form.size());
        out.extend_from_slice(&AF_PPPOX.to_ne_bytes());
        out.extend_from_slice(&PX_PROTO_OL2TP.to_ne_bytes());
        out.extend_from_slice(&self.pid.to_ne_bytes());
        out.extend_from_slice(&self.fd.to_ne_bytes());
        if self.form.is_ipv4() {
            self.emit_peer(&mut out);
            self.emit_ids(&mut out);
        } else {
            self.emit_ids(&mut out);
            self.emit_peer(&mut out);
        }
        out
    }

    fn emit_ids(&self, out: &mut Vec<u8>) {
        for id in [self.s_tunnel, self.s_session, self.d_tunnel, self.d_session] {
            if self.form.is_v2() {
                let [_, _, high, low] = id.to_be_bytes();
                out.extend_from_slice(&u16::from_be_bytes([high, low]).to_ne_bytes());
            } else {
                out.extend_from_slice(&id.to_ne_bytes());
            }
        }
    }

    fn emit_peer(&self, out: &mut Vec<u8>) {
        let port = self.peer.port().to_be_bytes();
        match (self.form.is_ipv4(), self.peer) {
            (true, peer) => {
                let address = if let SocketAddr::V4(v4) = peer { *v4.ip() } else { Ipv4Addr::UNSPECIFIED };
                out.extend_from_slice(&AF_INET.to_ne_bytes());
                out.extend_from_slice(&port);
                out.extend_from_slice(&address.octets());
                out.extend_from_slice(&[0; 8]);
            }
            (false, peer) => {
                let address = if let SocketAddr::V6(v6) = peer { *v6.ip() } else { Ipv6Addr::UNSPECIFIED };
                out.extend_from_slice(&AF_INET6.to_ne_bytes());
                out.extend_from_slice(&port);
                out.extend_from_slice(&[0; 4]);
                out.extend_from_slice(&address.octets());
                out.extend_from_slice(&[0; 4]);
            }
        }
    }
}

/// Port and address; family, flow information and scope id are not looked at.
fn parse_peer(form: Pppol2tpForm, bytes: &[u8]) -> Option<SocketAddr> {
    let (head, rest) = bytes.split_first_chunk::<4>()?;
    let [_, _, high, low] = *head;
    let port = u16::from_be_bytes([high, low]);
    if form.is_ipv4() {
        let address = Ipv4Addr::from(*rest.first_chunk::<4>()?);
        return Some(SocketAddrV4::new(address, port).into());
    }
    let bytes = rest.get(..IN6 - 4)?.get(4..)?;
    Some(SocketAddrV6::new(Ipv6Addr::from(*bytes.first_chunk::<16>()?), port, 0, 0).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(form: Pppol2tpForm) -> SockaddrPppol2tp {
        let peer = if form.is_ipv4() { "192.0.2.1:1701" } else { "[2001:db8::1]:1701" };
        let peer = peer.parse().unwrap();
        let (s_tunnel, s_session, d_tunnel, d_session) = (1, 2, 3, 0xfffe);
        SockaddrPppol2tp { form, pid: 77, fd: -1, peer, s_tunnel, s_session, d_tunnel, d_session }
    }

    #[test]
    fn the_four_forms_round_trip_and_no_other_length_does() {
        for form in Pppol2tpForm::ALL {
            let bytes = address(form).emit();
            assert_eq!((bytes.len(), SockaddrPppol2tp::parse(&bytes)), (form.size(), Some(address(form))));
            let longer = [&bytes[..], &[0; 30]].concat();
            for len in (0..longer.len()).filter(|len| Pppol2tpForm::ALL.iter().all(|f| f.size() != *len)) {
                assert_eq!(SockaddrPppol2tp::parse(&longer[..len]), None, "{len}");
            }
        }
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn byte_for_byte() {
        let mut want = alloc::vec![24, 0, 1, 0, 0, 0, 77, 0, 0, 0, 0xff, 0xff, 0xff, 0xff];
        want.extend_from_slice(&[2, 0, 6, 0xa5, 192, 0, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        want.extend_from_slice(&[1, 0, 2, 0, 3, 0, 0xfe, 0xff]);
        assert_eq!(address(Pppol2tpForm::V2In).emit(), want);
        let v6 = address(Pppol2tpForm::V3In6).emit();
        assert_eq!(v6[14..30], [1, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 0xfe, 0xff, 0, 0]);
        assert_eq!(v6[30..42], [10, 0, 6, 0xa5, 0, 0, 0, 0, 0x20, 1, 0x0d, 0xb8]);
    }

    #[test]
    fn the_protocol_is_looked_at_and_the_family_is_not() {
        let mut bytes = address(Pppol2tpForm::V2In).emit();
        bytes[0] = 99;
        assert!(SockaddrPppol2tp::parse(&bytes).is_some());
        bytes[2] = 2;
        assert_eq!(SockaddrPppol2tp::parse(&bytes), None);
    }
}
