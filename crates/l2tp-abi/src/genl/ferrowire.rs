//! The "ferrowire" generic netlink family: what an operator sees beyond the kernel's API. Counters, the kernel's debug
//! texts, deaths that no command asked for, and multicast groups for programs whose socket has no options.
//!
//! | command | form | request | answer |
//! |---|---|---|---|
//! | [`FERROWIRE_CMD_STATS`] | dump | | a message a counter: NAME, VALUE |
//! | [`FERROWIRE_CMD_DEBUG_TUNNELS`] | dump | | messages with TEXT, to be joined: debugfs `l2tp/tunnels` |
//! | [`FERROWIRE_CMD_DEBUG_PPPOL2TP`] | dump | | the same: `/proc/net/pppol2tp` |
//! | [`FERROWIRE_CMD_JOIN`], [`FERROWIRE_CMD_LEAVE`] | do | GROUP | |
//! | [`FERROWIRE_CMD_ACT`] | do | PORT, PRIVILEGED, OPTIONS | |
//! | [`FERROWIRE_CMD_PATH_SET`], [`FERROWIRE_CMD_PATHS`] | do; dump | see [`path`] | |
//! | calls on sockets | do | see [`socket`] | |
//!
//! All but the calls on sockets ask for `CAP_NET_ADMIN`, as the l2tp family does. The group [`DEATHS_GROUP`] hears of tunnels and sessions
//! that died without a command of their own, in the l2tp family's messages `L2TP_CMD_TUNNEL_DELETE` and
//! `L2TP_CMD_SESSION_DELETE`. Nobody asked for them: their sequence number and port id are 0. A message
//! [`crate::nl::NLMSG_OVERRUN`] stands where some were lost.
//!
//! Attributes are checked strictly: unknown ones and wrong lengths are `EINVAL`.

pub mod path;
pub mod socket;

use super::ctrl::Operation;
use super::{GENL_CMD_CAP_DO, GENL_CMD_CAP_DUMP, GENL_CMD_CAP_HASPOL, GENL_UNS_ADMIN_PERM, GenlHeader};
use crate::nl::{Attributes, Header, Message, NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, Policy, Rule};
use alloc::string::String;
use alloc::vec::Vec;
use path::{
    FERROWIRE_ATTR_PATH, FERROWIRE_ATTR_REASON, FERROWIRE_ATTR_SESSION_ID, FERROWIRE_ATTR_TUNNEL_ID,
    FERROWIRE_CMD_PATH_SET, FERROWIRE_CMD_PATHS,
};
use socket::{
    ADDRESS_MAX, FERROWIRE_ATTR_ADDRESS, FERROWIRE_ATTR_BYTES, FERROWIRE_ATTR_DOMAIN, FERROWIRE_ATTR_LEVEL,
    FERROWIRE_ATTR_OPTION, FERROWIRE_ATTR_SOCKET, FERROWIRE_CMD_PPP_OPEN, FERROWIRE_CMD_PPP_STATS,
    FERROWIRE_CMD_SOCKET_BIND, FERROWIRE_CMD_SOCKET_CONNECT, FERROWIRE_CMD_SOCKET_GET,
    FERROWIRE_CMD_SOCKET_IOCTL, FERROWIRE_CMD_SOCKET_NAME, FERROWIRE_CMD_SOCKET_OPEN,
    FERROWIRE_CMD_SOCKET_PEER, FERROWIRE_CMD_SOCKET_SEND, FERROWIRE_CMD_SOCKET_SET, MESSAGE_MAX,
};

/// The family's name.
pub const FERROWIRE_GENL_NAME: &str = "ferrowire";
/// The family's version.
pub const FERROWIRE_GENL_VERSION: u8 = 1;
/// The name of the multicast group that hears of deaths without a command.
pub const DEATHS_GROUP: &str = "deaths";

