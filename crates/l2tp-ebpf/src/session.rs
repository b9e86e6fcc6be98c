//! What the fast path has to know of a session: values only, nothing here is asked of the kernel.

use std::net::IpAddr;
use std::num::NonZeroU32;

/// A session, as far as the fast path carries it. Each direction is there or not: what is not, or what a frame of a direction that is
/// there asks beyond this, stays with the user path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Session {
    /// Our address, by which the peer reaches us.
    pub local: IpAddr,
    /// The peer's address, of the same family.
    pub peer: IpAddr,
    /// What carries the messages.
    pub carrier: Carrier,
    /// What the messages carry.
    pub payload: Payload,
    /// The way out, if the fast path takes it.
    pub tx: Option<Tx>,
    /// The way in, if the fast path takes it.
    pub rx: Option<Rx>,
}

/// What carries the messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Carrier {
    /// UDP, without checksums.
    Udp {
        /// Our port; not 0.
        local_port: u16,
        /// The peer's port; not 0.
        peer_port: u16,
    },
    /// IP protocol 115.
    Ip,
}

/// What the messages carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Payload {
    /// Ethernet frames, as they are.
    Ethernet,
    /// PPP frames: address, control, protocol (0x0021 or 0x0057), and an IP packet. The device has no link layer.
    Ppp,
}

/// The way out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tx {
    /// Index of the device at whose [`Hook`](crate::Hook) the frames come by: one device, one session.
    pub device: u32,
    /// The L2TP header that the peer expects, at most [`Tx::HEADER_MAX`] bytes: over UDP from the flags on, over IP from the session id on; with
    /// cookie and sublayer, without PPP's address and control. Every frame has the same.
    pub header: Vec<u8>,
    /// How to the peer.
    pub route: Route,
    /// Type of service of the IPv4 packets, traffic class of the IPv6 packets.
    pub tos: u8,
    /// Time to live, hop limit.
    pub ttl: u8,
    /// Flow label of the IPv6 packets: 20 bits.
    pub flow_label: u32,
    /// `skb->mark` of the packets, as `SO_MARK` of the tunnel's socket would set it.
    pub mark: u32,
    /// Index of a device that cuts super-frames, whose pieces come to [`FastPath::attach_cutter`](crate::FastPath::attach_cutter): for Ethernet over
    /// IP, behind which the kernel cuts nothing. Without, their super-frames stay with the user path.
    pub cutter: Option<NonZeroU32>,
}

impl Tx {
    /// The longest L2TP header, in bytes: version 3 over UDP with cookie and sublayer.
    pub const HEADER_MAX: usize = 20;
}

/// How a packet gets to the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Route {
    /// Index of the device that it leaves by.
    pub ifindex: u32,
    /// The link-layer addresses, which is fastest: whoever gives them has to watch the next hop's, and to keep the kernel's knowledge of it fresh. `None`: the
    /// kernel finds route and neighbour for each packet; frames that its routing cannot take (ARP, and whatever else is not IP) stay with the user path.
    pub link: Option<Link>,
    /// Bytes of the largest IP packet that gets there. Larger frames stay with the user path, which may fragment.
    pub mtu: u32,
}

/// Link-layer addresses of an Ethernet device and of the next hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Link {
    /// That of the next hop.
    pub to: [u8; 6],
    /// That of our device.
    pub from: [u8; 6],
}

/// The way in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rx {
    /// What the peer's messages look like.
    pub pattern: Pattern,
    /// Where their frames go.
    pub deliver: Deliver,
    /// Over IPv6: whether packets without UDP checksum are allowed (`L2TP_ATTR_UDP_ZERO_CSUM6_RX`). Without it there is nothing to carry.
    pub zero_csum6: bool,
}

/// What the peer's messages look like: those that do not are left to the user path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pattern {
    /// L2TPv2, without length, sequence numbers and offset.
    V2 {
        /// Our tunnel id.
        tunnel_id: u16,
        /// Our session id.
        session_id: u16,
    },
    /// L2TPv3.
    V3 {
        /// Our session id.
        session_id: u32,
        /// The cookie that we expect, 0 to 8 bytes.
        cookie: Vec<u8>,
        /// Whether there is a default sublayer, whose S bit is clear then.
        sublayer: bool,
    },
}

/// Where received frames go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deliver {
    /// They arrive at the device of this index, as if it had received them (`BPF_F_INGRESS`): a TAP, a TUN, any device.
    At(u32),
    /// They leave by the device of this index: the hidden end of a veth, whose other end receives them.
    Through(u32),
}
