//! What sessions differ in.

/// Cookies, sublayer and numbering of a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Variant {
    /// Bytes of the cookies that a and b send.
    pub(crate) cookies: (usize, usize),
    /// The default sublayer is there.
    pub(crate) sublayer: bool,
    /// The word behind `seq` at a and at b; empty: no such option.
    pub(crate) seq: (&'static str, &'static str),
}

impl Variant {
    /// No cookies, no numbers, the default sublayer.
    pub(crate) const PLAIN: Self = Self { cookies: (0, 0), sublayer: true, seq: ("", "") };

    /// Every one that carries traffic. Without a sublayer there are no numbers to wait for, so `both` is left out there.
    pub(crate) fn working() -> Vec<Self> {
        let cookies = [(0, 0), (4, 4), (8, 8), (4, 8)];
        let with = [("", ""), ("send", "send"), ("both", "both")].map(|seq| (true, seq));
        let without = [("", ""), ("send", "send")].map(|seq| (false, seq));
        let kinds: Vec<_> = with.into_iter().chain(without).collect();
        let variant = |cookies| {
            kinds.iter().map(move |(sublayer, seq)| Self { cookies, sublayer: *sublayer, seq: *seq })
        };
        cookies.into_iter().flat_map(variant).collect()
    }

    /// What `add session` is told at a.
    pub(crate) fn words_a(self) -> String {
        self.words(cookie_a(self.cookies.0), cookie_b(self.cookies.1), self.seq.0)
    }

    /// The same at b.
    pub(crate) fn words_b(self) -> String {
        self.words(cookie_b(self.cookies.1), cookie_a(self.cookies.0), self.seq.1)
    }

    fn words(self, own: &str, peer: &str, seq: &str) -> String {
        let mut words = String::new();
        for (name, value) in [("cookie", own), ("peer_cookie", peer), ("seq", seq)] {
            if !value.is_empty() {
                words += &format!(" {name} {value}");
            }
        }
        words + if self.sublayer { "" } else { " l2spec_type none" }
    }

    /// The L2TP header from the session id on, of packets that carry a cookie of this length, in bytes.
    pub(crate) fn header_bytes(self, cookie: usize) -> u32 {
        4 + u32::try_from(cookie).unwrap() + if self.sublayer { 4 } else { 0 }
    }
}

/// The cookie of this length that a sends, in hexadecimal.
pub(crate) fn cookie_a(bytes: usize) -> &'static str {
    &"a1a2a3a4a5a6a7a8"[..2 * bytes]
}

/// The one that b sends.
pub(crate) fn cookie_b(bytes: usize) -> &'static str {
    &"b1b2b3b4b5b6b7b8"[..2 * bytes]
}
