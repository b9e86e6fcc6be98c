//! Packets that arrive.

use aya_ebpf::bindings::{
    BPF_F_ADJ_ROOM_DECAP_L3_IPV4, BPF_F_ADJ_ROOM_DECAP_L3_IPV6, BPF_F_ADJ_ROOM_FIXED_GSO, TC_ACT_SHOT,
};

use crate::layout::{self, ARRIVE, CpuCounters, ETHERNET_LEN, PATTERN_LEN, PPP, RxKey, RxSession, UDP, Words};
use crate::skb::{self, Skb};
use crate::tcp::segments;
use crate::{COUNTERS, RX};

const PROTOCOL_UDP: u8 = 17;
const PROTOCOL_L2TP: u8 = 115;
/// How much of a packet is looked at, but for what its frame is: up to the end of the longest pattern.
const LOOKED_AT: u32 = 14 + 40 + 8 + PATTERN_LEN as u32;
/// Bytes that an IPv6 header has more than one of IPv4.
const IPV6_MORE: i32 = 40 - 20;
/// PPP's address and control fields, network order.
const ADDRESS_CONTROL: u16 = 0xff03_u16.to_be();
/// PPP's protocol fields, network order.
const PPP_IPV4: u16 = 0x0021_u16.to_be();
const PPP_IPV6: u16 = 0x0057_u16.to_be();

/// The headers up to the message.
#[derive(Clone, Copy)]
struct Outer {
    /// [`layout::IPV6`] and [`layout::UDP`].
    flags: u32,
    /// The peer's port and ours, as they stand in the packet; 0 for IP.
    ports: u32,
}

/// The frame in a message.
struct Frame {
    /// The protocol in it, network order.
    protocol: u32,
    /// How much goes from behind the outer Ethernet header.
    cut: u32,
    /// Whether it is a super-frame.
    is_super: bool,
    /// The packets that it came in.
    packets: u32,
    /// Bytes of them from the L2TP header on.
    bytes: u32,
}

#[inline(always)]
pub fn carry(skb: Skb) -> Option<i32> {
    // What is for another host, or for a VLAN of this device, is not for us.
    if skb.pkt_type() != 0 || skb.tag().is_some() {
        return None;
    }
    skb.pull(LOOKED_AT);
    let protocol: u16 = skb.read(12)?;
    if u32::from(protocol) != skb.protocol() {
        // A device without Ethernet headers.
        return None;
    }
    let outer = match u32::from(protocol) {
        skb::IPV4 => Outer::read_ipv4(skb)?,
        skb::IPV6 => Outer::read_ipv6(skb)?,
        _ => return None,
    };
    let message: Words = skb.read(outer.pattern_at())?;
    // SAFETY: an element is replaced, never changed.
    let session = unsafe { RX.get(&outer.key(&message)?) }?;
    if !outer.is_of(skb, session)? || !matches(&message, session) {
        return None;
    }
    let frame_at = outer.pattern_at() + session.frame_at;
    if session.flags & PPP == 0 {
        deliver_ethernet(skb, session, outer, frame_at)
    } else {
        deliver_ppp(skb, session, outer, frame_at)
    }
}

impl Outer {
    #[inline(always)]
    fn read_ipv4(skb: Skb) -> Option<Self> {
        let ip: [u32; 5] = skb.read(ETHERNET_LEN)?;
        let [version, _, total_len @ ..] = ip[0].to_ne_bytes();
        let [_, _, fragment @ ..] = ip[1].to_ne_bytes();
        let is_plain = version == 0x45 && (fragment[0] & 0x3f) | fragment[1] == 0;
        let is_whole = u32::from(u16::from_be_bytes(total_len)) + ETHERNET_LEN == skb.len();
        if !is_plain || !is_whole || checksum(ip) != 0xffff {
            return None;
        }
        Self::read_carrier(skb, 0, ip[2].to_ne_bytes()[1], 14 + 20)
    }

    #[inline(always)]
    fn read_ipv6(skb: Skb) -> Option<Self> {
        let ip: [u32; 2] = skb.read(ETHERNET_LEN)?;
        let [payload_len @ .., next_header, _] = ip[1].to_ne_bytes();
        let payload_len = u32::from(u16::from_be_bytes(payload_len));
        if ip[0].to_ne_bytes()[0] >> 4 != 6 || payload_len + ETHERNET_LEN + 40 != skb.len() {
            return None;
        }
        Self::read_carrier(skb, layout::IPV6, next_header, 14 + 40)
    }

