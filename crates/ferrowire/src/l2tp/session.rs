//! The words that describe a session.

use l2tp_abi::genl::l2tp::{
    L2TP_L2SPECTYPE_DEFAULT, L2TP_L2SPECTYPE_NONE, L2TP_PWTYPE_ETH, L2TP_PWTYPE_ETH_VLAN, SessionCreate,
    SessionKey, SessionModify,
};

use super::args::Args;
use super::fault::Fault;
use super::number;

/// What a command says of a session, its ids apart.
#[derive(Debug, Default)]
pub(super) struct SessionWords {
    pub(super) peer_session_id: u32,
    pub(super) name: Option<String>,
    pub(super) cookie: Vec<u8>,
    pub(super) peer_cookie: Vec<u8>,
    pub(super) no_l2spec: bool,
    pub(super) seq: Option<Seq>,
    pub(super) reorder_timeout: Option<u64>,
    pub(super) lns_mode: Option<bool>,
    pub(super) vlan_id: Option<u16>,
}

/// Which directions are numbered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seq {
    pub(super) send: bool,
    pub(super) recv: bool,
}

impl SessionWords {
    /// Reads the value of `word`; false if the word is none of a session's. A repeated word counts as it says last,
    /// but `seq` adds up: `seq send seq recv` is `seq both`, and `seq none` starts anew.
    pub(super) fn take(&mut self, word: &str, args: &mut Args<'_>) -> Result<bool, Fault> {
        match word {
            "peer_session_id" | "psid" => self.peer_session_id = args.id()?,
            "name" => self.name = Some(args.ifname()?.to_owned()),
            "cookie" => self.cookie = args.cookie()?,
            "peer_cookie" => self.peer_cookie = args.cookie()?,
            "l2spec_type" => self.no_l2spec = no_l2spec(args.value()?)?,
            "seq" => self.seq = Some(seq(self.seq.unwrap_or_default(), args.value()?)?),
            "reorder_timeout" => self.reorder_timeout = Some(args.number("invalid reorder timeout\n")?),
            "lns_mode" => self.lns_mode = Some(args.on_off(word)?),
            "vlan" => self.vlan_id = Some(vlan_id(args)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The request to create the session; `ids` are those of the tunnel, of the peer's tunnel and of the session.
    pub(super) fn create(self, ids: (u32, u32, u32)) -> SessionCreate {
        let (conn_id, peer_conn_id, session_id) = ids;
        let seq = self.seq.unwrap_or_default();
        SessionCreate {
            conn_id,
            peer_conn_id,
            session_id,
            peer_session_id: self.peer_session_id,
            pw_type: if self.vlan_id.is_some() { L2TP_PWTYPE_ETH_VLAN } else { L2TP_PWTYPE_ETH },
            l2spec_type: Some(if self.no_l2spec { L2TP_L2SPECTYPE_NONE } else { L2TP_L2SPECTYPE_DEFAULT }),
            recv_seq: seq.recv,
            send_seq: seq.send,
            lns_mode: self.lns_mode.unwrap_or(false),
            recv_timeout: self.reorder_timeout.unwrap_or(0),
            cookie: self.cookie,
            peer_cookie: self.peer_cookie,
            ifname: self.name,
            vlan_id: self.vlan_id,
        }
    }

    /// The request to change what the command names, and nothing else.
    pub(super) fn modify(&self, key: SessionKey) -> SessionModify {
        SessionModify {
            key,
            recv_seq: self.seq.map(|seq| seq.recv),
            send_seq: self.seq.map(|seq| seq.send),
            lns_mode: self.lns_mode,
            recv_timeout: self.reorder_timeout,
        }
    }
}

fn no_l2spec(value: &str) -> Result<bool, Fault> {
    match value.to_ascii_lowercase().as_str() {
        "none" => Ok(true),
        "default" => Ok(false),
        _ => Err(Fault::unknown_value("layer2specific header type", value)),
    }
}

fn seq(so_far: Seq, value: &str) -> Result<Seq, Fault> {
    match value.to_ascii_lowercase().as_str() {
        "none" => Ok(Seq::default()),
        "send" => Ok(Seq { send: true, ..so_far }),
        "recv" => Ok(Seq { recv: true, ..so_far }),
        "both" => Ok(Seq { send: true, recv: true }),
        _ => Err(Fault::unknown_value("seq value", value)),
    }
}

/// A VLAN that a frame can be tagged with: 1 to 4094 (IEEE 802.1Q, table 9-2).
fn vlan_id(args: &mut Args<'_>) -> Result<u16, Fault> {
    let word = args.value()?;
    number::whole(word)
        .filter(|id| (1..=4094).contains(id))
        .ok_or_else(|| Fault::wrong(word, "invalid VLAN ID\n"))
}
