//! The table of l2tp-ktest's `seqnum`, packet by packet; the recorded kernel's own cases run in `tests/sim`.

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use l2tp_wire::{v2, v3};

use crate::config::{Encap, PwType, SessionConfig, SocketConfig, TunnelConfig, VlanId};
use crate::drop_reason::DropReason;
use crate::nowhere::Nowhere;
use crate::stats::Stats;
use crate::{Engine, Instant, SessionKey, TunnelKey};

struct Bench {
    engine: Engine<(), ()>,
    tunnel: TunnelKey,
    session: SessionKey,
    version: u8,
    now: Instant,
    out: Nowhere,
}

impl Bench {
    fn new(version: u8, change: impl FnOnce(&mut SessionConfig)) -> Self {
        let mut engine = Engine::default();
        let config = TunnelConfig {
            version,
            tunnel_id: 1,
            peer_tunnel_id: 2,
            encap: Encap::Udp,
            socket: SocketConfig::Descriptor { fd: 3 },
        };
        let tunnel = engine.create_tunnel(&mut Nowhere::default(), config, None).unwrap();
        let mut config = SessionConfig { pw_type: PwType::Ppp, ..SessionConfig::ethernet(7, 8) };
        change(&mut config);
        let session = engine.create_session(&mut Nowhere::default(), 1, config).unwrap();
        Self { engine, tunnel, session, version, now: Instant(0), out: Nowhere::default() }
    }

    fn send(&mut self, ns: Option<u32>) {
        let mut packet = [0u8; 64];
        if self.version == 2 {
            v2::Header::emit(&mut packet, 1, 7, ns.map(|ns| u16::try_from(ns).unwrap())).unwrap();
        } else {
            let cookie = l2tp_wire::Cookie::NONE;
            v3::emit(&mut packet, v3::Carrier::Udp, 7, &cookie, Some(ns)).unwrap();
        }
        self.engine.handle_udp(self.now, self.tunnel, &packet, &mut self.out);
    }

    /// A packet of version 3 with this payload.
    fn receive(&mut self, ns: Option<u32>, payload: &[u8]) {
        let mut packet = [0u8; 64];
        let cookie = l2tp_wire::Cookie::NONE;
        let len = v3::emit(&mut packet, v3::Carrier::Udp, 7, &cookie, Some(ns)).unwrap();
        let packet = [&packet[..len], payload].concat();
        self.engine.handle_udp(self.now, self.tunnel, &packet, &mut self.out);
    }

    fn pass(&mut self, millis: u64) {
        self.now = self.now.after(Duration::from_millis(millis));
        self.engine.handle_timeout(self.now, &mut self.out);
    }

    /// rx_packets, rx_errors, rx_seq_discards, rx_oos_packets.
    fn counted(&self) -> [u64; 4] {
        let Stats { rx_packets, rx_errors, rx_seq_discards, rx_oos_packets, .. } =
            self.engine.session(self.session).unwrap().stats;
        [rx_packets, rx_errors, rx_seq_discards, rx_oos_packets]
    }
}

/// What a step of a row is: a packet with or without a number, or a pause.
enum Step {
    Plain,
    Ns(u32),
    Pause(u64),
}
use Step::{Ns, Pause, Plain};

fn run(version: u8, change: fn(&mut SessionConfig), steps: &[Step]) -> [u64; 4] {
    let mut bench = Bench::new(version, change);
    for step in steps {
        match step {
            Plain => bench.send(None),
            Ns(ns) => bench.send(Some(*ns)),
            Pause(millis) => bench.pass(*millis),
        }
    }
    bench.counted()
}

