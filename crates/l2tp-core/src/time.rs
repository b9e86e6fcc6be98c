//! Time as a value: it is handed in, never read.

use core::time::Duration;

/// A moment, in nanoseconds since an origin that the caller chose.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant(pub u64);

impl Instant {
    /// The moment `duration` later; the end of time if that is nearer.
    #[must_use]
    pub fn after(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// The time from `earlier` to this moment; zero if it lies behind.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// Rounds up to the reference kernel's clock tick (HZ 250): 50 ms read back as 52.
#[must_use]
pub fn to_jiffies(duration: Duration) -> Duration {
    const TICK_MS: u64 = 4;
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    Duration::from_millis(millis.div_ceil(TICK_MS).saturating_mul(TICK_MS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_rounded_up() {
        let rounded = [0, 1, 50, 100, 1234].map(|ms| to_jiffies(Duration::from_millis(ms)).as_millis());
        assert_eq!(rounded, [0, 4, 52, 100, 1236]);
        assert!(to_jiffies(Duration::MAX) >= Duration::from_millis(u64::MAX - 4));
    }

    #[test]
    fn time_does_not_wrap() {
        assert_eq!(Instant(5).after(Duration::MAX), Instant(u64::MAX));
        assert_eq!(Instant(5).since(Instant(9)), Duration::ZERO);
    }
}
