//! Memory for packets that wait, used again and again.

use alloc::vec::Vec;

/// Buffers kept for the next packet that has to wait.
const KEEP: usize = 256;

/// A bounded stock of buffers.
#[derive(Debug, Default)]
pub(crate) struct BufferPool {
    free: Vec<Vec<u8>>,
}

impl BufferPool {
    /// A buffer with these bytes.
    pub(crate) fn filled(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut buffer = self.free.pop().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(bytes);
        buffer
    }

    /// Takes a buffer back, or frees it when there are enough.
    pub(crate) fn give_back(&mut self, buffer: Vec<u8>) {
        if self.free.len() < KEEP {
            self.free.push(buffer);
        }
    }
}
