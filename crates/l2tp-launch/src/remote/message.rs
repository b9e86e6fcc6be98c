//! `struct msghdr` and `struct mmsghdr` in a caller's memory.

use std::io;

use super::{Memory, Part};

/// Bytes of `struct msghdr` on 64-bit machines; in a `struct mmsghdr` the length of the message follows, a u32.
pub(crate) const MESSAGE_SIZE: u64 = 56;

/// Where the fields lie that are written.
const NAME_LENGTH: u64 = 8;
const CONTROL_LENGTH: u64 = 40;

/// A caller's `struct msghdr`, read once.
///
/// Layout: name pointer, u32 name length and padding, pointer and count of parts, pointer and length of control messages,
/// u32 flags and padding.
#[derive(Clone, Debug)]
pub(crate) struct MessageHeader {
    address: u64,
    /// Where the address of the peer is or goes; 0: nowhere.
    pub(crate) name: u64,
    /// Bytes of it.
    pub(crate) name_length: u32,
    /// Where the message is or goes.
    pub(crate) parts: Vec<Part>,
}

impl MessageHeader {
    /// Reads the one at `address`.
    ///
    /// # Errors
    /// As [`Memory::read_parts`].
    pub(crate) fn read(memory: Memory, address: u64) -> io::Result<Self> {
        let bytes: [u8; 56] = memory.read_array(address)?;
        let word = |index: usize| -> u64 {
            let field = bytes.chunks_exact(8).nth(index).and_then(<[u8]>::first_chunk);
            field.map_or(0, |field| u64::from_ne_bytes(*field))
        };
        let length = bytes.chunks_exact(4).nth(2).and_then(<[u8]>::first_chunk);
        let name_length = length.map_or(0, |length| u32::from_ne_bytes(*length));
        let count = usize::try_from(word(3)).unwrap_or(usize::MAX);
        Ok(Self { address, name: word(0), name_length, parts: memory.read_parts(word(2), count)? })
    }

    /// Writes what recvmsg(2) returns beside the message: the length of the name (where one was asked for), no control
    /// messages, flags.
    ///
    /// # Errors
    /// As [`Memory::write`].
    pub(crate) fn write_back(&self, memory: Memory, name_length: u32, flags: u32) -> io::Result<()> {
        if self.name != 0 {
            memory.write(self.address + NAME_LENGTH, &name_length.to_ne_bytes())?;
        }
        let mut tail = [0; 16];
        let (_no_control_messages, to) = tail.split_at_mut(8);
        to.iter_mut().zip(flags.to_ne_bytes()).for_each(|(to, byte)| *to = byte);
        // The padding behind the flags is left alone.
        memory.write(self.address + CONTROL_LENGTH, tail.get(..12).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The layout, against the C library's.
    #[test]
    fn as_the_c_library_lays_it_out() {
        assert_eq!(usize::try_from(MESSAGE_SIZE), Ok(size_of::<libc::msghdr>()));
        assert_eq!(usize::try_from(MESSAGE_SIZE), Ok(std::mem::offset_of!(libc::mmsghdr, msg_len)));
        let mut text = *b"payload";
        let mut part = libc::iovec { iov_base: text.as_mut_ptr().cast(), iov_len: 7 };
        let mut name = [0_u8; 12];
        // SAFETY: all-zero is a valid msghdr.
        let mut header: libc::msghdr = unsafe { std::mem::zeroed() };
        header.msg_name = name.as_mut_ptr().cast();
        header.msg_namelen = 12;
        header.msg_iov = &raw mut part;
        header.msg_iovlen = 1;
        header.msg_controllen = 99;
        let memory = Memory::of(rustix::process::getpid());
        let address = u64::try_from((&raw mut header).expose_provenance()).unwrap();
        let read = MessageHeader::read(memory, address).unwrap();
        assert_eq!(read.name_length, 12);
        assert_eq!(read.name, u64::try_from(name.as_ptr().expose_provenance()).unwrap());
        assert_eq!(memory.gather(&read.parts).unwrap(), b"payload");
        read.write_back(memory, 5, 0x20).unwrap();
        std::hint::black_box(&mut header);
        assert_eq!((header.msg_namelen, header.msg_controllen, header.msg_flags), (5, 0, 0x20));
    }
}
