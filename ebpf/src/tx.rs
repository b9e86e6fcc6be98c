//! Frames on their way out.

use aya_ebpf::bindings::TC_ACT_SHOT;

use crate::layout::{CpuCounters, ETHERNET_LEN, IPV6, LINK, PPP, TxSession, UDP};
use crate::skb::{self, EALREADY, SERVICE_VLAN, Skb, Tag, VLAN};
use crate::tcp::{is_tcp, segments};
use crate::{COUNTERS, TX};

/// The `flags` of `bpf_skb_adjust_room` have the length of the inner Ethernet header from here on.
const ENCAP_L2_SHIFT: u32 = 56;
/// Bytes of a VLAN tag.
const TAG_LEN: u32 = 4;
/// The largest IP packet.
const IP_MAX: u32 = 65_535;
/// PPP's protocol field of an IPv6 packet; it is that of an IPv4 packet in [`TxSession::headers`].
const PPP_IPV6: u16 = 0x0057;
/// `PACKET_OTHERHOST`: a frame for another host that a bridge or the hidden end of a veth has seen.
const OTHERHOST: u32 = 3;

/// A frame, as far as it matters here.
struct Frame {
    /// Its Ethernet header; none on a device without link layer.
    link: Option<Link>,
    /// What is in it, network order.
    protocol: u32,
    /// Whether it is a super-frame.
    is_super: bool,
    /// How many packets it becomes.
    packets: u32,
    /// Bytes of the frames in them, together.
    bytes: u32,
    /// Bytes of the longest of these.
    longest: u32,
}

/// An Ethernet header, with the tag that lies beside it.
struct Link {
    addresses: [u32; 3],
    tag: Option<Tag>,
    protocol: u16,
}

/// How it leaves.
enum Way {
    /// To the Ethernet address that user space has found out.
    Known,
    /// As the kernel's table of routes says.
    Route,
    /// Not at all: there was no memory, and the frame is spoilt.
    Nowhere,
}

/// The mark of a piece of a super-frame on its way back to the device that it came by. Nobody else sees it.
const NOT_CARRIED: u32 = 0x6c32_7401;
/// The longest frame of TCP that brings nothing but an acknowledgement: Ethernet, IPv6, TCP with all its options.
const ACKNOWLEDGEMENT_MAX: u32 = 14 + 40 + 60;

/// A frame at the device of its session.
#[inline(always)]
pub fn carry(skb: Skb) -> Option<i32> {
    let ifindex = skb.ifindex();
    // SAFETY: an element is replaced, never changed.
    let session = unsafe { TX.get(&ifindex) }?;
    if session.cutter != 0 {
        if skb.mark() == NOT_CARRIED {
            return None;
        }
        // What follows a super-frame must not overtake its pieces, which wait for their turn.
        if skb.len() > ACKNOWLEDGEMENT_MAX && is_tcp(skb) {
            skb.set_mark(ifindex);
            return Some(skb::leave(session.cutter));
        }
    }
    carry_for(skb, session)
}

/// A piece of a super-frame, with the device that it came by as its mark. What is not carried goes back there, and is the user path's.
#[inline(always)]
pub fn carry_piece(skb: Skb) -> i32 {
    let ifindex = skb.mark();
    // SAFETY: as in `carry`.
    let session = unsafe { TX.get(&ifindex) };
    if let Some(action) = session.and_then(|session| carry_for(skb, session)) {
        return action;
    }
    skb.set_mark(NOT_CARRIED);
    skb::leave(ifindex)
}

#[inline(always)]
fn carry_for(skb: Skb, session: &TxSession) -> Option<i32> {
    let frame = Frame::look(skb, session)?;
    let overhead = session.headers_len - ETHERNET_LEN;
    if frame.longest + overhead > session.mtu || skb.len() + TAG_LEN + overhead > IP_MAX {
        return None;
    }
    let counters = COUNTERS.get_ptr_mut(&session.handle)?;
    let way = make_room(skb, session, &frame)?;
    // From here on the frame is no longer what it was.
    // SAFETY: this CPU's, and no other program runs on it meanwhile.
    let counters = unsafe { &mut *counters };
    let emitted = emit(skb, session, &frame, counters.next_id as u16);
    if emitted.is_none() || matches!(way, Way::Nowhere) {
        return Some(TC_ACT_SHOT);
    }
    count(counters, session, &frame);
    let is_known = matches!(way, Way::Known);
    Some(if is_known { skb::leave(session.ifindex) } else { skb::leave_by_route(session.ifindex) })
}

