//! From a message to what carries it out: family, command, privilege, policy.

use super::ctrl::Family;
use super::server::Answered;
use super::{ReplySink, Server};
use l2tp_abi::Errno;
use l2tp_abi::genl::ferrowire::FERROWIRE_CMD_ACT;
use l2tp_abi::genl::l2tp::{
    L2TP_ATTR_MAX, L2TP_CMD_SESSION_CREATE, L2TP_CMD_SESSION_DELETE, L2TP_CMD_SESSION_GET,
    L2TP_CMD_SESSION_MODIFY, L2TP_CMD_TUNNEL_CREATE, L2TP_CMD_TUNNEL_DELETE, L2TP_CMD_TUNNEL_GET,
    L2TP_CMD_TUNNEL_MODIFY, L2TP_GENL_VERSION, POLICY,
};
use l2tp_abi::genl::{GENL_CMD_CAP_DO, GENL_CMD_CAP_DUMP, GENL_HDRLEN, GENL_UNS_ADMIN_PERM, GenlHeader};
use l2tp_abi::nl::{
    AttributeTable, ExtAck, Header, Message, NLM_F_ACK, NLM_F_DUMP, NLM_F_ECHO, NLM_F_REQUEST,
    NLMSG_MIN_TYPE, Strictness,
};
use l2tp_core::Host;

/// The attributes of a request to the l2tp family.
pub(super) type L2tpAttributes<'a> = AttributeTable<'a, { L2TP_ATTR_MAX as usize + 1 }>;

impl<H: Host, R: ReplySink<H::Descriptor>> Server<'_, H, R> {
    /// Carries out one message (`genl_rcv_msg`).
    pub(super) fn dispatch(&mut self, message: &Message<'_>, ext: &mut ExtAck) -> Result<Answered, Errno> {
        let header = &message.header;
        if header.flags & NLM_F_REQUEST == 0 || header.kind < NLMSG_MIN_TYPE {
            return Ok(Answered::Fully);
        }
        let family = Family::by_id(header.kind).ok_or(Errno::ENOENT)?;
        let (genl, _) = GenlHeader::split(message.payload).ok_or(Errno::EINVAL)?;
        check_reserved(family, header, genl, ext)?;
        self.check_operation(family, header, genl.cmd)?;
        if header.is_dump() {
            self.start_dump(family, genl.cmd, message, ext)?;
            return Ok(Answered::InPart);
        }
        match family {
            Family::Ctrl => self.get_family(message, ext)?,
            Family::L2tp => self.handle_l2tp(genl.cmd, message, ext)?,
            Family::Ferrowire => self.handle_ferrowire(genl.cmd, message, ext)?,
        }
        Ok(Answered::Fully)
    }

    /// Whether the family has the command, in this form, and the program may use it.
    fn check_operation(&self, family: Family, header: &Header, cmd: u8) -> Result<(), Errno> {
        let form = if header.is_dump() { GENL_CMD_CAP_DUMP } else { GENL_CMD_CAP_DO };
        let operation = family.operations().iter().find(|op| op.cmd == cmd && op.flags & form != 0);
        let operation = operation.ok_or(Errno::EOPNOTSUPP)?;
        let acts = family == Family::Ferrowire && cmd == FERROWIRE_CMD_ACT;
        let privileged = if acts { self.client.may_act() } else { self.client.privileged };
        if operation.flags & GENL_UNS_ADMIN_PERM != 0 && !privileged {
            return Err(Errno::EPERM);
        }
        Ok(())
    }

    /// A command of the family "l2tp".
    fn handle_l2tp(&mut self, cmd: u8, message: &Message<'_>, ext: &mut ExtAck) -> Result<(), Errno> {
        let attributes = POLICY.validate(message.bytes, GENL_HDRLEN, Strictness::Liberal, ext)?;
        let header = &message.header;
        let handled = match cmd {
            L2TP_CMD_TUNNEL_CREATE => self.create_tunnel(header, &attributes),
            L2TP_CMD_TUNNEL_DELETE => self.delete_tunnel(header, &attributes),
            L2TP_CMD_TUNNEL_MODIFY => self.modify_tunnel(header, &attributes),
            L2TP_CMD_TUNNEL_GET => self.get_tunnel(header, &attributes),
            L2TP_CMD_SESSION_CREATE => self.create_session(header, &attributes),
            L2TP_CMD_SESSION_DELETE => self.delete_session(header, &attributes),
            L2TP_CMD_SESSION_MODIFY => self.modify_session(header, &attributes),
            L2TP_CMD_SESSION_GET => self.get_session(header, &attributes),
            _ => {
                self.reply(header, 0, |out, header| {
                    GenlHeader { cmd, version: L2TP_GENL_VERSION, reserved: 0 }.begin(out, header).finish();
                });
                Ok(())
            }
        };
        if handled == Err(Errno::EMFILE) {
            ext.message = Some(NO_DESCRIPTOR);
        }
        handled
    }

    /// Sends one reply: `emit` appends it under the header that answers `request`.
    pub(super) fn reply(
        &mut self,
        request: &Header,
        flags: u16,
        emit: impl FnOnce(&mut alloc::vec::Vec<u8>, Header),
    ) {
        let mut out = alloc::vec::Vec::new();
        emit(&mut out, self.answer_header(request, flags));
        self.replies.reply(&out, None);
    }

    /// The header of what answers `request`.
    pub(super) fn answer_header(&self, request: &Header, flags: u16) -> Header {
        Header { kind: request.kind, flags, seq: request.seq, port: self.client.port }
    }
}

/// What the errno alone would leave to be guessed: whose files.
const NO_DESCRIPTOR: &str =
    "the daemon has no descriptor left for a tunnel or a session: let it have more (ulimit -n, LimitNOFILE=)";

/// Commands that came after the kernel began to check reserved fields must leave them zero; of ours, only numbers without a
/// command (`genl_header_check`).
fn check_reserved(family: Family, header: &Header, genl: GenlHeader, ext: &mut ExtAck) -> Result<(), Errno> {
    if family.operations().last().is_none_or(|last| genl.cmd <= last.cmd) {
        return Ok(());
    }
    let flags = if header.is_dump() { header.flags & !NLM_F_DUMP } else { header.flags };
    if genl.reserved != 0 {
        ext.message = Some("genlmsghdr.reserved field is not 0");
    } else if flags & !(NLM_F_REQUEST | NLM_F_ACK | NLM_F_ECHO) != 0 {
        ext.message = Some("ambiguous or reserved bits set in nlmsg_flags");
    } else {
        return Ok(());
    }
    Err(Errno::EINVAL)
}
