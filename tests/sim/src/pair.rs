//! Two engines, a link between them, and a clock that jumps to whatever happens next.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use l2tp_core::config::SocketConfig;
use l2tp_core::tx::{HEADER_MAX, Sent};
use l2tp_core::{
    Deliver, Encap, Engine, Frame, Instant, SessionConfig, SessionKey, TunnelConfig, TunnelKey, Verdict,
};

use crate::{Link, LinkConfig, SimDevice, SimHost, SimSocket};

/// A frame that came out of a device (or would go to a PPP reader).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Arrived {
    /// When.
    pub when: Instant,
    /// The frame.
    pub frame: Vec<u8>,
}

/// Takes the frames of one call into the engine.
#[derive(Debug, Default)]
pub struct Inbox<'a> {
    /// The packet that is handed in.
    pub packet: &'a [u8],
    /// What came out.
    pub frames: Vec<Vec<u8>>,
}

impl<D> Deliver<D> for Inbox<'_> {
    fn deliver(&mut self, _: SessionKey, _: Option<&D>, frame: Frame) -> bool {
        self.frames.push(match frame {
            Frame::Packet(range) => self.packet[range].to_vec(),
            Frame::Held(bytes) => bytes,
        });
        true
    }
}

/// One end.
#[derive(Debug)]
pub struct Side {
    /// Its operating system.
    pub host: SimHost,
    /// Its subsystem.
    pub engine: Engine<SimSocket, SimDevice>,
    /// Its tunnel.
    pub tunnel: TunnelKey,
    /// Its session.
    pub session: SessionKey,
    /// What arrived at it.
    pub arrived: Vec<Arrived>,
    encap: Encap,
}

impl Side {
    /// An end with one tunnel and one session.
    ///
    /// # Panics
    /// If the engine refuses the configuration.
    #[must_use]
    pub fn new(version: u8, encap: Encap, ids: (u32, u32), config: SessionConfig) -> Self {
        let mut host = SimHost::default();
        let mut engine = Engine::default();
        let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let socket = SocketConfig::Addresses {
            local: address,
            peer: address,
            sport: 5001,
            dport: 5002,
            udp_csum: false,
            zero_csum6_tx: false,
            zero_csum6_rx: false,
        };
        let tunnel = TunnelConfig { version, tunnel_id: ids.0, peer_tunnel_id: ids.1, encap, socket };
        let tunnel = engine.create_tunnel(&mut host, tunnel, None).unwrap_or_else(|e| unreachable!("{e}"));
        let session = engine.create_session(&mut host, ids.0, config).unwrap_or_else(|e| unreachable!("{e}"));
        Self { host, engine, tunnel, session, arrived: Vec::new(), encap }
    }

    /// Hands in a packet from the network.
    pub fn receive(&mut self, now: Instant, packet: &[u8]) -> Verdict {
        let mut inbox = Inbox { packet, frames: Vec::new() };
        let verdict = match self.encap {
            Encap::Udp => self.engine.handle_udp(now, self.tunnel, packet, &mut inbox),
            Encap::Ip => self.engine.handle_ip(now, packet, &mut inbox),
        };
        self.take(now, inbox.frames);
        verdict
    }

    /// Lets the time be `now`.
    pub fn tick(&mut self, now: Instant) {
        let mut inbox = Inbox::default();
        self.engine.handle_timeout(now, &mut inbox);
        self.take(now, inbox.frames);
    }

    fn take(&mut self, when: Instant, frames: Vec<Vec<u8>>) {
        self.arrived.extend(frames.into_iter().map(|frame| Arrived { when, frame }));
    }

    /// The packet that carries `frame`.
    pub fn encapsulate(&mut self, frame: &[u8]) -> Option<Vec<u8>> {
        let transmit = self.engine.handle_tx(self.session, 1)?;
        let mut header = [0; HEADER_MAX];
        let len = transmit.emit_header(0, &mut header);
        let packet = [&header[..len], frame].concat();
        let sent = Sent { packets: 1, bytes: packet.len() as u64, errors: 0 };
        self.engine.finish_tx(self.session, &sent);
        Some(packet)
    }
}

/// Two ends, [`Self::a`] and [`Self::b`], and what is between them.
#[derive(Debug)]
pub struct Pair {
    /// The time.
    pub now: Instant,
    /// One end.
    pub a: Side,
    /// The other.
    pub b: Side,
    /// From a to b.
    pub a_to_b: Link,
    /// From b to a.
    pub b_to_a: Link,
}

impl Pair {
    /// Two ends of one tunnel; `a` describes the session from a's side, b gets its mirror image.
    #[must_use]
    pub fn new(version: u8, encap: Encap, a: SessionConfig, link: LinkConfig, seed: u64) -> Self {
        let b = SessionConfig {
            session_id: a.peer_session_id,
            peer_session_id: a.session_id,
            cookie: a.peer_cookie,
            peer_cookie: a.cookie,
            ..a.clone()
        };
        Self {
            now: Instant(0),
            a: Side::new(version, encap, (1, 2), a),
            b: Side::new(version, encap, (2, 1), b),
            a_to_b: Link::new(link, seed),
            b_to_a: Link::new(link, seed.rotate_left(32)),
        }
    }

    /// Sends a frame from a.
    pub fn send_from_a(&mut self, frame: &[u8]) {
        if let Some(packet) = self.a.encapsulate(frame) {
            self.a_to_b.send(self.now, &packet);
        }
    }

    /// Sends a frame from b.
    pub fn send_from_b(&mut self, frame: &[u8]) {
        if let Some(packet) = self.b.encapsulate(frame) {
            self.b_to_a.send(self.now, &packet);
        }
    }

    /// Goes to the next thing that happens within `limit` from now and lets it happen; false if nothing does.
    pub fn step(&mut self, limit: Instant) -> bool {
        let next = [
            self.a_to_b.next_arrival(),
            self.b_to_a.next_arrival(),
            self.a.engine.poll_timeout(),
            self.b.engine.poll_timeout(),
        ];
        let Some(next) = next.into_iter().flatten().min().filter(|next| *next <= limit) else {
            self.now = limit;
            return false;
        };
        self.now = self.now.max(next);
        while let Some(packet) = self.a_to_b.receive(self.now) {
            self.b.receive(self.now, &packet);
        }
        while let Some(packet) = self.b_to_a.receive(self.now) {
            self.a.receive(self.now, &packet);
        }
        self.a.tick(self.now);
        self.b.tick(self.now);
        true
    }

    /// Lets `duration` pass.
    pub fn run_for(&mut self, duration: Duration) {
        let end = self.now.after(duration);
        while self.step(end) {}
    }
}
