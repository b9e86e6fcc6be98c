//! The message header and the walk over the messages of a datagram.

use super::{NLM_F_DUMP, NLMSG_HDRLEN, align};

/// `struct nlmsghdr` without its length: what a message is and whom it concerns.
///
/// Layout, machine byte order: length u32 (header included), type u16, flags u16, sequence u32, port id u32.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// `nlmsg_type`: the family's id, or one of netlink's own types.
    pub kind: u16,
    /// `nlmsg_flags`: `NLM_F_…`.
    pub flags: u16,
    /// `nlmsg_seq`: the requester's number; a reply repeats it.
    pub seq: u32,
    /// `nlmsg_pid`: in a reply, the port id of the requester.
    pub port: u32,
}

impl Header {
    /// Whether all objects are asked for: both bits of `NLM_F_DUMP` are set.
    #[must_use]
    pub const fn is_dump(&self) -> bool {
        self.flags & NLM_F_DUMP == NLM_F_DUMP
    }

    /// Splits a header off `bytes`: its length field, the header, the rest. `None` if they are too short.
    pub(super) fn split(bytes: &[u8]) -> Option<(u32, Self, &[u8])> {
        let (len, rest) = bytes.split_first_chunk()?;
        let (kind, rest) = rest.split_first_chunk()?;
        let (flags, rest) = rest.split_first_chunk()?;
        let (seq, rest) = rest.split_first_chunk()?;
        let (port, rest) = rest.split_first_chunk()?;
        let header = Self {
            kind: u16::from_ne_bytes(*kind),
            flags: u16::from_ne_bytes(*flags),
            seq: u32::from_ne_bytes(*seq),
            port: u32::from_ne_bytes(*port),
        };
        Some((u32::from_ne_bytes(*len), header, rest))
    }

    /// The 16 bytes of a message of `len` bytes.
    pub(super) fn to_bytes(self, len: u32) -> [u8; NLMSG_HDRLEN] {
        let mut out = [0; NLMSG_HDRLEN];
        let (a, rest) = out.split_at_mut(4);
        a.copy_from_slice(&len.to_ne_bytes());
        let (b, rest) = rest.split_at_mut(2);
        b.copy_from_slice(&self.kind.to_ne_bytes());
        let (c, rest) = rest.split_at_mut(2);
        c.copy_from_slice(&self.flags.to_ne_bytes());
        let (d, e) = rest.split_at_mut(4);
        d.copy_from_slice(&self.seq.to_ne_bytes());
        e.copy_from_slice(&self.port.to_ne_bytes());
        out
    }
}

/// One message of a datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// Its header.
    pub header: Header,
    /// What follows the header.
    pub payload: &'a [u8],
    /// The whole message, header included, without padding.
    pub bytes: &'a [u8],
}

/// The messages of a datagram. Like the kernel (`netlink_rcv_skb`), the walk ends without a word at a message whose
/// length is below 16 or beyond the datagram, and the padding of the last message may be missing.
#[derive(Clone, Debug)]
pub struct Messages<'a> {
    rest: &'a [u8],
}

impl<'a> Messages<'a> {
    /// A walk over `datagram`.
    #[must_use]
    pub const fn new(datagram: &'a [u8]) -> Self {
        Self { rest: datagram }
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = Message<'a>;

    fn next(&mut self) -> Option<Message<'a>> {
        let (len, header, _) = Header::split(self.rest)?;
        let len = usize::try_from(len).ok()?;
        let bytes = self.rest.get(..len)?;
        let payload = bytes.get(NLMSG_HDRLEN..)?;
        self.rest = self.rest.get(align(len)..).unwrap_or_default();
        Some(Message { header, payload, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    fn message(seq: u32, len: u32, payload: &[u8]) -> Vec<u8> {
        let mut out = Header { kind: 0x23, flags: 5, seq, port: 9 }.to_bytes(len).to_vec();
        out.extend_from_slice(payload);
        out
    }

    #[test]
    fn walks_messages_with_and_without_padding() {
        let mut datagram = message(1, 17, &[7, 0, 0, 0]);
        datagram.extend(message(2, 18, &[8, 8]));
        let found: Vec<_> = Messages::new(&datagram).collect();
        assert_eq!(
            found.iter().map(|m| (m.header.seq, m.payload)).collect::<Vec<_>>(),
            [(1, &[7][..]), (2, &[8, 8][..])]
        );
        assert_eq!(found[0].bytes.len(), 17);
        assert_eq!(found[0].header, Header { kind: 0x23, flags: 5, seq: 1, port: 9 });
    }

    #[test]
    fn stops_at_a_bad_length() {
        for len in [0, 15, 21, u32::MAX] {
            let mut datagram = message(1, 16, &[]);
            datagram.extend(message(2, len, &[0; 4]));
            assert_eq!(Messages::new(&datagram).count(), 1, "length {len}");
        }
        assert_eq!(Messages::new(&[0; 15]).count(), 0);
    }

    #[test]
    fn a_dump_needs_both_bits() {
        assert!(Header { flags: 0x301, ..Header::default() }.is_dump());
        assert!(!Header { flags: 0x101, ..Header::default() }.is_dump());
        assert!(!Header { flags: 0x201, ..Header::default() }.is_dump());
    }
}
