//! The controller "nlctrl": tells programs the families' ids, groups and policies.

use super::{DEATHS_GROUP_ID, FERROWIRE_FAMILY_ID, L2TP_FAMILY_ID, L2TP_GROUP_ID, ReplySink, Server};
use alloc::collections::VecDeque;
use alloc::string::ToString;
use alloc::vec::Vec;
use l2tp_abi::Errno;
use l2tp_abi::genl::ctrl::{
    CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME, CTRL_ATTR_OP, CTRL_CMD_GETFAMILY, CTRL_CMD_GETPOLICY,
    CTRL_GROUP, CTRL_GROUP_ID, CTRL_NAME, CTRL_VERSION, FamilyMessage, GENL_ID_CTRL, GETFAMILY_POLICY,
    GETPOLICY_POLICY, Operation, emit_op_policy, emit_rule,
};
use l2tp_abi::genl::{GENL_CMD_CAP_DO, GENL_CMD_CAP_DUMP, GENL_CMD_CAP_HASPOL, GENL_HDRLEN, ferrowire, l2tp};
use l2tp_abi::nl::{ExtAck, Header, Message, NLMSG_HDRLEN, Policy, Rule, Strictness};
use l2tp_core::Host;

/// The controller's own commands.
const CTRL_OPERATIONS: [Operation; 2] = [
    Operation { cmd: CTRL_CMD_GETFAMILY, flags: GENL_CMD_CAP_DO | GENL_CMD_CAP_DUMP | GENL_CMD_CAP_HASPOL },
    Operation { cmd: CTRL_CMD_GETPOLICY, flags: GENL_CMD_CAP_DUMP | GENL_CMD_CAP_HASPOL },
];

/// The families that there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Family {
    /// "nlctrl".
    Ctrl,
    /// "l2tp".
    L2tp,
    /// "ferrowire".
    Ferrowire,
}

impl Family {
    /// All, in ascending order of their ids.
    pub(super) const ALL: [Self; 3] = [Self::Ctrl, Self::L2tp, Self::Ferrowire];

    pub(super) const fn id(self) -> u16 {
        match self {
            Self::Ctrl => GENL_ID_CTRL,
            Self::L2tp => L2TP_FAMILY_ID,
            Self::Ferrowire => FERROWIRE_FAMILY_ID,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Ctrl => CTRL_NAME,
            Self::L2tp => l2tp::L2TP_GENL_NAME,
            Self::Ferrowire => ferrowire::FERROWIRE_GENL_NAME,
        }
    }

    pub(super) fn by_id(id: u16) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.id() == id)
    }

    fn by_name(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|family| family.name().as_bytes() == name)
    }

    /// Its commands in ascending order.
    pub(super) const fn operations(self) -> &'static [Operation] {
        match self {
            Self::Ctrl => &CTRL_OPERATIONS,
            Self::L2tp => &l2tp::OPERATIONS,
            Self::Ferrowire => &ferrowire::OPERATIONS,
        }
    }

    /// Name and id of its multicast group.
    pub(super) const fn group(self) -> (&'static str, u32) {
        match self {
            Self::Ctrl => (CTRL_GROUP, CTRL_GROUP_ID),
            Self::L2tp => (l2tp::L2TP_GENL_MCGROUP, L2TP_GROUP_ID),
            Self::Ferrowire => (ferrowire::DEATHS_GROUP, DEATHS_GROUP_ID),
        }
    }

    pub(super) fn describe(self) -> FamilyMessage {
        let (version, maxattr) = match self {
            Self::Ctrl => (CTRL_VERSION, 0),
            Self::L2tp => (l2tp::L2TP_GENL_VERSION, l2tp::L2TP_ATTR_MAX),
            Self::Ferrowire => (ferrowire::FERROWIRE_GENL_VERSION, ferrowire::FERROWIRE_ATTR_MAX),
        };
        let (group, group_id) = self.group();
        FamilyMessage {
            name: self.name().to_string(),
            id: self.id(),
            version: version.into(),
            hdrsize: 0,
            maxattr: maxattr.into(),
            ops: self.operations().to_vec(),
            groups: [(group.to_string(), group_id)].to_vec(),
        }
    }
}

