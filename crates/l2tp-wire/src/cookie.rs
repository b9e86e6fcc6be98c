//! The cookie of an L2TPv3 session (RFC 3931 4.1): bytes that a blind attacker would have to guess.

/// Up to eight bytes. RFC 3931 knows 0, 4 and 8; the kernel takes any length, and so do we.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct Cookie {
    len: u8,
    bytes: [u8; Self::MAX],
}

impl Cookie {
    /// The longest cookie, in bytes.
    pub const MAX: usize = 8;
    /// No cookie.
    pub const NONE: Self = Self { len: 0, bytes: [0; Self::MAX] };

    /// A cookie of these bytes; `None` if there are more than [`Self::MAX`].
    #[must_use]
    pub fn new(value: &[u8]) -> Option<Self> {
        let len = u8::try_from(value.len()).ok()?;
        let mut bytes = [0; Self::MAX];
        bytes.get_mut(..value.len())?.copy_from_slice(value);
        Some(Self { len, bytes })
    }

    /// The cookie's bytes in the order of the wire.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len()).unwrap_or_default()
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::from(self.len)
    }

    /// Whether there is no cookie.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether `received` is this cookie. The time it takes does not depend on where they differ.
    #[must_use]
    pub fn matches(&self, received: &[u8]) -> bool {
        let differing = self.as_bytes().iter().zip(received).fold(0, |acc, (a, b)| acc | (a ^ b));
        received.len() == self.len() && core::hint::black_box(differing) == 0
    }
}

/// Secret enough to stay out of logs: prints the length only.
impl core::fmt::Debug for Cookie {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Cookie({} bytes)", self.len)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn matches_whole_cookies_only() {
        let cookie = Cookie::new(&[1, 2, 3, 4]).unwrap();
        assert!(cookie.matches(&[1, 2, 3, 4]));
        assert!(!cookie.matches(&[1, 2, 3, 5]));
        assert!(!cookie.matches(&[1, 2, 3]));
        assert!(!cookie.matches(&[1, 2, 3, 4, 5]));
        assert!(Cookie::NONE.matches(&[]));
    }

    #[test]
    fn nine_bytes_are_refused() {
        assert_eq!(Cookie::new(&[0; 9]), None);
        assert_eq!(Cookie::new(&[7; 8]).unwrap().as_bytes(), [7; 8]);
    }

    #[test]
    fn a_cookie_is_not_printed() {
        extern crate std;
        assert_eq!(std::format!("{:?}", Cookie::new(&[0xaa; 4]).unwrap()), "Cookie(4 bytes)");
    }
}
