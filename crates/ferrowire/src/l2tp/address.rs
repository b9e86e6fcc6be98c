//! Addresses as `ip` reads and writes them.

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::fault::Fault;
use super::number::strtoul;

/// Reads an address. `any`, `all` and `default` say that there is none.
pub(super) fn parse(text: &str) -> Result<Option<IpAddr>, Fault> {
    if matches!(text, "any" | "all" | "default") {
        return Ok(None);
    }
    let address = if text.contains(':') {
        text.parse::<Ipv6Addr>().ok().map(IpAddr::V6)
    } else {
        parse_ipv4(text).map(IpAddr::V4)
    };
    address.map(Some).ok_or_else(|| Fault::not_an_address(text))
}

/// One to four octets in any base that C knows; those left out are 0: `10.1` is 10.1.0.0.
fn parse_ipv4(text: &str) -> Option<Ipv4Addr> {
    let mut octets = [0_u8; 4];
    let mut rest = text;
    for octet in &mut octets {
        let (value, after) = strtoul(rest)?;
        *octet = u8::try_from(value).ok()?;
        if after.is_empty() {
            return Some(Ipv4Addr::from(octets));
        }
        rest = after.strip_prefix('.')?;
    }
    None
}

/// An address as the C library's `inet_ntop` writes it.
///
/// Rust differs for the IPv4-compatible addresses only: C writes `::0.1.0.2` for `::1:2`.
pub(super) fn text(address: IpAddr) -> String {
    match address {
        IpAddr::V6(v6) if is_ipv4_compatible(v6) => {
            let [.., a, b, c, d] = v6.octets();
            format!("::{}", Ipv4Addr::new(a, b, c, d))
        }
        other => other.to_string(),
    }
}

fn is_ipv4_compatible(address: Ipv6Addr) -> bool {
    matches!(address.segments(), [0, 0, 0, 0, 0, 0, seventh, _] if seventh != 0)
}

#[cfg(test)]
mod tests {
    use super::{parse, text};

    fn read(word: &str) -> Option<String> {
        parse(word).ok().map(|address| address.map_or_else(String::new, text))
    }

    #[test]
    fn reads_and_writes_as_ip_does() {
        for (word, expected) in [
            ("192.0.2.1", Some("192.0.2.1")),
            ("10.1", Some("10.1.0.0")),
            ("0x7f.0.0.010", Some("127.0.0.8")),
            ("2001:db8::1", Some("2001:db8::1")),
            ("2001:DB8:0:0:1::", Some("2001:db8:0:0:1::")),
            ("::ffff:192.0.2.1", Some("::ffff:192.0.2.1")),
            ("::1:2", Some("::0.1.0.2")),
            ("::2", Some("::2")),
            ("::", Some("::")),
            ("any", Some("")),
            ("1.2.3.4.", None),
            ("1.2.3.4.5", None),
            ("1.2.3.256", None),
            ("1..3", None),
            ("", None),
            ("fe80::1%lo", None),
        ] {
            assert_eq!(read(word).as_deref(), expected, "{word:?}");
        }
    }
}