    /// What is between the IP header, whose end is `at`, and the message.
    #[inline(always)]
    fn read_carrier(skb: Skb, family: u32, protocol: u8, at: u32) -> Option<Self> {
        if protocol == PROTOCOL_L2TP {
            return Some(Self { flags: family, ports: 0 });
        }
        if protocol != PROTOCOL_UDP {
            return None;
        }
        let ports: u32 = skb.read(at)?;
        let [len, checksum]: [u16; 2] = skb.read(at + 4)?;
        // Nobody would verify a checksum; and a train of datagrams, which passes a veth as one packet, always has one.
        if checksum != 0 || u32::from(u16::from_be(len)) + at != skb.len() {
            return None;
        }
        Some(Self { flags: family | UDP, ports })
    }

    /// Where the message starts.
    #[inline(always)]
    fn message_at(self) -> u32 {
        let ip = if self.flags & layout::IPV6 == 0 { 14 + 20 } else { 14 + 40 };
        if self.flags & UDP == 0 { ip } else { ip + 8 }
    }

    /// Where its pattern starts: see [`PATTERN_LEN`].
    #[inline(always)]
    fn pattern_at(self) -> u32 {
        if self.flags & UDP == 0 { self.message_at() - 4 } else { self.message_at() }
    }

    /// By what the message finds its session; `None` for one that is no data message.
    #[inline(always)]
    fn key(self, message: &Words) -> Option<RxKey> {
        let [flags, version, tunnel_id @ ..] = message[0].to_ne_bytes();
        let (version, id) = match version & 15 {
            _ if self.flags & UDP == 0 => (3, message[1]),
            _ if flags & 0x80 != 0 => return None,
            3 => (3, message[1]),
            2 => {
                let [session_id @ .., _, _] = message[1].to_ne_bytes();
                (2, u32::from_ne_bytes([tunnel_id[0], tunnel_id[1], session_id[0], session_id[1]]))
            }
            _ => return None,
        };
        let [_, _, port @ ..] = self.ports.to_ne_bytes();
        let port = u16::from_ne_bytes(port);
        Some(RxKey { id, port, flags: self.flags as u8, version })
    }

    /// Whether the packet is between the ends of the session's tunnel.
    #[inline(always)]
    fn is_of(self, skb: Skb, session: &RxSession) -> Option<bool> {
        let is_peer = if self.flags & layout::IPV6 == 0 {
            let addresses: [u32; 2] = skb.read(ETHERNET_LEN + 12)?;
            skb::join_words(addresses) == session.addresses[0]
        } else {
            let addresses: [u64; 4] = skb.read(ETHERNET_LEN + 8)?;
            let differs = |at: usize| addresses[at] ^ session.addresses[at];
            differs(0) | differs(1) | differs(2) | differs(3) == 0
        };
        Some(is_peer && self.ports == session.ports)
    }
}

/// Whether a message is as its session wants it.
#[inline(always)]
fn matches(message: &Words, session: &RxSession) -> bool {
    let differs = |at: usize| (message[at] ^ session.pattern[at]) & session.mask[at];
    differs(0) | differs(1) | differs(2) | differs(3) | differs(4) == 0
}

#[inline(always)]
fn deliver_ethernet(skb: Skb, session: &RxSession, outer: Outer, frame_at: u32) -> Option<i32> {
    // The Ethernet header and two bytes more, for words are copied in fewer steps.
    let link: [u64; 2] = skb.load(frame_at)?;
    let protocol = u32::from(skb::split(link[1])[2]);
    let frame = Frame::measure(skb, outer, protocol, frame_at + ETHERNET_LEN, frame_at)?;
    let counters = COUNTERS.get_ptr_mut(&session.handle)?;
    if !cut(skb, outer, &frame)? || skb.store(0, &link, ETHERNET_LEN).is_none() {
        return Some(TC_ACT_SHOT);
    }
    if frame.is_super {
        skb.set_past(ETHERNET_LEN);
    }
    // SAFETY: this CPU's, and no other program runs on it meanwhile.
    count(unsafe { &mut *counters }, &frame);
    Some(hand_over(session))
}

