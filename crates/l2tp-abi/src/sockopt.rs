//! Numbers of socket options, by level. Source: `include/uapi/asm-generic/socket.h`, `include/uapi/linux/in.h`, `in6.h`.

/// Level `SOL_SOCKET`.
pub const SOL_SOCKET: u32 = 1;
/// `SOL_SOCKET`: the socket's type, to be read.
pub const SO_TYPE: u32 = 3;
/// `SOL_SOCKET`: the pending error, to be read.
pub const SO_ERROR: u32 = 4;
/// `SOL_SOCKET`: bytes of the send buffer.
pub const SO_SNDBUF: u32 = 7;
/// `SOL_SOCKET`: bytes of the receive buffer.
pub const SO_RCVBUF: u32 = 8;
/// `SOL_SOCKET`: the socket's protocol, to be read.
pub const SO_PROTOCOL: u32 = 38;
/// `SOL_SOCKET`: the socket's address family, to be read.
pub const SO_DOMAIN: u32 = 39;

/// Level `SOL_IP`.
pub const SOL_IP: u32 = 0;
/// `SOL_IP`: type of service.
pub const IP_TOS: u32 = 1;
/// `SOL_IP`: time to live; -1: the host's default.
pub const IP_TTL: u32 = 2;
/// `SOL_IP`: path MTU discovery, `IP_PMTUDISC_*` 0 to 5.
pub const IP_MTU_DISCOVER: u32 = 10;
/// `SOL_IP`: whether errors of the network are queued.
pub const IP_RECVERR: u32 = 11;

/// Level `SOL_IPV6`.
pub const SOL_IPV6: u32 = 41;
/// `SOL_IPV6`: hop limit; -1: the host's default.
pub const IPV6_UNICAST_HOPS: u32 = 16;
/// `SOL_IPV6`: path MTU discovery, `IPV6_PMTUDISC_*` 0 to 5.
pub const IPV6_MTU_DISCOVER: u32 = 23;
/// `SOL_IPV6`: whether errors of the network are queued.
pub const IPV6_RECVERR: u32 = 25;
/// `SOL_IPV6`: traffic class; -1: the default, 0.
pub const IPV6_TCLASS: u32 = 67;
