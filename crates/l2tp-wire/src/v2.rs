//! The header of an L2TPv2 data message (RFC 2661 3.1).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |T|L|x|x|S|x|O|P|x|x|x|x|  Ver  |          Length (opt)         |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |           Tunnel ID           |           Session ID          |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |             Ns (opt)          |             Nr (opt)          |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |      Offset Size (opt)        |    Offset pad... (opt)
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use crate::flags::Flags;
use crate::{Truncated, be16};

/// Length of the header that we send without sequence numbers, in bytes.
pub const LEN: usize = 6;
/// Length of Ns and Nr together, in bytes.
pub const SEQUENCE_LEN: usize = 4;

/// A parsed header. The ids are the receiver's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Flags and version.
    pub flags: Flags,
    /// Tunnel id of the receiver.
    pub tunnel_id: u16,
    /// Session id of the receiver.
    pub session_id: u16,
    /// Ns, when S is set. Nr is ignored in data messages.
    pub ns: Option<u16>,
    /// Where the payload starts, in bytes from the flags; may lie behind the packet's end, for the Offset Size is
    /// the peer's word.
    pub payload: usize,
}

impl Header {
    /// Reads a header. The value of Length is not looked at, as in the kernel.
    ///
    /// # Errors
    /// [`Truncated`] if a field that the flags announce is missing.
    pub fn parse(bytes: &[u8]) -> Result<Self, Truncated> {
        Self::fields(bytes).ok_or(Truncated)
    }

    fn fields(bytes: &[u8]) -> Option<Self> {
        let flags = Flags(be16(bytes, 0)?);
        let mut at = if flags.has_length() { 4 } else { 2 };
        let tunnel_id = be16(bytes, at)?;
        let session_id = be16(bytes, at + 2)?;
        at += 4;
        let mut ns = None;
        if flags.has_sequence() {
            ns = Some(be16(bytes, at)?);
            be16(bytes, at + 2)?;
            at += SEQUENCE_LEN;
        }
        if flags.has_offset() {
            at += 2 + usize::from(be16(bytes, at)?);
        }
        Some(Self { flags, tunnel_id, session_id, ns, payload: at })
    }

    /// Writes a header as the kernel sends it: no L, O or P, Nr always 0. Returns its length, 6 or 10;
    /// `None` if `out` is too short.
    pub fn emit(out: &mut [u8], tunnel_id: u16, session_id: u16, ns: Option<u16>) -> Option<usize> {
        let flags = 2 | if ns.is_some() { Flags::SEQUENCE } else { 0 };
        let fields = [flags, tunnel_id, session_id, ns.unwrap_or(0), 0];
        let len = LEN + if ns.is_some() { SEQUENCE_LEN } else { 0 };
        for (field, place) in fields.iter().zip(out.get_mut(..len)?.as_chunks_mut::<2>().0) {
            *place = field.to_be_bytes();
        }
        Some(len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn emits_what_the_kernel_emits() {
        let mut out = [0xee; 10];
        assert_eq!(Header::emit(&mut out, 0x1111, 0x3333, None), Some(6));
        assert_eq!(out[..6], [0, 2, 0x11, 0x11, 0x33, 0x33]);
        assert_eq!(Header::emit(&mut out, 0x1111, 0x3333, Some(9)), Some(10));
        assert_eq!(out, [8, 2, 0x11, 0x11, 0x33, 0x33, 0, 9, 0, 0]);
        assert_eq!(Header::emit(&mut out[..9], 1, 1, Some(9)), None);
    }

    #[test]
    fn every_optional_field_is_found() {
        let bytes = [0x4b, 2, 0, 36, 0x11, 0x11, 0x33, 0x33, 0, 7, 0, 0, 0, 2, 0xaa, 0xbb, 0xc0];
        let header = Header::parse(&bytes).unwrap();
        assert_eq!((header.tunnel_id, header.session_id, header.ns), (0x1111, 0x3333, Some(7)));
        assert_eq!(header.payload, 16);
    }

    #[test]
    fn an_offset_may_point_behind_the_packet() {
        let bytes = [0x02, 2, 0, 1, 0, 2, 0xff, 0xff];
        assert_eq!(Header::parse(&bytes).unwrap().payload, 8 + 0xffff);
    }

    #[test]
    fn every_cut_is_an_error() {
        let bytes = [0x4b, 2, 0, 36, 0x11, 0x11, 0x33, 0x33, 0, 7, 0, 0, 0, 2];
        for end in 0..bytes.len() {
            assert_eq!(Header::parse(&bytes[..end]), Err(Truncated), "cut at {end}");
        }
    }
}
