//! What a super-frame of TCP becomes when it is cut.

use crate::skb::{IPV4, IPV6, Skb};

/// A super-frame as packets.
#[derive(Clone, Copy)]
pub struct Segments {
    /// How many.
    pub count: u32,
    /// Bytes of the IP and TCP headers that each has.
    pub headers_len: u32,
}

const PROTOCOL_TCP: u8 = 6;

/// What a super-frame becomes whose IP header is at `ip`. `None` for anything but TCP right behind IP.
#[inline(always)]
pub fn segments(skb: Skb, ip: u32, protocol: u32, gso_size: u32) -> Option<Segments> {
    let ip_len = if protocol == IPV4 {
        let start: [u8; 10] = skb.load(ip)?;
        if start[9] != PROTOCOL_TCP {
            return None;
        }
        u32::from(start[0] & 15) * 4
    } else if protocol == IPV6 {
        let next_header: u8 = skb.load(ip + 6)?;
        if next_header != PROTOCOL_TCP {
            return None;
        }
        40
    } else {
        return None;
    };
    let offset: u8 = skb.load(ip + ip_len + 12)?;
    let headers_len = ip_len + u32::from(offset >> 4) * 4;
    let payload = skb.len().checked_sub(ip + headers_len)?;
    if gso_size == 0 {
        return None;
    }
    Some(Segments { count: payload.div_ceil(gso_size), headers_len })
}

/// Whether the frame behind an Ethernet header is TCP right behind IP.
#[inline(always)]
pub fn is_tcp(skb: Skb) -> bool {
    let at = match skb.protocol() {
        IPV4 => 14 + 9,
        IPV6 => 14 + 6,
        _ => return false,
    };
    skb.load::<u8>(at) == Some(PROTOCOL_TCP)
}
