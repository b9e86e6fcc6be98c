//! The numbers of `include/uapi/linux/l2tp.h` and the family's policy.

use crate::genl::ctrl::Operation;
use crate::genl::{GENL_CMD_CAP_DO, GENL_CMD_CAP_DUMP, GENL_CMD_CAP_HASPOL, GENL_UNS_ADMIN_PERM};
use crate::nl::{Policy, Rule};

/// The family's name (`L2TP_GENL_NAME`).
pub const L2TP_GENL_NAME: &str = "l2tp";
/// The family's version (`L2TP_GENL_VERSION`).
pub const L2TP_GENL_VERSION: u8 = 1;
/// The family's multicast group (`L2TP_GENL_MCGROUP`).
pub const L2TP_GENL_MCGROUP: &str = "l2tp";
/// The highest attribute type.
pub const L2TP_ATTR_MAX: u16 = L2TP_ATTR_PAD;

/// Does nothing; anybody may.
pub const L2TP_CMD_NOOP: u8 = 0;
/// Makes a tunnel.
pub const L2TP_CMD_TUNNEL_CREATE: u8 = 1;
/// Removes a tunnel and its sessions.
pub const L2TP_CMD_TUNNEL_DELETE: u8 = 2;
/// Changes nothing; notifies.
pub const L2TP_CMD_TUNNEL_MODIFY: u8 = 3;
/// Shows a tunnel, or all.
pub const L2TP_CMD_TUNNEL_GET: u8 = 4;
/// Makes a session.
pub const L2TP_CMD_SESSION_CREATE: u8 = 5;
/// Removes a session.
pub const L2TP_CMD_SESSION_DELETE: u8 = 6;
/// Changes a session's sequencing, role and reorder timeout.
pub const L2TP_CMD_SESSION_MODIFY: u8 = 7;
/// Shows a session, or all.
pub const L2TP_CMD_SESSION_GET: u8 = 8;

/// u16: `L2TP_PWTYPE_…`.
pub const L2TP_ATTR_PW_TYPE: u16 = 1;
/// u16: `L2TP_ENCAPTYPE_…`.
pub const L2TP_ATTR_ENCAP_TYPE: u16 = 2;
/// u16, ignored.
pub const L2TP_ATTR_OFFSET: u16 = 3;
/// u8, ignored.
pub const L2TP_ATTR_DATA_SEQ: u16 = 4;
/// u8: `L2TP_L2SPECTYPE_…`; never in a reply.
pub const L2TP_ATTR_L2SPEC_TYPE: u16 = 5;
/// u8, ignored.
pub const L2TP_ATTR_L2SPEC_LEN: u16 = 6;
/// u8: 2 or 3.
pub const L2TP_ATTR_PROTO_VERSION: u16 = 7;
/// Text, at most 15 bytes and a NUL.
pub const L2TP_ATTR_IFNAME: u16 = 8;
/// u32: our tunnel id.
pub const L2TP_ATTR_CONN_ID: u16 = 9;
/// u32: the peer's tunnel id.
pub const L2TP_ATTR_PEER_CONN_ID: u16 = 10;
/// u32: our session id.
pub const L2TP_ATTR_SESSION_ID: u16 = 11;
/// u32: the peer's session id.
pub const L2TP_ATTR_PEER_SESSION_ID: u16 = 12;
/// u8; in a request its presence counts, whatever its value.
pub const L2TP_ATTR_UDP_CSUM: u16 = 13;
/// u16, 1 to 4094: the VLAN of a pseudowire of type 4. The kernel never uses it.
pub const L2TP_ATTR_VLAN_ID: u16 = 14;
/// 0 to 8 bytes: what we send.
pub const L2TP_ATTR_COOKIE: u16 = 15;
/// 0 to 8 bytes: what we expect.
pub const L2TP_ATTR_PEER_COOKIE: u16 = 16;
/// u32, ignored; in replies 0.
pub const L2TP_ATTR_DEBUG: u16 = 17;
/// u8, of which the lowest bit counts.
pub const L2TP_ATTR_RECV_SEQ: u16 = 18;
/// u8, of which the lowest bit counts.
pub const L2TP_ATTR_SEND_SEQ: u16 = 19;
/// u8, of which the lowest bit counts.
pub const L2TP_ATTR_LNS_MODE: u16 = 20;
/// u8, in replies only.
pub const L2TP_ATTR_USING_IPSEC: u16 = 21;
/// u64: milliseconds.
pub const L2TP_ATTR_RECV_TIMEOUT: u16 = 22;
/// u32: a descriptor of the requester.
pub const L2TP_ATTR_FD: u16 = 23;
/// 4 bytes: local IPv4 address.
pub const L2TP_ATTR_IP_SADDR: u16 = 24;
/// 4 bytes: peer IPv4 address.
pub const L2TP_ATTR_IP_DADDR: u16 = 25;
/// u16 in machine byte order: local port.
pub const L2TP_ATTR_UDP_SPORT: u16 = 26;
/// u16 in machine byte order: peer port.
pub const L2TP_ATTR_UDP_DPORT: u16 = 27;
/// u16, ignored.
pub const L2TP_ATTR_MTU: u16 = 28;
/// u16, ignored.
pub const L2TP_ATTR_MRU: u16 = 29;
/// A nest of counters, in replies only.
pub const L2TP_ATTR_STATS: u16 = 30;
/// 16 bytes: local IPv6 address.
pub const L2TP_ATTR_IP6_SADDR: u16 = 31;
/// 16 bytes: peer IPv6 address.
pub const L2TP_ATTR_IP6_DADDR: u16 = 32;
/// A flag: over IPv6, no checksum is sent.
pub const L2TP_ATTR_UDP_ZERO_CSUM6_TX: u16 = 33;
/// A flag: over IPv6, packets without checksum are taken.
pub const L2TP_ATTR_UDP_ZERO_CSUM6_RX: u16 = 34;
/// Padding before 64-bit values on some machines.
pub const L2TP_ATTR_PAD: u16 = 35;

