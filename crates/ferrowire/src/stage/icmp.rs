//! ICMP echo as bytes: RFC 792 for IPv4, RFC 4443 section 4 for IPv6.

/// Bytes before the payload: type, code, checksum, identifier, sequence number.
pub(super) const HEADER_BYTES: usize = 8;

/// Which ICMP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// For IPv4. Its raw sockets hand up the IP header too, and leave the checksum to us.
    V4,
    /// For IPv6. The kernel computes and verifies the checksum, which covers addresses.
    V6,
}

impl Version {
    const fn request_type(self) -> u8 {
        match self {
            Self::V4 => 8,
            Self::V6 => 128,
        }
    }

    const fn reply_type(self) -> u8 {
        match self {
            Self::V4 => 0,
            Self::V6 => 129,
        }
    }

    /// Bytes of an IP header without options.
    pub(super) const fn ip_header_bytes(self) -> usize {
        match self {
            Self::V4 => 20,
            Self::V6 => 40,
        }
    }
}

/// An echo request with `payload` bytes, which differ from those of the request before it.
pub(super) fn request(version: Version, ident: u16, sequence: u16, payload: usize) -> Vec<u8> {
    let mut message = vec![version.request_type(), 0, 0, 0];
    message.extend(ident.to_be_bytes());
    message.extend(sequence.to_be_bytes());
    let [_, first] = sequence.to_be_bytes();
    message.extend((0..=u8::MAX).cycle().skip(first.into()).take(payload));
    if version == Version::V4 {
        let sum = checksum(&message);
        message.splice(2..4, sum.to_be_bytes());
    }
    message
}

/// Whether `received`, as a raw socket hands it up, answers `request` and carries what that carried.
pub(super) fn answers(version: Version, received: &[u8], request: &[u8]) -> bool {
    let message = match version {
        Version::V4 => after_ipv4_header(received).filter(|message| checksum(message) == 0),
        Version::V6 => Some(received),
    };
    let Some([kind, 0, _, _, echoed @ ..]) = message else { return false };
    *kind == version.reply_type() && request.get(4..) == Some(echoed)
}

/// What follows the IPv4 header (RFC 791 section 3.1: its length in words is the low half of the first byte).
fn after_ipv4_header(packet: &[u8]) -> Option<&[u8]> {
    packet.get(usize::from(packet.first()? & 0x0f) * 4..)
}

/// The Internet checksum (RFC 1071) of `bytes`; 0 if they hold their own.
fn checksum(bytes: &[u8]) -> u16 {
    let (words, odd) = bytes.as_chunks::<2>();
    let last = odd.first().map_or(0, |byte| u16::from_be_bytes([*byte, 0]));
    let sum = words.iter().fold(u64::from(last), |sum, word| sum + u64::from(u16::from_be_bytes(*word)));
    // The carries of the sum's upper words are ones too, and adding them is what the remainder by 0xffff is.
    let folded = if sum == 0 { 0 } else { (sum - 1) % 0xffff + 1 };
    !u16::try_from(folded).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Version, answers, checksum, request};

    /// What a host makes of a request, behind an IPv4 header of `words` words.
    fn reply(version: Version, request: &[u8], words: u8) -> Vec<u8> {
        let mut message = request.to_vec();
        message[0] = version.reply_type();
        if version == Version::V6 {
            return message;
        }
        message[2..4].fill(0);
        let sum = checksum(&message);
        message[2..4].copy_from_slice(&sum.to_be_bytes());
        let mut packet = vec![0x40 | words; usize::from(words) * 4];
        packet.extend(message);
        packet
    }

    /// The example of RFC 1071 section 3, and a request seen on a network.
    #[test]
    fn checksums_of_others() {
        assert_eq!(checksum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7]), !0xddf2);
        let mut seen = vec![0x08, 0x00, 0x4d, 0x56, 0x00, 0x01, 0x00, 0x05];
        seen.extend(b"abcdefghijklmnopqrstuvwabcdefghi");
        assert_eq!(checksum(&seen), 0);
        seen[2..4].fill(0);
        assert_eq!(checksum(&seen), 0x4d56);
        assert_eq!(checksum(&[]), 0xffff);
        assert_eq!(checksum(&[0xff; 65_535]), 0x00ff);
    }

    #[test]
    fn a_request_has_the_layout_of_the_rfc() {
        let message = request(Version::V4, 0x1234, 0x0102, 3);
        assert_eq!((message[0], message[1]), (8, 0));
        assert_eq!(message[4..], [0x12, 0x34, 0x01, 0x02, 2, 3, 4]);
        assert_eq!(checksum(&message), 0);
        assert_eq!(request(Version::V6, 0x1234, 0x01ff, 2), [128, 0, 0, 0, 0x12, 0x34, 0x01, 0xff, 255, 0]);
    }

    #[test]
    fn only_the_answer_answers() {
        for version in [Version::V4, Version::V6] {
            let asked = request(version, 7, 9, 56);
            let good = reply(version, &asked, 5);
            assert!(answers(version, &good, &asked));
            assert!(!answers(version, &asked, &asked));
            assert!(!answers(version, &good, &request(version, 7, 10, 56)));
            assert!(!answers(version, &good, &request(version, 8, 9, 56)));
            for at in 0..good.len() {
                assert!(!answers(version, &good[..at], &asked));
            }
            let first = if version == Version::V4 { 20 } else { 4 };
            for at in first..good.len() {
                let mut bad = good.clone();
                bad[at] ^= 0x10;
                assert!(!answers(version, &bad, &asked), "byte {at}");
            }
        }
        let asked = request(Version::V4, 1, 2, 5);
        assert!(answers(Version::V4, &reply(Version::V4, &asked, 15), &asked));
    }

    #[test]
    fn any_bytes_give_an_answer() {
        let asked = request(Version::V4, 1, 2, 8);
        for first in 0..=u8::MAX {
            for length in 0..80 {
                let bytes = vec![first; length];
                assert!(!answers(Version::V4, &bytes, &asked));
                assert!(!answers(Version::V6, &bytes, &asked));
            }
        }
    }
}
