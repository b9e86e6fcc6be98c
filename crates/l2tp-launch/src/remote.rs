//! The memory of a caller: read once, written once.

mod message;
mod value;

pub(crate) use message::{MESSAGE_SIZE, MessageHeader};
pub(crate) use value::Length;

use std::io;

use rustix::io::Errno;
use rustix::process::Pid;

use crate::sys;

/// Bytes of a page; a read of text must not touch the page behind its end.
const PAGE: u64 = 4096;
/// Bytes of the longest path, its NUL included (`PATH_MAX`).
const PATH_MAX: usize = 4096;
/// Bytes that are taken from a caller at once.
pub(crate) const TAKEN_MAX: usize = 1 << 20;
/// Parts of one message (`UIO_MAXIOV`).
const PARTS_MAX: usize = 1024;

/// A part of a caller's memory, `struct iovec`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Part {
    pub(crate) address: u64,
    pub(crate) size: usize,
}

/// A thread's memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Memory {
    thread: Pid,
}

impl Memory {
    /// That of `thread`.
    pub(crate) const fn of(thread: Pid) -> Self {
        Self { thread }
    }

    /// All of `size` bytes.
    ///
    /// # Errors
    /// `EFAULT`; `EPERM` where this process may not look; `E2BIG` above [`TAKEN_MAX`].
    pub(crate) fn read(self, address: u64, size: usize) -> io::Result<Vec<u8>> {
        if size > TAKEN_MAX {
            return Err(Errno::TOOBIG.into());
        }
        let mut bytes = vec![0; size];
        if size > 0 && sys::read_memory(self.thread, address, &mut bytes)? != size {
            return Err(Errno::FAULT.into());
        }
        Ok(bytes)
    }

    /// `N` bytes.
    ///
    /// # Errors
    /// As [`Memory::read`].
    pub(crate) fn read_array<const N: usize>(self, address: u64) -> io::Result<[u8; N]> {
        let mut bytes = [0; N];
        if sys::read_memory(self.thread, address, &mut bytes)? == N {
            Ok(bytes)
        } else {
            Err(Errno::FAULT.into())
        }
    }

    /// The text before the next NUL.
    ///
    /// # Errors
    /// `EFAULT`, `EPERM`; `ENAMETOOLONG` for more than a path.
    pub(crate) fn read_path(self, mut address: u64) -> io::Result<Vec<u8>> {
        let mut path = Vec::new();
        while path.len() < PATH_MAX {
            let in_page = usize::try_from(PAGE - address % PAGE).unwrap_or(1);
            let part = self.read(address, in_page.min(256))?;
            if let Some(end) = part.iter().position(|byte| *byte == 0) {
                path.extend(part.iter().take(end));
                return Ok(path);
            }
            address = address.wrapping_add(u64::try_from(part.len()).unwrap_or(1));
            path.extend(part);
        }
        Err(Errno::NAMETOOLONG.into())
    }

    /// All of `bytes`, at `address`.
    ///
    /// # Errors
    /// `EFAULT`; `EPERM` where this process may not.
    pub(crate) fn write(self, address: u64, bytes: &[u8]) -> io::Result<()> {
        if bytes.is_empty() || sys::write_memory(self.thread, address, bytes)? == bytes.len() {
            Ok(())
        } else {
            Err(Errno::FAULT.into())
        }
    }

    /// An array of `count` parts.
    ///
    /// # Errors
    /// As [`Memory::read`]; `EMSGSIZE` for more than [`PARTS_MAX`].
    pub(crate) fn read_parts(self, address: u64, count: usize) -> io::Result<Vec<Part>> {
        if count > PARTS_MAX {
            return Err(Errno::MSGSIZE.into());
        }
        let bytes = self.read(address, count * 2 * size_of::<u64>())?;
        Ok(bytes.chunks_exact(2 * size_of::<u64>()).filter_map(part).collect())
    }

    /// What lies in `parts`, one behind the other.
    ///
    /// # Errors
    /// As [`Memory::read`].
    pub(crate) fn gather(self, parts: &[Part]) -> io::Result<Vec<u8>> {
        if let [part] = parts {
            return self.read(part.address, part.size);
        }
        let mut bytes = Vec::new();
        for part in parts {
            if bytes.len().saturating_add(part.size) > TAKEN_MAX {
                return Err(Errno::TOOBIG.into());
            }
            bytes.extend(self.read(part.address, part.size)?);
        }
        Ok(bytes)
    }

    /// Spreads `bytes` over `parts`, as far as they reach.
    ///
    /// # Errors
    /// As [`Memory::write`].
    pub(crate) fn scatter(self, parts: &[Part], mut bytes: &[u8]) -> io::Result<()> {
        for part in parts {
            let (now, rest) = bytes.split_at(part.size.min(bytes.len()));
            self.write(part.address, now)?;
            bytes = rest;
        }
        Ok(())
    }
}

/// Bytes that parts have room for.
pub(crate) fn room(parts: &[Part]) -> usize {
    parts.iter().fold(0, |sum, part| sum.saturating_add(part.size))
}

fn part(bytes: &[u8]) -> Option<Part> {
    let (address, size) = bytes.split_first_chunk()?;
    let size = u64::from_ne_bytes(*size.first_chunk()?);
    Some(Part { address: u64::from_ne_bytes(*address), size: usize::try_from(size).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn own() -> Memory {
        Memory::of(rustix::process::getpid())
    }

    fn address(bytes: &[u8]) -> u64 {
        u64::try_from(bytes.as_ptr().expose_provenance()).unwrap()
    }

    #[test]
    fn parts_are_gathered_and_filled() {
        let (left, right) = (*b"left", *b"right");
        let parts = [Part { address: address(&left), size: 4 }, Part { address: address(&right), size: 5 }];
        assert_eq!(own().gather(&parts).unwrap(), b"leftright");
        assert_eq!(room(&parts), 9);
        own().scatter(&parts, b"RIGHTs").unwrap();
        std::hint::black_box((&left, &right));
        assert_eq!(own().gather(&parts).unwrap(), b"RIGHTsght");
    }

    #[test]
    fn a_vector_is_read() {
        let text = *b"some text";
        let mut vector = Vec::new();
        for size in [4_u64, 9] {
            vector.extend(address(&text).to_ne_bytes());
            vector.extend(size.to_ne_bytes());
        }
        let parts = own().read_parts(address(&vector), 2).unwrap();
        assert_eq!(parts.iter().map(|part| part.size).collect::<Vec<_>>(), [4, 9]);
        assert_eq!(own().gather(&parts).unwrap(), b"somesome text");
        let error = own().read_parts(address(&vector), PARTS_MAX + 1).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EMSGSIZE));
    }

    #[test]
    fn paths_end_at_their_nul() {
        let mut path = vec![b'x'; 1000];
        path.extend(b"\0behind");
        assert_eq!(own().read_path(address(&path)).unwrap(), [b'x'; 1000]);
        let endless = vec![b'x'; 2 * PATH_MAX];
        assert!(own().read_path(address(&endless)).is_err());
    }

    #[test]
    fn what_is_not_there_is_a_fault() {
        let fault = Some(libc::EFAULT);
        assert_eq!(own().read(8, 40).unwrap_err().raw_os_error(), fault);
        assert_eq!(own().write(8, &[1]).unwrap_err().raw_os_error(), fault);
        assert_eq!(own().read(8, TAKEN_MAX + 1).unwrap_err().raw_os_error(), Some(libc::E2BIG));
    }
}
