//! The header that a TAP or TUN device with `IFF_VNET_HDR` puts before every frame.

/// `struct virtio_net_hdr` (`linux/virtio_net.h`): ten octets, its 16-bit fields in the byte order of the host,
/// as TUN uses them unless told otherwise (`TUNSETVNETLE`, `TUNSETVNETBE`).
///
/// The default value, all zero, says: one finished frame, nothing left to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VnetHeader {
    /// [`NEEDS_CSUM`](Self::NEEDS_CSUM), [`DATA_VALID`](Self::DATA_VALID).
    pub flags: u8,
    /// [`GSO_NONE`](Self::GSO_NONE) or what kind of super-frame follows, perhaps with
    /// [`GSO_ECN`](Self::GSO_ECN).
    pub gso_type: u8,
    /// Octets of Ethernet, IP and transport header. A hint: the kernel writes the length of the linear part of
    /// its buffer here, which may be less or more.
    pub hdr_len: u16,
    /// Payload octets of every segment but the last.
    pub gso_size: u16,
    /// Where the checksum begins, in octets from the start of the frame: the transport header.
    pub csum_start: u16,
    /// Where the checksum is stored, in octets from `csum_start`.
    pub csum_offset: u16,
}

impl VnetHeader {
    /// Octets on the device.
    pub const LEN: usize = 10;

    /// `VIRTIO_NET_HDR_F_NEEDS_CSUM`: the checksum field holds the pseudo-header's sum only; the sum from
    /// `csum_start` to the end is still to be added.
    pub const NEEDS_CSUM: u8 = 1;
    /// `VIRTIO_NET_HDR_F_DATA_VALID`: the checksum is known to be right.
    pub const DATA_VALID: u8 = 2;

    /// `VIRTIO_NET_HDR_GSO_NONE`: a single frame.
    pub const GSO_NONE: u8 = 0;
    /// `VIRTIO_NET_HDR_GSO_TCPV4`: TCP over IPv4.
    pub const GSO_TCPV4: u8 = 1;
    /// `VIRTIO_NET_HDR_GSO_UDP`: a UDP datagram to be cut into IPv4 fragments. Never asked for by this crate.
    pub const GSO_UDP: u8 = 3;
    /// `VIRTIO_NET_HDR_GSO_TCPV6`: TCP over IPv6.
    pub const GSO_TCPV6: u8 = 4;
    /// `VIRTIO_NET_HDR_GSO_UDP_L4`: UDP datagrams of one size and a last that may be shorter.
    pub const GSO_UDP_L4: u8 = 5;
    /// `VIRTIO_NET_HDR_GSO_ECN`: flag beside a TCP type, the first segment carries CWR (RFC 3168).
    pub const GSO_ECN: u8 = 0x80;

    /// Takes the header off `bytes` and gives it with the frame that follows; `None` below ten octets.
    pub fn parse(bytes: &[u8]) -> Option<(Self, &[u8])> {
        let (&[flags, gso_type, a, b, c, d, e, f, g, h], frame) = bytes.split_first_chunk()?;
        let header = Self {
            flags,
            gso_type,
            hdr_len: u16::from_ne_bytes([a, b]),
            gso_size: u16::from_ne_bytes([c, d]),
            csum_start: u16::from_ne_bytes([e, f]),
            csum_offset: u16::from_ne_bytes([g, h]),
        };
        Some((header, frame))
    }

    /// The ten octets, as [`parse`](Self::parse) reads them.
    pub fn emit(&self) -> [u8; Self::LEN] {
        let [a, b] = self.hdr_len.to_ne_bytes();
        let [c, d] = self.gso_size.to_ne_bytes();
        let [e, f] = self.csum_start.to_ne_bytes();
        let [g, h] = self.csum_offset.to_ne_bytes();
        [self.flags, self.gso_type, a, b, c, d, e, f, g, h]
    }

    /// Whether the frame's checksum is unfinished.
    pub(super) fn needs_csum(&self) -> bool {
        self.flags & Self::NEEDS_CSUM != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: VnetHeader =
        VnetHeader { flags: 1, gso_type: 0x81, hdr_len: 66, gso_size: 1448, csum_start: 34, csum_offset: 16 };

    #[test]
    fn layout_is_that_of_struct_virtio_net_hdr() {
        let bytes = HEADER.emit();
        assert_eq!(bytes[..2], [1, 0x81]);
        let words: Vec<u16> =
            bytes[2..].chunks_exact(2).map(|pair| u16::from_ne_bytes([pair[0], pair[1]])).collect();
        assert_eq!(words, [66, 1448, 34, 16]);
    }

    #[test]
    fn parse_undoes_emit_and_leaves_the_frame() {
        let mut bytes = HEADER.emit().to_vec();
        bytes.extend([7, 8, 9]);
        assert_eq!(VnetHeader::parse(&bytes), Some((HEADER, &[7, 8, 9][..])));
        assert_eq!(VnetHeader::parse(&bytes[..9]), None);
        assert_eq!(VnetHeader::parse(&bytes[..10]), Some((HEADER, &[][..])));
    }
}
