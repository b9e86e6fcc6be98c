//! Socket calls by message: what a program, or a launcher on its behalf, asks of a socket that the daemon holds.
//!
//! | command | request | answer |
//! |---|---|---|
//! | [`FERROWIRE_CMD_SOCKET_OPEN`] | DOMAIN | SOCKET, and beside it the descriptor that stands for the socket |
//! | [`FERROWIRE_CMD_SOCKET_BIND`], [`FERROWIRE_CMD_SOCKET_CONNECT`] | ADDRESS | |
//! | [`FERROWIRE_CMD_SOCKET_NAME`], [`FERROWIRE_CMD_SOCKET_PEER`] | | ADDRESS |
//! | [`FERROWIRE_CMD_SOCKET_SET`] | LEVEL, OPTION, BYTES | |
//! | [`FERROWIRE_CMD_SOCKET_GET`] | LEVEL, OPTION | BYTES |
//! | [`FERROWIRE_CMD_SOCKET_SEND`] | ADDRESS where one is given, BYTES | |
//! | [`FERROWIRE_CMD_SOCKET_IOCTL`] | OPTION, BYTES | BYTES |
//! | [`FERROWIRE_CMD_PPP_OPEN`] | | SOCKET, and beside it the descriptor that stands for the open file |
//! | [`FERROWIRE_CMD_PPP_STATS`] | NAME of a device | BYTES: `struct ppp_stats` |
//!
//! A request but for those that open names its socket: by the number SOCKET that came with the descriptor (its `SO_COOKIE`),
//! which only the connection that opened it and callers with privilege may use, or else by the descriptor beside it. Beside a
//! request that names its socket by number comes what the call is about: to connect a PPPoL2TP socket, what the program has
//! open at the number in the address; to ask one for its channel, the descriptor that stands for it, whose unread frames go to
//! the channel. The socket
//! lives until every copy of the descriptor is closed. What is read from it and written to it: [`crate::envelope`].
//!
//! None of them asks for privilege, as the kernel asks for none, but [`FERROWIRE_CMD_PPP_OPEN`]. Errors are those of the system call. Addresses are those of
//! [`crate::sockaddr`].

use super::{FERROWIRE_ATTR_MAX, FERROWIRE_ATTR_NAME, genl};
use crate::Errno;
use crate::genl::GenlHeader;
use crate::nl::{AttributeTable, Attributes, Header, Message, NLM_F_ACK, NLM_F_REQUEST};
use alloc::vec::Vec;

/// Command: `socket(domain, SOCK_DGRAM, IPPROTO_L2TP)`.
pub const FERROWIRE_CMD_SOCKET_OPEN: u8 = 7;
/// Command: `bind`.
pub const FERROWIRE_CMD_SOCKET_BIND: u8 = 8;
/// Command: `connect`.
pub const FERROWIRE_CMD_SOCKET_CONNECT: u8 = 9;
/// Command: `getsockname`.
pub const FERROWIRE_CMD_SOCKET_NAME: u8 = 10;
/// Command: `getpeername`.
pub const FERROWIRE_CMD_SOCKET_PEER: u8 = 11;
/// Command: `setsockopt`.
pub const FERROWIRE_CMD_SOCKET_SET: u8 = 12;
/// Command: `getsockopt`.
pub const FERROWIRE_CMD_SOCKET_GET: u8 = 13;
/// Command: `sendto`, of a control message without the four zero bytes that precede it over IP.
pub const FERROWIRE_CMD_SOCKET_SEND: u8 = 14;
/// Command: `open("/dev/ppp")`; its file takes [`FERROWIRE_CMD_SOCKET_IOCTL`].
pub const FERROWIRE_CMD_PPP_OPEN: u8 = 15;
/// Command: `ioctl`, the request in OPTION, and in BYTES what its argument points at, if it is read.
pub const FERROWIRE_CMD_SOCKET_IOCTL: u8 = 16;
/// Command: `ioctl(SIOCGPPPSTATS)` on a device.
pub const FERROWIRE_CMD_PPP_STATS: u8 = 17;