/// Command: dump of all counters of the network namespace.
pub const FERROWIRE_CMD_STATS: u8 = 1;
/// Command: dump of the text of debugfs `l2tp/tunnels`.
pub const FERROWIRE_CMD_DEBUG_TUNNELS: u8 = 2;
/// Command: dump of the text of `/proc/net/pppol2tp`.
pub const FERROWIRE_CMD_DEBUG_PPPOL2TP: u8 = 3;
/// Command: the caller's socket joins a multicast group of any family (`NETLINK_ADD_MEMBERSHIP`).
pub const FERROWIRE_CMD_JOIN: u8 = 4;
/// Command: the caller's socket leaves a multicast group (`NETLINK_DROP_MEMBERSHIP`).
pub const FERROWIRE_CMD_LEAVE: u8 = 5;
/// Command: from here on the caller asks for another program, with that one's port id, privilege and options. What is not
/// given stays as it is. Nobody gains a privilege by it: one who has none cannot act as one who has.
pub const FERROWIRE_CMD_ACT: u8 = 6;

/// Attribute: text, the name of a counter.
pub const FERROWIRE_ATTR_NAME: u16 = 1;
/// Attribute: u64, its value.
pub const FERROWIRE_ATTR_VALUE: u16 = 2;
/// Attribute: a part of a text.
pub const FERROWIRE_ATTR_TEXT: u16 = 3;
/// Attribute: u32, the id of a multicast group.
pub const FERROWIRE_ATTR_GROUP: u16 = 4;
/// Attribute: u32, the port id (`nl_pid`) that answers carry.
pub const FERROWIRE_ATTR_PORT: u16 = 5;
/// Attribute: u8, whether the program has `CAP_NET_ADMIN` over the network namespace.
pub const FERROWIRE_ATTR_PRIVILEGED: u16 = 6;
/// Attribute: u32, bits: [`ACT_EXT_ACK`], [`ACT_CAP_ACK`].
pub const FERROWIRE_ATTR_OPTIONS: u16 = 7;
/// The highest attribute type.
pub const FERROWIRE_ATTR_MAX: u16 = FERROWIRE_ATTR_REASON;

/// Bit of [`FERROWIRE_ATTR_OPTIONS`]: the program's socket has `NETLINK_EXT_ACK`.
pub const ACT_EXT_ACK: u32 = 1;
/// Bit of [`FERROWIRE_ATTR_OPTIONS`]: the program's socket has `NETLINK_CAP_ACK`.
pub const ACT_CAP_ACK: u32 = 2;

/// Flags of a command that is a dump.
const DUMPS: u32 = GENL_CMD_CAP_DUMP | GENL_CMD_CAP_HASPOL | GENL_UNS_ADMIN_PERM;
/// Flags of a command that is done.
const DOES: u32 = GENL_CMD_CAP_DO | GENL_CMD_CAP_HASPOL | GENL_UNS_ADMIN_PERM;
/// Flags of a command that everybody may do.
const ANYBODY_DOES: u32 = GENL_CMD_CAP_DO | GENL_CMD_CAP_HASPOL;

/// The family's commands as the controller lists them.
pub const OPERATIONS: [Operation; 19] = [
    Operation { cmd: FERROWIRE_CMD_STATS, flags: DUMPS },
    Operation { cmd: FERROWIRE_CMD_DEBUG_TUNNELS, flags: DUMPS },
    Operation { cmd: FERROWIRE_CMD_DEBUG_PPPOL2TP, flags: DUMPS },
    Operation { cmd: FERROWIRE_CMD_JOIN, flags: DOES },
    Operation { cmd: FERROWIRE_CMD_LEAVE, flags: DOES },
    Operation { cmd: FERROWIRE_CMD_ACT, flags: DOES },
    Operation { cmd: FERROWIRE_CMD_SOCKET_OPEN, flags: ANYBODY_DOES },
    Operation { cmd: FERROWIRE_CMD_SOCKET_BIND, flags: ANYBODY_DOES },
    Operation { cmd: FERROWIRE_CMD_SOCKET_CONNECT, flags: ANYBODY_DOES },
    Operation { cmd: FERROWIRE_CMD_SOCKET_NAME, flags: ANYBODY_DOES },
    Operation { cmd: FERROWIRE_CMD_SOCKET_PEER, flags: ANYBODY_DOES },
    Operation { cmd: FERROWIRE_CMD_SOCKET_SET, flags: ANYBODY_DOES },
    Operation { cmd: FERROWIRE_CMD_SOCKET_GET, flags: ANYBODY_DOES },
    Operation { cmd: FERROWIRE_CMD_SOCKET_SEND, flags: ANYBODY_DOES },
    Operation { cmd: FERROWIRE_CMD_PPP_OPEN, flags: DOES },
    Operation { cmd: FERROWIRE_CMD_SOCKET_IOCTL, flags: ANYBODY_DOES },
    Operation { cmd: FERROWIRE_CMD_PPP_STATS, flags: ANYBODY_DOES },
    Operation { cmd: FERROWIRE_CMD_PATH_SET, flags: DOES },
    Operation { cmd: FERROWIRE_CMD_PATHS, flags: DUMPS },
];

