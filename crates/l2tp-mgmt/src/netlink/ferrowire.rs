//! The commands of the family "ferrowire". Its texts are dumps of [`crate::text`].

use super::{ReplySink, Server};
use alloc::collections::VecDeque;
use alloc::format;
use alloc::vec::Vec;
use l2tp_abi::Errno;
use l2tp_abi::genl::GENL_HDRLEN;
use l2tp_abi::genl::ferrowire::path::{FERROWIRE_CMD_PATH_SET, PathReport, PathRequest};
use l2tp_abi::genl::ferrowire::socket::{FERROWIRE_CMD_SOCKET_OPEN, SocketAnswer, SocketRequest};
use l2tp_abi::genl::ferrowire::{
    ACT_CAP_ACK, ACT_EXT_ACK, FERROWIRE_ATTR_GROUP, FERROWIRE_ATTR_OPTIONS, FERROWIRE_ATTR_PORT,
    FERROWIRE_ATTR_PRIVILEGED, FERROWIRE_CMD_ACT, FERROWIRE_CMD_JOIN, POLICY, emit_counter,
};
use l2tp_abi::nl::{
    AckOptions, ExtAck, Header, Message, NETLINK_ADD_MEMBERSHIP, NETLINK_DROP_MEMBERSHIP, Strictness,
};
use l2tp_core::{DropReason, Engine, Error, Host, SessionKey, SessionSelector};

impl<H: Host, R: ReplySink<H::Descriptor>> Server<'_, H, R> {
    /// Joins or leaves a group, as the options of a netlink socket do, acts as another program's socket, or calls a socket of
    /// the subsystem's own.
    pub(super) fn handle_ferrowire(
        &mut self,
        cmd: u8,
        message: &Message<'_>,
        ext: &mut ExtAck,
    ) -> Result<(), Errno> {
        let attributes = POLICY.validate(message.bytes, GENL_HDRLEN, Strictness::Strict, ext)?;
        if cmd == FERROWIRE_CMD_PATH_SET {
            return self.set_path(PathRequest::parse(&attributes)?);
        }
        if cmd >= FERROWIRE_CMD_SOCKET_OPEN {
            return self.call_socket(cmd, &message.header, &SocketRequest::parse(cmd, &attributes)?);
        }
        if cmd == FERROWIRE_CMD_ACT {
            let options = attributes.u32(FERROWIRE_ATTR_OPTIONS).map(|bits| AckOptions {
                cap_ack: bits & ACT_CAP_ACK != 0,
                ext_ack: bits & ACT_EXT_ACK != 0,
            });
            let privileged = attributes.u8(FERROWIRE_ATTR_PRIVILEGED).map(|value| value != 0);
            self.client.act(attributes.u32(FERROWIRE_ATTR_PORT), privileged, options);
            return Ok(());
        }
        let group = attributes.u32(FERROWIRE_ATTR_GROUP).ok_or(Errno::EINVAL)?;
        let join = cmd == FERROWIRE_CMD_JOIN;
        let option = if join { NETLINK_ADD_MEMBERSHIP } else { NETLINK_DROP_MEMBERSHIP };
        self.client.set_option(option, group)
    }

    fn call_socket(&mut self, cmd: u8, header: &Header, request: &SocketRequest<'_>) -> Result<(), Errno> {
        let descriptor = self.descriptor.take();
        let (answer, descriptor) =
            self.host.socket_call(self.engine, &self.client.caller(), request, descriptor)?;
        if answer != SocketAnswer::Done {
            let mut out = Vec::new();
            answer.emit(&mut out, self.answer_header(header, 0), cmd);
            self.replies.reply(&out, descriptor);
        }
        Ok(())
    }

    fn set_path(&mut self, request: PathRequest) -> Result<(), Errno> {
        let key = request.session.map(|(tunnel_id, session_id)| {
            self.engine.find_session(SessionSelector::Ids { tunnel_id, session_id }).map_err(Error::errno)
        });
        self.host.set_path(key.transpose()?, request.path)
    }

    /// A message for every counter of the namespace: what there is, what went well, why packets were dropped, what was
    /// lost at the edges.
    pub(super) fn counter_messages(&self, header: Header) -> VecDeque<Vec<u8>> {
        let mut messages = VecDeque::new();
        let mut tell = |name: &str, value: u64| {
            let mut out = Vec::new();
            emit_counter(&mut out, header, name, value);
            messages.push_back(out);
        };
        let (engine, counters) = (&*self.engine, self.engine.counters());
        let (waiting, waiting_bytes) = engine.waiting_total();
        tell("tunnels", engine.tunnel_count() as u64);
        tell("sessions", engine.session_count() as u64);
        tell("waiting", waiting as u64);
        tell("waiting_bytes", waiting_bytes as u64);
        tell("delivered", counters.delivered);
        tell("up", counters.up);
        for reason in DropReason::ALL {
            tell(&format!("drop_{}", reason.name()), counters.drops.get(*reason));
        }
        for (name, value) in self.replies.losses() {
            tell(&format!("loss_{name}"), value);
        }
        let longest = self.replies.longest_hold().as_micros();
        tell("held_longest_us", u64::try_from(longest).unwrap_or(u64::MAX));
        messages
    }
}

/// What carries a session.
pub(super) fn report_path<H: Host>(
    engine: &Engine<H::Socket, H::Device>,
    host: &H,
    key: SessionKey,
) -> Option<PathReport> {
    let session = engine.session(key)?;
    let placement = host.placement(key);
    Some(PathReport {
        tunnel_id: session.tunnel_id,
        session_id: session.config.session_id,
        name: session.ifname.clone().or_else(|| host.ppp_holder(key)?.interface),
        wanted: placement.wanted,
        carried_by: placement.carried_by,
        reason: placement.reason,
    })
}
