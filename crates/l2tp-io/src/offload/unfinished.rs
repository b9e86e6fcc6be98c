//! Received frames that their sender left unfinished. The kernel completes checksums and cuts super-frames where a packet leaves the
//! machine; a packet from another namespace of this machine never does, and its frame comes as the sender's network stack left it.

use super::Link;
use super::checksum::Checksum;
use super::layers::{Family, IPV6_LEN, Layers, TCP, UDP, tcp_header_len};
use super::vnet::VnetHeader;

/// Octets of the longest Ethernet frame that is no super-frame on most links.
const FRAME_MAX: usize = 1514;

/// Payload of the segments of a super-frame that does not say it: what any path of IPv6 carries (1280 octets, less both headers).
const SEGMENT: u16 = 1220;

/// What is left to do about a frame that is delivered as it came: nothing, mostly.
pub(super) fn header(link: Link, frame: &[u8]) -> VnetHeader {
    rest(link, frame).unwrap_or_default()
}

fn rest(link: Link, frame: &[u8]) -> Option<VnetHeader> {
    let layers = Layers::parse(link, frame).filter(|layers| !layers.fragment)?;
    let transport = frame.get(layers.transport..packet_end(&layers, frame)?)?;
    let csum_offset = match layers.protocol {
        TCP => 16,
        UDP => 6,
        _ => return None,
    };
    let field = transport.get(csum_offset..)?.first_chunk()?;
    if *field != unfinished_sum(&layers, frame, transport.len())? {
        return None;
    }
    let mut header = VnetHeader {
        flags: VnetHeader::NEEDS_CSUM,
        csum_start: u16::try_from(layers.transport).ok()?,
        csum_offset: u16::try_from(csum_offset).ok()?,
        ..VnetHeader::default()
    };
    if layers.protocol == TCP && frame.len() > FRAME_MAX {
        header.gso_type = match layers.family {
            Family::V4 => VnetHeader::GSO_TCPV4,
            Family::V6 => VnetHeader::GSO_TCPV6,
        };
        header.hdr_len = u16::try_from(layers.transport + tcp_header_len(transport)?).ok()?;
        header.gso_size = SEGMENT;
    }
    Some(header)
}

/// Where the packet ends; behind it may be padding.
fn packet_end(layers: &Layers, frame: &[u8]) -> Option<usize> {
    let field = |at: usize| -> Option<usize> {
        let bytes = frame.get(layers.network + at..)?.first_chunk()?;
        Some(usize::from(u16::from_be_bytes(*bytes)))
    };
    let len = match layers.family {
        Family::V4 => field(2)?,
        Family::V6 => IPV6_LEN + field(4)?,
    };
    Some(layers.network + len)
}

/// What stands in a checksum that is still to be completed: the sum of the pseudo-header (`CHECKSUM_PARTIAL` of linux/skbuff.h). A finished
/// checksum is the same once in 65,536 times; it is then taken for right, as often as a broken packet is.
fn unfinished_sum(layers: &Layers, frame: &[u8], len: usize) -> Option<[u8; 2]> {
    let header = frame.get(layers.network..)?;
    let addresses = header.get(layers.family.addresses())?;
    Some(Checksum::pseudo_header(addresses, layers.protocol, u32::try_from(len).ok()?).partial())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame of TCP or UDP over IPv4 or IPv6 with so much payload, its checksum unfinished, and where that begins.
    fn frame(family: Family, protocol: u8, payload: usize) -> (Vec<u8>, usize) {
        let transport_len = if protocol == TCP { 20 } else { 8 } + payload;
        let mut frame = vec![2; 12];
        match family {
            Family::V4 => {
                frame.extend([0x08, 0x00, 0x45, 0]);
                frame.extend(u16::try_from(20 + transport_len).unwrap().to_be_bytes());
                frame.extend([0, 0, 0x40, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2]);
            }
            Family::V6 => {
                frame.extend([0x86, 0xdd, 0x60, 0, 0, 0]);
                frame.extend(u16::try_from(transport_len).unwrap().to_be_bytes());
                frame.extend([protocol, 64]);
                frame.extend([0xfd; 32]);
            }
        }
        let start = frame.len();
        frame.resize(start + transport_len, 7);
        if protocol == TCP {
            frame[start + 12] = 5 << 4;
        }
        let layers = Layers::parse(Link::Ethernet, &frame).unwrap();
        let sum = unfinished_sum(&layers, &frame, transport_len).unwrap();
        let at = start + if protocol == TCP { 16 } else { 6 };
        frame[at..at + 2].copy_from_slice(&sum);
        (frame, start)
    }

    #[test]
    fn an_unfinished_checksum_is_left_to_the_kernel() {
        for family in [Family::V4, Family::V6] {
            for (protocol, csum_offset) in [(TCP, 16), (UDP, 6)] {
                let (frame, start) = frame(family, protocol, 100);
                let told = header(Link::Ethernet, &frame);
                assert_eq!((told.flags, told.gso_type), (VnetHeader::NEEDS_CSUM, VnetHeader::GSO_NONE));
                assert_eq!((usize::from(told.csum_start), told.csum_offset), (start, csum_offset));
                let packet = header(Link::Ip, &frame[14..]);
                assert_eq!(usize::from(packet.csum_start), start - 14);
            }
        }
    }

    #[test]
    fn padding_is_no_part_of_the_packet() {
        let (mut frame, start) = frame(Family::V4, UDP, 1);
        frame.resize(60, 0);
        assert_eq!(usize::from(header(Link::Ethernet, &frame).csum_start), start);
    }

    #[test]
    fn a_long_one_is_a_super_frame_of_tcp() {
        for (family, kind) in [(Family::V4, VnetHeader::GSO_TCPV4), (Family::V6, VnetHeader::GSO_TCPV6)] {
            let (long, start) = frame(family, TCP, 30_000);
            let told = header(Link::Ethernet, &long);
            assert_eq!(
                (told.gso_type, told.gso_size, usize::from(told.hdr_len)),
                (kind, SEGMENT, start + 20)
            );
            let (long, _) = frame(family, UDP, 30_000);
            assert_eq!(header(Link::Ethernet, &long).gso_type, VnetHeader::GSO_NONE);
        }
    }

    #[test]
    fn a_finished_frame_is_left_alone() {
        for protocol in [TCP, UDP] {
            let (mut frame, start) = frame(Family::V4, protocol, 100);
            let sum = Checksum::new().bytes(&frame[start..]).finish();
            let at = start + if protocol == TCP { 16 } else { 6 };
            frame[at..at + 2].copy_from_slice(&sum);
            assert_eq!(header(Link::Ethernet, &frame), VnetHeader::default());
        }
        let (mut fragment, _) = frame(Family::V4, UDP, 100);
        fragment[20] |= 0x20;
        let (mut cut, _) = frame(Family::V4, UDP, 100);
        cut.truncate(80);
        for other in [fragment, cut, vec![0; 14], Vec::new()] {
            assert_eq!(header(Link::Ethernet, &other), VnetHeader::default());
        }
    }
}