/// What requests may carry: the other attributes are of answers.
pub const POLICY: Policy<{ FERROWIRE_ATTR_MAX as usize + 1 }> = Policy::new(&[
    (FERROWIRE_ATTR_NAME, Rule::NulString(15)),
    (FERROWIRE_ATTR_GROUP, Rule::U32),
    (FERROWIRE_ATTR_PORT, Rule::U32),
    (FERROWIRE_ATTR_PRIVILEGED, Rule::U8),
    (FERROWIRE_ATTR_OPTIONS, Rule::U32),
    (FERROWIRE_ATTR_SOCKET, Rule::U64),
    (FERROWIRE_ATTR_DOMAIN, Rule::U16),
    (FERROWIRE_ATTR_ADDRESS, Rule::Binary(ADDRESS_MAX)),
    (FERROWIRE_ATTR_LEVEL, Rule::U32),
    (FERROWIRE_ATTR_OPTION, Rule::U32),
    (FERROWIRE_ATTR_BYTES, Rule::Binary(MESSAGE_MAX)),
    (FERROWIRE_ATTR_TUNNEL_ID, Rule::U32),
    (FERROWIRE_ATTR_SESSION_ID, Rule::U32),
    (FERROWIRE_ATTR_PATH, Rule::U8),
]);

/// A request of the family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Request {
    /// [`FERROWIRE_CMD_STATS`].
    Stats,
    /// [`FERROWIRE_CMD_DEBUG_TUNNELS`].
    DebugTunnels,
    /// [`FERROWIRE_CMD_DEBUG_PPPOL2TP`].
    DebugPppol2tp,
    /// [`FERROWIRE_CMD_PATHS`].
    Paths,
    /// [`FERROWIRE_CMD_JOIN`] a group, by its id.
    Join(u32),
    /// [`FERROWIRE_CMD_LEAVE`] a group, by its id.
    Leave(u32),
    /// [`FERROWIRE_CMD_ACT`] as this program.
    Act(Actor),
}

/// The netlink socket of a program for which somebody else asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Actor {
    /// Its port id.
    pub port: u32,
    /// Whether it may administer the network namespace.
    pub privileged: bool,
    /// Its options: [`ACT_EXT_ACK`], [`ACT_CAP_ACK`].
    pub options: u32,
}

