//! Properties of the subsystem that hold for every configuration and every link: frames come out as they went in, in
//! order and once where they are numbered, within a bounded time and memory, and every packet is in exactly one counter.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop")]

use std::time::Duration;

use l2tp_core::config::SessionChange;
use l2tp_core::rx::reorder::QUEUE_MAX;
use l2tp_core::stats::Stats;
use l2tp_core::tx::HEADER_MAX;
use l2tp_core::{DropReason, Encap, Instant, L2specType, PwType, SessionConfig, SessionSelector};
use l2tp_sim::{LinkConfig, Pair, Side};
use l2tp_wire::Cookie;
use proptest::prelude::*;

/// What `seq` of `ip l2tp add session` sets on both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seq {
    None,
    Send,
    Recv,
    Both,
}

/// Two ends, a link, and what is sent.
#[derive(Clone, Debug)]
struct Scenario {
    version: u8,
    encap: Encap,
    session: SessionConfig,
    link: LinkConfig,
    seed: u64,
    sent: Vec<Sent>,
}

/// A frame that is sent.
#[derive(Clone, Copy, Debug)]
struct Sent {
    /// Time since the one before.
    gap: Duration,
    /// Bytes behind the number that tells it from the others.
    padding: usize,
    from_a: bool,
}

impl Scenario {
    fn seq(&mut self, seq: Seq) {
        self.session.send_seq = matches!(seq, Seq::Send | Seq::Both);
        self.session.recv_seq = matches!(seq, Seq::Recv | Seq::Both);
    }

    fn is_numbered(&self) -> bool {
        let session = &self.session;
        session.send_seq && (self.version == 2 || session.l2spec == L2specType::Default)
    }

    /// Whether each end refuses what the other sends, for it has no number.
    fn is_refused(&self) -> bool {
        let session = &self.session;
        !self.is_numbered() && (session.recv_seq || (session.send_seq && session.lns_mode))
    }

    fn is_perfect(&self) -> bool {
        (self.link.loss, self.link.duplicate, self.link.reorder) == (0, 0, 0)
    }

    /// The timeout as the engine rounds it, in whole ticks.
    fn timeout(&self) -> Duration {
        l2tp_core::time::to_jiffies(self.session.reorder_timeout)
    }

    /// Longest time that a frame may take: on the way, behind one that was overtaken, and in the queue.
    fn longest(&self) -> Duration {
        self.link.delay + 2 * self.link.jitter + self.timeout() + Duration::from_nanos(1)
    }

    fn frame(&self, number: usize) -> Vec<u8> {
        let addresses = [2, 0, 0, 0, 0, 0xb2, 2, 0, 0, 0, 0, 0xa1];
        let start = match self.session.pw_type {
            PwType::Eth => [&addresses[..], &[0x88, 0xb5]].concat(),
            PwType::EthVlan(vlan) => [&addresses[..], &vlan.tag(), &[0x88, 0xb5]].concat(),
            PwType::Ppp => vec![0x00, 0x21],
        };
        let padding = vec![0x5a; self.sent[number].padding];
        [&start[..], &u32::try_from(number).unwrap().to_be_bytes(), &padding].concat()
    }

    /// The number in a frame.
    fn number(&self, frame: &[u8]) -> usize {
        let pw_type = self.session.pw_type;
        let at = if pw_type.is_ethernet() { 14 + pw_type.tag_len() } else { 2 };
        let number = u32::from_be_bytes(*frame[at..].first_chunk().unwrap());
        usize::try_from(number).unwrap()
    }
}

fn cookies() -> impl Strategy<Value = Cookie> {
    prop_oneof![Just(0), Just(4), Just(8), 0usize..9].prop_flat_map(|len| {
        prop::collection::vec(any::<u8>(), len).prop_map(|bytes| Cookie::new(&bytes).unwrap())
    })
}

fn sessions(version: u8) -> impl Strategy<Value = SessionConfig> {
    let timeout = prop_oneof![Just(0), Just(100), 1u64..300];
    let ids = (1u32..=0xffff, 1u32..=0xffff);
    let cookies = (cookies(), cookies());
    let pw_types = prop_oneof![Just(4), Just(5), Just(7)];
    (ids, cookies, pw_types, any::<bool>(), any::<bool>(), timeout).prop_map(
        move |(ids, cookies, pw_type, sublayer, lns_mode, timeout)| SessionConfig {
            pw_type: PwType::from_number(pw_type, version, Some(77)).unwrap_or(PwType::Ppp),
            l2spec: if sublayer { L2specType::Default } else { L2specType::None },
            cookie: cookies.0,
            peer_cookie: cookies.1,
            lns_mode,
            reorder_timeout: Duration::from_millis(timeout),
            ..SessionConfig::ethernet(ids.0, ids.1)
        },
    )
}

