//! Deaths that no command asked for: sessions of a deleted tunnel, a session whose device is gone, everything when the
//! subsystem ends. The kernel tells nobody of them; here whoever manages the subsystem can.

use alloc::boxed::Box;
use alloc::collections::VecDeque;

use crate::Engine;
use crate::config::TunnelConfig;
use crate::host::Endpoints;
use crate::session::Session;
use crate::stats::Stats;

/// Deaths that are kept until somebody asks for them; later ones are only counted.
pub const DEATHS_MAX: usize = 4096;

/// A tunnel or session that died without a command of its own.
#[derive(Debug)]
pub enum Death<D> {
    /// A session, as it was at its end. It has no device any more.
    Session(Box<Session<D>>),
    /// A tunnel, behind its sessions.
    Tunnel {
        /// What was asked for.
        config: TunnelConfig,
        /// What it counted.
        stats: Stats,
        /// Its socket's addresses and settings at the end.
        endpoints: Endpoints,
    },
    /// So many more, for which there was no room.
    Missed(u64),
}

/// The deaths that nobody has asked for yet.
#[derive(Debug)]
pub(crate) struct Deaths<D> {
    waiting: VecDeque<Death<D>>,
    missed: u64,
}

impl<D> Default for Deaths<D> {
    fn default() -> Self {
        Self { waiting: VecDeque::new(), missed: 0 }
    }
}

impl<D> Deaths<D> {
    pub(crate) fn push(&mut self, death: Death<D>) {
        // Once some are missed, all are, so that those told and those missed are each in one piece.
        if self.missed > 0 || self.waiting.len() >= DEATHS_MAX {
            self.missed += 1;
        } else {
            self.waiting.push_back(death);
        }
    }

    fn pop(&mut self) -> Option<Death<D>> {
        if let Some(death) = self.waiting.pop_front() {
            return Some(death);
        }
        // The end of a large tunnel does not keep its memory.
        self.waiting = VecDeque::new();
        match core::mem::take(&mut self.missed) {
            0 => None,
            missed => Some(Death::Missed(missed)),
        }
    }
}

impl<S, D> Engine<S, D> {
    /// The next death that no command asked for, in order; each is told once. To be asked after every call that can end
    /// something, until it is `None`: no more than [`DEATHS_MAX`] wait.
    pub fn poll_death(&mut self) -> Option<Death<D>> {
        self.deaths.pop()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_counted_and_told_last() {
        let mut deaths = Deaths::<()>::default();
        for _ in 0..DEATHS_MAX + 3 {
            deaths.push(Death::Missed(0));
        }
        for _ in 0..DEATHS_MAX {
            assert!(matches!(deaths.pop(), Some(Death::Missed(0))));
            // There is room again, but those before it are not told yet.
            deaths.push(Death::Missed(0));
        }
        let missed = 3 + u64::try_from(DEATHS_MAX).unwrap();
        assert!(matches!(deaths.pop(), Some(Death::Missed(n)) if n == missed));
        assert!(deaths.pop().is_none());
        assert_eq!(deaths.waiting.capacity(), 0);
        deaths.push(Death::Missed(7));
        assert!(matches!(deaths.pop(), Some(Death::Missed(7))));
    }
}
