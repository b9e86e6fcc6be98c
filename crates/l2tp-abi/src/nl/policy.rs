//! What a family accepts as attributes: the rules, their check, and their description for programs that ask.

use super::{Attribute, Attributes, ExtAck, MessageBuilder, NLA_HDRLEN, NLMSG_HDRLEN};
use crate::Errno;
use alloc::string::String;
use core::net::{Ipv4Addr, Ipv6Addr};

/// The rule of one attribute type, `struct nla_policy`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// Anything (`NLA_UNSPEC`); strict parsers refuse it.
    Unspec,
    /// At least 1 byte.
    U8,
    /// At least 2 bytes.
    U16,
    /// At least 4 bytes.
    U32,
    /// At least 8 bytes.
    U64,
    /// At least 8 bytes: milliseconds in 64 bits (`NLA_MSECS`). Programs are told `UINT`.
    Msecs,
    /// Text that ends in a NUL, of at most so many bytes before it: otherwise `EINVAL`. More bytes behind it are `ERANGE`.
    NulString(u16),
    /// At most so many bytes.
    Binary(u16),
    /// No bytes; there or not.
    Flag,
    /// Empty, or attributes.
    Nested,
}

/// How much a parser forgives (`enum netlink_validation`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Strictness {
    /// Families from before Linux 5.2, l2tp among them: unknown types, too long integers and trailing bytes are taken.
    Liberal,
    /// Newer commands: all of that is `EINVAL`.
    Strict,
}

/// The rules of the attribute types 0 to `N - 1`.
#[derive(Clone, Debug)]
pub struct Policy<const N: usize>([Rule; N]);

impl<const N: usize> Policy<N> {
    /// A policy of the given rules; a type that is not named takes anything.
    ///
    /// # Panics
    /// At compile time, when a type is `N` or more.
    #[must_use]
    pub const fn new(rules: &[(u16, Rule)]) -> Self {
        let mut table = [Rule::Unspec; N];
        let mut at = 0;
        while at < rules.len() {
            table[rules[at].0 as usize] = rules[at].1;
            at += 1;
        }
        Self(table)
    }

    /// The highest type that the policy knows.
    #[must_use]
    pub const fn max_type(&self) -> usize {
        N.saturating_sub(1)
    }

    /// The rules with their types, in order of type.
    pub fn rules(&self) -> impl Iterator<Item = (u16, Rule)> + '_ {
        (0..).zip(self.0.iter().copied())
    }

    /// Checks the attributes of a message and sorts them by type (`__nla_validate_parse`). `message` is the whole message,
    /// `fixed` the bytes between its header and its attributes.
    ///
    /// # Errors
    /// In the order of the attributes: `ERANGE` for one that is too short or too long, `EINVAL` for a text without NUL or
    /// too long, and whatever [`Strictness::Strict`] adds; `ext` then says where and why. Of one type, the last is kept.
    pub fn validate<'a>(
        &self,
        message: &'a [u8],
        fixed: usize,
        strictness: Strictness,
        ext: &mut ExtAck,
    ) -> Result<AttributeTable<'a, N>, Errno> {
        let base = NLMSG_HDRLEN.saturating_add(fixed);
        let mut walk = Attributes::new(message.get(base..).unwrap_or_default());
        let mut table = AttributeTable([None; N]);
        for attribute in walk.by_ref() {
            let at = usize::from(attribute.kind);
            let place = if at == 0 { None } else { self.0.get(at).zip(table.0.get_mut(at)) };
            let Some((rule, slot)) = place else {
                strictness
                    .refuse(Refusal::text("Unknown attribute type"))
                    .map_err(|r| r.tell(base, &attribute, ext))?;
                continue;
            };
            rule.check(&attribute, strictness).map_err(|refusal| refusal.tell(base, &attribute, ext))?;
            *slot = Some(attribute);
        }
        if walk.leftover() > 0 {
            ext.message = Some("bytes leftover after parsing attributes");
            strictness.refuse(Errno::EINVAL)?;
        }
        Ok(table)
    }
}

impl Strictness {
    const fn refuse<E>(self, error: E) -> Result<(), E>
    where
        E: Copy,
    {
        match self {
            Self::Liberal => Ok(()),
            Self::Strict => Err(error),
        }
    }
}

/// Why an attribute was refused.
#[derive(Clone, Copy)]
struct Refusal {
    errno: Errno,
    text: &'static str,
    rule: Option<Rule>,
}

impl Refusal {
    const fn text(text: &'static str) -> Self {
        Self { errno: Errno::EINVAL, text, rule: None }
    }

    fn tell(self, base: usize, attribute: &Attribute<'_>, ext: &mut ExtAck) -> Errno {
        ext.message = Some(self.text);
        ext.offset = u32::try_from(base.saturating_add(attribute.offset)).ok();
        ext.rule = self.rule;
        self.errno
    }
}

