//! The commands about sessions.

use super::dispatch::L2tpAttributes;
use super::{ReplySink, Server};
use alloc::string::String;
use core::time::Duration;
use l2tp_abi::Errno;
use l2tp_abi::genl::l2tp::{
    L2TP_ATTR_CONN_ID, L2TP_ATTR_COOKIE, L2TP_ATTR_IFNAME, L2TP_ATTR_L2SPEC_TYPE, L2TP_ATTR_LNS_MODE,
    L2TP_ATTR_PEER_COOKIE, L2TP_ATTR_PEER_SESSION_ID, L2TP_ATTR_PW_TYPE, L2TP_ATTR_RECV_SEQ,
    L2TP_ATTR_RECV_TIMEOUT, L2TP_ATTR_SEND_SEQ, L2TP_ATTR_SESSION_ID, L2TP_ATTR_VLAN_ID,
    L2TP_CMD_SESSION_CREATE, L2TP_CMD_SESSION_DELETE, L2TP_CMD_SESSION_GET, L2TP_CMD_SESSION_MODIFY,
    SessionMessage,
};
use l2tp_abi::nl::{Attribute, Header};
use l2tp_core::Cookie;
use l2tp_core::config::{SessionChange, VlanId};
use l2tp_core::session::Session;
use l2tp_core::{Error, Host, L2specType, PwType, SessionConfig, SessionKey, SessionSelector};

impl<H: Host, R: ReplySink<H::Descriptor>> Server<'_, H, R> {
    pub(super) fn create_session(
        &mut self,
        header: &Header,
        attributes: &L2tpAttributes<'_>,
    ) -> Result<(), Errno> {
        let tunnel_id = attributes.u32(L2TP_ATTR_CONN_ID).ok_or(Errno::EINVAL)?;
        let tunnel = self.engine.find_tunnel(tunnel_id).map_err(Error::errno)?;
        let version = self.engine.tunnel(tunnel).ok_or(Errno::ENODEV)?.config.version;
        let config = session_config(attributes, version)?;
        let key = self.engine.create_session(self.host, tunnel_id, config).map_err(Error::errno)?;
        self.notify_session(header, key, L2TP_CMD_SESSION_CREATE)
    }

    pub(super) fn delete_session(
        &mut self,
        header: &Header,
        attributes: &L2tpAttributes<'_>,
    ) -> Result<(), Errno> {
        let selector = selector(attributes)?;
        let key = self.engine.find_session(selector).map_err(Error::errno)?;
        self.notify_session(header, key, L2TP_CMD_SESSION_DELETE)?;
        self.engine.delete_session(self.host, selector).map_err(Error::errno)
    }

    pub(super) fn modify_session(
        &mut self,
        header: &Header,
        attributes: &L2tpAttributes<'_>,
    ) -> Result<(), Errno> {
        let change = SessionChange {
            recv_seq: flag(attributes, L2TP_ATTR_RECV_SEQ),
            send_seq: flag(attributes, L2TP_ATTR_SEND_SEQ),
            lns_mode: flag(attributes, L2TP_ATTR_LNS_MODE),
            reorder_timeout: attributes.u64(L2TP_ATTR_RECV_TIMEOUT).map(Duration::from_millis),
        };
        let key = self.engine.modify_session(selector(attributes)?, &change).map_err(Error::errno)?;
        self.notify_session(header, key, L2TP_CMD_SESSION_MODIFY)
    }

    pub(super) fn get_session(
        &mut self,
        header: &Header,
        attributes: &L2tpAttributes<'_>,
    ) -> Result<(), Errno> {
        let key = self.engine.find_session(selector(attributes)?).map_err(Error::errno)?;
        let message = self.session_message(key)?;
        self.reply(header, 0, |out, header| message.emit(out, header, L2TP_CMD_SESSION_GET));
        Ok(())
    }

    pub(super) fn session_message(&mut self, key: SessionKey) -> Result<SessionMessage, Errno> {
        self.engine.settle(self.host, key);
        self.engine.session(key).map(describe_session).ok_or(Errno::ENODEV)
    }
}