fn links() -> impl Strategy<Value = LinkConfig> {
    let chance = || prop_oneof![3 => Just(0u8), 1 => 1u8..100];
    let mtu = prop_oneof![3 => Just(65535usize), 1 => 60usize..200];
    (chance(), chance(), chance(), 0u64..5, 0u64..40, mtu).prop_map(
        |(loss, duplicate, reorder, delay, jitter, mtu)| LinkConfig {
            loss,
            duplicate,
            reorder,
            delay: Duration::from_millis(delay),
            jitter: Duration::from_millis(jitter),
            mtu,
        },
    )
}

/// From a trickle to bursts that overrun a reorder queue.
fn sendings() -> impl Strategy<Value = Vec<Sent>> {
    prop_oneof![Just(20_000u64), Just(1_000), Just(50)].prop_flat_map(|most| {
        let one = (0..most, 0usize..100, prop::bool::weighted(0.8)).prop_map(|(gap, padding, from_a)| Sent {
            gap: Duration::from_micros(gap),
            padding,
            from_a,
        });
        prop::collection::vec(one, 1..600)
    })
}

fn scenarios() -> impl Strategy<Value = Scenario> {
    let form = prop_oneof![Just((2, Encap::Udp)), Just((3, Encap::Udp)), Just((3, Encap::Ip))];
    let seq =
        prop_oneof![1 => Just(Seq::None), 1 => Just(Seq::Send), 1 => Just(Seq::Recv), 3 => Just(Seq::Both)];
    form.prop_flat_map(move |(version, encap)| {
        (sessions(version), seq.clone(), links(), any::<u64>(), sendings()).prop_map(
            move |(session, seq, link, seed, sent)| {
                let mut scenario = Scenario { version, encap, session, link, seed, sent };
                scenario.seq(seq);
                scenario
            },
        )
    })
}

/// A scenario as it unfolds.
struct Run {
    scenario: Scenario,
    pair: Pair,
    sent_at: Vec<Instant>,
}

impl Run {
    fn new(scenario: Scenario) -> Self {
        let Scenario { version, encap, session, link, seed, .. } = scenario.clone();
        Self { pair: Pair::new(version, encap, session, link, seed), sent_at: Vec::new(), scenario }
    }

    /// Sends everything and lets the longest time pass.
    fn complete(scenario: Scenario) -> Self {
        let mut run = Self::new(scenario);
        for number in 0..run.scenario.sent.len() {
            run.send(number);
        }
        run.pass(run.scenario.longest());
        run
    }

    fn send(&mut self, number: usize) {
        let Sent { gap, from_a, .. } = self.scenario.sent[number];
        self.pass(gap);
        self.sent_at.push(self.pair.now);
        let frame = self.scenario.frame(number);
        if from_a { self.pair.send_from_a(&frame) } else { self.pair.send_from_b(&frame) }
    }

    fn pass(&mut self, duration: Duration) {
        let end = self.pair.now.after(duration);
        while self.pair.step(end) {
            for side in [&self.pair.a, &self.pair.b] {
                assert!(side.engine.waiting(side.session) <= QUEUE_MAX);
            }
        }
    }

    /// The numbers of the frames that came out of one side.
    fn arrived(&self, side: &Side) -> Vec<usize> {
        side.arrived.iter().map(|arrived| self.scenario.number(&arrived.frame)).collect()
    }

    /// Everything that holds for one direction, whatever the scenario.
    fn check(&self, from_a: bool) {
        let Pair { a, b, a_to_b, b_to_a, .. } = &self.pair;
        let (sender, receiver, link) = if from_a { (a, b, a_to_b) } else { (b, a, b_to_a) };
        let received = stats(sender).tx_packets - link.lost + link.doubled;
        self.check_frames(receiver, from_a);
        check_accounts(receiver, received);
        assert_eq!((receiver.engine.waiting(receiver.session), receiver.engine.poll_timeout()), (0, None));
        if self.scenario.is_refused() {
            assert_eq!(receiver.engine.counters().drops.get(DropReason::SeqMissing), received);
        } else if self.scenario.is_perfect() && link.lost == 0 {
            let sent = self.scenario.sent.iter().filter(|sent| sent.from_a == from_a).count();
            assert_eq!(receiver.arrived.len(), sent, "everything arrives");
            assert_eq!(
                (stats(sender).tx_packets, stats(sender).tx_bytes),
                (stats(receiver).rx_packets, stats(receiver).rx_bytes)
            );
        } else if !self.scenario.is_numbered() {
            assert_eq!(receiver.arrived.len() as u64, received, "all that the link let through");
        }
    }