impl Rule {
    /// `validate_nla`.
    fn check(self, attribute: &Attribute<'_>, strictness: Strictness) -> Result<(), Refusal> {
        let refusal = |errno, text| Refusal { errno, text, rule: Some(self) };
        let len = attribute.payload.len();
        if self.integer_len().is_some_and(|exact| exact != len) {
            strictness.refuse(refusal(Errno::EINVAL, "invalid attribute length"))?;
        }
        if attribute.nested && !matches!(self, Self::Nested | Self::Unspec) {
            strictness.refuse(refusal(Errno::EINVAL, "NLA_F_NESTED not expected"))?;
        }
        let fits = match self {
            Self::Unspec => return strictness.refuse(Refusal::text("Unsupported attribute")),
            Self::NulString(max) => {
                let max = usize::from(max);
                if !attribute.payload.iter().take(max + 1).any(|byte| *byte == 0) {
                    return Err(refusal(Errno::EINVAL, "Attribute failed policy validation"));
                }
                // A NUL at the end does not count, what stands before it does.
                attribute.payload.strip_suffix(&[0]).unwrap_or(attribute.payload).len() <= max
            }
            Self::Binary(max) => len <= usize::from(max),
            Self::Flag => len == 0,
            Self::Nested => len == 0 || len >= NLA_HDRLEN,
            Self::Msecs => len >= 8,
            Self::U8 | Self::U16 | Self::U32 | Self::U64 => self.integer_len().is_none_or(|min| len >= min),
        };
        if fits { Ok(()) } else { Err(refusal(Errno::ERANGE, "Attribute failed policy validation")) }
    }

    /// The exact length of the integers that strict parsers measure.
    const fn integer_len(self) -> Option<usize> {
        match self {
            Self::U8 => Some(1),
            Self::U16 => Some(2),
            Self::U32 => Some(4),
            Self::U64 => Some(8),
            _ => None,
        }
    }

    /// Appends the description of this rule as the nest `kind` (`netlink_policy_dump_write_attr`), and tells whether there
    /// was one: [`Rule::Unspec`] is not described.
    pub fn describe(self, message: &mut MessageBuilder<'_>, kind: u16) -> bool {
        let (number, limit) = match self {
            Self::Unspec => return false,
            Self::Flag => (1, Limit::None),
            Self::U8 => (2, Limit::Value(u8::MAX.into())),
            Self::U16 => (3, Limit::Value(u16::MAX.into())),
            Self::U32 => (4, Limit::Value(u32::MAX.into())),
            Self::U64 => (5, Limit::Value(u64::MAX)),
            Self::Binary(max) => (10, Limit::Length(max.into())),
            Self::NulString(max) => (12, Limit::Length(max.into())),
            Self::Nested => (13, Limit::None),
            Self::Msecs => (17, Limit::Value(u64::MAX)),
        };
        message.nest_flagged(kind, |nest| {
            match limit {
                Limit::None => nest,
                Limit::Value(max) => nest.u64(POLICY_MIN_VALUE_U, 0).u64(POLICY_MAX_VALUE_U, max),
                Limit::Length(max) => nest.u32(POLICY_MAX_LENGTH, max),
            }
            .u32(POLICY_TYPE, number);
        });
        true
    }
}

/// What a description says besides the type.
enum Limit {
    None,
    Value(u64),
    Length(u32),
}

/// `NL_POLICY_TYPE_ATTR_TYPE`, a number of `enum netlink_attribute_type`.
const POLICY_TYPE: u16 = 1;
/// `NL_POLICY_TYPE_ATTR_MIN_VALUE_U`.
const POLICY_MIN_VALUE_U: u16 = 4;
/// `NL_POLICY_TYPE_ATTR_MAX_VALUE_U`.
const POLICY_MAX_VALUE_U: u16 = 5;
/// `NL_POLICY_TYPE_ATTR_MAX_LENGTH`.
const POLICY_MAX_LENGTH: u16 = 7;

/// The attributes of a message by type, each allowed by its rule. `None` from a getter: the attribute is not there.
#[derive(Clone, Debug)]
pub struct AttributeTable<'a, const N: usize>([Option<Attribute<'a>>; N]);

