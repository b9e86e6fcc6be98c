//! Asking again for a moment before sleeping: for those who are asked, or answered, many times in a row.
//!
//! A trapped call goes through three processes, each of which waits for the next. When a processor falls asleep in every gap,
//! waking it takes longer than the work: 20 to 30 µs each time on a virtual machine, and as much after a deep sleep of real
//! ones. So whoever has just been busy looks again for `MOMENT`, and lets go of the processor between two looks: who else
//! wants it (on a single processor that is the one who is waited for) has it at once.

use std::time::{Duration, Instant};

use rustix::thread::sched_yield;

/// For how long it is looked again: the next request of a program that makes one after the other takes a few microseconds, an
/// answer some twenty. Also what a request that is the last costs in vain.
const MOMENT: Duration = Duration::from_micros(50);
/// Whoever waits less often than this sleeps at once: a request that comes alone shall not cost `MOMENT`. Longer than a
/// request takes through processors that sleep, or nobody would ever begin.
const SOON: Duration = Duration::from_micros(200);
/// A processor that is back only now was wanted by somebody with work to do; the scheduler's shortest turn is 700 µs.
const TURN: Duration = Duration::from_micros(500);
/// For how long one sleeps at once then: who yields loses the right to be next, so each look would cost a whole turn.
const PAUSE: Duration = Duration::from_secs(1);

/// What one who waits remembers of the last times.
#[derive(Debug, Default)]
pub struct Linger {
    /// When it last began to wait.
    last: Option<Instant>,
    /// Until when it leaves the processor to others.
    until: Option<Instant>,
}

impl Linger {
    /// Looks for a moment, if that is likely to be worth it; `None` when it is time to sleep.
    pub fn find<T>(&mut self, mut look: impl FnMut() -> Option<T>) -> Option<T> {
        let began = Instant::now();
        if !self.is_worth(began) {
            return None;
        }
        let mut now = began;
        while now.duration_since(began) < MOMENT {
            if let Some(found) = look() {
                return Some(found);
            }
            sched_yield();
            let left = std::mem::replace(&mut now, Instant::now());
            self.was_away(left, now);
        }
        None
    }

    /// Whether to look again, for one who begins to wait.
    fn is_worth(&mut self, now: Instant) -> bool {
        let last = self.last.replace(now);
        last.is_some_and(|last| now.duration_since(last) < SOON)
            && self.until.is_none_or(|until| until <= now)
    }

    /// Takes note of how long another had the processor.
    fn was_away(&mut self, left: Instant, back: Instant) {
        if back.duration_since(left) >= TURN {
            self.until = Some(back + PAUSE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_is_rarely_busy_sleeps_at_once() {
        let (mut linger, mut now) = (Linger::default(), Instant::now());
        assert!(!linger.is_worth(now), "the first time");
        for (gap, expected) in [(SOON, false), (SOON / 2, true), (2 * SOON, false), (Duration::ZERO, true)] {
            now += gap;
            assert_eq!(linger.is_worth(now), expected, "after {gap:?}");
        }
    }

    #[test]
    fn a_processor_that_others_want_is_theirs() {
        let (mut linger, now) = (Linger::default(), Instant::now());
        linger.is_worth(now);
        linger.was_away(now, now + TURN / 2);
        assert!(linger.is_worth(now));
        linger.was_away(now, now + TURN);
        assert!(!linger.is_worth(now));
        let almost = now + TURN + PAUSE - SOON / 2;
        linger.is_worth(almost);
        assert!(!linger.is_worth(almost), "still theirs");
        assert!(linger.is_worth(almost + SOON / 2));
    }

    #[test]
    fn what_is_there_is_found_and_what_is_not_is_not_awaited() {
        let mut linger = Linger::default();
        // On a busy machine the second look may come too late to be worth it.
        assert_eq!((0..100_000).find_map(|_| linger.find(|| Some(7))), Some(7));
        assert_eq!((0..10).find_map(|_| linger.find(|| None::<u8>)), None);
    }
}