    /// What came out is what went in, in time, and, if numbered, in order and once.
    fn check_frames(&self, receiver: &Side, from_a: bool) {
        for arrived in &receiver.arrived {
            let number = self.scenario.number(&arrived.frame);
            assert_eq!(arrived.frame, self.scenario.frame(number));
            assert_eq!(self.scenario.sent[number].from_a, from_a);
            assert!(arrived.when.since(self.sent_at[number]) <= self.scenario.longest(), "{number} is late");
        }
        if self.scenario.is_numbered() {
            let numbers = self.arrived(receiver);
            assert!(numbers.is_sorted_by(|a, b| a < b), "in order, each once: {numbers:?}");
        }
    }
}

fn stats(side: &Side) -> &Stats {
    &side.engine.session(side.session).unwrap().stats
}

/// Each of the packets that a side received is in one counter of the engine, and in one of the session.
fn check_accounts(side: &Side, received: u64) {
    let counters = side.engine.counters();
    let waiting = side.engine.waiting(side.session) as u64;
    assert_eq!(counters.delivered + counters.up + counters.drops.total() + waiting, received);
    assert_eq!((counters.up, counters.delivered), (0, side.arrived.len() as u64));
    let stats = stats(side);
    assert_eq!(stats.rx_packets + stats.rx_errors + waiting, received);
    assert!(stats.rx_seq_discards + stats.rx_cookie_discards <= stats.rx_errors);
    let tunnel = &side.engine.tunnel(side.tunnel).unwrap().stats;
    assert_eq!((tunnel.rx_packets, tunnel.rx_bytes), (stats.rx_packets, stats.rx_bytes));
    assert_eq!((tunnel.tx_packets, tunnel.tx_bytes), (stats.tx_packets, stats.tx_bytes));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1024, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_link_any_session(scenario in scenarios()) {
        let run = Run::complete(scenario);
        run.check(true);
        run.check(false);
    }

    /// What a link only delays, doubles and reorders, by less than the timeout and the queue's length, is repaired.
    #[test]
    fn reordering_is_repaired(mut scenario in scenarios(), jitter in 1u64..40) {
        scenario.seq(Seq::Both);
        scenario.session.l2spec = L2specType::Default;
        scenario.session.reorder_timeout = Duration::from_millis(100);
        scenario.link.jitter = Duration::from_millis(jitter);
        (scenario.link.loss, scenario.link.mtu) = (0, 65535);
        for sent in &mut scenario.sent {
            sent.from_a = true;
            sent.gap = sent.gap.max(Duration::from_micros(200));
        }
        let mut run = Run::new(scenario);
        run.send(0);
        // Whatever comes first is taken for the start.
        run.pass(run.scenario.longest());
        for number in 1..run.scenario.sent.len() {
            run.send(number);
        }
        run.pass(run.scenario.longest());
        run.check(true);
        prop_assert_eq!(run.arrived(&run.pair.b), (0..run.scenario.sent.len()).collect::<Vec<_>>());
    }

    /// Changing a session while packets are under way neither loses one from the accounts nor leaves one waiting.
    #[test]
    fn changes_while_traffic_flows(
        scenario in scenarios(),
        changes in prop::collection::vec((0usize..600, any::<[Option<bool>; 3]>(), 0u64..200), 1..8),
    ) {
        let mut run = Run::new(scenario);
        for number in 0..run.scenario.sent.len() {
            for (_, [send_seq, recv_seq, lns_mode], timeout) in changes.iter().filter(|c| c.0 == number) {
                let reorder_timeout = Some(Duration::from_millis(*timeout));
                let change = SessionChange { send_seq: *send_seq, recv_seq: *recv_seq, lns_mode: *lns_mode, reorder_timeout };
                let session_id = run.scenario.session.peer_session_id;
                let selector = SessionSelector::Ids { tunnel_id: 2, session_id };
                run.pair.b.engine.modify_session(selector, &change).unwrap();
            }
            run.send(number);
        }
        run.pass(run.scenario.longest() + Duration::from_secs(2));
        let Pair { a, b, a_to_b, .. } = &run.pair;
        check_accounts(b, stats(a).tx_packets - a_to_b.lost + a_to_b.doubled);
        prop_assert_eq!((b.engine.waiting(b.session), b.engine.poll_timeout()), (0, None));
    }

    /// The numbers wrap without a gap: in batches of any size, in every queue mode, near the top of both number spaces.
    #[test]
    fn numbers_wrap(
        v2 in any::<bool>(),
        before in 1u32..40,
        batches in prop::collection::vec(1u32..20, 1..12),
        timeout in prop_oneof![Just(0u64), Just(100)],
        swaps in prop::collection::vec(any::<bool>(), 240),
    ) {
        let (version, top) = if v2 { (2, 0xffffu32) } else { (3, 0x00ff_ffff) };
        let mut session = SessionConfig::ethernet(10, 20);
        session.pw_type = PwType::Ppp;
        (session.send_seq, session.recv_seq) = (true, true);
        session.reorder_timeout = Duration::from_millis(timeout);
        let mut pair = Pair::new(version, Encap::Udp, session, LinkConfig::default(), 1);
        // In steps, for a receiver takes only what lies in the half of the space ahead. Seven in a row make it follow.
        for target in [top / 3, top / 3 * 2, top - before - 7] {
            let skip = target - pair.a.engine.session(pair.a.session).unwrap().ns;
            pair.a.engine.handle_tx(pair.a.session, skip).unwrap();
            for _ in 0..7 {
                pair.send_from_a(&[0x00, 0x21, 0, 0, 0, 0]);
                pair.run_for(Duration::from_millis(200));
            }
        }
        let seen = pair.b.arrived.len();
        let mut packets = batches.iter().flat_map(|batch| numbered_batch(&mut pair.a, *batch)).collect::<Vec<_>>();
        let total = packets.len();
        if timeout > 0 {
            packets.chunks_exact_mut(2).zip(&swaps).filter(|(_, swap)| **swap).for_each(|(two, _)| two.swap(0, 1));
        }
        for packet in &packets {
            pair.b.receive(pair.now, packet);
        }
        prop_assert_eq!(pair.b.arrived.len() - seen, total);
        let ns: Vec<u32> = pair.b.arrived[seen..].iter().map(|a| u32::from_be_bytes(*a.frame[2..].first_chunk().unwrap())).collect();
        prop_assert!(ns.windows(2).all(|two| two[1] == two[0].wrapping_add(1) & top), "{ns:?}");
        prop_assert_eq!(ns.last().map(|last| (last + 1) & top), Some(pair.a.engine.session(pair.a.session).unwrap().ns));
    }
}

