//! A slab whose keys are never mistaken for a successor's: a key carries the serial number of its entry.

use slab::Slab;

/// Names an entry of [`Slots`]; worthless once the entry is removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key {
    index: u32,
    serial: u32,
}

impl Key {
    /// No key is before this one.
    pub(crate) const MIN: Self = Self { index: 0, serial: 0 };

    /// The key as one number, to pass through an interface that carries 64 bits.
    #[must_use]
    pub fn to_bits(self) -> u64 {
        u64::from(self.serial) << 32 | u64::from(self.index)
    }

    /// The key that [`Self::to_bits`] was called on.
    #[must_use]
    pub fn from_bits(bits: u64) -> Self {
        let [a, b, c, d, e, f, g, h] = bits.to_be_bytes();
        Self { serial: u32::from_be_bytes([a, b, c, d]), index: u32::from_be_bytes([e, f, g, h]) }
    }
}

/// Entries of `T` by [`Key`]: insertion, removal and look-up take constant time.
#[derive(Debug)]
pub struct Slots<T> {
    slab: Slab<(u32, T)>,
    next_serial: u32,
}

impl<T> Default for Slots<T> {
    fn default() -> Self {
        Self { slab: Slab::new(), next_serial: 1 }
    }
}

impl<T> Slots<T> {
    /// The key that the next [`Self::insert`] will give its entry.
    #[must_use]
    pub fn vacant_key(&self) -> Key {
        let index = u32::try_from(self.slab.vacant_key()).unwrap_or(u32::MAX);
        Key { index, serial: self.next_serial }
    }

    /// Adds an entry.
    pub fn insert(&mut self, value: T) -> Key {
        let key = self.vacant_key();
        self.slab.insert((key.serial, value));
        self.next_serial = self.next_serial.wrapping_add(1);
        key
    }

    /// The entry of `key`, unless it was removed.
    #[must_use]
    pub fn get(&self, key: Key) -> Option<&T> {
        self.slab.get(key.index as usize).filter(|(serial, _)| *serial == key.serial).map(|(_, value)| value)
    }

    /// The entry of `key` to be changed, unless it was removed.
    pub fn get_mut(&mut self, key: Key) -> Option<&mut T> {
        self.slab
            .get_mut(key.index as usize)
            .filter(|(serial, _)| *serial == key.serial)
            .map(|(_, value)| value)
    }

    /// Takes the entry of `key` out.
    pub fn remove(&mut self, key: Key) -> Option<T> {
        self.get(key)?;
        self.slab.try_remove(key.index as usize).map(|(_, value)| value)
    }

    /// Number of entries.
    #[must_use]
    pub fn len(&self) -> usize {
        self.slab.len()
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.slab.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reused_place_has_another_key() {
        let mut slots = Slots::default();
        assert_eq!(slots.vacant_key(), slots.insert('a'));
        let old = slots.vacant_key();
        assert_eq!(slots.insert('b'), old);
        assert_eq!(slots.remove(old), Some('b'));
        let new = slots.insert('c');
        assert_eq!((slots.remove(old), slots.get(old), slots.get(new)), (None, None, Some(&'c')));
        assert_eq!(slots.len(), 2);
    }

    #[test]
    fn bits_round_trip() {
        let key = Key { index: 7, serial: 0xffff_fffe };
        assert_eq!(Key::from_bits(key.to_bits()), key);
    }
}
