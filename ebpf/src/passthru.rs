//! A macvlan in passthru mode above a TAP that nobody sees: two programs that have its frames arrive as at any device.
//!
//! macvlan calls every frame for one address one for this host, whoever's the address is; and what is for many arrives above as well as below, where
//! the host would hear it a second time. So below, what is for many is called somebody else's (the copy above is called right again by macvlan), and
//! what is somebody else's is marked, for the program above to call it that again.

use aya_ebpf::bindings::TC_ACT_UNSPEC;

use crate::skb::Skb;

/// `PACKET_OTHERHOST` of include/uapi/linux/if_packet.h.
const OTHER_HOST: u32 = 3;

/// The mark of a frame for another host on its way from below to above: "l2tp" in ASCII. Nobody else sees it.
const FOREIGN: u32 = 0x6c32_7470;

/// A frame that arrives below.
#[inline(always)]
pub fn below(skb: Skb) -> i32 {
    match skb.pkt_type() {
        0 => {}
        OTHER_HOST => skb.set_mark(FOREIGN),
        _ => skb.set_type(OTHER_HOST),
    }
    TC_ACT_UNSPEC
}

/// A frame that arrives above.
#[inline(always)]
pub fn above(skb: Skb) -> i32 {
    if skb.mark() == FOREIGN {
        skb.set_mark(0);
        skb.set_type(OTHER_HOST);
    }
    TC_ACT_UNSPEC
}
