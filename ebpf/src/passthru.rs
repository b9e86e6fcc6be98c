//! A macvlan in passthru mode above a TAP that nobody sees: two programs that have its frames arrive as at any device.
//!
//! macvlan calls every frame for one address one for this host, whoever's the address is; and what is for many arrives above as well as below, where
//! the host would hear it a second time. So below, what is for many is called somebody else's (the copy above is called right again by macvlan), and
//! what is somebody else's is marked, for the program above to call it that again. And macvlan puts IPv4 fragments that are for many together, which
//! a bridge could not send on: they pass it as if they were for one.

use aya_ebpf::bindings::TC_ACT_UNSPEC;

use crate::skb::{IPV4, Skb};

/// `PACKET_OTHERHOST` of include/uapi/linux/if_packet.h; 0 is `PACKET_HOST`, what lies between is for many.
const OTHER_HOST: u32 = 3;

/// The mark of a frame on its way from below to above: this, and its type. Nobody else sees it.
const MARK: u32 = 0x6c32_7400;

/// Where IPv4 says behind an Ethernet header what piece of a packet it is, and the bits that are set in a fragment.
const FRAGMENT_AT: u32 = 14 + 6;
const FRAGMENT: u16 = 0x3fff_u16.to_be();

/// The bit of an Ethernet address's first byte that says that it is for many.
const GROUP: u8 = 1;

/// A frame that arrives below.
#[inline(always)]
pub fn below(skb: Skb) -> i32 {
    match skb.pkt_type() {
        0 => {}
        OTHER_HOST => skb.set_mark(MARK + OTHER_HOST),
        kind if is_fragment(skb) && set_group(skb, false).is_some() => skb.set_mark(MARK + kind),
        _ => skb.set_type(OTHER_HOST),
    }
    TC_ACT_UNSPEC
}

/// A frame that arrives above.
#[inline(always)]
pub fn above(skb: Skb) -> i32 {
    let kind = skb.mark() ^ MARK;
    if kind == 0 || kind > OTHER_HOST {
        return TC_ACT_UNSPEC;
    }
    skb.set_mark(0);
    if kind < OTHER_HOST {
        // What could be cleared can be set.
        let _ = set_group(skb, true);
    }
    skb.set_type(kind);
    TC_ACT_UNSPEC
}

#[inline(always)]
fn is_fragment(skb: Skb) -> bool {
    skb.protocol() == IPV4 && skb.load::<u16>(FRAGMENT_AT).is_some_and(|piece| piece & FRAGMENT != 0)
}

#[inline(always)]
fn set_group(skb: Skb, on: bool) -> Option<()> {
    let first = skb.load::<u8>(0)?;
    let first = if on { first | GROUP } else { first & !GROUP };
    skb.store(0, &first, 1)
}
