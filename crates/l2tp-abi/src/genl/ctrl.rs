//! The controller family "nlctrl": which families there are, under which ids, with which policies.

use super::GenlHeader;
use crate::nl::{
    Attributes, Header, Message, MessageBuilder, NLM_F_ACK, NLM_F_DUMP, NLM_F_MULTI, NLM_F_REQUEST, Policy,
    Rule,
};
use alloc::string::String;
use alloc::vec::Vec;

/// The controller's fixed family id (`GENL_ID_CTRL`).
pub const GENL_ID_CTRL: u16 = 0x10;
/// The controller's name.
pub const CTRL_NAME: &str = "nlctrl";
/// The controller's version.
pub const CTRL_VERSION: u8 = 2;
/// The controller's multicast group.
pub const CTRL_GROUP: &str = "notify";
/// The fixed id of the controller's multicast group.
pub const CTRL_GROUP_ID: u32 = 0x10;

/// Command: describe a family (`CTRL_CMD_NEWFAMILY`, the reply of [`CTRL_CMD_GETFAMILY`]).
pub const CTRL_CMD_NEWFAMILY: u8 = 1;
/// Command: ask for a family or for all.
pub const CTRL_CMD_GETFAMILY: u8 = 3;
/// Command: ask for the policies of a family's commands; a dump.
pub const CTRL_CMD_GETPOLICY: u8 = 10;

/// Attribute: u16.
pub const CTRL_ATTR_FAMILY_ID: u16 = 1;
/// Attribute: text, at most 15 bytes and a NUL.
pub const CTRL_ATTR_FAMILY_NAME: u16 = 2;
/// Attribute: u32.
pub const CTRL_ATTR_VERSION: u16 = 3;
/// Attribute: u32, bytes of the family's own header.
pub const CTRL_ATTR_HDRSIZE: u16 = 4;
/// Attribute: u32, the highest attribute type.
pub const CTRL_ATTR_MAXATTR: u16 = 5;
/// Attribute: a list, numbered from 1, of nests with [`CTRL_ATTR_OP_ID`] and [`CTRL_ATTR_OP_FLAGS`].
pub const CTRL_ATTR_OPS: u16 = 6;
/// Attribute: a list, numbered from 1, of nests with [`CTRL_ATTR_MCAST_GRP_ID`] and [`CTRL_ATTR_MCAST_GRP_NAME`].
pub const CTRL_ATTR_MCAST_GROUPS: u16 = 7;
/// Attribute: policy number, attribute type, rule, each a nest in the one before.
pub const CTRL_ATTR_POLICY: u16 = 8;
/// Attribute: a nest named after a command, with [`CTRL_ATTR_POLICY_DO`] and [`CTRL_ATTR_POLICY_DUMP`].
pub const CTRL_ATTR_OP_POLICY: u16 = 9;
/// Attribute: u32, in a request for one command's policies.
pub const CTRL_ATTR_OP: u16 = 10;
/// In an operation: u32.
pub const CTRL_ATTR_OP_ID: u16 = 1;
/// In an operation: u32 of `GENL_…` bits.
pub const CTRL_ATTR_OP_FLAGS: u16 = 2;
/// In a group: text.
pub const CTRL_ATTR_MCAST_GRP_NAME: u16 = 1;
/// In a group: u32.
pub const CTRL_ATTR_MCAST_GRP_ID: u16 = 2;
/// In an operation's policies: u32, the number of the policy of its requests to do.
pub const CTRL_ATTR_POLICY_DO: u16 = 1;
/// In an operation's policies: u32, the number of the policy of its requests to dump.
pub const CTRL_ATTR_POLICY_DUMP: u16 = 2;

/// What [`CTRL_CMD_GETFAMILY`] accepts.
pub const GETFAMILY_POLICY: Policy<3> =
    Policy::new(&[(CTRL_ATTR_FAMILY_ID, Rule::U16), (CTRL_ATTR_FAMILY_NAME, Rule::NulString(15))]);
