//! Frames that wait for a program.

use alloc::collections::VecDeque;
use alloc::vec::Vec;

/// Frames in a queue (`PPP_MAX_RQLEN`); the oldest gives way.
pub const QUEUE_MAX: usize = 32;

/// A bounded queue.
#[derive(Debug, Default)]
pub(crate) struct FrameQueue(VecDeque<Vec<u8>>);

impl FrameQueue {
    /// Appends a frame; returns the bytes of the one that gave way.
    pub(crate) fn push(&mut self, frame: Vec<u8>) -> usize {
        self.0.push_back(frame);
        let excess = self.0.len() > QUEUE_MAX;
        excess.then(|| self.0.pop_front()).flatten().map_or(0, |frame| frame.len())
    }

    pub(crate) fn pop(&mut self) -> Option<Vec<u8>> {
        self.0.pop_front()
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Bytes of all frames.
    pub(crate) fn bytes(&self) -> usize {
        self.0.iter().map(Vec::len).sum()
    }
}
