//! The message that describes a session.

use super::{
    L2TP_ATTR_CONN_ID, L2TP_ATTR_COOKIE, L2TP_ATTR_DEBUG, L2TP_ATTR_IFNAME, L2TP_ATTR_LNS_MODE,
    L2TP_ATTR_PEER_CONN_ID, L2TP_ATTR_PEER_COOKIE, L2TP_ATTR_PEER_SESSION_ID, L2TP_ATTR_PW_TYPE,
    L2TP_ATTR_RECV_SEQ, L2TP_ATTR_RECV_TIMEOUT, L2TP_ATTR_SEND_SEQ, L2TP_ATTR_SESSION_ID, L2TP_ATTR_STATS,
    L2TP_ATTR_USING_IPSEC, L2TP_ATTR_VLAN_ID, L2TP_GENL_VERSION, SessionMessage, Stats,
};
use crate::genl::GenlHeader;
use crate::nl::{Attribute, Attributes, Header, Message, MessageBuilder};
use alloc::vec::Vec;

impl SessionMessage {
    /// Appends the message as a reply or notification `cmd` under `header`, its attributes in the kernel's order.
    pub fn emit(&self, out: &mut Vec<u8>, header: Header, cmd: u8) {
        let mut message = GenlHeader { cmd, version: L2TP_GENL_VERSION, reserved: 0 }.begin(out, header);
        message
            .u32(L2TP_ATTR_CONN_ID, self.conn_id)
            .u32(L2TP_ATTR_SESSION_ID, self.session_id)
            .u32(L2TP_ATTR_PEER_CONN_ID, self.peer_conn_id)
            .u32(L2TP_ATTR_PEER_SESSION_ID, self.peer_session_id)
            .u32(L2TP_ATTR_DEBUG, 0)
            .u16(L2TP_ATTR_PW_TYPE, self.pw_type);
        self.emit_options(&mut message);
        self.stats.emit(&mut message);
        message.finish();
    }

    fn emit_options(&self, message: &mut MessageBuilder<'_>) {
        if let Some(vlan_id) = self.vlan_id {
            message.u16(L2TP_ATTR_VLAN_ID, vlan_id);
        }
        if let Some(ifname) = &self.ifname {
            message.string(L2TP_ATTR_IFNAME, ifname);
        }
        emit_cookie(message, L2TP_ATTR_COOKIE, &self.cookie);
        emit_cookie(message, L2TP_ATTR_PEER_COOKIE, &self.peer_cookie);
        message
            .u8(L2TP_ATTR_RECV_SEQ, self.recv_seq.into())
            .u8(L2TP_ATTR_SEND_SEQ, self.send_seq.into())
            .u8(L2TP_ATTR_LNS_MODE, self.lns_mode.into());
        if self.using_ipsec {
            message.u8(L2TP_ATTR_USING_IPSEC, 1);
        }
        if self.recv_timeout != 0 {
            message.u64(L2TP_ATTR_RECV_TIMEOUT, self.recv_timeout);
        }
    }

    /// Reads a reply or notification: its command and its content. `None` if it has no generic netlink header; what is
    /// missing or too short is zero, empty or `None`, what is unknown is passed over.
    #[must_use]
    pub fn parse(message: &Message<'_>) -> Option<(u8, Self)> {
        let (genl, attributes) = GenlHeader::split(message.payload)?;
        let mut session = Self::default();
        for attribute in Attributes::new(attributes) {
            session.take(&attribute);
        }
        Some((genl.cmd, session))
    }

    fn take(&mut self, attribute: &Attribute<'_>) {
        let flag = attribute.u8().is_some_and(|value| value != 0);
        match attribute.kind {
            L2TP_ATTR_CONN_ID => self.conn_id = attribute.u32().unwrap_or_default(),
            L2TP_ATTR_SESSION_ID => self.session_id = attribute.u32().unwrap_or_default(),
            L2TP_ATTR_PEER_CONN_ID => self.peer_conn_id = attribute.u32().unwrap_or_default(),
            L2TP_ATTR_PEER_SESSION_ID => self.peer_session_id = attribute.u32().unwrap_or_default(),
            L2TP_ATTR_PW_TYPE => self.pw_type = attribute.u16().unwrap_or_default(),
            L2TP_ATTR_VLAN_ID => self.vlan_id = attribute.u16(),
            L2TP_ATTR_IFNAME => self.ifname = Some(attribute.string()),
            L2TP_ATTR_COOKIE => self.cookie = attribute.payload.to_vec(),
            L2TP_ATTR_PEER_COOKIE => self.peer_cookie = attribute.payload.to_vec(),
            L2TP_ATTR_RECV_SEQ => self.recv_seq = flag,
            L2TP_ATTR_SEND_SEQ => self.send_seq = flag,
            L2TP_ATTR_LNS_MODE => self.lns_mode = flag,
            L2TP_ATTR_USING_IPSEC => self.using_ipsec = flag,
            L2TP_ATTR_RECV_TIMEOUT => self.recv_timeout = attribute.u64().unwrap_or_default(),
            L2TP_ATTR_STATS => self.stats = Stats::parse(attribute),
            _ => {}
        }
    }
}

/// Appends a cookie if there is one.
pub(super) fn emit_cookie(message: &mut MessageBuilder<'_>, kind: u16, cookie: &[u8]) {
    if !cookie.is_empty() {
        message.bytes(kind, cookie);
    }
}
