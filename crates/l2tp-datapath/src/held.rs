//! The engine in the hands of management, and for how long.

use std::ops::{Deref, DerefMut};
use std::sync::MutexGuard;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::NetEngine;

/// The engine, locked: no packet is looked at while this lives.
pub struct Held<'a> {
    engine: MutexGuard<'a, NetEngine>,
    since: Instant,
    longest: &'a Longest,
}

impl<'a> Held<'a> {
    pub(crate) fn new(engine: MutexGuard<'a, NetEngine>, longest: &'a Longest) -> Self {
        Self { engine, since: Instant::now(), longest }
    }
}

impl Deref for Held<'_> {
    type Target = NetEngine;

    fn deref(&self) -> &NetEngine {
        &self.engine
    }
}

impl DerefMut for Held<'_> {
    fn deref_mut(&mut self) -> &mut NetEngine {
        &mut self.engine
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.longest.take(self.since.elapsed());
    }
}

/// The longest of some times, in nanoseconds.
#[derive(Default)]
pub(crate) struct Longest(AtomicU64);

impl Longest {
    fn take(&self, time: Duration) {
        self.0.fetch_max(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    #[test]
    fn the_longest_time_is_kept() {
        let (engine, longest) = (Mutex::new(NetEngine::default()), Longest::default());
        assert_eq!(longest.read(), Duration::ZERO);
        let held = Held::new(engine.lock().unwrap(), &longest);
        std::thread::sleep(Duration::from_millis(2));
        drop(held);
        let first = longest.read();
        assert!(first >= Duration::from_millis(2));
        assert_eq!(Held::new(engine.lock().unwrap(), &longest).tunnel_count(), 0);
        assert_eq!(longest.read(), first);
    }
}
