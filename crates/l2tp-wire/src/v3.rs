//! The header of an L2TPv3 data message over UDP (RFC 3931 4.1.2.1) and over IP (4.1.1.1).
//!
//! ```text
//!  0                   1                   2                   3
//!  0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |T|x|x|x|x|x|x|x|x|x|x|x|  Ver  |          Reserved             |  over UDP only
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |                         Session ID                            |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |               Cookie (optional, maximum 64 bits)...
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! |            Default L2-specific sublayer (optional)            |
//! +-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+-+
//! ```

use crate::{Cookie, Truncated, be32, l2specific};

/// What carries the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// UDP: flags, version and a reserved field stand in front.
    Udp,
    /// IP protocol 115: the session id comes first.
    Ip,
}

impl Carrier {
    /// Bytes in front of the session id.
    #[must_use]
    pub fn prefix_len(self) -> usize {
        match self {
            Self::Udp => 4,
            Self::Ip => 0,
        }
    }
}

/// What both ends of a session must know to read its header: nothing in the packet says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// UDP or IP.
    pub carrier: Carrier,
    /// Length of the cookie, 0 to 8 bytes.
    pub cookie_len: usize,
    /// Whether the default sublayer is present.
    pub l2specific: bool,
}

impl Layout {
    /// The longest header, in bytes.
    pub const MAX: usize = 4 + 4 + Cookie::MAX + l2specific::LEN;

    /// Length of the header in bytes.
    #[must_use]
    pub fn header_len(&self) -> usize {
        self.carrier.prefix_len() + 4 + self.cookie_len + self.l2specific_len()
    }

    fn l2specific_len(&self) -> usize {
        if self.l2specific { l2specific::LEN } else { 0 }
    }
}

/// A parsed header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Session id of the receiver.
    pub session_id: u32,
    /// The cookie, of the length that the layout asks for.
    pub cookie: &'a [u8],
    /// The sequence number, when a sublayer is there and its S bit is set.
    pub ns: Option<u32>,
}

impl<'a> Header<'a> {
    /// Reads a header of this layout. The payload starts at [`Layout::header_len`].
    ///
    /// # Errors
    /// [`Truncated`] if the packet is shorter than the header.
    pub fn parse(layout: &Layout, bytes: &'a [u8]) -> Result<Self, Truncated> {
        Self::fields(layout, bytes).ok_or(Truncated)
    }

    fn fields(layout: &Layout, bytes: &'a [u8]) -> Option<Self> {
        let prefix = layout.carrier.prefix_len();
        let session_id = be32(bytes, prefix)?;
        let cookie_end = prefix + 4 + layout.cookie_len;
        let cookie = bytes.get(prefix + 4..cookie_end)?;
        let ns = if layout.l2specific { l2specific::parse(be32(bytes, cookie_end)?) } else { None };
        Some(Self { session_id, cookie, ns })
    }
}

/// Writes the header of a message to the peer's `session_id`. `l2specific` is `None` without sublayer, else the
/// sequence number or its absence. Returns the header's length; `None` if `out` is too short.
pub fn emit(
    out: &mut [u8],
    carrier: Carrier,
    session_id: u32,
    cookie: &Cookie,
    l2specific: Option<Option<u32>>,
) -> Option<usize> {
    let layout = Layout { carrier, cookie_len: cookie.len(), l2specific: l2specific.is_some() };
    let len = layout.header_len();
    let mut rest = out.get_mut(..len)?;
    if carrier == Carrier::Udp {
        rest = put(rest, &[0, 3, 0, 0])?;
    }
    rest = put(rest, &session_id.to_be_bytes())?;
    rest = put(rest, cookie.as_bytes())?;
    if let Some(ns) = l2specific {
        put(rest, &l2specific::emit(ns).to_be_bytes())?;
    }
    Some(len)
}

/// Copies `field` to the start of `out` and returns what is left of it.
fn put<'a>(out: &'a mut [u8], field: &[u8]) -> Option<&'a mut [u8]> {
    let (place, rest) = out.split_at_mut_checked(field.len())?;
    place.copy_from_slice(field);
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every layout that the kernel's netlink can make.
    fn layouts() -> impl Iterator<Item = (Carrier, Cookie, Option<Option<u32>>)> {
        let carriers = [Carrier::Udp, Carrier::Ip];
        let cookies = [&[][..], &[1, 2, 3], &[1, 2, 3, 4], &[1, 2, 3, 4, 5, 6, 7, 8]];
        let sublayers = [None, Some(None), Some(Some(0)), Some(Some(0x00ff_ffff))];
        carriers.into_iter().flat_map(move |carrier| {
            cookies.into_iter().flat_map(move |cookie| {
                sublayers.into_iter().map(move |sub| (carrier, Cookie::new(cookie).unwrap(), sub))
            })
        })
    }

    #[test]
    fn every_layout_comes_back_and_every_cut_is_an_error() {
        for (carrier, cookie, sub) in layouts() {
            let mut out = [0; Layout::MAX];
            let len = emit(&mut out, carrier, 0xaabb_ccdd, &cookie, sub).unwrap();
            let layout = Layout { carrier, cookie_len: cookie.len(), l2specific: sub.is_some() };
            assert_eq!(len, layout.header_len());
            let header = Header::parse(&layout, &out[..len]).unwrap();
            assert_eq!(header.session_id, 0xaabb_ccdd);
            assert!(cookie.matches(header.cookie));
            assert_eq!(header.ns, sub.flatten());
            for end in 0..len {
                assert_eq!(Header::parse(&layout, &out[..end]), Err(Truncated));
                assert_eq!(emit(&mut [0; Layout::MAX][..end], carrier, 1, &cookie, sub), None);
            }
        }
    }

    #[test]
    fn the_lengths_of_the_kernels_table() {
        let len = |carrier, cookie_len, l2specific| Layout { carrier, cookie_len, l2specific }.header_len();
        assert_eq!([0, 4, 8].map(|c| len(Carrier::Udp, c, true)), [12, 16, 20]);
        assert_eq!([0, 4, 8].map(|c| len(Carrier::Ip, c, true)), [8, 12, 16]);
        assert_eq!([0, 4, 8].map(|c| len(Carrier::Udp, c, false)), [8, 12, 16]);
        assert_eq!([0, 4, 8].map(|c| len(Carrier::Ip, c, false)), [4, 8, 12]);
    }
}