/// Packets of one batch, each with its own number as its frame.
fn numbered_batch(side: &mut Side, batch: u32) -> Vec<Vec<u8>> {
    let session = side.engine.session(side.session).unwrap();
    let (first, top) = (session.ns, session.ns_max());
    let transmit = side.engine.handle_tx(side.session, batch).unwrap();
    let packet = |index: u32| {
        let mut header = [0; HEADER_MAX];
        let len = transmit.emit_header(index, &mut header);
        let ns = first.wrapping_add(index) & top;
        [&header[..len], &[0x00, 0x21], &ns.to_be_bytes()].concat()
    };
    (0..batch).map(packet).collect()
}

/// More frames than the number space of L2TPv2 has numbers, over a link that reorders and doubles.
#[test]
fn a_long_v2_session_wraps() {
    let mut session = SessionConfig::ethernet(10, 20);
    session.pw_type = PwType::Ppp;
    (session.send_seq, session.recv_seq) = (true, true);
    session.reorder_timeout = Duration::from_millis(100);
    let link = LinkConfig { duplicate: 10, reorder: 40, ..LinkConfig::default() };
    let one = Sent { gap: Duration::from_micros(500), padding: 0, from_a: true };
    let scenario =
        Scenario { version: 2, encap: Encap::Udp, session, link, seed: 1, sent: vec![one; 70_000] };
    let mut run = Run::new(scenario);
    run.send(0);
    run.pass(Duration::from_millis(50));
    for number in 1..run.scenario.sent.len() {
        run.send(number);
    }
    run.pass(run.scenario.longest());
    run.check(true);
    assert_eq!(run.pair.b.arrived.len(), 70_000);
}
