//! When a namespace has died: the daemon's own sockets and threads keep it alive, so nobody says so.

use std::collections::BTreeSet;
use std::io;
use std::time::{Duration, Instant};

use l2tp_io::netns::NetNs;
use l2tp_io::netns::users::{Lookout, Sight};

/// Between two looks. Two must agree before a namespace is given up: one that changes hands may be seen in neither for a
/// moment.
const PAUSE: Duration = Duration::from_millis(250);

/// Looks may take up to this part of the time.
const REST: u32 = 50;

/// Watches over namespaces that are to be served for as long as somebody uses them.
pub(super) struct Vigil {
    lookout: Lookout,
    /// Those that were unused at the last look.
    doubted: BTreeSet<u64>,
    next: Instant,
}

impl Vigil {
    /// One to which uses by the processes `ours` do not count.
    pub(super) fn new(ours: Option<u32>) -> io::Result<Self> {
        Ok(Self { lookout: Lookout::new(ours)?, doubted: BTreeSet::new(), next: Instant::now() })
    }

    /// How much of the system is seen.
    pub(super) fn sight(&self) -> Sight {
        self.lookout.sight()
    }

    /// Looks after a namespace from now on, which this process keeps alive.
    pub(super) fn watch(&mut self, netns: &NetNs) -> io::Result<()> {
        self.lookout.watch(netns)
    }

    /// Watches no more.
    pub(super) fn forget(&mut self, netns: u64) {
        self.lookout.forget(netns);
    }

    /// How long to wait before the next look; `None` while there is nothing to look after.
    pub(super) fn timeout(&self) -> Option<Duration> {
        (!self.lookout.is_idle()).then(|| self.next.saturating_duration_since(Instant::now()))
    }

    /// Looks, if it is time; returns the namespaces that have died, by their inodes. They are watched no more.
    pub(super) fn look(&mut self) -> BTreeSet<u64> {
        let start = Instant::now();
        if self.lookout.is_idle() || start < self.next {
            return BTreeSet::new();
        }
        let unused = self.lookout.look();
        let end = Instant::now();
        self.next = end + PAUSE.max(REST * (end - start));
        let dead = judge(&mut self.doubted, unused);
        dead.iter().for_each(|netns| self.lookout.forget(*netns));
        dead
    }
}

/// Those that are unused for the second time in turn are dead; the others are doubted.
fn judge(doubted: &mut BTreeSet<u64>, unused: BTreeSet<u64>) -> BTreeSet<u64> {
    let before = std::mem::take(doubted);
    let (dead, doubtful) = unused.into_iter().partition(|netns| before.contains(netns));
    *doubted = doubtful;
    dead
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_looks_must_agree() {
        let mut doubted = BTreeSet::new();
        let mut look = |unused: &[u64]| judge(&mut doubted, unused.iter().copied().collect());
        let none = BTreeSet::new();
        assert_eq!(look(&[1, 2]), none);
        assert_eq!(look(&[2, 3]), BTreeSet::from([2]));
        assert_eq!(look(&[1]), none, "it was in use between");
        assert_eq!(look(&[]), none);
        assert_eq!(look(&[1]), none);
        assert_eq!(look(&[1]), BTreeSet::from([1]));
        assert_eq!(look(&[1]), none);
    }
}
