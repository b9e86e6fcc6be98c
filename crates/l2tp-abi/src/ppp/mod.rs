//! What a program says to `/dev/ppp` and to a PPPoL2TP socket: requests of `ioctl` and their arguments.
//!
//! Source: `include/uapi/linux/ppp-ioctl.h`, `ppp_defs.h`, `if_pppol2tp.h`. Integers are in the byte order of the machine,
//! layouts are those of 64 bits.

pub mod ioctl;
mod structs;

pub use structs::{IdleTimes, L2tpStats, NpMode, NpModeRequest, UnitStats};

/// Level `SOL_PPPOL2TP` of socket options.
pub const SOL_PPPOL2TP: u32 = 273;
/// Socket option: nothing, since Linux 5.10.
pub const PPPOL2TP_SO_DEBUG: u32 = 1;
/// Socket option: refuse packets without sequence number.
pub const PPPOL2TP_SO_RECVSEQ: u32 = 2;
/// Socket option: send sequence numbers.
pub const PPPOL2TP_SO_SENDSEQ: u32 = 3;
/// Socket option: we are the LNS.
pub const PPPOL2TP_SO_LNSMODE: u32 = 4;
/// Socket option: how long a packet may wait for an earlier one, in milliseconds.
pub const PPPOL2TP_SO_REORDERTO: u32 = 5;

/// PPP protocol: IPv4.
pub const PPP_IP: u16 = 0x21;
/// PPP protocol: AppleTalk.
pub const PPP_AT: u16 = 0x29;
/// PPP protocol: IPX.
pub const PPP_IPX: u16 = 0x2b;
/// PPP protocol: TCP with a compressed header (VJ).
pub const PPP_VJC_COMP: u16 = 0x2d;
/// PPP protocol: TCP from which compression learns (VJ).
pub const PPP_VJC_UNCOMP: u16 = 0x2f;
/// PPP protocol: IPv6.
pub const PPP_IPV6: u16 = 0x57;
/// PPP protocol: MPLS unicast.
pub const PPP_MPLS_UC: u16 = 0x281;
/// PPP protocol: MPLS multicast.
pub const PPP_MPLS_MC: u16 = 0x283;
/// PPP protocol: compression control of one link of a bundle.
pub const PPP_CCPFRAG: u16 = 0x80fb;
/// PPP protocol: link control. From 0xc000 on, a protocol is the link's and not the network's.
pub const PPP_LCP: u16 = 0xc021;

/// Flag of a unit: frames from the network go to the program (demand dialling).
pub const SC_LOOP_TRAFFIC: u32 = 0x200;
/// Flag of a unit: it sends to a bundle of links.
pub const SC_MULTILINK: u32 = 0x400;
/// The flags of a unit that a program may set (`SC_FLAG_BITS`).
pub const SC_FLAG_BITS: u32 = 0x0040_4eec;
