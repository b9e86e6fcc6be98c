//! Which data packets on a program's own UDP socket are a tunnel's: the kernel's `encap_rcv`, by a filter on the socket.
//!
//! The filter drops what belongs to a known session, which a [`crate::rawudp::RawUdp`] has taken by then, and leaves all
//! else to the program: control messages, short packets, unknown sessions and whatever the kernel hands up
//! (net/l2tp/l2tp_core.c l2tp_udp_encap_recv). It looks sessions up in maps of ours, so that it is exact from the moment a
//! session is made to the moment it is deleted, though the socket is out of our hands. Where BPF is not allowed, a classic
//! filter takes its place, which knows no session and drops all data packets.

mod program;

use crate::bpf::{self, Map, attach_classic};
use program::{CLASSIC, filter};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

/// Sockets that receive the same packets: programs may open several at one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group(pub u32);

/// Data packets of one session, as they arrive on the socket of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Pattern {
    /// L2TP version in the header; packets that match but for the version are the program's.
    pub version: u8,
    /// Our tunnel id, which the packets of version 2 alone carry.
    pub tunnel_id: Option<u16>,
    /// Our session id; of 16 bits in version 2.
    pub session_id: u32,
    /// Bytes of the header; shorter packets are the program's.
    pub header_len: u32,
}

/// Most sockets and most sessions that a filter tells apart.
const ENTRIES: u32 = 1 << 16;

/// The filter of all tunnel sockets of a namespace.
pub struct Divert {
    exact: Option<Exact>,
}

/// A filter that knows the sessions.
struct Exact {
    program: OwnedFd,
    /// SO_COOKIE to group.
    groups: Map<8, 4>,
    /// Group, tunnel id, session id to version and shortest length.
    sessions: Map<12, 8>,
}

impl Divert {
    /// Loads the filter.
    #[must_use]
    pub fn load() -> Self {
        Self { exact: Exact::load().ok() }
    }

    /// The filter that knows no session, for a host where BPF is not allowed.
    #[must_use]
    pub fn classic() -> Self {
        Self { exact: None }
    }

    /// Whether data packets of unknown sessions are left to the program.
    #[must_use]
    pub fn is_exact(&self) -> bool {
        self.exact.is_some()
    }

    /// Puts the filter on a socket, in place of any other. It stays there when the socket carries a tunnel no more: the
    /// exact one lets everything pass by then.
    ///
    /// # Errors
    /// `EPERM` where the program has locked a filter of its own (SO_LOCK_FILTER); `ENOMEM`.
    pub fn attach(&self, socket: impl AsFd) -> io::Result<()> {
        match &self.exact {
            Some(exact) => {
                crate::sockopt::set(socket, libc::SOL_SOCKET, libc::SO_ATTACH_BPF, exact.program.as_raw_fd())
            }
            None => attach_classic(socket, &CLASSIC),
        }
    }

    /// Says in which group the socket with SO_COOKIE `cookie` is.
    ///
    /// # Errors
    /// `E2BIG` beyond 65,536 sockets.
    pub fn join(&self, cookie: u64, group: Group) -> io::Result<()> {
        let Some(exact) = &self.exact else { return Ok(()) };
        exact.groups.insert(cookie.to_ne_bytes(), group.0.to_ne_bytes())
    }

    /// Forgets a socket: it gets all its packets.
    pub fn leave(&self, cookie: u64) {
        if let Some(exact) = &self.exact {
            exact.groups.remove(cookie.to_ne_bytes());
        }
    }

    /// Takes the packets of a session away from the sockets of a group.
    ///
    /// # Errors
    /// `E2BIG` beyond 65,536 sessions.
    pub fn insert(&self, group: Group, pattern: &Pattern) -> io::Result<()> {
        let Some(exact) = &self.exact else { return Ok(()) };
        let [a, b, c, d] = u32::from(pattern.version).to_ne_bytes();
        let [e, f, g, h] = (UDP_HEADER + pattern.header_len).to_ne_bytes();
        exact.sessions.insert(key(group, pattern), [a, b, c, d, e, f, g, h])
    }

    /// Leaves the packets of a session to the sockets of a group.
    pub fn remove(&self, group: Group, pattern: &Pattern) {
        if let Some(exact) = &self.exact {
            exact.sessions.remove(key(group, pattern));
        }
    }
}

/// The filter sees the packet from its UDP header on.
const UDP_HEADER: u32 = 8;

/// What stands for the tunnel id in the key of a session of version 3: no tunnel id of 16 bits.
const NO_TUNNEL: u32 = 1 << 16;

fn key(group: Group, pattern: &Pattern) -> [u8; 12] {
    let tunnel = pattern.tunnel_id.map_or(NO_TUNNEL, u32::from);
    let mut key = [0; 12];
    let fields = [group.0, tunnel, pattern.session_id];
    for (place, field) in key.as_chunks_mut::<4>().0.iter_mut().zip(fields) {
        *place = field.to_ne_bytes();
    }
    key
}

impl Exact {
    fn load() -> io::Result<Self> {
        let (groups, sessions) = (Map::new(ENTRIES)?, Map::new(ENTRIES)?);
        let (groups_fd, sessions_fd) = (groups.as_raw_fd(), sessions.as_raw_fd());
        let instructions = filter(groups_fd, sessions_fd).ok_or(Errno::INVAL)?;
        Ok(Self { program: bpf::load_socket_filter(&instructions)?, groups, sessions })
    }
}

#[cfg(test)]
mod tests;