/// What [`CTRL_CMD_GETPOLICY`] accepts.
pub const GETPOLICY_POLICY: Policy<11> = Policy::new(&[
    (CTRL_ATTR_FAMILY_ID, Rule::U16),
    (CTRL_ATTR_FAMILY_NAME, Rule::NulString(15)),
    (CTRL_ATTR_OP, Rule::U32),
]);

/// One command of a family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Its number.
    pub cmd: u8,
    /// `GENL_CMD_CAP_…` and `GENL_…_PERM` bits.
    pub flags: u32,
}

/// A family as [`CTRL_CMD_GETFAMILY`] reports it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FamilyMessage {
    /// Its name.
    pub name: String,
    /// Its id: the `nlmsg_type` of its messages.
    pub id: u16,
    /// Its version.
    pub version: u32,
    /// Bytes of its own header.
    pub hdrsize: u32,
    /// Its highest attribute type.
    pub maxattr: u32,
    /// Its commands.
    pub ops: Vec<Operation>,
    /// Names and ids of its multicast groups.
    pub groups: Vec<(String, u32)>,
}

impl FamilyMessage {
    /// Appends the message under `header`, in the kernel's order and without `NLA_F_NESTED`.
    pub fn emit(&self, out: &mut Vec<u8>, header: Header) {
        let genl = GenlHeader { cmd: CTRL_CMD_NEWFAMILY, version: CTRL_VERSION, reserved: 0 };
        let mut message = genl.begin(out, Header { kind: GENL_ID_CTRL, ..header });
        message
            .string(CTRL_ATTR_FAMILY_NAME, &self.name)
            .u16(CTRL_ATTR_FAMILY_ID, self.id)
            .u32(CTRL_ATTR_VERSION, self.version)
            .u32(CTRL_ATTR_HDRSIZE, self.hdrsize)
            .u32(CTRL_ATTR_MAXATTR, self.maxattr);
        emit_list(&mut message, CTRL_ATTR_OPS, &self.ops, |nest, op| {
            nest.u32(CTRL_ATTR_OP_ID, op.cmd.into()).u32(CTRL_ATTR_OP_FLAGS, op.flags);
        });
        emit_list(&mut message, CTRL_ATTR_MCAST_GROUPS, &self.groups, |nest, (name, id)| {
            nest.u32(CTRL_ATTR_MCAST_GRP_ID, *id).string(CTRL_ATTR_MCAST_GRP_NAME, name);
        });
        message.finish();
    }

    /// Reads a reply; `None` if `message` is not one. What is missing is zero or empty.
    #[must_use]
    pub fn parse(message: &Message<'_>) -> Option<Self> {
        let (genl, attributes) = GenlHeader::split(message.payload)?;
        if message.header.kind != GENL_ID_CTRL || genl.cmd != CTRL_CMD_NEWFAMILY {
            return None;
        }
        let mut family = Self::default();
        for attribute in Attributes::new(attributes) {
            match attribute.kind {
                CTRL_ATTR_FAMILY_NAME => family.name = attribute.string(),
                CTRL_ATTR_FAMILY_ID => family.id = attribute.u16()?,
                CTRL_ATTR_VERSION => family.version = attribute.u32()?,
                CTRL_ATTR_HDRSIZE => family.hdrsize = attribute.u32()?,
                CTRL_ATTR_MAXATTR => family.maxattr = attribute.u32()?,
                CTRL_ATTR_OPS => {
                    family.ops = attribute.attributes().filter_map(|a| operation(a.attributes())).collect();
                }
                CTRL_ATTR_MCAST_GROUPS => {
                    family.groups = attribute.attributes().filter_map(|a| group(a.attributes())).collect();
                }
                _ => {}
            }
        }
        Some(family)
    }
}

