//! A packet in the kernel, and what the kernel's helpers do with it.

use core::mem::{MaybeUninit, size_of};
use core::ptr::null_mut;

use aya_ebpf::bindings::{__sk_buff, BPF_F_INGRESS};
use aya_ebpf::helpers::r#gen as helper;
use aya_ebpf::programs::TcContext;

/// `-EALREADY` of `bpf_skb_adjust_room`: the packet is marked as encapsulated.
pub const EALREADY: i64 = -114;

/// `ETH_P_IP`, `ETH_P_IPV6`, `ETH_P_8021Q`, `ETH_P_8021AD` as they stand in packets.
pub const IPV4: u32 = 0x0800_u16.to_be() as u32;
pub const IPV6: u32 = 0x86dd_u16.to_be() as u32;
pub const VLAN: u32 = 0x8100_u16.to_be() as u32;
pub const SERVICE_VLAN: u32 = 0x88a8_u16.to_be() as u32;

/// [`Skb::set_past`] has this, and the length of the inner Ethernet header.
const PAST: u32 = 0xf700;

/// The mode of `bpf_skb_adjust_room` that changes what is behind the Ethernet header.
const ADJ_ROOM_MAC: u32 = 1;

/// A VLAN tag that lies beside the packet, not in it.
#[derive(Clone, Copy)]
pub struct Tag {
    /// `ETH_P_8021Q` or `ETH_P_8021AD`, network order.
    pub protocol: u16,
    pub tci: u16,
}

/// Whether a protocol, in network order, is IP.
#[inline(always)]
pub fn is_ip(protocol: u32) -> bool {
    protocol == IPV4 || protocol == IPV6
}

/// Eight bytes as they lie in memory, as one number.
#[inline(always)]
pub fn join(parts: [u16; 4]) -> u64 {
    // SAFETY: both are eight bytes, of any value.
    unsafe { core::mem::transmute(parts) }
}

/// [`join`], backwards.
#[inline(always)]
pub fn split(number: u64) -> [u16; 4] {
    // SAFETY: as in `join`.
    unsafe { core::mem::transmute(number) }
}

/// [`join`] of two words.
#[inline(always)]
pub fn join_words(parts: [u32; 2]) -> u64 {
    // SAFETY: as in `join`.
    unsafe { core::mem::transmute(parts) }
}

/// A packet. Pointers into it hold until it is changed.
#[derive(Clone, Copy)]
pub struct Skb(*mut __sk_buff);

/// A plain field of the context.
macro_rules! field {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[inline(always)]
        pub fn $name(self) -> u32 {
            // SAFETY: the context is valid for the whole run of a program.
            unsafe { (*self.0).$name }
        }
    };
}

impl Skb {
    #[inline(always)]
    pub fn new(context: &TcContext) -> Self {
        Self(context.skb.skb)
    }

    field!(
        /// Its length, of a super-frame all of it; a tag beside it does not count.
        len
    );
    field!(
        /// Index of the device where the program is attached.
        ifindex
    );
    field!(
        /// The protocol behind the Ethernet header and a tag beside it, network order.
        protocol
    );
    field!(
        /// `PACKET_HOST` is 0: it is for this host.
        pkt_type
    );
    field!(
        /// `skb->mark`.
        mark
    );
    field!(
        /// Payload bytes of each segment of a super-frame; 0: it is none.
        gso_size
    );

    /// The tag beside it.
    #[inline(always)]
    pub fn tag(self) -> Option<Tag> {
        // SAFETY: as in `field`.
        let skb = unsafe { &*self.0 };
        (skb.vlan_present != 0).then(|| Tag { protocol: skb.vlan_proto as u16, tci: skb.vlan_tci as u16 })
    }

    /// Sets `skb->mark`, and `skb->priority` to that of a socket nobody has asked anything of.
    #[inline(always)]
    pub fn set_mark(self, mark: u32) {
        // SAFETY: as in `field`; both may be written.
        unsafe {
            (*self.0).mark = mark;
            (*self.0).priority = 0;
        }
    }

    /// Remembers that this super-frame has come out of UDP, with an Ethernet header of `link_len` bytes or none. The kernel remembers that as well, where the
    /// inner headers were included, and goes by it when it cuts the frame after it has been put into UDP once more.
    #[inline(always)]
    pub fn set_past(self, link_len: u32) {
        // SAFETY: as in `field`; it may be written, and hardly anything else uses it.
        unsafe { (*self.0).tc_index = PAST + link_len };
    }

    /// Whether that is so.
    #[inline(always)]
    pub fn has_past(self, link_len: u32) -> bool {
        // SAFETY: as in `field`.
        unsafe { (*self.0).tc_index == PAST + link_len }
    }

