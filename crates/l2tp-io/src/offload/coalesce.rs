//! Received frames, joined to super-frames for the device (the kernel's `tcp_gro_receive`, `udp_gro_receive` and what leads
//! to them).

use std::io::IoSlice;

use super::Link;
use super::flow::{Flow, write_alone};
use super::segment::{Kind, Segment};

/// Flows that are gathered at the same time.
const FLOWS: usize = 8;

/// Hands `frames` to `write`, in as few writes as may be: consecutive segments of a TCP flow as one super-frame
/// for the kernel to take in one piece, so too datagrams of one size of a UDP flow where the device takes trains of
/// them (`with_udp`); everything else as it is.
///
/// Each write is one frame for the device, its slices in order, the [`VnetHeader`](super::vnet::VnetHeader)
/// first. At most 65 slices and 65,535 octets of frame are in a write. Payloads are passed by reference; only
/// headers are copied.
///
/// A frame of a sender on this machine may have been left unfinished: the device is told.
///
/// Frames of one conversation keep their order. Frames of others may overtake those of a flow that is being
/// gathered, as in the kernel. Eight flows are gathered at the same time; a ninth ends one of them. Nothing is
/// kept back when the call returns.
///
/// Segments join under the kernel's own rules (GRO of Linux 6.12), so that cutting the super-frame gives the same
/// frames again. One field may differ then: IPv4 identifications that a sender keeps fixed under don't-fragment
/// count up, which RFC 6864 section 4.1 lets nobody look at; a vnet header has no way to ask for fixed ones.
pub fn coalesce<'a>(
    link: Link,
    with_udp: bool,
    frames: impl Iterator<Item = &'a [u8]>,
    mut write: impl FnMut(&[IoSlice<'_>]),
) {
    let mut flows = Flows::default();
    for frame in frames {
        match Kind::of(link, with_udp, frame) {
            Kind::Segment(segment) => flows.take(link, &segment, &mut write),
            Kind::Unrelated => write_alone(link, frame, &mut write),
            Kind::Opaque => {
                flows.write_all(&mut write);
                write_alone(link, frame, &mut write);
            }
        }
    }
    flows.write_all(&mut write);
}

/// The flows being gathered, each in a slot.
#[derive(Default)]
struct Flows<'a> {
    slots: [Option<Flow<'a>>; FLOWS],
    /// The slot to clear when all are taken.
    turn: usize,
}

impl<'a> Flows<'a> {
    fn take(&mut self, link: Link, segment: &Segment<'a>, write: &mut impl FnMut(&[IoSlice<'_>])) {
        if self.joins(segment, write) {
            return;
        }
        if segment.ends_train() || !segment.is_mergeable() {
            return write_alone(link, segment.frame, write);
        }
        if let Some(slot) = self.vacant(write) {
            *slot = Some(Flow::new(*segment));
        }
    }

    /// Adds `segment` to the flow it continues. A flow of the same conversation that it does not continue is
    /// written, so that `segment` may follow.
    fn joins(&mut self, segment: &Segment<'a>, write: &mut impl FnMut(&[IoSlice<'_>])) -> bool {
        let of_conversation =
            |slot: &&mut Option<Flow<'a>>| slot.as_ref().is_some_and(|flow| flow.same_conversation(segment));
        let Some(slot) = self.slots.iter_mut().find(of_conversation) else { return false };
        let Some(flow) = slot else { return false };
        let joined = flow.push(segment);
        if !joined || flow.is_complete() {
            flow.write(write);
            *slot = None;
        }
        joined
    }

    /// An empty slot, made so if need be.
    fn vacant(&mut self, write: &mut impl FnMut(&[IoSlice<'_>])) -> Option<&mut Option<Flow<'a>>> {
        let empty = self.slots.iter().position(Option::is_none);
        let index = empty.unwrap_or_else(|| {
            let index = self.turn;
            self.turn = (index + 1) % FLOWS;
            index
        });
        let slot = self.slots.get_mut(index)?;
        if let Some(flow) = slot {
            flow.write(write);
        }
        Some(slot)
    }

    fn write_all(&mut self, write: &mut impl FnMut(&[IoSlice<'_>])) {
        for slot in &mut self.slots {
            if let Some(flow) = slot {
                flow.write(write);
                *slot = None;
            }
        }
    }
}

#[cfg(test)]
mod tests;
