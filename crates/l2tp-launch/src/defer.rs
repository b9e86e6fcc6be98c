//! Callers that wait with us instead of in the kernel.
//!
//! A trapped call is interrupted by nothing but a fatal signal, so whoever waits is looked at from time to time: for
//! other signals, for its timeout, and for what it waits for.

use std::io;
use std::os::fd::OwnedFd;
use std::time::Instant;

use l2tp_io::poller::Interest;

use crate::notify::{Answer, Call};
use crate::supervisor::{AWAITED, Supervisor};
use crate::task::is_signalled;
use rustix::io::Errno;

/// A call that waits.
pub(crate) struct Waiting {
    pub(crate) call: Call,
    /// When it fails with `EAGAIN`.
    deadline: Option<Instant>,
    /// Our copy of what it waits for, which wakes us. It is let go before anybody could miss its end.
    socket: Option<OwnedFd>,
}

impl Supervisor {
    /// Has a call wait, until it can go on or `deadline` has come.
    pub(crate) fn wait(&mut self, call: Call, deadline: Option<Instant>) {
        let socket = self.tasks.process(call.thread).and_then(|process| process.descriptor(call.int(0))).ok();
        // One that cannot be watched is looked at with the next tick.
        let socket = socket.filter(|socket| self.poller.add(socket, AWAITED, Interest::Read).is_ok());
        self.waiting.push(Waiting { call, deadline, socket });
    }

    /// Lets go of what a call waited for.
    fn let_go(&self, waiting: &Waiting) {
        if let Some(socket) = &waiting.socket {
            // It is watched: it was added.
            let _: io::Result<()> = self.poller.remove(socket);
        }
    }

    /// Answers those that wait no longer.
    pub(crate) fn look_at_waiting(&mut self) {
        for waiting in std::mem::take(&mut self.waiting) {
            if !self.listener.is_valid(&waiting.call) {
                self.let_go(&waiting);
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
            self.let_go(&waiting);
            self.listener.answer(&waiting.call, &answer);
        }
    }
}
