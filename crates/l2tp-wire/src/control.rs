//! The header of a control message: enough to hand it to its owner. The messages themselves are the application's.
//!
//! Twelve bytes in both versions: flags, Length, then v2's tunnel and session id or v3's control connection id, Ns, Nr
//! (RFC 2661 3.1, RFC 3931 3.2.1).

use crate::flags::Flags;
use crate::{Truncated, be16, be32};

/// Length of the header in bytes.
pub const LEN: usize = 12;

/// A parsed header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Flags and version.
    pub flags: Flags,
    /// Length of the message in bytes, header included; over IP without the four zero bytes in front.
    pub length: u16,
    /// v3: control connection id. v2: tunnel id in the high, session id in the low 16 bits.
    pub id: u32,
    /// Number of this message.
    pub ns: u16,
    /// Number of the message expected next.
    pub nr: u16,
}

impl Header {
    /// Reads the header of a control message, over IP from behind the four zero bytes. No field is judged.
    ///
    /// # Errors
    /// [`Truncated`] below [`LEN`] bytes.
    pub fn parse(bytes: &[u8]) -> Result<Self, Truncated> {
        Self::fields(bytes).ok_or(Truncated)
    }

    fn fields(bytes: &[u8]) -> Option<Self> {
        Some(Self {
            flags: Flags(be16(bytes, 0)?),
            length: be16(bytes, 2)?,
            id: be32(bytes, 4)?,
            ns: be16(bytes, 8)?,
            nr: be16(bytes, 10)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_zlb() {
        let header = Header::parse(&[0xc8, 2, 0, 12, 0, 7, 0, 9, 0, 1, 0, 2]).unwrap();
        assert_eq!(header, Header { flags: Flags(0xc802), length: 12, id: 0x0007_0009, ns: 1, nr: 2 });
        assert_eq!(Header::parse(&[0xc8; 11]), Err(Truncated));
    }
}
