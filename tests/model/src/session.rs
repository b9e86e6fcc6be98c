//! A session.

use l2tp_abi::Errno;
use l2tp_abi::genl::l2tp::{
    L2TP_L2SPECTYPE_DEFAULT, L2TP_PWTYPE_ETH, L2TP_PWTYPE_PPP, SessionCreate, SessionMessage, SessionModify,
};

use crate::tunnel::Tunnel;

/// The first number of a pseudowire that nobody has defined (`__L2TP_PWTYPE_MAX`).
const PWTYPE_END: u16 = 12;
/// A tick of the clock, in milliseconds.
const TICK: u64 = 4;

#[derive(Debug)]
pub(crate) struct Session {
    create: SessionCreate,
    /// The name of its device.
    pub(crate) ifname: Option<String>,
}

impl Session {
    /// What `create` asks for in `tunnel`, checked in the kernel's order.
    pub(crate) fn new(create: &SessionCreate, tunnel: &Tunnel) -> Result<Self, Errno> {
        let mut create = create.clone();
        if create.pw_type >= PWTYPE_END {
            return Err(Errno::EINVAL);
        }
        if tunnel.is_v2() && create.pw_type != L2TP_PWTYPE_PPP {
            return Err(Errno::EPROTONOSUPPORT);
        }
        if tunnel.version() > 2 {
            if create.l2spec_type.is_some_and(|kind| kind > L2TP_L2SPECTYPE_DEFAULT) {
                return Err(Errno::EINVAL);
            }
        } else {
            (create.cookie, create.peer_cookie, create.ifname) = (Vec::new(), Vec::new(), None);
        }
        if ![L2TP_PWTYPE_ETH, L2TP_PWTYPE_PPP].contains(&create.pw_type) {
            return Err(Errno::EPROTONOSUPPORT);
        }
        create.recv_timeout = in_ticks(create.recv_timeout);
        Ok(Self { create, ifname: None })
    }

    pub(crate) const fn id(&self) -> u32 {
        self.create.session_id
    }

    pub(crate) const fn is_ethernet(&self) -> bool {
        self.create.pw_type == L2TP_PWTYPE_ETH
    }

    /// The name of its device, or a template of it.
    pub(crate) fn wanted_name(&self) -> &str {
        self.create.ifname.as_deref().unwrap_or("l2tpeth%d")
    }

    pub(crate) fn modify(&mut self, modify: &SessionModify) {
        let create = &mut self.create;
        create.recv_seq = modify.recv_seq.unwrap_or(create.recv_seq);
        create.send_seq = modify.send_seq.unwrap_or(create.send_seq);
        create.lns_mode = modify.lns_mode.unwrap_or(create.lns_mode);
        create.recv_timeout = modify.recv_timeout.map_or(create.recv_timeout, in_ticks);
    }

    pub(crate) fn message(&self, tunnel: &Tunnel) -> SessionMessage {
        let SessionCreate { cookie, peer_cookie, .. } = self.create.clone();
        SessionMessage {
            conn_id: tunnel.id(),
            session_id: self.create.session_id,
            peer_conn_id: tunnel.peer_id(),
            peer_session_id: self.create.peer_session_id,
            pw_type: self.create.pw_type,
            ifname: self.ifname.clone(),
            cookie,
            peer_cookie,
            recv_seq: self.create.recv_seq,
            send_seq: self.create.send_seq,
            lns_mode: self.create.lns_mode,
            recv_timeout: self.create.recv_timeout,
            ..SessionMessage::default()
        }
    }
}

fn in_ticks(milliseconds: u64) -> u64 {
    milliseconds.div_ceil(TICK) * TICK
}

/// Whether a device can be called so.
pub(crate) fn check_name(name: &str) -> Result<(), Errno> {
    let is_word = !["", ".", ".."].contains(&name) && !name.contains(['/', ':', ' ', '\t', '\n']);
    let numbers = name.matches('%').count();
    let is_template = numbers == 0 || (numbers == 1 && name.contains("%d"));
    if is_word && is_template { Ok(()) } else { Err(Errno::EINVAL) }
}
