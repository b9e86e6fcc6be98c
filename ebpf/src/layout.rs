//! Keys and values of the maps: what the programs and their loader agree on. Both include this file.
//!
//! Numbers are the machine's unless a comment calls them network order, which is that of the bytes in packets.

/// The most sessions.
pub const SESSIONS_MAX: u32 = 65_536;

/// Bytes of an Ethernet header.
pub const ETHERNET_LEN: u32 = 14;

/// Room for the headers in front of a frame: Ethernet 14, IPv6 40, UDP 8, L2TP 20, PPP 4, rounded up.
pub const HEADERS_MAX: usize = 96;

/// The packets are IPv6. In [`TxSession::flags`] and [`RxSession::flags`].
pub const IPV6: u32 = 1;
/// The messages are in UDP.
pub const UDP: u32 = 2;
/// The messages carry PPP frames, and the device has no link layer.
pub const PPP: u32 = 4;
/// The Ethernet header of [`TxSession::headers`] is that of the next hop; without this the kernel finds it, packet by packet.
pub const LINK: u32 = 8;
/// Frames arrive at [`RxSession::ifindex`]; without this they leave by it.
pub const ARRIVE: u32 = 16;

/// What the way out has to know of a session. Its key is the index of the device, a `u32`.
#[repr(C)]
#[derive(Clone, Copy)]
pub struct TxSession {
    /// The `flags` of `bpf_skb_adjust_room` for a frame without VLAN tag.
    pub room_flags: u64,
    /// All headers in front of a frame, Ethernet first. Lengths, IPv4 id and IPv4 checksum are 0. Aligned to 8.
    pub headers: [u8; HEADERS_MAX],
    /// How long they are.
    pub headers_len: u32,
    /// How much of them a packet counts: from the L2TP header on.
    pub counted_len: u32,
    /// The longest IP packet.
    pub mtu: u32,
    /// Ones' complement sum of the IPv4 header in 16-bit words as they lie in memory.
    pub checksum: u32,
    /// `skb->mark` of the packets.
    pub mark: u32,
    /// Index of the device by which they leave.
    pub ifindex: u32,
    /// Key of the session's [`Counters`].
    pub handle: u32,
    /// [`IPV6`], [`UDP`], [`PPP`], [`LINK`].
    pub flags: u32,
    /// Index of the device that cuts super-frames of TCP before they get headers, and has each piece come to `l2tp_cut`; 0 where none has to.
    pub cutter: u32,
}

/// By what a message finds its session.
#[repr(C)]
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RxKey {
    /// The message's session id, in L2TPv2 its tunnel id and session id; network order.
    pub id: u32,
    /// The UDP port that it came to, network order; 0 for IP.
    pub port: u16,
    /// [`IPV6`] and [`UDP`].
    pub flags: u8,
    /// 2 or 3.
    pub version: u8,
}

/// Bytes of a message that say whether it is as its session wants it. Over UDP they start at the L2TP header, over IP four bytes before it.
pub const PATTERN_LEN: usize = 20;
/// These bytes as they stand in the packet, in words.
pub type Words = [u32; PATTERN_LEN / 4];

/// What the way in has to know of a session. Its key is [`RxKey`].
#[repr(C)]
#[derive(Clone, Copy)]
pub struct RxSession {
    /// The peer's address and ours, as they stand in the packet; of IPv4 the first word only.
    pub addresses: [u64; 4],
    /// How the message starts, where [`Self::mask`] has a bit: version, flags, ids, cookie, the S bit of a sublayer.
    pub pattern: Words,
    /// What of it counts.
    pub mask: Words,
    /// The peer's port and ours, as they stand in the packet; 0 for IP.
    pub ports: u32,
    /// Bytes from the start of [`Self::pattern`] to the frame, or to PPP's address, control or protocol.
    pub frame_at: u32,
    /// Index of the device of the frames.
    pub ifindex: u32,
    /// Key of the session's [`Counters`].
    pub handle: u32,
    /// [`IPV6`], [`UDP`], [`PPP`], [`ARRIVE`].
    pub flags: u32,
    /// Keeps the size a multiple of 8.
    pub padding: u32,
}

/// What one CPU has carried of a session.
#[repr(C)]
#[derive(Clone, Copy, Default)]
pub struct CpuCounters {
    /// Packets received, each segment of a super-frame one.
    pub rx_packets: u64,
    /// Bytes of them from the L2TP header on.
    pub rx_bytes: u64,
    /// Packets sent.
    pub tx_packets: u64,
    /// Bytes of them from the L2TP header on.
    pub tx_bytes: u64,
    /// IPv4 id of the next packet; each CPU starts elsewhere.
    pub next_id: u64,
}