/// Attribute: u64, the number of a socket.
pub const FERROWIRE_ATTR_SOCKET: u16 = 8;
/// Attribute: u16, the address family of a new socket: 2 or 10 for L2TPIP, 24 for PPPoL2TP.
pub const FERROWIRE_ATTR_DOMAIN: u16 = 9;
/// Attribute: a socket address, at most [`ADDRESS_MAX`] bytes.
pub const FERROWIRE_ATTR_ADDRESS: u16 = 10;
/// Attribute: u32, the level of an option.
pub const FERROWIRE_ATTR_LEVEL: u16 = 11;
/// Attribute: u32, the number of an option.
pub const FERROWIRE_ATTR_OPTION: u16 = 12;
/// Attribute: the value of an option, the argument of an `ioctl`, or a message.
pub const FERROWIRE_ATTR_BYTES: u16 = 13;

/// Bytes of the longest address that a system call takes (`struct sockaddr_storage`).
pub const ADDRESS_MAX: u16 = 128;
/// Bytes of the longest message: what an IPv4 packet has room for, the four zero bytes apart.
pub const MESSAGE_MAX: u16 = 65_511;

/// A request and the number of the socket that it is about, where it has one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SocketRequest<'a> {
    /// [`FERROWIRE_ATTR_SOCKET`]. Without it, the descriptor beside the request says which socket is meant.
    pub socket: Option<u64>,
    /// What is asked.
    pub call: SocketCall<'a>,
}