impl Request {
    /// The request as a message to the family with id `family`, to be acknowledged; but not [`Self::Act`], which goes
    /// before another's requests and is answered only when it is refused.
    #[must_use]
    pub fn emit(self, family: u16, seq: u32) -> Vec<u8> {
        let (cmd, form) = match self {
            Self::Stats => (FERROWIRE_CMD_STATS, NLM_F_DUMP),
            Self::DebugTunnels => (FERROWIRE_CMD_DEBUG_TUNNELS, NLM_F_DUMP),
            Self::DebugPppol2tp => (FERROWIRE_CMD_DEBUG_PPPOL2TP, NLM_F_DUMP),
            Self::Paths => (FERROWIRE_CMD_PATHS, NLM_F_DUMP),
            Self::Join(_) => (FERROWIRE_CMD_JOIN, NLM_F_ACK),
            Self::Leave(_) => (FERROWIRE_CMD_LEAVE, NLM_F_ACK),
            Self::Act(_) => (FERROWIRE_CMD_ACT, 0),
        };
        let mut out = Vec::new();
        let header = Header { kind: family, flags: NLM_F_REQUEST | form, seq, port: 0 };
        let mut message = genl(cmd).begin(&mut out, header);
        match self {
            Self::Join(group) | Self::Leave(group) => _ = message.u32(FERROWIRE_ATTR_GROUP, group),
            Self::Act(Actor { port, privileged, options }) => {
                message.u32(FERROWIRE_ATTR_PORT, port);
                message.u8(FERROWIRE_ATTR_PRIVILEGED, privileged.into());
                message.u32(FERROWIRE_ATTR_OPTIONS, options);
            }
            Self::Stats | Self::DebugTunnels | Self::DebugPppol2tp | Self::Paths => {}
        }
        message.finish();
        out
    }
}

/// Appends one counter, as [`FERROWIRE_CMD_STATS`] tells it.
pub fn emit_counter(out: &mut Vec<u8>, header: Header, name: &str, value: u64) {
    let mut message = genl(FERROWIRE_CMD_STATS).begin(out, header);
    message.string(FERROWIRE_ATTR_NAME, name).u64(FERROWIRE_ATTR_VALUE, value);
    message.finish();
}

/// Reads what [`emit_counter`] wrote; `None` if something is missing.
#[must_use]
pub fn parse_counter(message: &Message<'_>) -> Option<(String, u64)> {
    let (_, attributes) = GenlHeader::split(message.payload)?;
    let name = Attributes::new(attributes).find_last(FERROWIRE_ATTR_NAME)?.string();
    Some((name, Attributes::new(attributes).find_last(FERROWIRE_ATTR_VALUE)?.u64()?))
}

/// Appends a part of the text that `cmd` tells.
pub fn emit_text(out: &mut Vec<u8>, header: Header, cmd: u8, text: &str) {
    let mut message = genl(cmd).begin(out, header);
    message.string(FERROWIRE_ATTR_TEXT, text);
    message.finish();
}

/// Reads what [`emit_text`] wrote; `None` if something is missing.
#[must_use]
pub fn parse_text(message: &Message<'_>) -> Option<String> {
    let (_, attributes) = GenlHeader::split(message.payload)?;
    Some(Attributes::new(attributes).find_last(FERROWIRE_ATTR_TEXT)?.string())
}

const fn genl(cmd: u8) -> GenlHeader {
    GenlHeader { cmd, version: FERROWIRE_GENL_VERSION, reserved: 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nl::Messages;

    #[test]
    fn answers_round_trip() {
        let mut out = Vec::new();
        emit_counter(&mut out, Header::default(), "drop_cookie", u64::MAX);
        emit_text(&mut out, Header::default(), FERROWIRE_CMD_DEBUG_TUNNELS, "\nTUNNEL 1\n");
        let messages: Vec<_> = Messages::new(&out).collect();
        assert_eq!(parse_counter(&messages[0]), Some((String::from("drop_cookie"), u64::MAX)));
        assert_eq!(parse_text(&messages[1]).as_deref(), Some("\nTUNNEL 1\n"));
        assert_eq!((parse_text(&messages[0]), parse_counter(&messages[1])), (None, None));
    }

    #[test]
    #[cfg(target_endian = "little")]
    fn a_request_byte_for_byte() {
        let want = [28, 0, 0, 0, 0x24, 0, 5, 0, 7, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 8, 0, 4, 0, 9, 0, 0, 0];
        assert_eq!(Request::Join(9).emit(0x24, 7), want);
        let want = [20, 0, 0, 0, 0x24, 0, 1, 3, 7, 0, 0, 0, 0, 0, 0, 0, 1, 1, 0, 0];
        assert_eq!(Request::Stats.emit(0x24, 7), want);
    }
}
