//! One end of a recorded conversation.

use crate::setup::Setup;
use l2tp_core::tx::{HEADER_MAX, Sent};
use l2tp_core::{Encap, Engine, Instant, SessionKey, SessionSelector, TunnelKey};
use l2tp_mgmt::text::{Text, View};
use l2tp_sim::{Inbox, SimDevice, SimHost, SimSocket};

pub(crate) struct End {
    host: SimHost,
    engine: Engine<SimSocket, SimDevice>,
    tunnel: TunnelKey,
    /// The last session of the set-up: the one with traffic.
    session: SessionKey,
    encap: Encap,
}

impl End {
    pub(crate) fn new(setup: &Setup) -> Self {
        let (mut host, mut engine) = (SimHost::default(), Engine::default());
        let tunnel_id = setup.tunnel.tunnel_id;
        let tunnel = engine.create_tunnel(&mut host, setup.tunnel.clone(), None).unwrap();
        for session in &setup.sessions {
            engine.create_session(&mut host, tunnel_id, session.clone()).unwrap();
        }
        let session_id = setup.sessions.last().unwrap().session_id;
        let session = engine.find_session(SessionSelector::Ids { tunnel_id, session_id }).unwrap();
        Self { host, engine, tunnel, session, encap: setup.tunnel.encap }
    }

    /// Sends `packets` packets of `bytes` bytes in all to `to`.
    pub(crate) fn send(&mut self, packets: usize, bytes: usize, to: &mut Self) {
        for sent in 0..packets {
            let rest = if sent + 1 == packets { bytes % packets } else { 0 };
            let packet = self.packet(bytes / packets + rest);
            to.receive(&packet);
        }
    }

    /// The next packet, of `len` bytes.
    fn packet(&mut self, len: usize) -> Vec<u8> {
        let mut header = [0; HEADER_MAX];
        let transmit = self.engine.handle_tx(self.session, 1).unwrap();
        let header_len = transmit.emit_header(0, &mut header);
        let packet = [&header[..header_len], &vec![0; len - header_len]].concat();
        let sent = Sent { packets: 1, bytes: packet.len() as u64, errors: 0 };
        self.engine.finish_tx(self.session, &sent);
        packet
    }

    fn receive(&mut self, packet: &[u8]) {
        let mut inbox = Inbox { packet, frames: Vec::new() };
        let _verdict = match self.encap {
            Encap::Udp => self.engine.handle_udp(Instant(0), self.tunnel, packet, &mut inbox),
            Encap::Ip => self.engine.handle_ip(Instant(0), packet, &mut inbox),
        };
    }

    pub(crate) fn text(&mut self, view: View) -> String {
        let (mut text, mut out) = (Text::new(view), String::new());
        while text.write_next(&mut self.engine, &mut self.host, &mut out).unwrap() {}
        out
    }
}
