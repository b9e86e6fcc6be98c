//! Generic netlink: the header of its messages, its controller, the l2tp family and our own.
//!
//! Source: `include/uapi/linux/genetlink.h`, `net/netlink/genetlink.c`.

pub mod ctrl;
pub mod ferrowire;
pub mod l2tp;

use crate::nl::{Header, MessageBuilder};
use alloc::vec::Vec;

/// Bytes of a generic netlink header, `struct genlmsghdr`.
pub const GENL_HDRLEN: usize = 4;

/// Operation flag: the kernel asks for `CAP_NET_ADMIN` of the initial user namespace (`GENL_ADMIN_PERM`).
pub const GENL_ADMIN_PERM: u32 = 0x01;
/// Operation flag: can be done (`GENL_CMD_CAP_DO`).
pub const GENL_CMD_CAP_DO: u32 = 0x02;
/// Operation flag: can be dumped (`GENL_CMD_CAP_DUMP`).
pub const GENL_CMD_CAP_DUMP: u32 = 0x04;
/// Operation flag: has a policy (`GENL_CMD_CAP_HASPOL`).
pub const GENL_CMD_CAP_HASPOL: u32 = 0x08;
/// Operation flag: `CAP_NET_ADMIN` in the user namespace that owns the network namespace (`GENL_UNS_ADMIN_PERM`).
pub const GENL_UNS_ADMIN_PERM: u32 = 0x10;

/// `struct genlmsghdr`. Layout: command u8, version u8, reserved u16.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GenlHeader {
    /// The command, or in a reply the kind of reply.
    pub cmd: u8,
    /// The family's version; nobody checks it.
    pub version: u8,
    /// Zero; checked of newer commands only.
    pub reserved: u16,
}

impl GenlHeader {
    /// Splits the header off a message's payload: the header and the attributes. `None` if it is too short.
    #[must_use]
    pub fn split(payload: &[u8]) -> Option<(Self, &[u8])> {
        let ([cmd, version, r0, r1], attributes) = payload.split_first_chunk()?;
        Some((Self { cmd: *cmd, version: *version, reserved: u16::from_ne_bytes([*r0, *r1]) }, attributes))
    }

    /// Begins a message with this header.
    pub fn begin(self, out: &mut Vec<u8>, header: Header) -> MessageBuilder<'_> {
        let [r0, r1] = self.reserved.to_ne_bytes();
        let mut message = MessageBuilder::new(out, header);
        message.raw(&[self.cmd, self.version, r0, r1]);
        message
    }
}
