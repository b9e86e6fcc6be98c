//! A packet's way in, in the order in which it meets the checks (`l2tp_udp_encap_recv`, `l2tp_recv_common`).
//!
//! 1. [`Engine::handle_udp`] or [`Engine::handle_ip`]: whose is it; a refusal over UDP hands it to the socket's owner
//! 2. cookie, and what its sequence number (or the lack of one) says: `admit`
//! 3. [`reorder`]: it is delivered, waits, or is dropped
//!
//! Every packet ends in exactly one of: delivered, waiting, handed up, dropped for one [`DropReason`].

mod admit;
mod release;
pub mod reorder;
pub mod seq;

use alloc::vec::Vec;
use core::ops::Range;

use l2tp_wire::{classify, v2, v3};

use crate::drop_reason::DropReason;
use crate::session::SessionKey;
use crate::time::Instant;
use crate::{Engine, TunnelKey};

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Delivered, or it waits in a reorder queue.
    Taken,
    /// Not for us: it belongs to the program that owns the tunnel's socket, as it is.
    Up,
    /// Over IP: a control message for this control connection, from behind its first four bytes.
    Control {
        /// The receiver's control connection id.
        control_connection_id: u32,
    },
    /// Dropped, and counted.
    Dropped(DropReason),
}

/// Takes the frames that come out of the receive path.
pub trait Deliver<D> {
    /// A frame for a session: for `device` of an Ethernet session, the tag of a VLAN session still in it; a PPP frame, from its protocol field on, where there is
    /// none. Returns whether somebody will read it.
    fn deliver(&mut self, session: SessionKey, device: Option<&D>, frame: Frame) -> bool;
}

/// Where a delivered frame is.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame {
    /// At these bytes of the packet that was just handed in.
    Packet(Range<usize>),
    /// It waited in a reorder queue. [`Engine::recycle`] takes the memory back.
    Held(Vec<u8>),
}

/// What a header said.
#[derive(Clone, Copy, Debug)]
struct Arrival<'a> {
    now: Instant,
    packet: &'a [u8],
    cookie: &'a [u8],
    ns: Option<u32>,
    /// Where the payload starts; may lie behind the packet's end.
    payload: usize,
}

impl<S: Clone, D> Engine<S, D> {
    /// Takes a datagram that arrived on the socket of `tunnel`.
    pub fn handle_udp(
        &mut self,
        now: Instant,
        tunnel: TunnelKey,
        packet: &[u8],
        out: &mut impl Deliver<D>,
    ) -> Verdict {
        self.handle_shared_udp(now, &[tunnel], packet, out)
    }

    /// Takes a datagram that arrived where the sockets of all of `tunnels` receive: they have one 5-tuple. The keys are in
    /// ascending order.
    pub fn handle_shared_udp(
        &mut self,
        now: Instant,
        tunnels: &[TunnelKey],
        packet: &[u8],
        out: &mut impl Deliver<D>,
    ) -> Verdict {
        let Some((key, version)) = self.lookup_udp(tunnels, packet) else {
            self.counters.up += 1;
            return Verdict::Up;
        };
        match self.parse_udp(now, key, version, packet) {
            Some(arrival) => self.receive(key, &arrival, out),
            None => self.invalid(key),
        }
    }

    /// The length of each datagram but the last in what may be a train of them ([`l2tp_wire::train`]), as it arrived where
    /// the sockets of `tunnels` receive; all of it where it is not one. The keys are in ascending order.
    #[must_use]
    pub fn train_stride(&self, tunnels: &[TunnelKey], packet: &[u8]) -> usize {
        let session = self.lookup_udp(tunnels, packet).and_then(|(key, _)| self.sessions.get(key.0));
        session.map_or(packet.len(), |session| session.train_stride(packet))
    }