    /// A value at `at`, if it lies in the head of the packet. `at` is a constant, and `T` of the alignment of `at + 2`: on a machine that wants aligned loads
    /// packets start two bytes behind a multiple of four (`NET_IP_ALIGN`), and so counts its verifier.
    #[inline(always)]
    pub fn read<T: Copy>(self, at: u32) -> Option<T> {
        // SAFETY: as in `field`.
        let (start, end) = unsafe { ((*self.0).data as usize, (*self.0).data_end as usize) };
        let place = start + at as usize;
        if place + size_of::<T>() > end {
            return None;
        }
        // SAFETY: the verifier has seen the comparison, and looks at the alignment where it matters.
        Some(unsafe { (place as *const T).read() })
    }

    /// Makes sure that the first `len` bytes are in the head, as far as there are so many.
    #[inline(always)]
    pub fn pull(self, len: u32) {
        let len = len.min(self.len());
        // SAFETY: as in `field`.
        let (start, end) = unsafe { ((*self.0).data as usize, (*self.0).data_end as usize) };
        if start + len as usize > end {
            // SAFETY: a helper call.
            unsafe { helper::bpf_skb_pull_data(self.0, len) };
        }
    }

    /// A value at `at`, wherever it lies and whatever its alignment.
    #[inline(always)]
    pub fn load<T: Copy>(self, at: u32) -> Option<T> {
        let mut value = MaybeUninit::<T>::uninit();
        let len = size_of::<T>() as u32;
        // SAFETY: a helper call with a buffer of that length, which it fills.
        let error = unsafe { helper::bpf_skb_load_bytes(self.0.cast(), at, value.as_mut_ptr().cast(), len) };
        // SAFETY: it did, and only numbers and arrays of them are loaded.
        (error == 0).then(|| unsafe { value.assume_init() })
    }

    /// Writes the first `len` bytes of `bytes` at `at`; `len` is not 0.
    #[inline(always)]
    pub fn store<T>(self, at: u32, bytes: &T, len: u32) -> Option<()> {
        // SAFETY: a helper call; the verifier makes sure of the length.
        let error = unsafe { helper::bpf_skb_store_bytes(self.0, at, (&raw const *bytes).cast(), len, 0) };
        (error == 0).then_some(())
    }

    /// `bpf_skb_adjust_room` behind the Ethernet header: 0, or an error that leaves the packet as it was.
    #[inline(always)]
    pub fn adjust_room(self, by: i32, flags: u64) -> i64 {
        // SAFETY: a helper call.
        unsafe { helper::bpf_skb_adjust_room(self.0, by, ADJ_ROOM_MAC, flags) }
    }

    /// `bpf_skb_change_proto`: from IPv4 to IPv6 or back. Behind the Ethernet header there are 20 bytes more or less then, which nobody has written.
    #[inline(always)]
    pub fn change_protocol(self, protocol: u32) -> Option<()> {
        // SAFETY: a helper call.
        let error = unsafe { helper::bpf_skb_change_proto(self.0, protocol as u16, 0) };
        (error == 0).then_some(())
    }

    /// `bpf_skb_change_head`: `len` bytes more in front, zeros.
    #[inline(always)]
    pub fn change_head(self, len: u32) -> Option<()> {
        // SAFETY: a helper call.
        let error = unsafe { helper::bpf_skb_change_head(self.0, len, 0) };
        (error == 0).then_some(())
    }

    /// Forgets the tag beside the packet, which must not have another in it.
    #[inline(always)]
    pub fn forget_tag(self) -> Option<()> {
        // SAFETY: a helper call.
        let error = unsafe { helper::bpf_skb_vlan_pop(self.0) };
        (error == 0).then_some(())
    }

    /// Calls the packet one for whoever gets it.
    #[inline(always)]
    pub fn set_for_host(self) {
        self.set_type(0);
    }

    /// Says whom the packet is for (`PACKET_*`).
    #[inline(always)]
    pub fn set_type(self, kind: u32) {
        // SAFETY: a helper call.
        unsafe { helper::bpf_skb_change_type(self.0, kind) };
    }
}

/// The packet is to arrive at this device. What the program has to return.
#[inline(always)]
pub fn arrive(ifindex: u32) -> i32 {
    // SAFETY: a helper call.
    unsafe { helper::bpf_redirect(ifindex, u64::from(BPF_F_INGRESS)) as i32 }
}

/// The packet is to leave by this device, as it is.
#[inline(always)]
pub fn leave(ifindex: u32) -> i32 {
    // SAFETY: a helper call.
    unsafe { helper::bpf_redirect(ifindex, 0) as i32 }
}

/// The packet is to leave by this device, to whom the kernel's table of routes says. It must be of the family that `skb->protocol` says.
#[inline(always)]
pub fn leave_by_route(ifindex: u32) -> i32 {
    // Told the next hop itself the kernel would look for none, but a packet that waits for the neighbour's address would then leave by the route that it came
    // here by, with the wrong Ethernet header or none.
    // SAFETY: a helper call.
    unsafe { helper::bpf_redirect_neigh(ifindex, null_mut(), 0, 0) as i32 }
}