/// A system call on a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SocketCall<'a> {
    /// [`FERROWIRE_CMD_SOCKET_OPEN`] of this address family.
    Open(u16),
    /// [`FERROWIRE_CMD_SOCKET_BIND`] to this address.
    Bind(&'a [u8]),
    /// [`FERROWIRE_CMD_SOCKET_CONNECT`] to this address.
    Connect(&'a [u8]),
    /// [`FERROWIRE_CMD_SOCKET_NAME`].
    Name,
    /// [`FERROWIRE_CMD_SOCKET_PEER`].
    Peer,
    /// [`FERROWIRE_CMD_SOCKET_SET`].
    Set {
        /// `level` of `setsockopt`.
        level: u32,
        /// `optname`.
        option: u32,
        /// What `optval` points at.
        value: &'a [u8],
    },
    /// [`FERROWIRE_CMD_SOCKET_GET`].
    Get {
        /// `level` of `getsockopt`.
        level: u32,
        /// `optname`.
        option: u32,
    },
    /// [`FERROWIRE_CMD_SOCKET_SEND`].
    Send {
        /// Where to; `None`: to the connected peer.
        to: Option<&'a [u8]>,
        /// The message.
        message: &'a [u8],
    },
    /// [`FERROWIRE_CMD_PPP_OPEN`].
    OpenPpp,
    /// [`FERROWIRE_CMD_SOCKET_IOCTL`].
    Ioctl {
        /// The request.
        request: u32,
        /// What its argument points at; empty for a request that only writes there.
        argument: &'a [u8],
    },
    /// [`FERROWIRE_CMD_PPP_STATS`] of the device with this name.
    PppStats(&'a [u8]),
}

impl SocketCall<'_> {
    const fn command(&self) -> u8 {
        match self {
            Self::Open(_) => FERROWIRE_CMD_SOCKET_OPEN,
            Self::Bind(_) => FERROWIRE_CMD_SOCKET_BIND,
            Self::Connect(_) => FERROWIRE_CMD_SOCKET_CONNECT,
            Self::Name => FERROWIRE_CMD_SOCKET_NAME,
            Self::Peer => FERROWIRE_CMD_SOCKET_PEER,
            Self::Set { .. } => FERROWIRE_CMD_SOCKET_SET,
            Self::Get { .. } => FERROWIRE_CMD_SOCKET_GET,
            Self::Send { .. } => FERROWIRE_CMD_SOCKET_SEND,
            Self::OpenPpp => FERROWIRE_CMD_PPP_OPEN,
            Self::Ioctl { .. } => FERROWIRE_CMD_SOCKET_IOCTL,
            Self::PppStats(_) => FERROWIRE_CMD_PPP_STATS,
        }
    }
}

impl<'a> SocketRequest<'a> {
    /// Reads the request `cmd` from its attributes.
    ///
    /// # Errors
    /// `EINVAL` where an attribute is missing, `EOPNOTSUPP` for another command.
    pub fn parse(
        cmd: u8,
        attributes: &AttributeTable<'a, { FERROWIRE_ATTR_MAX as usize + 1 }>,
    ) -> Result<Self, Errno> {
        let bytes = |kind| attributes.bytes(kind).ok_or(Errno::EINVAL);
        let number = |kind| attributes.u32(kind).ok_or(Errno::EINVAL);
        let call = match cmd {
            FERROWIRE_CMD_SOCKET_OPEN => {
                SocketCall::Open(attributes.u16(FERROWIRE_ATTR_DOMAIN).ok_or(Errno::EINVAL)?)
            }
            FERROWIRE_CMD_SOCKET_BIND => SocketCall::Bind(bytes(FERROWIRE_ATTR_ADDRESS)?),
            FERROWIRE_CMD_SOCKET_CONNECT => SocketCall::Connect(bytes(FERROWIRE_ATTR_ADDRESS)?),
            FERROWIRE_CMD_SOCKET_NAME => SocketCall::Name,
            FERROWIRE_CMD_SOCKET_PEER => SocketCall::Peer,
            FERROWIRE_CMD_SOCKET_SET => SocketCall::Set {
                level: number(FERROWIRE_ATTR_LEVEL)?,
                option: number(FERROWIRE_ATTR_OPTION)?,
                value: bytes(FERROWIRE_ATTR_BYTES)?,
            },
            FERROWIRE_CMD_SOCKET_GET => SocketCall::Get {
                level: number(FERROWIRE_ATTR_LEVEL)?,
                option: number(FERROWIRE_ATTR_OPTION)?,
            },
            FERROWIRE_CMD_SOCKET_SEND => SocketCall::Send {
                to: attributes.bytes(FERROWIRE_ATTR_ADDRESS),
                message: bytes(FERROWIRE_ATTR_BYTES)?,
            },
            FERROWIRE_CMD_PPP_OPEN => SocketCall::OpenPpp,
            FERROWIRE_CMD_SOCKET_IOCTL => SocketCall::Ioctl {
                request: number(FERROWIRE_ATTR_OPTION)?,
                argument: bytes(FERROWIRE_ATTR_BYTES)?,
            },
            FERROWIRE_CMD_PPP_STATS => {
                SocketCall::PppStats(attributes.get(FERROWIRE_ATTR_NAME).ok_or(Errno::EINVAL)?.c_str())
            }
            _ => return Err(Errno::EOPNOTSUPP),
        };
        Ok(Self { socket: attributes.u64(FERROWIRE_ATTR_SOCKET), call })
    }

    /// The request as a message to the family with id `family`, to be acknowledged.
    #[must_use]
    pub fn emit(&self, family: u16, seq: u32) -> Vec<u8> {
        let mut out = Vec::new();
        let header = Header { kind: family, flags: NLM_F_REQUEST | NLM_F_ACK, seq, port: 0 };
        let mut message = genl(self.call.command()).begin(&mut out, header);
        if let Some(socket) = self.socket {
            message.u64(FERROWIRE_ATTR_SOCKET, socket);
        }
        match self.call {
            SocketCall::Open(domain) => _ = message.u16(FERROWIRE_ATTR_DOMAIN, domain),
            SocketCall::Bind(address) | SocketCall::Connect(address) => {
                message.bytes(FERROWIRE_ATTR_ADDRESS, address);
            }
            SocketCall::Name | SocketCall::Peer | SocketCall::OpenPpp => {}
            SocketCall::Ioctl { request, argument } => {
                message.u32(FERROWIRE_ATTR_OPTION, request).bytes(FERROWIRE_ATTR_BYTES, argument);
            }
            SocketCall::PppStats(name) => _ = message.bytes(FERROWIRE_ATTR_NAME, &[name, &[0]].concat()),
            SocketCall::Set { level, option, value } => {
                message.u32(FERROWIRE_ATTR_LEVEL, level).u32(FERROWIRE_ATTR_OPTION, option);
                message.bytes(FERROWIRE_ATTR_BYTES, value);
            }
            SocketCall::Get { level, option } => {
                message.u32(FERROWIRE_ATTR_LEVEL, level).u32(FERROWIRE_ATTR_OPTION, option);
            }
            SocketCall::Send { to, message: bytes } => {
                if let Some(to) = to {
                    message.bytes(FERROWIRE_ATTR_ADDRESS, to);
                }
                message.bytes(FERROWIRE_ATTR_BYTES, bytes);
            }
        }
        message.finish();
        out
    }
}

/// What a call gave; `Done` is answered by the acknowledgement alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketAnswer {
    /// Nothing but success.
    Done,
    /// The number of a new socket, whose descriptor comes beside the answer.
    Opened(u64),
    /// An address.
    Address(Vec<u8>),
    /// The value of an option.
    Value(Vec<u8>),
}