impl Frame {
    /// What a frame is and becomes; `None` for what cannot be carried.
    #[inline(always)]
    fn look(skb: Skb, session: &TxSession) -> Option<Self> {
        let protocol = skb.protocol();
        let link = if session.flags & PPP == 0 { Some(Link::read(skb)?) } else { None };
        if link.is_none() && !skb::is_ip(protocol) {
            return None;
        }
        let tag_len = if link.as_ref().is_some_and(Link::is_tagged) { TAG_LEN } else { 0 };
        let gso_size = skb.gso_size();
        if gso_size == 0 {
            let bytes = skb.len() + tag_len;
            return Some(Self { link, protocol, is_super: false, packets: 1, bytes, longest: bytes });
        }
        if session.flags & UDP == 0 {
            return None;
        }
        let ip = if link.is_some() { ETHERNET_LEN } else { 0 };
        let segments = segments(skb, ip, protocol, gso_size)?;
        let headers = ip + tag_len + segments.headers_len;
        let bytes = skb.len() + tag_len + (segments.count - 1) * headers;
        Some(Self {
            link,
            protocol,
            is_super: true,
            packets: segments.count,
            bytes,
            longest: headers + gso_size,
        })
    }

    /// Bytes of its Ethernet header.
    #[inline(always)]
    fn link_len(&self) -> u32 {
        self.link.as_ref().map_or(0, Link::len)
    }

    #[inline(always)]
    fn is_tagged(&self) -> bool {
        self.link.as_ref().is_some_and(Link::is_tagged)
    }
}

impl Link {
    #[inline(always)]
    fn read(skb: Skb) -> Option<Self> {
        Some(Self { addresses: skb.load(0)?, tag: skb.tag(), protocol: skb.read(12)? })
    }

    #[inline(always)]
    fn len(&self) -> u32 {
        if self.is_tagged() { ETHERNET_LEN + TAG_LEN } else { ETHERNET_LEN }
    }

    #[inline(always)]
    fn is_tagged(&self) -> bool {
        self.tag.is_some()
    }

    /// Writes it in front of what it was in front of; a tag is in it now.
    #[inline(always)]
    fn emit(&self, skb: Skb, at: u32) -> Option<()> {
        let Self { addresses, protocol, .. } = *self;
        let Some(tag) = self.tag else {
            return skb.store(at, &Untagged { addresses, protocol }, ETHERNET_LEN);
        };
        skb.forget_tag()?;
        let tagged = Tagged { addresses, tag_protocol: tag.protocol, tci: tag.tci.to_be(), protocol };
        skb.store(at, &tagged, ETHERNET_LEN + TAG_LEN)
    }
}

/// An Ethernet header, network order.
#[repr(C)]
struct Untagged {
    addresses: [u32; 3],
    protocol: u16,
}

/// An Ethernet header with a VLAN tag, network order.
#[repr(C)]
struct Tagged {
    addresses: [u32; 3],
    tag_protocol: u16,
    tci: u16,
    protocol: u16,
}