impl<'a, const N: usize> AttributeTable<'a, N> {
    /// The attribute of this type.
    #[must_use]
    pub fn get(&self, kind: u16) -> Option<&Attribute<'a>> {
        self.0.get(usize::from(kind))?.as_ref()
    }

    /// Whether the attribute is there, whatever its value.
    #[must_use]
    pub fn has(&self, kind: u16) -> bool {
        self.get(kind).is_some()
    }

    /// Its first byte.
    #[must_use]
    pub fn u8(&self, kind: u16) -> Option<u8> {
        self.get(kind)?.u8()
    }

    /// Its first 2 bytes, in machine byte order.
    #[must_use]
    pub fn u16(&self, kind: u16) -> Option<u16> {
        self.get(kind)?.u16()
    }

    /// Its first 4 bytes, in machine byte order.
    #[must_use]
    pub fn u32(&self, kind: u16) -> Option<u32> {
        self.get(kind)?.u32()
    }

    /// Its first 8 bytes, in machine byte order.
    #[must_use]
    pub fn u64(&self, kind: u16) -> Option<u64> {
        self.get(kind)?.u64()
    }

    /// Its payload.
    #[must_use]
    pub fn bytes(&self, kind: u16) -> Option<&'a [u8]> {
        self.get(kind).map(|attribute| attribute.payload)
    }

    /// Its text up to the first NUL.
    #[must_use]
    pub fn string(&self, kind: u16) -> Option<String> {
        self.get(kind).map(Attribute::string)
    }

    /// Its first 4 bytes as an address.
    #[must_use]
    pub fn ipv4(&self, kind: u16) -> Option<Ipv4Addr> {
        self.get(kind)?.ipv4()
    }

    /// Its payload as an address, filled up with zeros.
    #[must_use]
    pub fn ipv6(&self, kind: u16) -> Option<Ipv6Addr> {
        self.get(kind).map(Attribute::ipv6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nl::Header;
    use alloc::vec::Vec;

    const POLICY: Policy<9> = Policy::new(&[
        (1, Rule::U16),
        (2, Rule::NulString(3)),
        (3, Rule::Binary(8)),
        (4, Rule::Flag),
        (5, Rule::Nested),
        (6, Rule::Msecs),
        (7, Rule::U8),
    ]);

    fn check(kind: u16, payload: &[u8], strictness: Strictness) -> (Option<Errno>, ExtAck) {
        let mut message = Vec::new();
        let mut builder = MessageBuilder::new(&mut message, Header::default());
        builder.raw(&[0; 4]).u8(7, 1).bytes(kind, payload);
        builder.finish();
        let mut ext = ExtAck::default();
        let errno = POLICY.validate(&message, 4, strictness, &mut ext).err();
        (errno, ext)
    }

    #[test]
    fn liberal_lengths() {
        let (ok, range, inval) = (None, Some(Errno::ERANGE), Some(Errno::EINVAL));
        for (kind, payload, want) in [
            (1, &[0; 1][..], range),
            (1, &[0; 2], ok),
            (1, &[0; 5], ok),
            (2, b"abc\0", ok),
            (2, b"abc", inval),
            (2, b"abcd\0", inval),
            (2, b"", inval),
            (2, b"\0", ok),
            (2, b"a\0b", ok),
            (2, b"a\0bc\0", range),
            (2, b"a\0bcd", range),
            (3, &[0; 8], ok),
            (3, &[0; 9], range),
            (4, &[0], range),
            (5, &[], ok),
            (5, &[0; 3], range),
            (6, &[0; 4], range),
            (6, &[0; 9], ok),
            (8, &[0; 9], ok),
            (9, &[0; 9], ok),
        ] {
            let (errno, ext) = check(kind, payload, Strictness::Liberal);
            assert_eq!(errno, want, "type {kind}, {payload:?}");
            let text = want.map(|_| "Attribute failed policy validation");
            assert_eq!((ext.message, ext.offset), (text, want.map(|_| 28)));
        }
    }

    #[test]
    fn strict_parsers_forgive_nothing() {
        for (kind, payload, text) in [
            (1, &[0; 3][..], "invalid attribute length"),
            (8, &[], "Unsupported attribute"),
            (9, &[], "Unknown attribute type"),
            (1 | super::super::NLA_F_NESTED, &[0; 2], "NLA_F_NESTED not expected"),
        ] {
            let (errno, ext) = check(kind, payload, Strictness::Strict);
            assert_eq!((errno, ext.message, ext.offset), (Some(Errno::EINVAL), Some(text), Some(28)));
            assert_eq!(check(kind, payload, Strictness::Liberal).0, None);
        }
    }

    #[test]
    fn the_last_of_two_wins_and_trailing_bytes_are_told() {
        let mut message = Vec::new();
        let mut builder = MessageBuilder::new(&mut message, Header::default());
        builder.u16(1, 5).u16(1, 6);
        builder.finish();
        message.extend_from_slice(&[1, 2, 3]);
        let mut ext = ExtAck::default();
        let table = POLICY.validate(&message, 0, Strictness::Liberal, &mut ext).unwrap();
        assert_eq!(table.u16(1), Some(6));
        assert_eq!(ext.message, Some("bytes leftover after parsing attributes"));
        assert_eq!(POLICY.validate(&message, 0, Strictness::Strict, &mut ext).err(), Some(Errno::EINVAL));
    }
}