/// Appends a numbered list; none if it is empty.
fn emit_list<T>(
    message: &mut MessageBuilder<'_>,
    kind: u16,
    items: &[T],
    mut item: impl FnMut(&mut MessageBuilder<'_>, &T),
) {
    if items.is_empty() {
        return;
    }
    message.nest(kind, |list| {
        for (number, value) in (1..).zip(items) {
            list.nest(number, |nest| item(nest, value));
        }
    });
}

fn operation(attributes: Attributes<'_>) -> Option<Operation> {
    let cmd = attributes.clone().find_last(CTRL_ATTR_OP_ID)?.u32()?;
    let flags = attributes.find_last(CTRL_ATTR_OP_FLAGS)?.u32()?;
    Some(Operation { cmd: u8::try_from(cmd).ok()?, flags })
}

fn group(attributes: Attributes<'_>) -> Option<(String, u32)> {
    let name = attributes.clone().find_last(CTRL_ATTR_MCAST_GRP_NAME)?.string();
    Some((name, attributes.find_last(CTRL_ATTR_MCAST_GRP_ID)?.u32()?))
}

/// Appends one part of the answer to [`CTRL_CMD_GETPOLICY`]: the policies, by number, of one command.
pub fn emit_op_policy(
    out: &mut Vec<u8>,
    header: Header,
    family: u16,
    cmd: u8,
    numbers: (Option<u32>, Option<u32>),
) {
    let mut message = begin_policy(out, header, family);
    message.nest_flagged(CTRL_ATTR_OP_POLICY, |nest| {
        nest.nest_flagged(cmd.into(), |op| {
            if let Some(number) = numbers.0 {
                op.u32(CTRL_ATTR_POLICY_DO, number);
            }
            if let Some(number) = numbers.1 {
                op.u32(CTRL_ATTR_POLICY_DUMP, number);
            }
        });
    });
    message.finish();
}

/// Appends one part of the answer to [`CTRL_CMD_GETPOLICY`]: the rule of one attribute type of the policy `number`.
pub fn emit_rule(out: &mut Vec<u8>, header: Header, family: u16, number: u16, rule: (u16, Rule)) {
    let mut message = begin_policy(out, header, family);
    message.nest_flagged(CTRL_ATTR_POLICY, |nest| {
        nest.nest_flagged(number, |policy| {
            rule.1.describe(policy, rule.0);
        });
    });
    message.finish();
}

fn begin_policy(out: &mut Vec<u8>, header: Header, family: u16) -> MessageBuilder<'_> {
    let genl = GenlHeader { cmd: CTRL_CMD_GETPOLICY, version: CTRL_VERSION, reserved: 0 };
    let mut message = genl.begin(out, Header { kind: GENL_ID_CTRL, flags: NLM_F_MULTI, ..header });
    message.u16(CTRL_ATTR_FAMILY_ID, family);
    message
}

/// A request for the family called `name`.
#[must_use]
pub fn get_family(name: &str, seq: u32) -> Vec<u8> {
    request(CTRL_CMD_GETFAMILY, NLM_F_REQUEST | NLM_F_ACK, seq, Some(name))
}

/// A request for all families.
#[must_use]
pub fn dump_families(seq: u32) -> Vec<u8> {
    request(CTRL_CMD_GETFAMILY, NLM_F_REQUEST | NLM_F_DUMP, seq, None)
}

/// A request for the policies of the family called `name`.
#[must_use]
pub fn dump_policy(name: &str, seq: u32) -> Vec<u8> {
    request(CTRL_CMD_GETPOLICY, NLM_F_REQUEST | NLM_F_DUMP, seq, Some(name))
}

fn request(cmd: u8, flags: u16, seq: u32, name: Option<&str>) -> Vec<u8> {
    let mut out = Vec::new();
    let genl = GenlHeader { cmd, version: CTRL_VERSION, reserved: 0 };
    let mut message = genl.begin(&mut out, Header { kind: GENL_ID_CTRL, flags, seq, port: 0 });
    if let Some(name) = name {
        message.string(CTRL_ATTR_FAMILY_NAME, name);
    }
    message.finish();
    out
}
