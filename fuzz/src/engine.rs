//! A session under packets, waits, changes and its own end.

use std::time::Duration;

use l2tp_core::config::SessionChange;
use l2tp_core::rx::reorder::QUEUE_MAX;
use l2tp_core::{Encap, Instant, L2specType, PwType, SessionConfig, SessionSelector, Verdict};
use l2tp_sim::Side;
use l2tp_wire::Cookie;
use l2tp_wire::vlan::VlanId;

use crate::Input;

/// Our and the peer's tunnel id, our and the peer's session id, as in the recorded packets of the corpus.
const IDS: [u32; 4] = [0x1111, 0x2222, 0x3333, 0x4444];

const SELECTOR: SessionSelector<'_> = SessionSelector::Ids { tunnel_id: IDS[0], session_id: IDS[2] };

/// Longer than any reorder timeout of this target.
const LONG: Duration = Duration::from_secs(10);

/// A configuration, then steps.
///
/// ```text
/// byte     flags: 1 version 2 · 2 over IP · 4 no sublayer · 8 recv_seq · 16 send_seq · 32 lns_mode · 64 PPP
/// record   cookie            record   peer cookie            byte   reorder timeout, milliseconds
/// steps:   byte kind, by its remainder of 8: 0 to 4 a record, the packet · 5 byte, milliseconds pass
///          6 three bytes, a change · 7 the session is deleted and made again
/// ```
pub fn engine(data: &[u8]) {
    let mut input = Input(data);
    let Some(mut run) = Run::new(&mut input) else { return };
    while !input.is_empty() {
        run.step(&mut input);
        run.check();
    }
    run.now = run.now.after(LONG);
    run.side.tick(run.now);
    run.check();
    let engine = &run.side.engine;
    assert_eq!((engine.waiting(run.side.session), engine.poll_timeout()), (0, None));
}

struct Run {
    side: Side,
    config: SessionConfig,
    now: Instant,
    received: u64,
}

impl Run {
    fn new(input: &mut Input<'_>) -> Option<Self> {
        let flags = input.byte();
        let has = |bit: u8| flags & bit != 0;
        let config = SessionConfig {
            l2spec: if has(4) { L2specType::None } else { L2specType::Default },
            recv_seq: has(8),
            send_seq: has(16),
            lns_mode: has(32),
            pw_type: match (has(64) || has(1), VlanId::new(7).filter(|_| has(128))) {
                (true, _) => PwType::Ppp,
                (false, Some(vlan)) => PwType::EthVlan(vlan),
                (false, None) => PwType::Eth,
            },
            cookie: Cookie::new(input.record())?,
            peer_cookie: Cookie::new(input.record())?,
            reorder_timeout: input.millis(),
            ..SessionConfig::ethernet(IDS[2], IDS[3])
        };
        let (version, encap) = (if has(1) { 2 } else { 3 }, if has(2) { Encap::Ip } else { Encap::Udp });
        let side = Side::new(version, encap, (IDS[0], IDS[1]), config.clone());
        Some(Self { side, config, now: Instant(0), received: 0 })
    }

    fn step(&mut self, input: &mut Input<'_>) {
        match input.byte() % 8 {
            0..=4 => self.receive(input.record()),
            5 => {
                self.now = self.now.after(input.millis());
                self.side.tick(self.now);
            }
            6 => self.change(input),
            _ => self.delete_and_make(),
        }
    }

    fn receive(&mut self, packet: &[u8]) {
        self.received += 1;
        let before = self.side.arrived.len();
        let verdict = self.side.receive(self.now, packet);
        let came_out = self.side.arrived.len() - before;
        assert!(matches!(verdict, Verdict::Taken) || came_out == 0, "{verdict:?} delivers nothing");
        assert!(came_out <= QUEUE_MAX + 1);
        assert!(self.side.arrived.iter().skip(before).all(|arrived| arrived.frame.len() <= 65_535));
    }

    fn change(&mut self, input: &mut Input<'_>) {
        let flag = |byte: u8| (byte & 2 != 0).then_some(byte & 1 != 0);
        let bits = input.byte();
        let change = SessionChange {
            recv_seq: flag(bits),
            send_seq: flag(bits >> 2),
            lns_mode: flag(bits >> 4),
            reorder_timeout: Some(input.millis()),
        };
        assert!(self.side.engine.modify_session(SELECTOR, &change).is_ok());
        assert!(self.side.encapsulate(&[input.byte(); 14]).is_some());
    }

    fn delete_and_make(&mut self) {
        let Side { host, engine, session, .. } = &mut self.side;
        let old = *session;
        assert!(engine.delete_session(host, SELECTOR).is_ok());
        assert!(engine.session(old).is_none() && engine.poll_timeout().is_none());
        let new = engine.create_session(host, IDS[0], self.config.clone());
        assert!(new.is_ok(), "its ids and name are free at once: {new:?}");
        *session = new.unwrap_or(old);
    }

    /// Every packet is in exactly one counter; what waits is bounded and has a deadline.
    fn check(&self) {
        let Side { engine, session, tunnel, arrived, .. } = &self.side;
        let counters = engine.counters();
        let waiting = engine.waiting(*session);
        assert!(waiting <= QUEUE_MAX);
        assert_eq!(waiting > 0, engine.poll_timeout().is_some());
        let ends = counters.delivered + counters.up + counters.drops.total() + waiting as u64;
        assert_eq!(ends, self.received);
        assert_eq!(counters.delivered, arrived.len() as u64);
        let numbers = engine.session(*session).map(|s| s.ns <= s.ns_max() && s.rx_seq.nr <= s.ns_max());
        assert_eq!(numbers, Some(true));
        let packets = (
            engine.session(*session).map(|s| s.stats.rx_packets),
            engine.tunnel(*tunnel).map(|t| t.stats.rx_packets),
        );
        assert!(packets.0 <= packets.1);
    }
}
