//! Every tracepoint of the kernel, in the kernel's words.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use l2tp_core::config::SocketConfig;
use l2tp_core::trace::TARGET;
use l2tp_core::tx::HEADER_MAX;
use l2tp_core::{Encap, Engine, Instant, PwType, SessionConfig, TunnelConfig, Verdict};
use l2tp_mgmt::text::tracepoint;
use l2tp_sim::{Side, SimHost};
use l2tp_wire::v3::{self, Carrier};
use l2tp_wire::{Cookie, v2};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;

/// Writes the kernel's text.
struct KernelText;

impl<S: Subscriber + for<'a> LookupSpan<'a>, N: for<'a> FormatFields<'a> + 'static> FormatEvent<S, N>
    for KernelText
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        assert_eq!((event.metadata().target(), *event.metadata().level()), (TARGET, Level::TRACE));
        writeln!(out, "{}", tracepoint(event))
    }
}

/// What was written.
#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

/// The tracepoints that `work` passes.
fn heard(work: impl FnOnce()) -> Vec<String> {
    let lines = Lines::default();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(Level::TRACE)
        .event_format(KernelText)
        .with_writer(lines.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, work);
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    text.lines().map(str::to_owned).collect()
}

/// A side with the session 1/7, of which the peer's number is 8.
fn side(version: u8, change: impl FnOnce(&mut SessionConfig)) -> Side {
    let pw_type = if version == 2 { PwType::Ppp } else { PwType::Eth };
    let mut config = SessionConfig { pw_type, ..SessionConfig::ethernet(7, 8) };
    change(&mut config);
    Side::new(version, Encap::Udp, (1, 2), config)
}

/// Hands in a packet with the number `ns`, or without one.
fn receive(side: &mut Side, now: Instant, ns: Option<u32>) -> Verdict {
    let mut packet = [0; HEADER_MAX + 64];
    v3::emit(&mut packet, Carrier::Udp, 7, &Cookie::NONE, Some(ns)).unwrap();
    side.receive(now, &packet)
}

#[test]
fn the_life_of_a_tunnel_and_its_session() {
    let lines = heard(|| {
        let mut side = side(3, |_| ());
        side.engine.delete_tunnel(&mut side.host, 1).unwrap();
    });
    assert_eq!(
        lines,
        [
            "register_tunnel: tunl 1: type=unmanaged encap=UDP version=L2TPv3 tid=1 ptid=2 fd=-1",
            "register_session: sess 1/7: pseudowire=ETH sid=7 psid=8 tid=1 ptid=2",
            "delete_tunnel: tunl 1",
            "delete_session: sess 1/7",
            "free_session: sess 1/7",
            "free_tunnel: tunl 1",
        ]
    );
}

/// The kernel takes descriptor 0 for none.
#[test]
fn a_tunnel_on_a_socket_of_a_program_is_managed() {
    let lines = heard(|| {
        for (encap, fd, tunnel_id) in [(Encap::Udp, 0, 4), (Encap::Ip, 3, 5)] {
            let socket = SocketConfig::Descriptor { fd };
            let config = TunnelConfig { version: 2, tunnel_id, peer_tunnel_id: 6, encap, socket };
            Engine::default().create_tunnel(&mut SimHost::default(), config, None).unwrap();
        }
    });
    assert_eq!(
        lines,
        [
            "register_tunnel: tunl 4: type=managed encap=UDP version=L2TPv2 tid=4 ptid=6 fd=0",
            "register_tunnel: tunl 5: type=managed encap=IP version=L2TPv2 tid=5 ptid=6 fd=3",
        ]
    );
}

#[test]
fn a_failure_is_no_event() {
    let mut side = side(3, |_| ());
    let lines = heard(|| {
        side.engine.create_session(&mut side.host, 1, SessionConfig::ethernet(7, 9)).unwrap_err();
        side.engine.delete_tunnel(&mut side.host, 9).unwrap_err();
    });
    assert_eq!(lines, [""; 0]);
}

#[test]
fn a_lac_follows_its_lns() {
    let mut side = side(3, |_| ());
    let lines = heard(|| {
        receive(&mut side, Instant(0), Some(5));
        receive(&mut side, Instant(0), None);
        receive(&mut side, Instant(0), None);
    });
    assert_eq!(
        lines,
        [
            "session_seqnum_lns_enable: sess 1/7",
            "session_seqnum_reset: sess 1/7: ns=0 nr=5",
            "session_seqnum_update: sess 1/7: ns=0 nr=6",
            "session_seqnum_lns_disable: sess 1/7",
        ]
    );
}

#[test]
fn what_comes_out_of_order_is_told() {
    let mut side = side(3, |config| config.send_seq = true);
    receive(&mut side, Instant(0), Some(0));
    let lines = heard(|| {
        receive(&mut side, Instant(0), Some(2));
        receive(&mut side, Instant(0), Some(0x0080_0001));
    });
    assert_eq!(
        lines,
        [
            "session_pkt_oos: sess 1/7: pkt_ns=2 my_nr=1 reorder_q_len=0",
            "session_pkt_outside_rx_window: sess 1/7: pkt_ns=8388609 my_nr=1 reorder_q_len=0",
        ]
    );
}

#[test]
fn what_waited_too_long_is_told_and_the_number_starts_anew() {
    let timeout = Duration::from_millis(100);
    let mut side = side(3, |config| (config.send_seq, config.reorder_timeout) = (true, timeout));
    for ns in [0, 2, 3] {
        receive(&mut side, Instant(0), Some(ns));
    }
    let lines = heard(|| side.tick(Instant(0).after(2 * timeout)));
    assert_eq!(
        lines,
        [
            "session_pkt_expired: sess 1/7: pkt_ns=2 my_nr=1 reorder_q_len=2",
            "session_seqnum_reset: sess 1/7: ns=0 nr=3",
            "session_seqnum_update: sess 1/7: ns=0 nr=4",
        ]
    );
}

#[test]
fn sessions_of_version_2() {
    let lines = heard(|| {
        let mut side = side(2, |_| ());
        let mut packet = [0; 64];
        v2::Header::emit(&mut packet, 1, 7, Some(3)).unwrap();
        side.receive(Instant(0), &packet);
        side.engine.clear(&mut side.host);
    });
    assert_eq!(
        lines[1..5],
        [
            "register_session: sess 1/7: pseudowire=PPP sid=7 psid=8 tid=1 ptid=2",
            "session_seqnum_lns_enable: sess 1/7",
            "session_seqnum_reset: sess 1/7: ns=0 nr=3",
            "session_seqnum_update: sess 1/7: ns=0 nr=4",
        ]
    );
}
