//! Callers that wait with us instead of in the kernel.
//!
//! A trapped call is interrupted by nothing but a fatal signal, so whoever waits is looked at from time to time: for
//! other signals, for its timeout, and for what it waits for.

use std::time::Instant;

use crate::notify::{Answer, Call};
use crate::supervisor::Supervisor;
use crate::task::is_signalled;
use rustix::io::Errno;

/// A call that waits.
pub(crate) struct Waiting {
    pub(crate) call: Call,
    /// When it fails with `EAGAIN`.
    pub(crate) deadline: Option<Instant>,
}

impl Supervisor {
    /// Answers those that wait no longer.
    pub(crate) fn look_at_waiting(&mut self) {
        for waiting in std::mem::take(&mut self.waiting) {
            if !self.listener.is_valid(&waiting.call) {
                continue;
            }
            let answer = match self.handle(&waiting.call) {
                // As sock_intr_errno: with a timeout the call does not start again.
                Answer::Wait(None) if is_signalled(waiting.call.thread) => Answer::Interrupt,
                Answer::Wait(_) if is_signalled(waiting.call.thread) => Answer::Fail(Errno::INTR),
                Answer::Wait(_) if waiting.deadline.is_some_and(|at| at <= Instant::now()) => {
                    Answer::Fail(Errno::AGAIN)
                }
                Answer::Wait(_) => {
                    self.waiting.push(waiting);
                    continue;
                }
                answer => answer,
            };
            self.listener.answer(&waiting.call, &answer);
        }
    }
}
