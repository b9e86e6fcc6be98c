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
use crate::tx::low16;
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
    /// A frame for a session: for `device` of an Ethernet session; a PPP frame, from its protocol field on, where there is
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
        let (found, version) = match classify::udp(packet) {
            classify::Udp::Short | classify::Udp::Control => (None, 0),
            classify::Udp::V2 { tunnel_id, session_id } => (self.lookup_v2(tunnel, tunnel_id, session_id), 2),
            classify::Udp::V3 { version, session_id } => (self.lookup_v3_udp(tunnel, session_id), version),
        };
        let Some(key) = found else {
            self.counters.up += 1;
            return Verdict::Up;
        };
        let arrival = self.parse_udp(now, key, version, packet);
        match arrival {
            Some(arrival) => self.receive(key, &arrival, out),
            None => self.invalid(tunnel),
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

    /// The session must be in the tunnel whose socket the packet came in on, as in Linux 6.1.
    fn lookup_v2(&self, tunnel: TunnelKey, tunnel_id: u16, session_id: u16) -> Option<SessionKey> {
        let owner = self.tunnels.get(tunnel.0)?;
        (low16(owner.id()) == tunnel_id).then(|| self.ids.find_v2(tunnel_id, session_id)).flatten()
    }

    fn lookup_v3_udp(&self, tunnel: TunnelKey, session_id: u32) -> Option<SessionKey> {
        self.ids.find_v3_udp(tunnel, session_id)
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

    fn dropped(&mut self, reason: DropReason) -> Verdict {
        self.counters.drops.count(reason);
        Verdict::Dropped(reason)
    }

    /// The wrong version, or shorter than its session's header: counted by the tunnel and handed up.
    fn invalid(&mut self, tunnel: TunnelKey) -> Verdict {
        if let Some(tunnel) = self.tunnels.get_mut(tunnel.0) {
            tunnel.stats.rx_invalid += 1;
        }
        self.counters.up += 1;
        Verdict::Up
    }
}

#[cfg(test)]
mod tests;
