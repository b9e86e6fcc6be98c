//! The default L2-specific sublayer (RFC 3931 4.6).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |x|S|x|x|x|x|x|x|              Sequence Number                  |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

/// S: the sequence number is valid.
const S: u32 = 0x4000_0000;
/// The sequence number's bits.
pub const NS_MAX: u32 = 0x00ff_ffff;
/// Length of the sublayer in bytes.
pub const LEN: usize = 4;

/// The sequence number in a received sublayer; `None` when S is clear. The other bits are ignored.
#[must_use]
pub fn parse(word: u32) -> Option<u32> {
    (word & S != 0).then_some(word & NS_MAX)
}

/// The sublayer for sequence number `ns` (its low 24 bits), all zero without one.
#[must_use]
pub fn emit(ns: Option<u32>) -> u32 {
    ns.map_or(0, |ns| S | (ns & NS_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn round_trip() {
        for ns in [None, Some(0), Some(1), Some(NS_MAX)] {
            assert_eq!(parse(emit(ns)), ns);
        }
        assert_eq!(emit(Some(5)), 0x4000_0005);
    }

    #[test]
    fn a_number_without_s_is_none() {
        assert_eq!(parse(0x0000_0005), None);
        assert_eq!(parse(0xffff_ffff), Some(NS_MAX));
    }
}