/// u64.
pub const L2TP_ATTR_TX_PACKETS: u16 = 1;
/// u64.
pub const L2TP_ATTR_TX_BYTES: u16 = 2;
/// u64.
pub const L2TP_ATTR_TX_ERRORS: u16 = 3;
/// u64.
pub const L2TP_ATTR_RX_PACKETS: u16 = 4;
/// u64.
pub const L2TP_ATTR_RX_BYTES: u16 = 5;
/// u64.
pub const L2TP_ATTR_RX_SEQ_DISCARDS: u16 = 6;
/// u64.
pub const L2TP_ATTR_RX_OOS_PACKETS: u16 = 7;
/// u64.
pub const L2TP_ATTR_RX_ERRORS: u16 = 8;
/// u64.
pub const L2TP_ATTR_RX_COOKIE_DISCARDS: u16 = 10;
/// u64.
pub const L2TP_ATTR_RX_INVALID: u16 = 11;

/// Encapsulation: UDP.
pub const L2TP_ENCAPTYPE_UDP: u16 = 0;
/// Encapsulation: IP protocol 115.
pub const L2TP_ENCAPTYPE_IP: u16 = 1;

/// Pseudowire: none.
pub const L2TP_PWTYPE_NONE: u16 = 0x0000;
/// Pseudowire: one VLAN of an Ethernet.
pub const L2TP_PWTYPE_ETH_VLAN: u16 = 0x0004;
/// Pseudowire: Ethernet.
pub const L2TP_PWTYPE_ETH: u16 = 0x0005;
/// Pseudowire: PPP.
pub const L2TP_PWTYPE_PPP: u16 = 0x0007;
/// Pseudowire: PPP, access concentrator.
pub const L2TP_PWTYPE_PPP_AC: u16 = 0x0008;
/// Pseudowire: IP.
pub const L2TP_PWTYPE_IP: u16 = 0x000b;

