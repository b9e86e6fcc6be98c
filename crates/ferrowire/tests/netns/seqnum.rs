//! Sequence numbers of PPP sessions packet by packet, over real sockets: the table of l2tp-ktest's `tc_data_seqnum`, and with
//! each row the whole of `struct pppol2tp_ioc_stats`, for L2TPv2 and L2TPv3.

use std::time::Duration;

use l2tp_abi::genl::l2tp::{L2TP_L2SPECTYPE_DEFAULT, Stats};
use l2tp_abi::ppp::{PPPOL2TP_SO_LNSMODE, PPPOL2TP_SO_RECVSEQ, PPPOL2TP_SO_REORDERTO, PPPOL2TP_SO_SENDSEQ};
use l2tp_client::SessionCreate;
use l2tp_client::ppp::L2tpStats;

use crate::host::Host;
use crate::lone::Lone;
use crate::{require, wait};

/// Ids of the session at both ends.
const SESSION: u16 = 5;
/// Bytes of a packet, its header counted.
const PACKET: usize = 64;
/// More than the 100 ms for which a packet may wait in the row that pauses.
const PAUSE: Duration = Duration::from_millis(110);

/// What is sent.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Step {
    Plain,
    Ns(u32),
    Pause,
}

use Step::{Ns, Pause, Plain};

/// One row of the table.
struct Row {
    options: &'static [(u32, i32)],
    steps: Vec<Step>,
    /// Which of the packets reach the program, in this order.
    delivered: Vec<u8>,
    rx_errors: u64,
    rx_seq_discards: u64,
    rx_oos_packets: u64,
    /// Whether the session numbers what it sends, in the end.
    numbers: bool,
    /// Tracepoints of the numbers, in their order.
    told: &'static [&'static str],
}

const RECV_SEQ: (u32, i32) = (PPPOL2TP_SO_RECVSEQ, 1);
const SEND_SEQ: (u32, i32) = (PPPOL2TP_SO_SENDSEQ, 1);
const LNS: (u32, i32) = (PPPOL2TP_SO_LNSMODE, 1);
const REORDER: (u32, i32) = (PPPOL2TP_SO_REORDERTO, 100);
/// Longer than any test's machine is busy with something else: what is late is not what this row is about.
const REORDER_PATIENTLY: (u32, i32) = (PPPOL2TP_SO_REORDERTO, 20_000);

/// A row after which the session numbers what it sends where the peer has done so.
fn row(
    options: &'static [(u32, i32)],
    steps: Vec<Step>,
    delivered: Vec<u8>,
    (rx_errors, rx_seq_discards, rx_oos_packets): (u64, u64, u64),
) -> Row {
    let numbers = steps.iter().any(|step| matches!(step, Ns(_)));
    Row { options, steps, delivered, rx_errors, rx_seq_discards, rx_oos_packets, numbers, told: &[] }
}

/// The rows of the table, those about the window for numbers of `bits` bits.
fn table(bits: u32) -> Vec<Row> {
    let (half, last) = ((1 << (bits - 1)) - 1, (1 << bits) - 1);
    let numbered = |numbers: &[u32]| numbers.iter().copied().map(Ns).collect::<Vec<_>>();
    let followed =
        &["session_seqnum_lns_enable", "session_seqnum_reset", "session_seqnum_update"] as &[&str];
    let mut rows = vec![
        row(&[RECV_SEQ], vec![Plain], vec![], (1, 1, 0)),
        Row { numbers: true, ..row(&[LNS, SEND_SEQ], vec![Plain], vec![], (1, 1, 0)) },
        Row { told: &["session_seqnum_lns_disable"], ..row(&[SEND_SEQ], vec![Plain], vec![0], (0, 0, 0)) },
        Row { told: followed, ..row(&[RECV_SEQ], vec![Ns(0)], vec![0], (0, 0, 0)) },
        row(&[RECV_SEQ, REORDER_PATIENTLY], numbered(&[0, 2, 1]), vec![0, 2, 1], (0, 0, 1)),
        row(&[RECV_SEQ, REORDER], vec![Ns(0), Ns(2), Pause, Ns(3)], vec![0, 2], (1, 1, 0)),
        row(&[RECV_SEQ], numbered(&[0, 2, 1]), vec![0, 2], (1, 1, 0)),
        row(&[RECV_SEQ], numbered(&[0, 2, 3, 4, 5, 6, 7, 8]), vec![0, 6, 7], (5, 5, 0)),
    ];
    for inside in [0, 1, half - 1] {
        rows.push(row(&[RECV_SEQ], vec![Ns(inside)], vec![0], (0, 0, 0)));
    }
    for outside in [half, last] {
        rows.push(row(&[RECV_SEQ], vec![Ns(outside)], vec![], (1, 0, 0)));
    }
    rows
}

/// A session of a tunnel of its own.
struct Lab {
    version: u8,
    tunnel: u16,
    lone: Lone,
}

impl Lab {
    /// In the namespace of the calling thread.
    fn new(version: u8, tunnel: u16, options: &[(u32, i32)]) -> Self {
        let l2spec_type = Some(L2TP_L2SPECTYPE_DEFAULT);
        let create = SessionCreate::ethernet(tunnel.into(), SESSION.into(), SESSION.into());
        let mut lone = Lone::new(version, &SessionCreate { peer_conn_id: 77, l2spec_type, ..create });
        for (option, value) in options {
            lone.ppp.set_option(&lone.session, *option, *value).unwrap();
        }
        Self { version, tunnel, lone }
    }

