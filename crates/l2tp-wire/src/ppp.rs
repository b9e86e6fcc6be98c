//! The address and control field of a PPP frame (RFC 1662 3.1), which RFC 2661 carries and LCP may negotiate away.

/// All-Stations address and Unnumbered Information: what stands in front of every PPP frame that the kernel sends.
pub const ADDRESS_CONTROL: [u8; 2] = [0xff, 0x03];

/// The frame from its protocol field on, with or without the two bytes in front.
#[must_use]
pub fn strip_address_control(frame: &[u8]) -> &[u8] {
    frame.strip_prefix(&ADDRESS_CONTROL).unwrap_or(frame)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_bytes_or_none() {
        assert_eq!(strip_address_control(&[0xff, 3, 0xc0, 0x21]), [0xc0, 0x21]);
        assert_eq!(strip_address_control(&[0xff, 0xc0, 0x21]), [0xff, 0xc0, 0x21]);
        assert_eq!(strip_address_control(&[0xff]), [0xff]);
        assert_eq!(strip_address_control(&[]), [0u8; 0]);
    }
}