/// No layer-2 specific sublayer.
pub const L2TP_L2SPECTYPE_NONE: u8 = 0;
/// The default sublayer of RFC 3931 section 4.6.
pub const L2TP_L2SPECTYPE_DEFAULT: u8 = 1;

/// Flags of a command that changes something.
const CHANGES: u32 = GENL_CMD_CAP_DO | GENL_CMD_CAP_HASPOL | GENL_UNS_ADMIN_PERM;
/// Flags of a command that shows something.
const SHOWS: u32 = CHANGES | GENL_CMD_CAP_DUMP;

/// The family's commands as the controller lists them.
pub const OPERATIONS: [Operation; 9] = [
    Operation { cmd: L2TP_CMD_NOOP, flags: GENL_CMD_CAP_DO | GENL_CMD_CAP_HASPOL },
    Operation { cmd: L2TP_CMD_TUNNEL_CREATE, flags: CHANGES },
    Operation { cmd: L2TP_CMD_TUNNEL_DELETE, flags: CHANGES },
    Operation { cmd: L2TP_CMD_TUNNEL_MODIFY, flags: CHANGES },
    Operation { cmd: L2TP_CMD_TUNNEL_GET, flags: SHOWS },
    Operation { cmd: L2TP_CMD_SESSION_CREATE, flags: CHANGES },
    Operation { cmd: L2TP_CMD_SESSION_DELETE, flags: CHANGES },
    Operation { cmd: L2TP_CMD_SESSION_MODIFY, flags: CHANGES },
    Operation { cmd: L2TP_CMD_SESSION_GET, flags: SHOWS },
];

/// What every command of the family accepts; the flags and the padding have no rule.
pub const POLICY: Policy<{ L2TP_ATTR_MAX as usize + 1 }> = Policy::new(&[
    (L2TP_ATTR_PW_TYPE, Rule::U16),
    (L2TP_ATTR_ENCAP_TYPE, Rule::U16),
    (L2TP_ATTR_OFFSET, Rule::U16),
    (L2TP_ATTR_DATA_SEQ, Rule::U8),
    (L2TP_ATTR_L2SPEC_TYPE, Rule::U8),
    (L2TP_ATTR_L2SPEC_LEN, Rule::U8),
    (L2TP_ATTR_PROTO_VERSION, Rule::U8),
    (L2TP_ATTR_IFNAME, Rule::NulString(15)),
    (L2TP_ATTR_CONN_ID, Rule::U32),
    (L2TP_ATTR_PEER_CONN_ID, Rule::U32),
    (L2TP_ATTR_SESSION_ID, Rule::U32),
    (L2TP_ATTR_PEER_SESSION_ID, Rule::U32),
    (L2TP_ATTR_UDP_CSUM, Rule::U8),
    (L2TP_ATTR_VLAN_ID, Rule::U16),
    (L2TP_ATTR_COOKIE, Rule::Binary(8)),
    (L2TP_ATTR_PEER_COOKIE, Rule::Binary(8)),
    (L2TP_ATTR_DEBUG, Rule::U32),
    (L2TP_ATTR_RECV_SEQ, Rule::U8),
    (L2TP_ATTR_SEND_SEQ, Rule::U8),
    (L2TP_ATTR_LNS_MODE, Rule::U8),
    (L2TP_ATTR_USING_IPSEC, Rule::U8),
    (L2TP_ATTR_RECV_TIMEOUT, Rule::Msecs),
    (L2TP_ATTR_FD, Rule::U32),
    (L2TP_ATTR_IP_SADDR, Rule::U32),
    (L2TP_ATTR_IP_DADDR, Rule::U32),
    (L2TP_ATTR_UDP_SPORT, Rule::U16),
    (L2TP_ATTR_UDP_DPORT, Rule::U16),
    (L2TP_ATTR_MTU, Rule::U16),
    (L2TP_ATTR_MRU, Rule::U16),
    (L2TP_ATTR_STATS, Rule::Nested),
    (L2TP_ATTR_IP6_SADDR, Rule::Binary(16)),
    (L2TP_ATTR_IP6_DADDR, Rule::Binary(16)),
]);