    /// A data packet with a frame that names itself (RFC 2661 section 3.1; RFC 3931 sections 4.1.2.1 and 4.6).
    fn packet(&self, ns: Option<u32>, name: u8) -> Vec<u8> {
        let mut packet = Vec::new();
        if self.version == 2 {
            packet.extend([if ns.is_some() { 0x08 } else { 0 }, 2]);
            packet.extend([self.tunnel.to_be_bytes(), SESSION.to_be_bytes()].concat());
            if let Some(ns) = ns {
                packet.extend([u16::try_from(ns).unwrap().to_be_bytes(), [0; 2]].concat());
            }
        } else {
            packet.extend([0, 3, 0, 0]);
            packet.extend(u32::from(SESSION).to_be_bytes());
            packet.extend(ns.map_or(0, |ns| 0x4000_0000 | ns).to_be_bytes());
        }
        packet.extend([0xff, 0x03, 0xc0, 0x21, 9, name]);
        packet.resize(PACKET, name);
        packet
    }

    /// Carries a row out; the counters that it must end with.
    fn play(&self, row: &Row) -> Stats {
        let mut name = 0;
        for step in &row.steps {
            let ns = match step {
                Pause => {
                    std::thread::sleep(PAUSE);
                    continue;
                }
                Plain => None,
                Ns(ns) => Some(*ns),
            };
            self.lone.peer.send(&self.packet(ns, name)).unwrap();
            name += 1;
        }
        let rx_packets = row.delivered.len() as u64;
        let &Row { rx_errors, rx_seq_discards, rx_oos_packets, .. } = row;
        assert_eq!(rx_packets + rx_errors, u64::from(name), "each packet has its row's fate");
        let rx_bytes = rx_packets * PACKET as u64;
        Stats { rx_packets, rx_bytes, rx_errors, rx_seq_discards, rx_oos_packets, ..Stats::default() }
    }

    /// The frames that the program reads, by their names.
    fn read(&self, count: usize) -> Vec<u8> {
        let mut buffer = [0; 2 * PACKET];
        let mut next = |_| {
            let length = self.lone.session.read(&mut buffer).unwrap();
            assert_eq!(buffer[..3], [0xc0, 0x21, 9]);
            buffer[length - 1]
        };
        (0..count).map(&mut next).collect()
    }

    fn stats(&mut self) -> L2tpStats {
        self.lone.ppp.stats(&self.lone.session, 0).unwrap()
    }

    /// By the management socket: of the session, and of the tunnel, which counts nothing that was refused.
    fn check_by_management(&mut self, stats: Stats) {
        let tunnel_id = self.tunnel;
        let session = self.lone.ppp.stats(&self.lone.management, SESSION).unwrap();
        assert_eq!(session, L2tpStats { tunnel_id, session_id: SESSION, stats });
        let whole = self.lone.ppp.stats(&self.lone.management, 0).unwrap();
        let Stats { rx_packets, rx_bytes, tx_packets, tx_bytes, .. } = stats;
        let stats = Stats { rx_packets, rx_bytes, tx_packets, tx_bytes, ..Stats::default() };
        assert_eq!(whole, L2tpStats { tunnel_id, session_id: 0, stats });
    }

    /// Sends a frame: whether it is numbered, and its bytes on the wire.
    fn send(&self) -> (bool, u64) {
        let packet = self.lone.sent(&[0xc0, 0x21, 9, 1, 0, 4]);
        let numbered = if self.version == 2 { packet[0] & 0x08 } else { packet[8] & 0x40 };
        (numbered != 0, packet.len() as u64)
    }
}

#[test]
fn every_row_of_the_table_for_both_versions() {
    if !require::met(&[]) {
        return;
    }
    for (version, bits) in [(2, 16), (3, 24)] {
        let mut host = Host::new();
        host.ip("link set lo up");
        host.start_daemon_with(&["--trace"]);
        for (row, tunnel) in table(bits).iter().zip(100..) {
            let mut lab = host.here(|| Lab::new(version, tunnel, row.options));
            let expected = lab.play(row);
            let of = |stats| L2tpStats { tunnel_id: tunnel, session_id: SESSION, stats };
            let name = format!("version {version}, row {tunnel}");
            wait::until(&name, || {
                let stats = lab.stats().stats;
                stats.rx_packets + stats.rx_errors == expected.rx_packets + expected.rx_errors
            });
            assert_eq!(lab.stats(), of(expected), "{name}");
            assert_eq!(lab.read(row.delivered.len()), row.delivered, "{name}");
            let (numbered, tx_bytes) = lab.send();
            assert_eq!(numbered, row.numbers, "{name}");
            let expected = Stats { tx_packets: 1, tx_bytes, ..expected };
            assert_eq!(lab.stats(), of(expected), "{name}");
            lab.check_by_management(expected);
            assert!(row.told.is_empty() || told(&mut host, tunnel) == row.told, "{name}");
        }
    }
}

/// The tracepoints of a session's numbers.
fn told(host: &mut Host, tunnel: u16) -> Vec<String> {
    let session = format!("sess {tunnel}/{SESSION}");
    let said = host.daemon().said();
    let of_session = said.lines().filter(|line| line.split(": ").nth(1) == Some(&session));
    let names = of_session.filter_map(|line| line.split(':').next());
    names.filter(|name| name.starts_with("session_seqnum")).map(str::to_owned).collect()
}