impl<H: Host, R: ReplySink<H::Descriptor>> Server<'_, H, R> {
    /// Describes one family. If the request names it by id and by name, the name wins.
    pub(super) fn get_family(&mut self, message: &Message<'_>, ext: &mut ExtAck) -> Result<(), Errno> {
        let attributes = GETFAMILY_POLICY.validate(message.bytes, GENL_HDRLEN, Strictness::Liberal, ext)?;
        let id = attributes.u16(CTRL_ATTR_FAMILY_ID);
        let family = match attributes.get(CTRL_ATTR_FAMILY_NAME) {
            Some(name) => Family::by_name(name.c_str()),
            None => Family::by_id(id.ok_or(Errno::EINVAL)?),
        };
        let family = family.ok_or(Errno::ENOENT)?.describe();
        self.reply(&message.header, 0, |out, header| family.emit(out, header));
        Ok(())
    }
}

/// The messages of a dump of all families.
pub(super) fn family_messages(header: Header) -> VecDeque<Vec<u8>> {
    Family::ALL.into_iter().map(|family| render(|out| family.describe().emit(out, header))).collect()
}

/// The messages of a dump of a family's policies, or of one command's. If the request names the family twice, the id wins.
pub(super) fn policy_messages(
    message: &Message<'_>,
    header: Header,
    ext: &mut ExtAck,
) -> Result<VecDeque<Vec<u8>>, Errno> {
    let attributes = GETPOLICY_POLICY.validate(message.bytes, GENL_HDRLEN, Strictness::Strict, ext)?;
    let family = match attributes.u16(CTRL_ATTR_FAMILY_ID) {
        Some(id) => Family::by_id(id),
        None => Family::by_name(attributes.get(CTRL_ATTR_FAMILY_NAME).ok_or(Errno::EINVAL)?.c_str()),
    };
    let family = family.ok_or(Errno::ENOENT)?;
    let mut operations = family.operations().to_vec();
    if let Some(attribute) = attributes.get(CTRL_ATTR_OP) {
        operations.retain(|op| attribute.u32() == Some(op.cmd.into()));
        if operations.is_empty() {
            ext.offset = u32::try_from(NLMSG_HDRLEN + GENL_HDRLEN + attribute.offset).ok();
            return Err(Errno::ENOENT);
        }
    }
    Ok(describe_policies(family, &operations, header))
}

/// The commands, then the rules of their policies; policies are numbered in the order of their first use.
fn describe_policies(family: Family, operations: &[Operation], header: Header) -> VecDeque<Vec<u8>> {
    let mut messages = VecDeque::new();
    let mut used: Vec<Vec<(u16, Rule)>> = Vec::new();
    for op in operations {
        let rules = rules(family, op.cmd);
        let number = used.iter().position(|known| *known == rules).unwrap_or(used.len());
        if number == used.len() {
            used.push(rules);
        }
        let number = u32::try_from(number).ok();
        let does = op.flags & GENL_CMD_CAP_DO != 0;
        // Dumps of the l2tp family look at no attribute.
        let dumps = op.flags & GENL_CMD_CAP_DUMP != 0 && family != Family::L2tp;
        let numbers = (number.filter(|_| does), number.filter(|_| dumps));
        // The kernel takes the number from the request to do, even where there is none.
        let cmd = if does { op.cmd } else { 0 };
        messages.push_back(render(|out| emit_op_policy(out, header, family.id(), cmd, numbers)));
    }
    for (number, rules) in (0..).zip(used) {
        messages.extend(
            rules.into_iter().map(|rule| render(|out| emit_rule(out, header, family.id(), number, rule))),
        );
    }
    messages
}

fn render(emit: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut out = Vec::new();
    emit(&mut out);
    out
}

/// The rules that a command's policy describes.
fn rules(family: Family, cmd: u8) -> Vec<(u16, Rule)> {
    match (family, cmd) {
        (Family::L2tp, _) => described(&l2tp::POLICY),
        (Family::Ferrowire, _) => described(&ferrowire::POLICY),
        (Family::Ctrl, CTRL_CMD_GETFAMILY) => described(&GETFAMILY_POLICY),
        (Family::Ctrl, _) => described(&GETPOLICY_POLICY),
    }
}

fn described<const N: usize>(policy: &Policy<N>) -> Vec<(u16, Rule)> {
    policy.rules().filter(|(_, rule)| *rule != Rule::Unspec).collect()
}
