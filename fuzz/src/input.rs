//! Structure read from arbitrary bytes.

use std::time::Duration;

/// What is left of a target's input. Reading past the end gives zeros and empty slices, so every input means something.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a>(pub &'a [u8]);

impl<'a> Input<'a> {
    /// Whether nothing is left.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The next byte.
    pub fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else { return 0 };
        self.0 = rest;
        *first
    }

    /// The next `len` bytes, or as many as are left.
    pub fn bytes(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at(len.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// Bytes behind their length: 16 bits, little-endian.
    pub fn record(&mut self) -> &'a [u8] {
        let len = u16::from_le_bytes([self.byte(), self.byte()]);
        self.bytes(len.into())
    }

    /// The next byte as milliseconds.
    pub fn millis(&mut self) -> Duration {
        Duration::from_millis(self.byte().into())
    }

    /// Appends what [`Self::record`] reads; bytes beyond 65,535 are left out.
    pub fn put_record(out: &mut Vec<u8>, bytes: &[u8]) {
        let len = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
        out.extend_from_slice(&len.to_le_bytes());
        out.extend(bytes.iter().take(len.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_come_back_and_short_input_is_zeros() {
        let mut bytes = vec![7];
        Input::put_record(&mut bytes, &[1, 2, 3]);
        bytes.extend([9, 0, 4]);
        let mut input = Input(&bytes);
        assert_eq!((input.byte(), input.record(), input.record()), (7, &[1, 2, 3][..], &[4][..]));
        assert!(input.is_empty());
        assert_eq!((input.byte(), input.record(), input.millis()), (0, &[][..], Duration::ZERO));
    }
}
