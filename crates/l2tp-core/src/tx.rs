//! A frame's way out: sequence numbers and headers. The bytes of the frame are not touched here.

use l2tp_wire::v3::Layout;
use l2tp_wire::{Cookie, ppp, v2, v3};

use crate::config::{L2specType, PwType};
use crate::session::{Session, SessionKey};
use crate::stats::count_sent;
use crate::{Engine, TunnelKey};

/// The longest header in front of a frame, in bytes: v3 over UDP with everything, and PPP's address and control.
pub const HEADER_MAX: usize = Layout::MAX + ppp::ADDRESS_CONTROL.len();

/// Leave to send a number of frames of one session: their headers and the socket.
#[derive(Clone, Debug)]
pub struct Transmit<S> {
    /// The socket to send on.
    pub socket: S,
    /// The tunnel to account to.
    pub tunnel: TunnelKey,
    template: Template,
    /// Sequence number of the first frame.
    first_ns: Option<u32>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Template {
    V2 { tunnel_id: u16, session_id: u16 },
    V3 { carrier: v3::Carrier, session_id: u32, cookie: Cookie, sublayer: bool, ppp: bool },
}

/// What became of a transmission.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Packets handed to the network.
    pub packets: u64,
    /// Bytes of them, with the L2TP header.
    pub bytes: u64,
    /// Packets that could not be sent.
    pub errors: u64,
}

impl<S> Transmit<S> {
    /// Writes the header of frame `index` and returns its length; 0 never happens with room for [`HEADER_MAX`].
    pub fn emit_header(&self, index: u32, out: &mut [u8; HEADER_MAX]) -> usize {
        let len = self.template.emit(self.first_ns.map(|first| first.wrapping_add(index)), out);
        if !self.template.is_ppp() {
            return len;
        }
        match out.get_mut(len..).and_then(|rest| rest.first_chunk_mut()) {
            Some(place) => *place = ppp::ADDRESS_CONTROL,
            None => return len,
        }
        len + ppp::ADDRESS_CONTROL.len()
    }

    /// Whether every frame has the same header, so that one can serve them all.
    #[must_use]
    pub fn header_is_constant(&self) -> bool {
        self.first_ns.is_none()
    }
}

impl Template {
    /// Writes the L2TP header of a frame and returns its length.
    pub(crate) fn emit(&self, ns: Option<u32>, out: &mut [u8; HEADER_MAX]) -> usize {
        let len = match *self {
            Self::V2 { tunnel_id, session_id } => v2::Header::emit(out, tunnel_id, session_id, ns.map(low16)),
            Self::V3 { carrier, session_id, cookie, sublayer, .. } => {
                v3::emit(out, carrier, session_id, &cookie, sublayer.then_some(ns))
            }
        };
        len.unwrap_or(0)
    }

    fn is_ppp(&self) -> bool {
        matches!(self, Self::V2 { .. } | Self::V3 { ppp: true, .. })
    }
}

/// The low 16 bits, which is what L2TPv2 carries of an id.
pub(crate) fn low16(id: u32) -> u16 {
    let [_, _, high, low] = id.to_be_bytes();
    u16::from_be_bytes([high, low])
}

impl<D> Session<D> {
    /// Takes `frames` sequence numbers, if it sends any, and returns the first.
    fn next_ns(&mut self, frames: u32) -> Option<u32> {
        if !self.sends_numbers() {
            return None;
        }
        let first = self.ns;
        self.ns = first.wrapping_add(frames) & self.ns_max();
        Some(first)
    }

    /// Whether its packets carry sequence numbers.
    fn sends_numbers(&self) -> bool {
        self.config.send_seq && (self.is_v2 || self.config.l2spec == L2specType::Default)
    }

    pub(crate) fn template(&self) -> Template {
        let config = &self.config;
        if self.is_v2 {
            let (tunnel_id, session_id) = (low16(self.peer_tunnel_id), low16(config.peer_session_id));
            return Template::V2 { tunnel_id, session_id };
        }
        Template::V3 {
            carrier: self.encap.carrier(),
            session_id: config.peer_session_id,
            cookie: config.cookie,
            sublayer: config.l2spec == L2specType::Default,
            ppp: config.pw_type == PwType::Ppp,
        }
    }
}

impl<S: Clone, D> Engine<S, D> {
    /// Whether packets of a session are numbered, so that they must leave in the order of their [`Self::handle_tx`].
    #[must_use]
    pub fn numbers_packets(&self, key: SessionKey) -> bool {
        self.sessions.get(key.0).is_some_and(Session::sends_numbers)
    }

    /// Takes the numbers for `frames` frames of a session. `None` if the session is gone.
    ///
    /// The numbers are used up whether or not the frames can be sent, as in the kernel.
    pub fn handle_tx(&mut self, key: SessionKey, frames: u32) -> Option<Transmit<S>> {
        let session = self.sessions.get_mut(key.0)?;
        let tunnel = self.tunnels.get(session.tunnel.0)?;
        Some(Transmit {
            socket: tunnel.socket.clone(),
            tunnel: session.tunnel,
            template: session.template(),
            first_ns: session.next_ns(frames),
        })
    }

    /// Counts what became of the frames of a [`Transmit`].
    pub fn finish_tx(&mut self, key: SessionKey, sent: &Sent) {
        let Some(session) = self.sessions.get_mut(key.0) else { return };
        count_sent(&mut session.stats, sent);
        if let Some(tunnel) = self.tunnels.get_mut(session.tunnel.0) {
            count_sent(&mut tunnel.stats, sent);
        }
    }
}
