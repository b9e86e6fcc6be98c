//! Packets that came before their turn. Ordered by distance from the expected number, bounded, each number once, and
//! with a deadline: the kernel's queue, without its faults (`docs/differences.md`).

use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::time::Instant;

/// Packets that one session may hold. A full queue gives up the gap at its head.
pub const QUEUE_MAX: usize = 256;

/// A packet that waits.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Held {
    /// Its number; plain packets wait behind the numbered ones that came before them.
    pub(crate) ns: Option<u32>,
    /// When it has waited long enough.
    pub(crate) expires: Instant,
    /// Length of the whole L2TP packet, for the counters.
    pub(crate) packet_len: usize,
    /// The frame in it.
    pub(crate) frame: Vec<u8>,
}

/// A session's queue. It takes memory only while something waits.
#[derive(Debug, Default)]
pub struct ReorderQueue {
    held: VecDeque<Held>,
}

/// Where a numbered packet went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// Behind all others.
    Last,
    /// In front of one with a later number: it came out of sequence.
    Before(usize),
    /// Nowhere: its number waits already.
    Duplicate,
}

impl ReorderQueue {
    /// Number of packets that wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.held.len()
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Finds the place of a packet `distance` ahead of the expected number; `distance_of` measures the others.
    pub(crate) fn place(&self, distance: u32, distance_of: impl Fn(u32) -> u32) -> Place {
        for (index, other) in self.held.iter().enumerate() {
            let Some(other) = other.ns.map(&distance_of) else { continue };
            if other == distance {
                return Place::Duplicate;
            }
            if other > distance {
                return Place::Before(index);
            }
        }
        Place::Last
    }

    pub(crate) fn insert(&mut self, place: Place, packet: Held) {
        match place {
            Place::Last => self.held.push_back(packet),
            Place::Before(index) => self.held.insert(index, packet),
            Place::Duplicate => {}
        }
    }

    pub(crate) fn head(&self) -> Option<&Held> {
        self.held.front()
    }

    /// Takes the head out. The last one to leave gives the queue's memory back.
    pub(crate) fn pop(&mut self) -> Option<Held> {
        let packet = self.held.pop_front();
        if self.held.is_empty() && self.held.capacity() > 0 {
            self.held = VecDeque::new();
        }
        packet
    }

    /// When the queue must be looked at next: its head's deadline. A later arrival that stands in front brings a later one.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.held.front().map(|packet| packet.expires)
    }
}