/// A session as replies, dumps and notifications show it.
pub(super) fn describe_session<D>(session: &Session<D>) -> SessionMessage {
    let config = &session.config;
    SessionMessage {
        conn_id: session.tunnel_id,
        session_id: config.session_id,
        peer_conn_id: session.peer_tunnel_id,
        peer_session_id: config.peer_session_id,
        pw_type: config.pw_type.number(),
        vlan_id: config.pw_type.vlan().map(VlanId::number),
        ifname: session.ifname.clone(),
        cookie: config.cookie.as_bytes().to_vec(),
        peer_cookie: config.peer_cookie.as_bytes().to_vec(),
        recv_seq: config.recv_seq,
        send_seq: config.send_seq,
        lns_mode: config.lns_mode,
        using_ipsec: false,
        recv_timeout: u64::try_from(config.reorder_timeout.as_millis()).unwrap_or(u64::MAX),
        stats: session.stats,
    }
}

/// What a request for a session in a tunnel of `version` asks for, checked in the kernel's order. Sublayer, cookies and name
/// are of version 3 and above only, the name of Ethernet only.
fn session_config(attributes: &L2tpAttributes<'_>, version: u8) -> Result<SessionConfig, Errno> {
    let session_id = attributes.u32(L2TP_ATTR_SESSION_ID).ok_or(Errno::EINVAL)?;
    let peer_session_id = attributes.u32(L2TP_ATTR_PEER_SESSION_ID).ok_or(Errno::EINVAL)?;
    let pw_type = attributes.u16(L2TP_ATTR_PW_TYPE).ok_or(Errno::EINVAL)?;
    // The sublayer before the pseudowire: no driver is asked for unless the request is sound.
    let l2spec = if version > 2 { l2spec(attributes)? } else { L2specType::None };
    let vlan_id = attributes.u16(L2TP_ATTR_VLAN_ID);
    let pw_type = PwType::from_number(pw_type, version, vlan_id).map_err(Error::errno)?;
    let v3_only = |kind| attributes.get(kind).filter(|_| version > 2);
    Ok(SessionConfig {
        session_id,
        peer_session_id,
        pw_type,
        l2spec,
        cookie: cookie(v3_only(L2TP_ATTR_COOKIE))?,
        peer_cookie: cookie(v3_only(L2TP_ATTR_PEER_COOKIE))?,
        recv_seq: flag(attributes, L2TP_ATTR_RECV_SEQ).unwrap_or_default(),
        send_seq: flag(attributes, L2TP_ATTR_SEND_SEQ).unwrap_or_default(),
        lns_mode: flag(attributes, L2TP_ATTR_LNS_MODE).unwrap_or_default(),
        reorder_timeout: Duration::from_millis(attributes.u64(L2TP_ATTR_RECV_TIMEOUT).unwrap_or_default()),
        ifname: v3_only(L2TP_ATTR_IFNAME).filter(|_| pw_type.is_ethernet()).map(ifname).transpose()?,
    })
}

fn l2spec(attributes: &L2tpAttributes<'_>) -> Result<L2specType, Errno> {
    let kind = attributes.u8(L2TP_ATTR_L2SPEC_TYPE);
    kind.map_or(Ok(L2specType::Default), L2specType::from_number).map_err(Error::errno)
}

fn cookie(attribute: Option<&Attribute<'_>>) -> Result<Cookie, Errno> {
    attribute.map_or(Some(Cookie::NONE), |attribute| Cookie::new(attribute.payload)).ok_or(Errno::EINVAL)
}

/// The text of a device name. The kernel takes any bytes; here it has to be UTF-8.
fn ifname(attribute: &Attribute<'_>) -> Result<String, Errno> {
    core::str::from_utf8(attribute.c_str()).map(String::from).map_err(|_| Errno::EINVAL)
}

/// A flag of one bit: the lowest.
fn flag(attributes: &L2tpAttributes<'_>, kind: u16) -> Option<bool> {
    attributes.u8(kind).map(|value| value & 1 != 0)
}

/// Which session is meant: a name wins over ids, and whatever is missing or wrong is `ENODEV`.
fn selector<'a>(attributes: &L2tpAttributes<'a>) -> Result<SessionSelector<'a>, Errno> {
    if let Some(name) = attributes.get(L2TP_ATTR_IFNAME) {
        return core::str::from_utf8(name.c_str()).map(SessionSelector::Name).map_err(|_| Errno::ENODEV);
    }
    let tunnel_id = attributes.u32(L2TP_ATTR_CONN_ID).ok_or(Errno::ENODEV)?;
    let session_id = attributes.u32(L2TP_ATTR_SESSION_ID).ok_or(Errno::ENODEV)?;
    Ok(SessionSelector::Ids { tunnel_id, session_id })
}
