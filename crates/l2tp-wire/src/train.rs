//! Several datagrams of one session in a row, as a sender on the same machine hands them over: a packet that nobody has cut
//! yet, because neither a card nor a UDP socket was on its way. Where the first ends is not said anywhere; but the frame in it
//! knows its own length, and behind it the header comes again.

use crate::{be16, ppp};

/// What the datagrams carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Ethernet frames.
    Ethernet,
    /// PPP frames, with or without address and control.
    Ppp,
}

/// Bytes of padding that a sender may have put behind a short frame: up to the shortest of Ethernet, without its checksum
/// (IEEE 802.3 section 4A.2.3.2.4).
const PADDED_TO: usize = 60;

/// The length of each datagram but the last, which may be shorter; all of `packet` if it is a single datagram.
///
/// `header_len` is the length of the L2TP header, of which the first `constant` bytes are the same in all.
#[must_use]
pub fn stride(packet: &[u8], header_len: usize, constant: usize, payload: Payload) -> usize {
    find(packet, header_len, constant, payload).unwrap_or(packet.len())
}

fn find(packet: &[u8], header_len: usize, constant: usize, payload: Payload) -> Option<usize> {
    let frame = packet.get(header_len..)?;
    let own = match payload {
        Payload::Ethernet => ethernet_len(frame),
        Payload::Ppp => ppp_len(frame),
    }?;
    let header = packet.get(..constant)?;
    let repeats = |stride: usize| {
        let mut others = packet.get(stride..)?.chunks(stride);
        others.all(|other| other.len() > header_len && other.starts_with(header)).then_some(stride)
    };
    // The whole of the packet is its first datagram and nothing else.
    (header_len + own..=header_len + own.max(PADDED_TO))
        .take_while(|stride| *stride < packet.len())
        .find_map(repeats)
}

/// How long an Ethernet frame says that it is, padding apart.
fn ethernet_len(frame: &[u8]) -> Option<usize> {
    let mut at = 12;
    while matches!(be16(frame, at)?, 0x8100 | 0x88a8) {
        at += 4;
    }
    let payload = frame.get(at + 2..)?;
    let len = match be16(frame, at)? {
        0x0800 | 0x86dd => ip_len(payload)?,
        // ARP for IPv4 over Ethernet.
        0x0806 => 28,
        // IEEE 802.3: a length.
        length @ ..=1500 => usize::from(length),
        _ => return None,
    };
    Some(at + 2 + len)
}

/// How long a PPP frame says that it is: IP, or a packet of a control protocol (RFC 1661 section 5).
fn ppp_len(frame: &[u8]) -> Option<usize> {
    let rest = ppp::strip_address_control(frame);
    let before = frame.len() - rest.len();
    let (protocol, field) = match *rest.first()? {
        short if short & 1 == 1 => (u16::from(short), 1),
        _ => (be16(rest, 0)?, 2),
    };
    let payload = rest.get(field..)?;
    let len = match protocol {
        0x0021 | 0x0057 => ip_len(payload)?,
        0x8000.. => usize::from(be16(payload, 2)?),
        _ => return None,
    };
    Some(before + field + len)
}

fn ip_len(packet: &[u8]) -> Option<usize> {
    match packet.first()? >> 4 {
        4 => Some(be16(packet, 2)?.into()),
        6 => Some(40 + usize::from(be16(packet, 4)?)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use std::vec;
    use std::vec::Vec;

    const HEADER: [u8; 12] = [0, 3, 0, 0, 0, 0, 0, 7, 0x40, 0, 0, 1];

    /// A datagram with an IPv4 packet of `len` bytes in an Ethernet frame; its sequence number is `ns`.
    fn datagram(ns: u8, len: u8) -> Vec<u8> {
        let mut out = HEADER.to_vec();
        out[11] = ns;
        out.extend([0; 12]);
        out.extend([8, 0, 0x45, 0, 0, len]);
        out.resize(12 + 14 + usize::from(len), 9);
        out
    }

    fn cut(packet: &[u8]) -> Vec<usize> {
        packet.chunks(stride(packet, 12, 8, Payload::Ethernet)).map(<[u8]>::len).collect()
    }

    #[test]
    fn trains_are_cut_and_single_datagrams_are_not() {
        assert_eq!(cut(&datagram(1, 100)), [126]);
        assert_eq!(cut(&[datagram(1, 100), datagram(2, 100), datagram(3, 20)].concat()), [126, 126, 46]);
        // Padded behind a short packet.
        let padded = |ns| [datagram(ns, 20), vec![0; 26]].concat();
        assert_eq!(cut(&padded(1)), [72]);
        assert_eq!(cut(&[padded(1), padded(2)].concat()), [72, 72]);
        // What only looks like a second one: within the first, or of another session, or cut short.
        let mut inside = datagram(1, 200);
        inside[100..112].copy_from_slice(&HEADER);
        assert_eq!(cut(&inside), [226]);
        let mut other = [datagram(1, 100), datagram(2, 100)].concat();
        other[126 + 7] = 8;
        assert_eq!(cut(&other), [252]);
        assert_eq!(cut(&[datagram(1, 100), HEADER.to_vec()].concat()), [138]);
        // A frame that does not say how long it is.
        let mut unknown = [datagram(1, 100), datagram(2, 100)].concat();
        unknown[24] = 0x12;
        assert_eq!(cut(&unknown), [252]);
    }

    #[test]
    fn lengths_of_frames() {
        let ethernet = |kind: [u8; 2], rest: &[u8]| [&[0; 12][..], &kind, rest].concat();
        assert_eq!(ethernet_len(&ethernet([0x86, 0xdd], &[0x60, 0, 0, 0, 0, 9])), Some(14 + 49));
        assert_eq!(ethernet_len(&ethernet([8, 6], &[])), Some(14 + 28));
        assert_eq!(ethernet_len(&ethernet([0, 38], &[])), Some(14 + 38));
        assert_eq!(ethernet_len(&ethernet([0x81, 0], &[0, 5, 8, 6])), Some(18 + 28));
        assert_eq!(ethernet_len(&ethernet([0x88, 0xcc], &[])), None);
        assert_eq!(ethernet_len(&[0; 13]), None);
        assert_eq!(ppp_len(&[0xff, 3, 0, 0x21, 0x45, 0, 0, 30]), Some(4 + 30));
        assert_eq!(ppp_len(&[0x21, 0x45, 0, 0, 30]), Some(1 + 30));
        assert_eq!(ppp_len(&[0xff, 3, 0xc0, 0x21, 1, 1, 0, 14]), Some(4 + 14));
        assert_eq!(ppp_len(&[0, 0xfd, 1, 2]), None);
        assert_eq!(ppp_len(&[]), None);
    }
}
