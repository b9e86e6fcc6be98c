//! What leaves the reorder queue, and when (`l2tp_recv_dequeue`).

use super::{Deliver, Frame};
use crate::Engine;
use crate::drop_reason::DropReason;
use crate::session::{Session, SessionKey};
use crate::stats::count_received;
use crate::time::Instant;
use crate::trace::tracepoint;

/// What to do with the packet at the head of a queue.
enum Head {
    Deliver,
    Expire,
    Wait,
}

impl<D> Session<D> {
    /// A packet whose turn has come is delivered even if it is late; the kernel would drop it.
    fn judge_head(&mut self, now: Instant) -> Option<Head> {
        let (ns, expires) = self.queue.head().map(|head| (head.ns, head.expires))?;
        Some(match ns {
            None => Head::Deliver,
            Some(ns) if self.is_next(ns) => Head::Deliver,
            Some(_) if now > expires => Head::Expire,
            Some(_) => Head::Wait,
        })
    }

    /// Whether a packet with `ns` is the next to be delivered. A pending resynchronisation makes it so.
    pub(super) fn is_next(&mut self, ns: u32) -> bool {
        let resynchronises = self.rx_seq.resync;
        let is_next = self.rx_seq.is_next(ns);
        if resynchronises {
            tracepoint!(session_seqnum_reset(self));
        }
        is_next
    }
}

impl<S: Clone, D> Engine<S, D> {
    /// When [`Self::handle_timeout`] wants to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.timers.first().map(|(when, _)| *when)
    }

    /// Gives up the packets that have waited longer than their session's reorder timeout, and delivers those behind
    /// them. Work is bounded by what waits. Spurious calls do nothing.
    pub fn handle_timeout(&mut self, now: Instant, out: &mut impl Deliver<D>) {
        while let Some(&(when, key)) = self.timers.first()
            && now >= when
        {
            self.timers.pop_first();
            if let Some(session) = self.sessions.get_mut(key.0) {
                session.timer = None;
            }
            self.release(key, now, out);
        }
    }

    /// Delivers from the head of a session's queue while it can.
    pub(super) fn release(&mut self, key: SessionKey, now: Instant, out: &mut impl Deliver<D>) {
        while let Some(session) = self.sessions.get_mut(key.0)
            && let Some(verdict) = session.judge_head(now)
        {
            match verdict {
                Head::Wait => break,
                Head::Deliver => self.deliver_head(key, out),
                Head::Expire => self.expire_head(key),
            }
        }
        self.rearm(key);
    }

    fn deliver_head(&mut self, key: SessionKey, out: &mut impl Deliver<D>) {
        let Some(session) = self.sessions.get_mut(key.0) else { return };
        let Some(held) = session.queue.pop() else { return };
        let checked = session.check_frame(&held.frame);
        self.held_bytes -= held.frame.len();
        self.deliver(key, held.ns, held.packet_len, checked.map(|()| Frame::Held(held.frame)), out);
    }

    fn expire_head(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(key.0) else { return };
        let ns_max = session.ns_max();
        if let Some(head) = session.queue.head() {
            tracepoint!(session_pkt_expired(session, head.ns));
        }
        let Some(held) = session.queue.pop() else { return };
        session.stats.rx_seq_discards += 1;
        session.stats.rx_errors += 1;
        if let Some(ns) = held.ns {
            session.rx_seq.give_up(ns, ns_max);
        }
        self.held_bytes -= held.frame.len();
        self.pool.give_back(held.frame);
        self.counters.drops.count(DropReason::ReorderExpired);
    }

    /// Keeps one timer for a session in which something waits.
    fn rearm(&mut self, key: SessionKey) {
        let Some(session) = self.sessions.get_mut(key.0) else { return };
        // A packet is given up when its time is over, not when it is up.
        let wanted = session.queue.deadline().map(|when| Instant(when.0.saturating_add(1)));
        if wanted == session.timer {
            return;
        }
        if let Some(old) = core::mem::replace(&mut session.timer, wanted) {
            self.timers.remove(&(old, key));
        }
        if let Some(when) = wanted {
            self.timers.insert((when, key));
        }
    }

    /// Counts a packet as received and hands its frame out, if it is one that the session carries.
    pub(super) fn deliver(
        &mut self,
        key: SessionKey,
        ns: Option<u32>,
        packet_len: usize,
        frame: Result<Frame, DropReason>,
        out: &mut impl Deliver<D>,
    ) {
        let Some(session) = self.sessions.get_mut(key.0) else { return };
        count_received(&mut session.stats, packet_len);
        if let Some(ns) = ns {
            session.rx_seq.advance(ns, session.ns_max());
            tracepoint!(session_seqnum_update(session));
        }
        if let Some(tunnel) = self.tunnels.get_mut(session.tunnel.0) {
            count_received(&mut tunnel.stats, packet_len);
        }
        let delivered = frame.and_then(|frame| {
            let is_read = out.deliver(key, session.device.as_ref(), frame);
            is_read.then_some(()).ok_or(DropReason::NoReader)
        });
        match delivered {
            Ok(()) => self.counters.delivered += 1,
            Err(reason) => self.counters.drops.count(reason),
        }
    }
}