#[inline(always)]
fn deliver_ppp(skb: Skb, session: &RxSession, outer: Outer, frame_at: u32) -> Option<i32> {
    let [first, second]: [u16; 2] = skb.load(frame_at)?;
    let (protocol, packet_at) =
        if first == ADDRESS_CONTROL { (second, frame_at + 4) } else { (first, frame_at + 2) };
    let protocol = match protocol {
        PPP_IPV4 => skb::IPV4,
        PPP_IPV6 => skb::IPV6,
        _ => return None,
    };
    let frame = Frame::measure(skb, outer, protocol, packet_at, packet_at - ETHERNET_LEN)?;
    let counters = COUNTERS.get_ptr_mut(&session.handle)?;
    if !cut(skb, outer, &frame)? {
        return Some(TC_ACT_SHOT);
    }
    if frame.is_super {
        skb.set_past(0);
    }
    // SAFETY: this CPU's, and no other program runs on it meanwhile.
    count(unsafe { &mut *counters }, &frame);
    Some(hand_over(session))
}

impl Frame {
    /// The frame of a message whose `protocol` starts at `at`; `None` for a super-frame that is not TCP.
    #[inline(always)]
    fn measure(skb: Skb, outer: Outer, protocol: u32, at: u32, cut: u32) -> Option<Self> {
        let bytes = skb.len() - outer.message_at();
        let gso_size = skb.gso_size();
        if gso_size == 0 {
            return Some(Self { protocol, cut, is_super: false, packets: 1, bytes });
        }
        if outer.flags & UDP == 0 {
            return None;
        }
        let segments = segments(skb, at, protocol, gso_size)?;
        let headers = at - outer.message_at() + segments.headers_len;
        Some(Self {
            protocol,
            cut,
            is_super: true,
            packets: segments.count,
            bytes: bytes + (segments.count - 1) * headers,
        })
    }
}

/// Takes off all headers but the outer Ethernet header. `None`: the packet is as it was; `Some(false)`: it is spoilt.
#[inline(always)]
fn cut(skb: Skb, outer: Outer, frame: &Frame) -> Option<bool> {
    let fixed = u64::from(BPF_F_ADJ_ROOM_FIXED_GSO);
    let (decap, protocol, more, least) = match (outer.flags & layout::IPV6 != 0, frame.protocol) {
        (false, skb::IPV6) => (BPF_F_ADJ_ROOM_DECAP_L3_IPV6, skb::IPV6, IPV6_MORE, 40),
        (true, protocol) if protocol != skb::IPV6 => (BPF_F_ADJ_ROOM_DECAP_L3_IPV4, skb::IPV4, -IPV6_MORE, 20),
        _ => return (skb.adjust_room(-(frame.cut as i32), fixed) == 0).then_some(true),
    };
    if skb.adjust_room(-(frame.cut as i32), fixed | u64::from(decap)) == 0 {
        return Some(true);
    }
    // Before Linux 6.3 it cannot be told what the packet is now. But what goes can be called the same before.
    if skb.len() < frame.cut + ETHERNET_LEN + least {
        return None;
    }
    skb.change_protocol(protocol)?;
    Some(skb.adjust_room(-(frame.cut as i32 + more), fixed) == 0)
}

#[inline(always)]
fn hand_over(session: &RxSession) -> i32 {
    if session.flags & ARRIVE == 0 { skb::leave(session.ifindex) } else { skb::arrive(session.ifindex) }
}

#[inline(always)]
fn count(counters: &mut CpuCounters, frame: &Frame) {
    counters.rx_packets += u64::from(frame.packets);
    counters.rx_bytes += u64::from(frame.bytes);
}

/// The ones' complement sum of an IPv4 header: 0xffff if it is right.
#[inline(always)]
fn checksum(header: [u32; 5]) -> u64 {
    let sum: u64 = u64::from(header[0])
        + u64::from(header[1])
        + u64::from(header[2])
        + u64::from(header[3])
        + u64::from(header[4]);
    let sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
    (sum & 0xffff) + (sum >> 16)
}
