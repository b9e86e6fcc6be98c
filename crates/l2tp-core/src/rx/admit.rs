//! The checks between a found session and its reorder queue (`l2tp_recv_common`).

use super::reorder::{Held, Place, QUEUE_MAX};
use super::{Arrival, Deliver, Frame, Verdict};
use crate::Engine;
use crate::drop_reason::DropReason;
use crate::session::{Session, SessionKey};
use crate::trace::tracepoint;

/// The shortest Ethernet frame: a header.
const ETHERNET_MIN: usize = 14;

impl<S: Clone, D> Engine<S, D> {
    /// Runs a packet of a known session through the checks, and delivers what has become ready.
    pub(super) fn receive(
        &mut self,
        key: SessionKey,
        arrival: &Arrival<'_>,
        out: &mut impl Deliver<D>,
    ) -> Verdict {
        let Some(session) = self.sessions.get_mut(key.0) else { return Verdict::Up };
        let sent_numbers = session.config.send_seq;
        if let Err(reason) = session.check(arrival) {
            session.count_refusal(reason);
            return self.dropped(reason);
        }
        if session.config.send_seq != sent_numbers {
            self.changed.insert(key);
        }
        if session.is_ready(arrival) {
            let payload = arrival.payload..arrival.packet.len();
            let payload = session.frame_range(arrival.packet, payload);
            let checked = session.check_frame(arrival.packet.get(payload.clone()).unwrap_or_default());
            let frame = checked.map(|()| Frame::Packet(payload));
            self.deliver(key, arrival.ns, arrival.packet.len(), frame, out);
            return Verdict::Taken;
        }
        self.hold(key, arrival, out)
    }

    /// Puts a packet into the queue, and delivers what is ready then: itself, where plain packets wait for nothing.
    fn hold(&mut self, key: SessionKey, arrival: &Arrival<'_>, out: &mut impl Deliver<D>) -> Verdict {
        let Some(session) = self.sessions.get_mut(key.0) else { return Verdict::Up };
        let place = session.place(arrival.ns);
        if place == Place::Duplicate {
            session.stats.rx_errors += 1;
            return self.dropped(DropReason::SeqDuplicate);
        }
        if matches!(place, Place::Before(_)) {
            session.stats.rx_oos_packets += 1;
        }
        let payload = session.frame_range(arrival.packet, arrival.payload..arrival.packet.len());
        let bytes = arrival.packet.get(payload).unwrap_or_default();
        let packet = Held {
            ns: arrival.ns,
            expires: arrival.now.after(session.patience()),
            packet_len: arrival.packet.len(),
            frame: self.pool.filled(bytes),
        };
        self.held_bytes += packet.frame.len();
        session.queue.insert(place, packet);
        if session.queue.len() > QUEUE_MAX || self.held_bytes > self.limits.held_bytes {
            session.rx_seq.resync = true;
        }
        self.release(key, arrival.now, out);
        Verdict::Taken
    }
}

impl<D> Session<D> {
    /// Cookie, sequence number, offset: steps a to d of the kernel's order, then the number's value.
    fn check(&mut self, arrival: &Arrival<'_>) -> Result<(), DropReason> {
        if !self.is_v2 && !self.config.peer_cookie.matches(arrival.cookie) {
            return Err(DropReason::Cookie);
        }
        self.check_numbering(arrival.ns.is_some())?;
        if arrival.payload > arrival.packet.len() {
            return Err(DropReason::Offset);
        }
        let Some(ns) = arrival.ns else { return Ok(()) };
        let ns_max = self.ns_max();
        let window = self.rx_seq.check_window(ns, ns_max);
        window.inspect_err(|_| tracepoint!(session_pkt_outside_rx_window(self, ns)))?;
        if !self.config.reorder_timeout.is_zero() {
            return Ok(());
        }
        let order = self.rx_seq.check_in_order(ns, ns_max);
        order.inspect_err(|_| tracepoint!(session_pkt_oos(self, ns)))
    }

    /// Whether packets must, may or must not carry numbers. A LAC follows what its peer does.
    fn check_numbering(&mut self, numbered: bool) -> Result<(), DropReason> {
        let config = &self.config;
        if !numbered && (config.recv_seq || (config.send_seq && config.lns_mode)) {
            return Err(DropReason::SeqMissing);
        }
        if config.lns_mode || config.send_seq == numbered {
            return Ok(());
        }
        if numbered {
            tracepoint!(session_seqnum_lns_enable(self));
        } else {
            tracepoint!(session_seqnum_lns_disable(self));
        }
        self.config.send_seq = numbered;
        Ok(())
    }

    /// The kernel's counters for a refused packet.
    fn count_refusal(&mut self, reason: DropReason) {
        self.stats.rx_errors += 1;
        match reason {
            DropReason::Cookie => self.stats.rx_cookie_discards += 1,
            DropReason::SeqMissing | DropReason::SeqGap => self.stats.rx_seq_discards += 1,
            _ => {}
        }
    }

    /// Whether a packet that passed the checks can be delivered at once, without a copy: nothing waits, before it or after.
    fn is_ready(&mut self, arrival: &Arrival<'_>) -> bool {
        self.queue.is_empty() && arrival.ns.is_none_or(|ns| self.is_next(ns))
    }

    fn place(&self, ns: Option<u32>) -> Place {
        let Some(ns) = ns else { return Place::Last };
        let distance = |ns| self.rx_seq.distance(ns, self.ns_max());
        self.queue.place(distance(ns), distance)
    }

    /// Whether a frame is one that the session carries.
    pub(super) fn check_frame(&self, frame: &[u8]) -> Result<(), DropReason> {
        let pw_type = self.config.pw_type;
        if pw_type.is_ethernet() && frame.len() < ETHERNET_MIN + pw_type.tag_len() {
            return Err(DropReason::Runt);
        }
        let is_other = pw_type.vlan().is_some_and(|vlan| !vlan.is_of(frame));
        if is_other { Err(DropReason::OtherVlan) } else { Ok(()) }
    }

    /// The frame in a payload: all of it, for PPP from its protocol field on.
    fn frame_range(&self, packet: &[u8], payload: core::ops::Range<usize>) -> core::ops::Range<usize> {
        if self.config.pw_type.is_ethernet() {
            return payload;
        }
        let frame = packet.get(payload.clone()).unwrap_or_default();
        let stripped = l2tp_wire::ppp::strip_address_control(frame);
        payload.end - stripped.len()..payload.end
    }
}
