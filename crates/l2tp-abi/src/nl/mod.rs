//! Netlink: messages, attributes, policies, acknowledgements.
//!
//! Source: `include/uapi/linux/netlink.h`, `net/netlink/af_netlink.c`, `lib/nlattr.c`.

mod ack;
mod attribute;
mod builder;
mod message;
mod policy;

pub use ack::{Ack, AckOptions, ExtAck, done_errno, emit_ack, emit_done, emit_overrun};
pub use attribute::{Attribute, Attributes};
pub use builder::MessageBuilder;
pub use message::{Header, Message, Messages};
pub use policy::{AttributeTable, Policy, Rule, Strictness};

/// Message type: nothing to do (`NLMSG_NOOP`).
pub const NLMSG_NOOP: u16 = 1;
/// Message type: an acknowledgement or an error (`NLMSG_ERROR`).
pub const NLMSG_ERROR: u16 = 2;
/// Message type: the end of a dump (`NLMSG_DONE`).
pub const NLMSG_DONE: u16 = 3;
/// Message type: messages for this socket were lost here (`NLMSG_OVERRUN`). The kernel says it with `ENOBUFS` from `recv`.
pub const NLMSG_OVERRUN: u16 = 4;
/// The first message type that belongs to a family; those below are netlink's own (`NLMSG_MIN_TYPE`).
pub const NLMSG_MIN_TYPE: u16 = 0x10;

/// Flag: a request (`NLM_F_REQUEST`).
pub const NLM_F_REQUEST: u16 = 0x01;
/// Flag: one message of several, closed by [`NLMSG_DONE`] (`NLM_F_MULTI`).
pub const NLM_F_MULTI: u16 = 0x02;
/// Flag: answer even if all is well (`NLM_F_ACK`).
pub const NLM_F_ACK: u16 = 0x04;
/// Flag: send the notification to the requester as well (`NLM_F_ECHO`).
pub const NLM_F_ECHO: u16 = 0x08;
/// Flags of a request for all objects: `NLM_F_ROOT | NLM_F_MATCH` (`NLM_F_DUMP`).
pub const NLM_F_DUMP: u16 = 0x300;
/// Flag of an acknowledgement: only the header of the request follows (`NLM_F_CAPPED`).
pub const NLM_F_CAPPED: u16 = 0x100;
/// Flag of an acknowledgement: attributes follow (`NLM_F_ACK_TLVS`).
pub const NLM_F_ACK_TLVS: u16 = 0x200;

/// Attribute type bit: the payload is a list of attributes (`NLA_F_NESTED`).
pub const NLA_F_NESTED: u16 = 0x8000;
/// The bits of an attribute's type field that number it (`NLA_TYPE_MASK`).
pub const NLA_TYPE_MASK: u16 = 0x3fff;

/// Socket level of the options below (`SOL_NETLINK`).
pub const SOL_NETLINK: i32 = 270;
/// Socket option: joins a multicast group.
pub const NETLINK_ADD_MEMBERSHIP: i32 = 1;
/// Socket option: leaves a multicast group.
pub const NETLINK_DROP_MEMBERSHIP: i32 = 2;
/// Socket option: errors carry only the header of the request.
pub const NETLINK_CAP_ACK: i32 = 10;
/// Socket option: answers carry text and place of an error.
pub const NETLINK_EXT_ACK: i32 = 11;
/// Socket option: dump requests are checked strictly, by the families that can.
pub const NETLINK_GET_STRICT_CHK: i32 = 12;

/// Bytes of a message header, `struct nlmsghdr`.
pub const NLMSG_HDRLEN: usize = 16;
/// Bytes of an attribute header, `struct nlattr`.
pub const NLA_HDRLEN: usize = 4;

/// `len` rounded up to the alignment of messages and attributes, 4.
pub(crate) const fn align(len: usize) -> usize {
    len.saturating_add(3) & !3
}
