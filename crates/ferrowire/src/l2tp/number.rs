//! Numbers as the C library's `strtoul` reads them with base 0, which is how `ip` reads its arguments:
//! leading white space, a sign, then decimal, octal (`0…`) or hexadecimal (`0x…`).

/// The number at the start of `text` and what follows it; `None` without a digit.
///
/// A number beyond 64 bits reads as [`u64::MAX`], and a negative one wraps, both as in C.
pub(super) fn strtoul(text: &str) -> Option<(u64, &str)> {
    let text = text.trim_start_matches([' ', '\t', '\n', '\x0b', '\x0c', '\r']);
    let (negative, text) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let (radix, digits) = radix_of(text);
    let end = digits.find(|c: char| !c.is_digit(radix)).unwrap_or(digits.len());
    let (digits, rest) = digits.split_at_checked(end)?;
    if digits.is_empty() {
        return None;
    }
    let value = match u64::from_str_radix(digits, radix) {
        Ok(value) if negative => value.wrapping_neg(),
        Ok(value) => value,
        Err(_overflow) => u64::MAX,
    };
    Some((value, rest))
}

/// The base of a number and its digits. `0x` without a hexadecimal digit is the number 0, followed by an `x`.
fn radix_of(text: &str) -> (u32, &str) {
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    match hex {
        Some(digits) if digits.starts_with(|c: char| c.is_ascii_hexdigit()) => (16, digits),
        _ if text.starts_with('0') => (8, text),
        _ => (10, text),
    }
}

/// `text` as one whole number that fits `T`.
pub(super) fn whole<T: TryFrom<u64>>(text: &str) -> Option<T> {
    match strtoul(text)? {
        (value, "") => T::try_from(value).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{strtoul, whole};

    #[test]
    fn reads_what_c_reads() {
        for (text, expected) in [
            ("10", Some((10, ""))),
            ("010", Some((8, ""))),
            ("0x10", Some((16, ""))),
            ("0Xff.1", Some((255, ".1"))),
            ("0xg", Some((0, "xg"))),
            ("08", Some((0, "8"))),
            ("0", Some((0, ""))),
            (" \t+7é", Some((7, "é"))),
            ("-1", Some((u64::MAX, ""))),
            ("-18446744073709551615", Some((1, ""))),
            ("18446744073709551616", Some((u64::MAX, ""))),
            ("-18446744073709551616", Some((u64::MAX, ""))),
            ("", None),
            ("-", None),
            ("+-1", None),
            ("x", None),
        ] {
            assert_eq!(strtoul(text), expected, "{text:?}");
        }
    }

    #[test]
    fn whole_numbers_fit_their_type() {
        assert_eq!(whole::<u32>("4294967295"), Some(u32::MAX));
        assert_eq!(whole::<u32>("4294967296"), None);
        assert_eq!(whole::<u16>("0xffff"), Some(u16::MAX));
        assert_eq!(whole::<u16>("0x10000"), None);
        assert_eq!(whole::<u32>("1x"), None);
        assert_eq!(whole::<u32>("18446744073709551616"), None);
    }
}
