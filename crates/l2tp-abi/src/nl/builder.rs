//! Writing messages.

use super::{Header, NLA_F_NESTED, NLA_HDRLEN, align};
use alloc::vec::Vec;

/// Appends one message to a buffer, which may hold others before it. [`MessageBuilder::finish`] (or dropping the
/// builder) writes the length. Padding is zero.
///
/// An attribute whose payload does not fit its 16-bit length (65,531 bytes) is left out, as `nla_put` would refuse it.
#[derive(Debug)]
pub struct MessageBuilder<'a> {
    out: &'a mut Vec<u8>,
    start: usize,
    header: Header,
}

impl<'a> MessageBuilder<'a> {
    /// Begins a message at the end of `out`.
    pub fn new(out: &'a mut Vec<u8>, header: Header) -> Self {
        let start = out.len();
        out.extend_from_slice(&header.to_bytes(0));
        Self { out, start, header }
    }

    /// Appends `bytes` as they are, padded to the alignment: the fixed part that a family puts before its attributes.
    pub fn raw(&mut self, bytes: &[u8]) -> &mut Self {
        self.out.extend_from_slice(bytes);
        self.pad();
        self
    }

    /// Appends an attribute of any bytes.
    pub fn bytes(&mut self, kind: u16, payload: &[u8]) -> &mut Self {
        if let Some(len) = attribute_len(payload.len()) {
            self.out.extend_from_slice(&len.to_ne_bytes());
            self.out.extend_from_slice(&kind.to_ne_bytes());
            self.raw(payload);
        }
        self
    }

    /// Appends a byte.
    pub fn u8(&mut self, kind: u16, value: u8) -> &mut Self {
        self.bytes(kind, &[value])
    }

    /// Appends 16 bits in machine byte order.
    pub fn u16(&mut self, kind: u16, value: u16) -> &mut Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// Appends 32 bits in machine byte order.
    pub fn u32(&mut self, kind: u16, value: u32) -> &mut Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// Appends 64 bits in machine byte order, without the padding attribute that some machines want before them.
    pub fn u64(&mut self, kind: u16, value: u64) -> &mut Self {
        self.bytes(kind, &value.to_ne_bytes())
    }

    /// Appends text and its terminating NUL.
    pub fn string(&mut self, kind: u16, text: &str) -> &mut Self {
        let mut payload = Vec::with_capacity(text.len().saturating_add(1));
        payload.extend_from_slice(text.as_bytes());
        payload.push(0);
        self.bytes(kind, &payload)
    }

    /// Appends an empty attribute if `set`: its presence is the value.
    pub fn flag(&mut self, kind: u16, set: bool) -> &mut Self {
        if set { self.bytes(kind, &[]) } else { self }
    }

    /// Appends an attribute that holds what `fill` appends, without the `NLA_F_NESTED` bit: the form of older families.
    pub fn nest(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) -> &mut Self {
        let start = self.out.len();
        self.out.extend_from_slice(&[0; NLA_HDRLEN]);
        fill(self);
        let inside = self.out.len().saturating_sub(start).saturating_sub(NLA_HDRLEN);
        let header = self.out.get_mut(start..).and_then(<[u8]>::first_chunk_mut::<NLA_HDRLEN>);
        if let (Some(len), Some([l0, l1, k0, k1])) = (attribute_len(inside), header) {
            [*l0, *l1] = len.to_ne_bytes();
            [*k0, *k1] = kind.to_ne_bytes();
        } else {
            self.out.truncate(start);
        }
        self
    }

    /// Like [`MessageBuilder::nest`], with the `NLA_F_NESTED` bit: the form of policies.
    pub fn nest_flagged(&mut self, kind: u16, fill: impl FnOnce(&mut Self)) -> &mut Self {
        self.nest(kind | NLA_F_NESTED, fill)
    }

    /// Sets more bits of `nlmsg_flags`.
    pub(super) const fn add_flags(&mut self, flags: u16) {
        self.header.flags |= flags;
    }

    /// Ends the message and writes its length.
    pub fn finish(self) {}

    fn pad(&mut self) {
        let len = self.out.len().saturating_sub(self.start);
        self.out.resize(self.start.saturating_add(align(len)), 0);
    }
}

impl Drop for MessageBuilder<'_> {
    fn drop(&mut self) {
        let len = self.out.len().saturating_sub(self.start);
        let bytes = self.header.to_bytes(u32::try_from(len).unwrap_or(u32::MAX));
        if let Some(header) = self.out.get_mut(self.start..).and_then(<[u8]>::first_chunk_mut) {
            *header = bytes;
        }
    }
}

/// The length field of an attribute with a payload of `payload` bytes.
fn attribute_len(payload: usize) -> Option<u16> {
    u16::try_from(payload.checked_add(NLA_HDRLEN)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nl::{Attribute, Messages};

    #[test]
    fn builds_what_the_walks_read() {
        let mut out = alloc::vec![0xee; 4];
        let mut message = MessageBuilder::new(&mut out, Header { kind: 0x23, flags: 1, seq: 2, port: 3 });
        message.raw(&[4, 1, 0, 0]).u8(1, 9).string(2, "ab").flag(3, true).flag(4, false);
        message.nest(5, |nest| {
            nest.u64(1, 7).u16(2, 8);
        });
        message.finish();
        let message = Messages::new(&out[4..]).next().unwrap();
        assert_eq!(message.bytes.len(), out.len() - 4);
        let attributes: Vec<_> = crate::nl::Attributes::new(&message.payload[4..]).collect();
        assert_eq!(attributes.iter().map(|a| a.kind).collect::<Vec<_>>(), [1, 2, 3, 5]);
        assert_eq!(attributes[1].payload, b"ab\0");
        assert!(attributes[2].payload.is_empty());
        assert_eq!(attributes[3].attributes().find_last(1).and_then(|a| a.u64()), Some(7));
    }

    #[test]
    fn what_does_not_fit_is_left_out() {
        let mut out = Vec::new();
        let mut message = MessageBuilder::new(&mut out, Header::default());
        message.bytes(1, &[0; 65_531]).bytes(2, &[0; 65_532]);
        message.nest(3, |nest| {
            nest.bytes(1, &[0; 60_000]).bytes(2, &[0; 6_000]);
        });
        message.u8(4, 1);
        message.finish();
        let message = Messages::new(&out).next().unwrap();
        let kinds: Vec<_> =
            crate::nl::Attributes::new(message.payload).map(|Attribute { kind, .. }| kind).collect();
        assert_eq!(kinds, [1, 4]);
    }
}
