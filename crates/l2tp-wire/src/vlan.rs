//! The tag of a VLAN in an Ethernet frame (IEEE 802.1Q clause 9.6): behind the two addresses, its type 0x8100 and sixteen
//! bits: priority (PCP, 3), drop eligible (DEI, 1), VLAN (VID, 12).
//!
//! In a VLAN pseudowire every frame carries the tag of its VLAN (RFC 4719 section 2.2). The device of a session does not: the
//! outermost tag is put in on the way out and taken off on the way in.

use crate::be16;

/// Bytes of a tag.
pub const TAG_LEN: usize = 4;

/// Where in a frame the outermost tag begins: behind the two addresses.
pub const TAG_AT: usize = 12;

/// The tag protocol identifier of a VLAN.
const TPID: u16 = 0x8100;

/// The number of a VLAN: 1 to 4094. 0 says that a frame has a priority and no VLAN, 4095 is reserved (table 9-2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VlanId(u16);

impl VlanId {
    /// The VLAN of that number, if it is one.
    #[must_use]
    pub fn new(number: u16) -> Option<Self> {
        (1..=4094).contains(&number).then_some(Self(number))
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> u16 {
        self.0
    }

    /// Its tag, with priority 0 and not drop eligible.
    #[must_use]
    pub fn tag(self) -> [u8; TAG_LEN] {
        let ([a, b], [c, d]) = (TPID.to_be_bytes(), self.0.to_be_bytes());
        [a, b, c, d]
    }

    /// Whether a frame's outermost tag is of this VLAN, whatever its priority.
    #[must_use]
    pub fn is_of(self, frame: &[u8]) -> bool {
        let vlan = |tag: u16| tag & 0x0fff;
        be16(frame, TAG_AT) == Some(TPID) && be16(frame, TAG_AT + 2).map(vlan) == Some(self.0)
    }
}

/// Takes the outermost tag off a frame that has one, in place: the frame begins [`TAG_LEN`] bytes later then. What is too
/// short to have one stays as it is.
pub fn untag(frame: &mut [u8]) {
    if frame.len() >= TAG_AT + TAG_LEN {
        frame.copy_within(..TAG_AT, TAG_LEN);
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::vec::Vec;

    fn frame(rest: &[u8]) -> Vec<u8> {
        (1..=12).chain(rest.iter().copied()).collect()
    }

    #[test]
    fn numbers_of_vlans() {
        assert_eq!([0, 4095, u16::MAX].map(VlanId::new), [None; 3]);
        assert_eq!([1, 4094].map(|number| VlanId::new(number).map(VlanId::number)), [Some(1), Some(4094)]);
    }

    #[test]
    fn whose_the_outermost_tag_is() {
        let vlan = VlanId::new(0x123).unwrap();
        assert_eq!(vlan.tag(), [0x81, 0, 0x01, 0x23]);
        assert!(vlan.is_of(&frame(&[&vlan.tag()[..], &[8, 0]].concat())));
        assert!(vlan.is_of(&frame(&[0x81, 0, 0xf1, 0x23])), "another priority");
        let others: [&[u8]; 6] = [
            &[],
            &[8, 0, 0x01, 0x23],
            &[0x81, 0, 0x01, 0x24],
            &[0x88, 0xa8, 0x01, 0x23],
            &[0x81, 0, 0, 5, 0x81, 0, 0x01, 0x23],
            &[0x81, 0, 0x01],
        ];
        for other in others {
            assert!(!vlan.is_of(&frame(other)), "{other:?}");
        }
    }

    #[test]
    fn the_tag_is_taken_off_in_place() {
        let mut tagged = frame(&[0x81, 0, 0, 5, 0x81, 0, 0, 6, 8, 0, 77]);
        untag(&mut tagged);
        assert_eq!(tagged[TAG_LEN..], frame(&[0x81, 0, 0, 6, 8, 0, 77]));
        let mut short = frame(&[0x81, 0, 0]);
        untag(&mut short);
        assert_eq!(short, frame(&[0x81, 0, 0]));
    }
}