type Row = (fn(&mut SessionConfig), &'static [Step], [u64; 4]);

fn reorder(config: &mut SessionConfig) {
    config.reorder_timeout = Duration::from_millis(100);
}

/// The expectations of l2tp-ktest, the same for both versions.
const KTEST: &[Row] = &[
    (|c| c.recv_seq = true, &[Plain], [0, 1, 1, 0]),
    (|c| (c.lns_mode, c.send_seq) = (true, true), &[Plain], [0, 1, 1, 0]),
    (|c| c.send_seq = true, &[Plain], [1, 0, 0, 0]),
    (|c| c.recv_seq = true, &[Ns(0)], [1, 0, 0, 0]),
    (reorder, &[Ns(0), Ns(2), Ns(1)], [3, 0, 0, 1]),
    (reorder, &[Ns(0), Ns(2), Pause(110), Ns(3)], [2, 1, 1, 0]),
    (|_| {}, &[Ns(0), Ns(2), Ns(1)], [2, 1, 1, 0]),
    (|_| {}, &[Ns(0), Ns(2), Ns(3), Ns(4), Ns(5), Ns(6), Ns(7), Ns(8)], [3, 5, 5, 0]),
];

#[test]
fn the_ktest_table_holds() {
    for version in [2, 3] {
        for (row, (change, steps, expected)) in KTEST.iter().enumerate() {
            assert_eq!(run(version, *change, steps), *expected, "version {version}, row {row}");
        }
    }
}

#[test]
fn the_ktest_window_holds() {
    for (version, last, max) in [(2, 32766, 65535), (3, 8_388_606, 16_777_215)] {
        for (ns, taken) in [(0, 1), (1, 1), (last, 1), (last + 1, 0), (max, 0)] {
            assert_eq!(run(version, |_| {}, &[Ns(ns)]), [taken, 1 - taken, 0, 0], "v{version} Ns {ns}");
        }
    }
}

#[test]
fn a_lac_follows_its_peers_numbering_and_an_lns_does_not() {
    let mut lac = Bench::new(3, |_| {});
    lac.send(Some(0));
    assert!(lac.engine.session(lac.session).unwrap().config.send_seq);
    lac.send(None);
    assert!(!lac.engine.session(lac.session).unwrap().config.send_seq);
    let mut lns = Bench::new(3, |c| c.lns_mode = true);
    lns.send(Some(0));
    assert!(!lns.engine.session(lns.session).unwrap().config.send_seq);
}

#[test]
fn a_timer_gives_up_what_waits_and_delivers_what_waits_behind() {
    let mut bench = Bench::new(3, reorder);
    for ns in [0, 2, 3, 4] {
        bench.send(Some(ns));
    }
    assert_eq!((bench.out.taken, bench.engine.waiting(bench.session)), (1, 3));
    bench.pass(99);
    assert_eq!(bench.out.taken, 1);
    bench.pass(2);
    assert_eq!(bench.counted(), [3, 1, 1, 0], "2 has waited too long; 3 and 4 were not to blame");
    assert_eq!(bench.engine.poll_timeout(), None);
}

#[test]
fn order_is_kept_across_the_wrap() {
    let mut bench = Bench::new(2, reorder);
    for ns in [32766, 65530, 65533, 65534] {
        bench.send(Some(ns));
        bench.pass(101);
    }
    for ns in [1, 65535, 0] {
        bench.send(Some(ns));
    }
    assert_eq!(bench.engine.waiting(bench.session), 0, "65535, 0, 1 have all left the queue");
    assert_eq!(bench.counted()[0], 7 - bench.counted()[2]);
}

#[test]
fn a_second_copy_of_a_waiting_packet_is_dropped() {
    let mut bench = Bench::new(3, reorder);
    for ns in [0, 2, 2, 1] {
        bench.send(Some(ns));
    }
    assert_eq!(bench.counted(), [3, 1, 0, 1]);
    assert_eq!(bench.engine.waiting(bench.session), 0);
}

#[test]
fn the_queue_is_bounded() {
    let mut bench = Bench::new(3, reorder);
    bench.send(Some(0));
    for ns in 2..10_000 {
        bench.send(Some(ns));
        assert!(bench.engine.waiting(bench.session) <= super::reorder::QUEUE_MAX);
    }
    assert_eq!(bench.counted(), [9999, 0, 0, 0], "the gap is given up, nothing else is lost");
}

#[test]
fn plain_packets_wait_behind_numbered_ones() {
    let mut bench = Bench::new(3, reorder);
    bench.send(Some(0));
    bench.send(Some(2));
    bench.send(None);
    assert_eq!(bench.out.taken, 1);
    bench.send(Some(1));
    assert_eq!(bench.out.taken, 4);
}

#[test]
fn deleting_a_session_frees_what_waits() {
    let mut bench = Bench::new(3, reorder);
    bench.send(Some(0));
    bench.send(Some(2));
    bench.engine.delete_tunnel(&mut Nowhere::default(), 1).unwrap();
    assert_eq!((bench.engine.poll_timeout(), bench.engine.held_bytes), (None, 0));
    assert_eq!(bench.engine.session_count(), 0);
    assert_eq!(bench.engine.counters().drops.get(DropReason::SessionDeleted), 1);
}

/// A VLAN session takes the frames of its VLAN, at once or out of its queue, and counts the others.
#[test]
fn a_vlan_session_takes_its_own_vlan() {
    let vlan = VlanId::new(5).unwrap();
    let frame = |rest: &[u8]| -> Vec<u8> { [&[2; 12][..], rest, &[0; 40]].concat() };
    let packets = [
        (frame(&[0x81, 0, 0, 5, 8, 0]), None),
        (frame(&[0x81, 0, 0xe0, 5, 0x81, 0, 0, 6]), None),
        (frame(&[0x81, 0, 0, 6, 8, 0]), Some(DropReason::OtherVlan)),
        (frame(&[0x81, 0, 0, 0, 8, 0]), Some(DropReason::OtherVlan)),
        (frame(&[8, 0]), Some(DropReason::OtherVlan)),
        (vec![2; 17], Some(DropReason::Runt)),
    ];
    for timeout in [0, 100] {
        let mut bench = Bench::new(3, |config| {
            config.pw_type = PwType::EthVlan(vlan);
            config.reorder_timeout = Duration::from_millis(timeout);
        });
        bench.receive(Some(0), &packets[0].0);
        // Behind a gap where there is a queue, which is filled at last.
        for (index, (frame, _)) in (2..).zip(&packets) {
            bench.receive((timeout > 0).then_some(index), frame);
        }
        if timeout > 0 {
            assert_eq!(bench.out.taken, 1);
            bench.receive(Some(1), &packets[0].0);
        }
        let drops = bench.engine.counters().drops;
        for reason in [DropReason::OtherVlan, DropReason::Runt] {
            let want = packets.iter().filter(|(_, drop)| *drop == Some(reason)).count();
            assert_eq!(drops.get(reason), u64::try_from(want).unwrap(), "{reason:?}");
        }
        assert_eq!(bench.out.taken, if timeout > 0 { 4 } else { 3 });
        // To the sequence they belong all the same.
        assert_eq!(bench.counted()[..2], [if timeout > 0 { 8 } else { 7 }, 0]);
    }
}