    /// The session that a datagram is for, and the version that it claims.
    fn lookup_udp(&self, tunnels: &[TunnelKey], packet: &[u8]) -> Option<(SessionKey, u8)> {
        match classify::udp(packet) {
            classify::Udp::Short | classify::Udp::Control => None,
            classify::Udp::V2 { tunnel_id, session_id } => {
                self.lookup_v2(tunnels, tunnel_id, session_id).map(|key| (key, 2))
            }
            classify::Udp::V3 { version, session_id } => {
                self.ids.find_v3_udp_in(tunnels, session_id).map(|key| (key, version))
            }
        }
    }

    /// Takes the payload of an IP packet of protocol 115. Where it came from is not looked at: the session id and the
    /// cookie say whose it is.
    pub fn handle_ip(&mut self, now: Instant, packet: &[u8], out: &mut impl Deliver<D>) -> Verdict {
        let session_id = match classify::ip(packet) {
            classify::Ip::Malformed => return self.dropped(DropReason::Malformed),
            classify::Ip::Control { control_connection_id } => {
                self.counters.up += 1;
                return Verdict::Control { control_connection_id };
            }
            classify::Ip::Data { session_id } => session_id,
        };
        let Some(key) = self.lookup_v3_ip(session_id) else { return self.dropped(DropReason::NoSession) };
        match self.parse_v3(now, key, packet) {
            Some(arrival) => self.receive(key, &arrival, out),
            None => self.dropped(DropReason::Truncated),
        }
    }

    /// The session must be in a tunnel whose socket the packet came in on, as in Linux 6.1.
    fn lookup_v2(&self, tunnels: &[TunnelKey], tunnel_id: u16, session_id: u16) -> Option<SessionKey> {
        let key = self.ids.find_v2(tunnel_id, session_id)?;
        tunnels.binary_search(&self.sessions.get(key.0)?.tunnel).is_ok().then_some(key)
    }

    fn lookup_v3_ip(&self, session_id: u32) -> Option<SessionKey> {
        self.ids.find_v3_ip(session_id)
    }

    fn parse_udp<'a>(
        &self,
        now: Instant,
        key: SessionKey,
        version: u8,
        packet: &'a [u8],
    ) -> Option<Arrival<'a>> {
        match version {
            2 => {
                let header = v2::Header::parse(packet).ok()?;
                let ns = header.ns.map(u32::from);
                Some(Arrival { now, packet, cookie: &[], ns, payload: header.payload })
            }
            version => {
                let tunnel = self.tunnels.get(self.sessions.get(key.0)?.tunnel.0)?;
                (version == tunnel.config.version).then(|| self.parse_v3(now, key, packet)).flatten()
            }
        }
    }

    fn parse_v3<'a>(&self, now: Instant, key: SessionKey, packet: &'a [u8]) -> Option<Arrival<'a>> {
        let layout = &self.sessions.get(key.0)?.rx_layout;
        let header = v3::Header::parse(layout, packet).ok()?;
        let payload = layout.header_len();
        Some(Arrival { now, packet, cookie: header.cookie, ns: header.ns, payload })
    }

    /// Counts a frame that was delivered and that its reader had no room for.
    pub fn count_overrun(&mut self, key: SessionKey) {
        if let Some(session) = self.sessions.get_mut(key.0) {
            session.stats.rx_errors += 1;
        }
        self.counters.drops.count(DropReason::NoReader);
    }

    fn dropped(&mut self, reason: DropReason) -> Verdict {
        self.counters.drops.count(reason);
        Verdict::Dropped(reason)
    }

    /// The wrong version, or shorter than its session's header: counted by the tunnel and handed up.
    fn invalid(&mut self, key: SessionKey) -> Verdict {
        let tunnel = self.sessions.get(key.0).map(|session| session.tunnel);
        if let Some(tunnel) = tunnel.and_then(|tunnel| self.tunnels.get_mut(tunnel.0)) {
            tunnel.stats.rx_invalid += 1;
        }
        self.counters.up += 1;
        Verdict::Up
    }
}

#[cfg(test)]
mod tests;
