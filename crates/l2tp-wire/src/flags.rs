//! The first 16 bits of an L2TP message over UDP.
//!
//! ```text
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |T|L|x|x|S|x|O|P|x|x|x|x|  Ver  |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

/// Flags and version. In L2TPv3 data messages only T and Ver have a meaning.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Flags(pub u16);

impl Flags {
    /// T: a control message.
    pub const TYPE: u16 = 0x8000;
    /// L: a Length field follows.
    pub const LENGTH: u16 = 0x4000;
    /// S: Ns and Nr are present.
    pub const SEQUENCE: u16 = 0x0800;
    /// O: an Offset Size field is present.
    pub const OFFSET: u16 = 0x0200;
    /// P: to be treated with priority.
    pub const PRIORITY: u16 = 0x0100;
    /// Ver: the low four bits.
    pub const VERSION: u16 = 0x000f;

    /// Whether T is set.
    #[must_use]
    pub fn is_control(self) -> bool {
        self.0 & Self::TYPE != 0
    }

    /// Whether a Length field is present.
    #[must_use]
    pub fn has_length(self) -> bool {
        self.0 & Self::LENGTH != 0
    }

    /// Whether Ns and Nr are present.
    #[must_use]
    pub fn has_sequence(self) -> bool {
        self.0 & Self::SEQUENCE != 0
    }

    /// Whether an Offset Size field is present.
    #[must_use]
    pub fn has_offset(self) -> bool {
        self.0 & Self::OFFSET != 0
    }

    /// The version field, 0 to 15.
    #[must_use]
    pub fn version(self) -> u8 {
        self.0.to_be_bytes()[1] & 0x0f
    }
}

impl core::fmt::Debug for Flags {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Flags({:#06x})", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_v3_control_message_has_t_l_s() {
        let flags = Flags(0xc803);
        assert!(flags.is_control() && flags.has_length() && flags.has_sequence() && !flags.has_offset());
        assert_eq!(flags.version(), 3);
    }

    #[test]
    fn reserved_bits_do_not_reach_the_version() {
        assert_eq!(Flags(0x00f2).version(), 2);
    }
}
