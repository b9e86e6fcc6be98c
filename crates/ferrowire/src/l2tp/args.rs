//! A cursor over the words of a command, and the values that options take.

use core::slice::Iter;

use super::fault::Fault;
use super::number;

/// The words of a command that are still to be read.
pub(super) struct Args<'a>(Iter<'a, String>);

impl<'a> Args<'a> {
    pub(super) fn new(words: &'a [String]) -> Self {
        Self(words.iter())
    }

    /// The next option, if any is left.
    pub(super) fn option(&mut self) -> Option<&'a str> {
        self.0.next().map(String::as_str)
    }

    /// The value of the option read last.
    pub(super) fn value(&mut self) -> Result<&'a str, Fault> {
        self.option().ok_or_else(Fault::incomplete)
    }

    /// A whole number that fits `T`; `why` says what a wrong one is.
    pub(super) fn number<T: TryFrom<u64>>(&mut self, why: &str) -> Result<T, Fault> {
        let word = self.value()?;
        number::whole(word).ok_or_else(|| Fault::wrong(word, why))
    }

    /// A tunnel or session id.
    pub(super) fn id(&mut self) -> Result<u32, Fault> {
        self.number("invalid ID\n")
    }

    /// A UDP port.
    pub(super) fn port(&mut self) -> Result<u16, Fault> {
        self.number("invalid port\n")
    }

    /// `on` or `off`, in full.
    pub(super) fn on_off(&mut self, option: &str) -> Result<bool, Fault> {
        match self.value()? {
            "on" => Ok(true),
            "off" => Ok(false),
            other => Err(Fault::wrong(other, &format!("invalid option for {option}\n"))),
        }
    }

    /// A name that an interface may have. The kernel refuses a few more, such as `.` and `..`.
    pub(super) fn ifname(&mut self) -> Result<&'a str, Fault> {
        let word = self.value()?;
        let bad = |c: u8| c == b'/' || c.is_ascii_whitespace() || c == b'\x0b';
        if word.is_empty() || word.len() >= IFNAMSIZ || word.bytes().any(bad) {
            return Err(Fault::wrong(word, "\"name\" not a valid ifname"));
        }
        Ok(word)
    }

    /// A cookie: 8 or 16 hexadecimal digits, 4 or 8 bytes in the order of the wire.
    pub(super) fn cookie(&mut self) -> Result<Vec<u8>, Fault> {
        let word = self.value()?;
        if word.len() != 8 && word.len() != 16 {
            return Err(Fault::wrong(word, "cookie must be either 8 or 16 hex digits\n"));
        }
        hex(word).ok_or_else(|| Fault::wrong(word, "cookie must be a hex string\n"))
    }
}

/// The size of an interface's name with its NUL (`include/uapi/linux/if.h`).
const IFNAMSIZ: usize = 16;

/// The bytes that pairs of hexadecimal digits stand for.
fn hex(text: &str) -> Option<Vec<u8>> {
    text.as_bytes()
        .chunks(2)
        .map(|pair| match pair {
            [high, low] => Some(nibble(*high)? << 4 | nibble(*low)?),
            _ => None,
        })
        .collect()
}

fn nibble(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}
