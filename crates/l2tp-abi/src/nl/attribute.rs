//! Attributes: type, length, value.

use super::{NLA_F_NESTED, NLA_HDRLEN, NLA_TYPE_MASK, align};
use alloc::string::String;
use core::net::{Ipv4Addr, Ipv6Addr};

/// One attribute, `struct nlattr` and its payload. Layout, machine byte order: length u16 (header included), type u16, payload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attribute<'a> {
    /// The type without the two flag bits.
    pub kind: u16,
    /// Whether `NLA_F_NESTED` was set; nobody may rely on it, the older families never set it.
    pub nested: bool,
    /// The value, without padding.
    pub payload: &'a [u8],
    /// Where the attribute's header is, in bytes from the start of what the walk began with.
    pub offset: usize,
}

impl<'a> Attribute<'a> {
    /// The first byte. Here and below: `None` if the payload is shorter; what follows the value is ignored.
    #[must_use]
    pub fn u8(&self) -> Option<u8> {
        self.payload.first().copied()
    }

    /// The first two bytes, in machine byte order.
    #[must_use]
    pub fn u16(&self) -> Option<u16> {
        self.payload.first_chunk().map(|b| u16::from_ne_bytes(*b))
    }

    /// The first four bytes, in machine byte order.
    #[must_use]
    pub fn u32(&self) -> Option<u32> {
        self.payload.first_chunk().map(|b| u32::from_ne_bytes(*b))
    }

    /// The first eight bytes, in machine byte order.
    #[must_use]
    pub fn u64(&self) -> Option<u64> {
        self.payload.first_chunk().map(|b| u64::from_ne_bytes(*b))
    }

    /// The first four bytes as an IPv4 address.
    #[must_use]
    pub fn ipv4(&self) -> Option<Ipv4Addr> {
        self.payload.first_chunk::<4>().map(|b| Ipv4Addr::from(*b))
    }

    /// The payload as an IPv6 address; a short one is filled up with zeros. (The kernel reads on into whatever follows.)
    #[must_use]
    pub fn ipv6(&self) -> Ipv6Addr {
        let mut octets = [0; 16];
        octets.iter_mut().zip(self.payload).for_each(|(to, from)| *to = *from);
        Ipv6Addr::from(octets)
    }

    /// The bytes before the first NUL, or all.
    #[must_use]
    pub fn c_str(&self) -> &'a [u8] {
        self.payload.split(|byte| *byte == 0).next().unwrap_or_default()
    }

    /// The bytes before the first NUL as text; what is not UTF-8 is replaced.
    #[must_use]
    pub fn string(&self) -> String {
        String::from_utf8_lossy(self.c_str()).into_owned()
    }

    /// The attributes inside.
    #[must_use]
    pub const fn attributes(&self) -> Attributes<'a> {
        Attributes::new(self.payload)
    }
}

/// The attributes of a message or of a nest. The walk ends at one whose length is below 4 or beyond the end;
/// [`Attributes::leftover`] then tells that something was left.
#[derive(Clone, Debug)]
pub struct Attributes<'a> {
    rest: &'a [u8],
    offset: usize,
}

impl<'a> Attributes<'a> {
    /// A walk over `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, offset: 0 }
    }

    /// The number of bytes that the walk has not understood so far.
    #[must_use]
    pub const fn leftover(&self) -> usize {
        self.rest.len()
    }

    /// The last attribute of this type, if there is one; the last one wins everywhere in netlink.
    #[must_use]
    pub fn find_last(self, kind: u16) -> Option<Attribute<'a>> {
        self.filter(|attribute| attribute.kind == kind).last()
    }
}

impl<'a> Iterator for Attributes<'a> {
    type Item = Attribute<'a>;

    fn next(&mut self) -> Option<Attribute<'a>> {
        let (len, rest) = self.rest.split_first_chunk()?;
        let (kind, _) = rest.split_first_chunk()?;
        let (len, kind) = (usize::from(u16::from_ne_bytes(*len)), u16::from_ne_bytes(*kind));
        let payload = self.rest.get(NLA_HDRLEN..len)?;
        let offset = self.offset;
        self.rest = self.rest.get(align(len)..).unwrap_or_default();
        self.offset = offset.saturating_add(align(len));
        Some(Attribute { kind: kind & NLA_TYPE_MASK, nested: kind & NLA_F_NESTED != 0, payload, offset })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    const TWO: &[u8] = &[5, 0, 7, 0, 3, 0, 0, 0, 8, 0, 9, 0x80, 1, 2, 3, 4];

    #[test]
    #[cfg(target_endian = "little")]
    fn walks_with_padding_and_flag_bits() {
        let found: Vec<_> = Attributes::new(TWO).collect();
        assert_eq!(found[0], Attribute { kind: 7, nested: false, payload: &[3], offset: 0 });
        assert_eq!(found[1], Attribute { kind: 9, nested: true, payload: &[1, 2, 3, 4], offset: 8 });
        assert_eq!(found[1].u16(), Some(0x0201));
        assert_eq!(found[0].u16(), None);
        assert_eq!(found[1].ipv4(), Some(Ipv4Addr::new(1, 2, 3, 4)));
    }

    #[test]
    fn tells_what_is_left() {
        for (tail, left) in
            [(&[][..], 0), (&[1, 2, 3][..], 3), (&[3, 0, 1, 0][..], 4), (&[9, 0, 1, 0][..], 4)]
        {
            let bytes = [TWO, tail].concat();
            let mut walk = Attributes::new(&bytes);
            assert_eq!(walk.by_ref().count(), 2);
            assert_eq!(walk.leftover(), left);
        }
    }

    #[test]
    fn a_last_attribute_needs_no_padding() {
        let mut walk = Attributes::new(&TWO[..5]);
        assert_eq!(walk.next().map(|a| a.payload), Some(&[3][..]));
        assert_eq!(walk.leftover(), 0);
    }

    #[test]
    fn strings_and_short_addresses() {
        let text = Attribute { kind: 8, nested: false, payload: b"l2x\0junk", offset: 0 };
        assert_eq!(text.string(), "l2x");
        let short = Attribute { kind: 31, nested: false, payload: &[0xfd], offset: 0 };
        assert_eq!(short.ipv6(), "fd00::".parse::<Ipv6Addr>().unwrap());
    }
}
