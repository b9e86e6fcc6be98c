//! What an end counted.

use std::fmt;

use l2tp_abi::genl::l2tp::Stats;

/// The counters of a session that both ends keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Counters {
    pub(super) tx_packets: u64,
    pub(super) tx_bytes: u64,
    pub(super) tx_errors: u64,
    pub(super) rx_packets: u64,
    pub(super) rx_bytes: u64,
    pub(super) rx_errors: u64,
}

impl Counters {
    /// Reads the line `nr/ns tx packets/bytes/errors rx packets/bytes/errors` of a session in debugfs `l2tp/tunnels`.
    pub(super) fn of_session(session: &str) -> Option<Self> {
        let line = session.lines().find_map(|line| line.split_once(" tx "))?.1;
        let numbers: Option<Vec<u64>> =
            line.split(['/', ' ']).filter(|word| *word != "rx").map(|word| word.parse().ok()).collect();
        let [tx_packets, tx_bytes, tx_errors, rx_packets, rx_bytes, rx_errors] = *numbers?.as_slice() else {
            return None;
        };
        Some(Self { tx_packets, tx_bytes, tx_errors, rx_packets, rx_bytes, rx_errors })
    }

    /// Whether all that `self` sent was taken by `peer`, byte for byte.
    pub(super) fn arrived_at(&self, peer: &Self) -> bool {
        (self.tx_packets, self.tx_bytes) == (peer.rx_packets, peer.rx_bytes)
            && (self.tx_errors, peer.rx_errors) == (0, 0)
    }

    /// Whether all that `self` sent was refused by `peer`.
    pub(super) fn was_refused_by(&self, peer: &Self) -> bool {
        (peer.rx_packets, peer.rx_errors) == (0, self.tx_packets) && self.tx_packets > 0
    }
}

/// What debugfs `l2tp/tunnels` says of a session: the lines behind its id, up to the next session or tunnel.
pub(super) fn session(text: &str, session_id: u32) -> Option<&str> {
    let rest = text.split_once(&format!("  SESSION {session_id},"))?.1;
    rest.split("  SESSION ").next()?.split("TUNNEL ").next()
}

/// Whether a session in debugfs numbers what it sends: the letters of `config mtu/mru/recv/send/…`.
pub(super) fn sends_numbers(session: &str) -> Option<bool> {
    let config = session.split_once(" config ")?.1;
    config.split('/').nth(3).map(|letter| letter == "S")
}

impl From<Stats> for Counters {
    fn from(stats: Stats) -> Self {
        Self {
            tx_packets: stats.tx_packets,
            tx_bytes: stats.tx_bytes,
            tx_errors: stats.tx_errors,
            rx_packets: stats.rx_packets,
            rx_bytes: stats.rx_bytes,
            rx_errors: stats.rx_errors,
        }
    }
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tx_packets, tx_bytes, tx_errors, rx_packets, rx_bytes, rx_errors } = self;
        write!(f, "tx {tx_packets}/{tx_bytes}/{tx_errors} rx {rx_packets}/{rx_bytes}/{rx_errors}")
    }
}

#[cfg(test)]
mod tests {
    use super::{Counters, sends_numbers, session};

    const DEBUGFS: &str = "\
TUNNEL 30 peer 31 from 10.1.0.1 to 10.1.0.2
 L2TPv3, UDP
 2 sessions, refcnt 3/3
 00000000 rx 1/16/0 rx 0/0/0
  SESSION 3, peer 4, ETH
   nr 0, ns 1
   refcnt 3
   config 0/0/-/S/-/LNS 00000000 0
   offset 0 l2specific 0/0
   0/1 tx 1/16/2 rx 3/70/4
   interface l2tpeth0
  SESSION 33, peer 4, ETH
   config 0/0/R/-/-/LAC 00000000 0
   0/0 tx 0/0/0 rx 9/9/9
";

    #[test]
    fn a_session_is_found_by_its_id() {
        let third = session(DEBUGFS, 3).unwrap();
        assert_eq!(Counters::of_session(third).unwrap().to_string(), "tx 1/16/2 rx 3/70/4");
        assert_eq!(sends_numbers(third), Some(true));
        let other = session(DEBUGFS, 33).unwrap();
        assert_eq!(Counters::of_session(other).unwrap().rx_packets, 9);
        assert_eq!(sends_numbers(other), Some(false));
        assert_eq!(session(DEBUGFS, 4), None);
    }

    #[test]
    fn what_was_lost_or_refused_did_not_arrive() {
        let sent = Counters { tx_packets: 2, tx_bytes: 20, ..Counters::default() };
        let taken = Counters { rx_packets: 2, rx_bytes: 20, ..Counters::default() };
        assert!(sent.arrived_at(&taken));
        assert!(!sent.arrived_at(&Counters { rx_bytes: 19, ..taken }));
        assert!(!sent.arrived_at(&Counters { rx_errors: 1, ..taken }));
        assert!(!sent.was_refused_by(&taken));
        assert!(sent.was_refused_by(&Counters { rx_errors: 2, ..Counters::default() }));
        assert!(!Counters::default().was_refused_by(&Counters::default()));
    }
}
