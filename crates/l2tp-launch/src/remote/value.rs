//! Values that a caller takes with as much room as it says: names and options of sockets.

use std::io;

use rustix::io::Errno;

use super::Memory;
use crate::notify::Answer;

/// What is told of the length of something for which there was too little room.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Length {
    /// All of it: names.
    Whole,
    /// As much as there was room for: options.
    AsCut,
}

impl Memory {
    /// Writes `value` to `place` and its length to `length`, where the caller says how much room there is; the answer to the
    /// call.
    ///
    /// # Errors
    /// As [`Memory::write`].
    pub(crate) fn tell(self, place: u64, length: u64, value: &[u8], told: Length) -> io::Result<Answer> {
        let Some(room) = self.room(length)? else { return Ok(Answer::Fail(Errno::INVAL)) };
        let cut = value.get(..room).unwrap_or(value);
        let size =
            u32::try_from(if told == Length::Whole { value.len() } else { cut.len() }).unwrap_or_default();
        self.write(place, cut)?;
        self.write(length, &size.to_ne_bytes())?;
        Ok(Answer::Return(0))
    }

    /// How much room the caller says that there is; `None` for less than none.
    ///
    /// # Errors
    /// As [`Memory::read`].
    pub(crate) fn room(self, length: u64) -> io::Result<Option<usize>> {
        Ok(usize::try_from(i32::from_ne_bytes(self.read_array(length)?)).ok())
    }
}
