//! Control messages beside datagrams (cmsg(3)), read and written as plain bytes.
//!
//! The kernel's layout: length of header and data as `size_t`, level and type as `int`, data, padding to the size of
//! `size_t`.

const WORD: usize = size_of::<usize>();
const HEADER: usize = WORD + 8;

/// Room for `N` bytes of control messages beside one datagram.
#[derive(Clone, Copy)]
#[repr(C, align(8))]
pub(crate) struct ControlSpace<const N: usize> {
    bytes: [u8; N],
    used: usize,
}

impl<const N: usize> ControlSpace<N> {
    pub(crate) const EMPTY: Self = Self { bytes: [0; N], used: 0 };

    /// The same messages with room for `M` bytes, as far as they fit.
    pub(crate) fn enlarged<const M: usize>(&self) -> ControlSpace<M> {
        let mut larger = ControlSpace::EMPTY;
        if let Some(messages) = self.bytes.get(..self.used).filter(|messages| messages.len() <= M) {
            larger.bytes.iter_mut().zip(messages).for_each(|(to, from)| *to = *from);
            larger.used = self.used;
        }
        larger
    }

    /// Bytes in use.
    pub(crate) fn used(&self) -> usize {
        self.used
    }

    /// The length that the kernel reported for what it wrote here.
    pub(crate) fn set_used(&mut self, used: usize) {
        self.used = used.min(N);
    }

    pub(crate) fn as_ptr(&self) -> *const u8 {
        self.bytes.as_ptr()
    }

    pub(crate) fn as_mut_ptr(&mut self) -> *mut u8 {
        self.bytes.as_mut_ptr()
    }

    /// Appends one message, or nothing where there is no room for it.
    pub(crate) fn push(&mut self, level: i32, kind: i32, data: &[u8]) {
        let size = HEADER + data.len();
        let Some(room) = self.bytes.get_mut(self.used..self.used + padded(size)) else { return };
        let (length, level, kind) = (size.to_ne_bytes(), level.to_ne_bytes(), kind.to_ne_bytes());
        let source = length.iter().chain(&level).chain(&kind).chain(data);
        for (to, from) in room.iter_mut().zip(source) {
            *to = *from;
        }
        self.used += padded(size);
    }

    /// The data of the first message of this level and type.
    pub(crate) fn find(&self, level: i32, kind: i32) -> Option<&[u8]> {
        let mut rest = self.bytes.get(..self.used)?;
        loop {
            let (message, next) = split(rest)?;
            if (message.level, message.kind) == (level, kind) {
                return Some(message.data);
            }
            rest = next;
        }
    }
}

struct Message<'a> {
    level: i32,
    kind: i32,
    data: &'a [u8],
}

fn split(bytes: &[u8]) -> Option<(Message<'_>, &[u8])> {
    let size = usize::from_ne_bytes(*bytes.first_chunk::<WORD>()?);
    let (_, header) = bytes.get(..HEADER)?.split_at_checked(WORD)?;
    let (level, kind) = header.split_at_checked(4)?;
    let (level, kind) = (i32::from_ne_bytes(*level.first_chunk()?), i32::from_ne_bytes(*kind.first_chunk()?));
    let data = bytes.get(HEADER..size)?;
    Some((Message { level, kind, data }, bytes.get(padded(size)..).unwrap_or_default()))
}

const fn padded(size: usize) -> usize {
    size.saturating_add(WORD - 1) / WORD * WORD
}

#[cfg(test)]
mod tests {
    use super::{ControlSpace, HEADER};

    #[test]
    fn finds_what_was_pushed() {
        let mut space = ControlSpace::<96>::EMPTY;
        space.push(17, 103, &1400_u16.to_ne_bytes());
        space.push(41, 50, &[7; 20]);
        assert_eq!(space.find(17, 103), Some(&1400_u16.to_ne_bytes()[..]));
        assert_eq!(space.find(41, 50), Some(&[7; 20][..]));
        assert_eq!(space.find(41, 51), None);
        // SAFETY: CMSG_SPACE only computes.
        let sizes = [2, 20].map(|size| unsafe { libc::CMSG_SPACE(size) });
        assert_eq!(u32::try_from(space.used()), Ok(sizes.iter().sum()));
    }

    #[test]
    fn refuses_what_has_no_room() {
        let mut space = ControlSpace::<96>::EMPTY;
        space.push(1, 1, &[0; 200]);
        assert_eq!(space.used(), 0);
    }

    #[test]
    fn garbage_is_no_message() {
        for length in [0, 1, HEADER - 1, 97, usize::MAX - 3, usize::MAX] {
            let mut space = ControlSpace::<96>::EMPTY;
            space.push(17, 104, &[1, 2, 3, 4]);
            space.bytes[..8].copy_from_slice(&length.to_ne_bytes());
            assert_eq!(space.find(17, 104), None, "length {length}");
        }
        for used in 0..96 {
            let mut space = ControlSpace { bytes: [0xff; 96], used };
            assert_eq!(space.find(-1, -1), None);
            space.bytes = [0; 96];
            assert_eq!(space.find(0, 0), None);
        }
    }

    #[test]
    fn a_message_cut_short_is_no_message() {
        let mut space = ControlSpace::<96>::EMPTY;
        space.push(17, 104, &1000_i32.to_ne_bytes());
        space.set_used(HEADER + 3);
        assert_eq!(space.find(17, 104), None);
    }
}