/// Makes room for all headers, a copy of the frame's own included. `None`: the frame is as it was.
#[inline(always)]
fn make_room(skb: Skb, session: &TxSession, frame: &Frame) -> Option<Way> {
    let room = session.headers_len - ETHERNET_LEN + frame.link_len();
    let way = if session.flags & LINK != 0 { Way::Known } else { Way::Route };
    if skb::is_ip(frame.protocol) {
        let tag = if frame.is_tagged() { u64::from(TAG_LEN) << ENCAP_L2_SHIFT } else { 0 };
        match skb.adjust_room(room as i32, session.room_flags + tag) {
            0 if frame.link.is_some() => return Some(way),
            0 => return Some(skb.change_head(ETHERNET_LEN).map_or(Way::Nowhere, |()| way)),
            // It has come out of a tunnel and is marked so still. That does no harm to a plain frame, nor to a super-frame of the same shape.
            EALREADY if !frame.is_super || skb.has_past(frame.link_len()) => {}
            _ => return None,
        }
    }
    // What follows leaves `skb->protocol` as it is, and the kernel's routing goes by that.
    let outer = if session.flags & IPV6 == 0 { skb::IPV4 } else { skb::IPV6 };
    // Only routing tells the kernel where the outer IP header is, which it has to know to cut a super-frame.
    let way = if frame.is_super { Way::Route } else { way };
    if matches!(way, Way::Route) && frame.protocol != outer {
        return None;
    }
    // Two tags, one of them beside the frame: that one could not be taken away alone.
    if frame.is_tagged() && (frame.protocol == VLAN || frame.protocol == SERVICE_VLAN) {
        return None;
    }
    let bare = if frame.link.is_some() { 0 } else { ETHERNET_LEN };
    skb.change_head(room + bare)?;
    Some(way)
}

/// Writes all headers into the room.
#[inline(always)]
fn emit(skb: Skb, session: &TxSession, frame: &Frame, id: u16) -> Option<()> {
    let headers_len = session.headers_len;
    // The mask tells the verifier what the loader has made sure of: not 0, and not beyond the element.
    skb.store(0, &session.headers, ((headers_len - 1) & 127) + 1)?;
    match &frame.link {
        Some(link) => link.emit(skb, headers_len)?,
        None if frame.protocol == skb::IPV6 => skb.store(headers_len - 2, &PPP_IPV6.to_be(), 2)?,
        None => {}
    }
    if skb.pkt_type() == OTHERHOST {
        skb.set_for_host();
    }
    skb.set_mark(session.mark);
    let total = skb.len() - ETHERNET_LEN;
    if session.flags & IPV6 == 0 {
        emit_ipv4(skb, session, total, id)
    } else {
        emit_ipv6(skb, session, total)
    }
}

/// Writes what differs from packet to packet, from the IPv4 header's length to UDP's, which is a run of 24 bytes.
#[inline(always)]
fn emit_ipv4(skb: Skb, session: &TxSession, total: u32, id: u16) -> Option<()> {
    const AT: usize = 16;
    // SAFETY: it is in the headers, which are aligned as the element is.
    let mut run = unsafe { session.headers.as_ptr().add(AT).cast::<[u64; 3]>().read() };
    let (total_len, id) = ((total as u16).to_be(), id.to_be());
    let checksum = !fold(session.checksum + u32::from(total_len) + u32::from(id));
    // What is written here is 0 so far.
    run[0] |= skb::join([total_len, id, 0, 0]);
    run[1] |= skb::join([checksum, 0, 0, 0]);
    run[2] |= skb::join([0, 0, 0, ((total - 20) as u16).to_be()]);
    let len = if session.flags & UDP == 0 { 20 } else { 24 };
    skb.store(AT as u32, &run, len)
}

#[inline(always)]
fn emit_ipv6(skb: Skb, session: &TxSession, total: u32) -> Option<()> {
    let payload_len = ((total - 40) as u16).to_be();
    skb.store(18, &payload_len, 2)?;
    if session.flags & UDP == 0 { Some(()) } else { skb.store(58, &payload_len, 2) }
}

/// A ones' complement sum as 16 bits.
#[inline(always)]
fn fold(sum: u32) -> u16 {
    let sum = (sum & 0xffff) + (sum >> 16);
    ((sum & 0xffff) + (sum >> 16)) as u16
}

#[inline(always)]
fn count(counters: &mut CpuCounters, session: &TxSession, frame: &Frame) {
    let packets = u64::from(frame.packets);
    counters.next_id += packets;
    counters.tx_packets += packets;
    counters.tx_bytes += packets * u64::from(session.counted_len) + u64::from(frame.bytes);
}
