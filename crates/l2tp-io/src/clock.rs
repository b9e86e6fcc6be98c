//! The one clock of the shell; the sans-IO crates are handed its value.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds of `CLOCK_MONOTONIC`: never steps back, stands still while the host sleeps.
#[must_use]
pub fn now() -> u64 {
    let time = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    let nanos = u64::try_from(time.tv_nsec).unwrap_or_default();
    seconds.saturating_mul(1_000_000_000).saturating_add(nanos)
}

#[cfg(test)]
mod tests {
    use super::now;
    use std::time::{Duration, Instant};

    #[test]
    fn advances_as_the_standard_clock_does() {
        let (start, reference) = (now(), Instant::now());
        std::thread::sleep(Duration::from_millis(20));
        let (passed, expected) = (now() - start, reference.elapsed());
        assert!(passed >= 20_000_000);
        assert!(u128::from(passed).abs_diff(expected.as_nanos()) < 20_000_000);
    }
}