impl SocketAnswer {
    /// Appends the answer as a message.
    pub fn emit(&self, out: &mut Vec<u8>, header: Header, cmd: u8) {
        let mut message = genl(cmd).begin(out, header);
        match self {
            Self::Done => {}
            Self::Opened(socket) => _ = message.u64(FERROWIRE_ATTR_SOCKET, *socket),
            Self::Address(address) => _ = message.bytes(FERROWIRE_ATTR_ADDRESS, address),
            Self::Value(value) => _ = message.bytes(FERROWIRE_ATTR_BYTES, value),
        }
        message.finish();
    }

    /// Reads what [`Self::emit`] wrote; `None` if it is no answer to a socket call.
    #[must_use]
    pub fn parse(message: &Message<'_>) -> Option<Self> {
        let (_, attributes) = GenlHeader::split(message.payload)?;
        let find = |kind| Attributes::new(attributes).find_last(kind);
        let opened = find(FERROWIRE_ATTR_SOCKET).and_then(|found| found.u64()).map(Self::Opened);
        let address = || find(FERROWIRE_ATTR_ADDRESS).map(|found| Self::Address(found.payload.to_vec()));
        let value = || find(FERROWIRE_ATTR_BYTES).map(|found| Self::Value(found.payload.to_vec()));
        opened.or_else(address).or_else(value)
    }
}

#[cfg(test)]
mod tests {
    use super::super::POLICY;
    use super::*;
    use crate::genl::GENL_HDRLEN;
    use crate::nl::{ExtAck, Messages, Strictness};

    #[test]
    fn requests_round_trip() {
        for call in [
            SocketCall::Open(2),
            SocketCall::Bind(b"address"),
            SocketCall::Connect(b""),
            SocketCall::Name,
            SocketCall::Peer,
            SocketCall::Set { level: 0, option: 2, value: &[1] },
            SocketCall::Get { level: 1, option: 3 },
            SocketCall::Send { to: None, message: b"" },
            SocketCall::Send { to: Some(b"address"), message: &[7; MESSAGE_MAX as usize] },
            SocketCall::OpenPpp,
            SocketCall::Ioctl { request: 0x8004_7437, argument: &[0; 4] },
            SocketCall::PppStats(b"ppp0"),
        ] {
            for socket in [None, Some(u64::MAX)] {
                let request = SocketRequest { socket, call };
                let bytes = request.emit(0x24, 1);
                let table = POLICY.validate(&bytes, GENL_HDRLEN, Strictness::Strict, &mut ExtAck::default());
                let message = Messages::new(&bytes).next().unwrap();
                let cmd = GenlHeader::split(message.payload).unwrap().0.cmd;
                assert_eq!(SocketRequest::parse(cmd, &table.unwrap()), Ok(request));
            }
        }
    }

    #[test]
    fn what_a_call_needs_must_be_there() {
        let bare = genl_request();
        let table = POLICY.validate(&bare, GENL_HDRLEN, Strictness::Strict, &mut ExtAck::default()).unwrap();
        for cmd in [7, 8, 9, 12, 13, 14, 16, 17] {
            assert_eq!(SocketRequest::parse(cmd, &table), Err(Errno::EINVAL), "command {cmd}");
        }
        assert_eq!(SocketRequest::parse(18, &table), Err(Errno::EOPNOTSUPP));
    }

    fn genl_request() -> Vec<u8> {
        SocketRequest { socket: None, call: SocketCall::Name }.emit(0x24, 1)
    }

    #[test]
    fn answers_round_trip() {
        for answer in [
            SocketAnswer::Opened(7),
            SocketAnswer::Address(alloc::vec![1, 2]),
            SocketAnswer::Value(Vec::new()),
        ] {
            let mut out = Vec::new();
            answer.emit(&mut out, Header::default(), FERROWIRE_CMD_SOCKET_GET);
            assert_eq!(SocketAnswer::parse(&Messages::new(&out).next().unwrap()), Some(answer));
        }
    }
}
