//! Dumps: all objects, in datagrams of bounded size, each made when the program has room for it.
//!
//! A dump remembers the last object that it told, so objects may come and go meanwhile; it shows what is there as it passes.

use super::ctrl::{Family, family_messages, policy_messages};
use super::ferrowire::report_path;
use super::session::describe_session;
use super::tunnel::describe_tunnel;
use super::{ReplySink, Server};
use crate::text::{Text, View};
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::vec::Vec;
use l2tp_abi::Errno;
use l2tp_abi::genl::GENL_HDRLEN;
use l2tp_abi::genl::ctrl::CTRL_CMD_GETFAMILY;
use l2tp_abi::genl::ferrowire::path::FERROWIRE_CMD_PATHS;
use l2tp_abi::genl::ferrowire::{
    self, FERROWIRE_CMD_DEBUG_PPPOL2TP, FERROWIRE_CMD_DEBUG_TUNNELS, FERROWIRE_CMD_STATS,
};
use l2tp_abi::genl::l2tp::{L2TP_CMD_SESSION_GET, L2TP_CMD_TUNNEL_GET};
use l2tp_abi::nl::{ExtAck, Header, Message, NLM_F_MULTI, Strictness, emit_done};
use l2tp_core::{Engine, Host};

/// The most that one datagram of a dump may have, in bytes.
pub(super) const PAGE_MAX: usize = 32 * 1024;

/// A dump under way: whom it answers and how far it has come.
#[derive(Debug)]
pub(super) struct Dump {
    header: Header,
    rest: Rest,
}

/// What a dump has still to tell.
#[derive(Debug)]
enum Rest {
    /// The tunnels behind this one.
    Tunnels(Option<u32>),
    /// The sessions behind this one.
    Sessions(Option<(u32, u32)>),
    /// The paths of the sessions behind this one.
    Paths(Option<(u32, u32)>),
    /// The rest of a debug text.
    Text(Text),
    /// These messages: the controller's answers and the counters of a moment, which are few.
    Messages(VecDeque<Vec<u8>>),
}

impl<H: Host, R: ReplySink<H::Descriptor>> Server<'_, H, R> {
    /// Begins a dump and sends its first datagram. The attributes of a request for tunnels or sessions are not looked at.
    pub(super) fn start_dump(
        &mut self,
        family: Family,
        cmd: u8,
        message: &Message<'_>,
        ext: &mut ExtAck,
    ) -> Result<(), Errno> {
        if self.client.is_dumping() {
            return Err(Errno::EBUSY);
        }
        let header = self.answer_header(&message.header, NLM_F_MULTI);
        let rest = match (family, cmd) {
            (Family::L2tp, L2TP_CMD_TUNNEL_GET) => Rest::Tunnels(None),
            (Family::L2tp, L2TP_CMD_SESSION_GET) => Rest::Sessions(None),
            (Family::L2tp, _) => return Err(Errno::EOPNOTSUPP),
            (Family::Ctrl, CTRL_CMD_GETFAMILY) => Rest::Messages(family_messages(header)),
            (Family::Ctrl, _) => Rest::Messages(policy_messages(message, header, ext)?),
            (Family::Ferrowire, cmd) => {
                ferrowire::POLICY.validate(message.bytes, GENL_HDRLEN, Strictness::Strict, ext)?;
                match cmd {
                    FERROWIRE_CMD_PATHS => Rest::Paths(None),
                    FERROWIRE_CMD_STATS => Rest::Messages(self.counter_messages(header)),
                    FERROWIRE_CMD_DEBUG_TUNNELS => Rest::Text(Text::new(View::Tunnels)),
                    _ => Rest::Text(Text::new(View::Pppol2tp)),
                }
            }
        };
        self.client.dump = Some(Dump { header, rest });
        self.continue_dump();
        Ok(())
    }

    /// Sends the next datagram of the program's dump, if one is under way: as many objects as fit, or the end of the dump,
    /// which is always a datagram of its own. To be called whenever the program has read the one before.
    pub fn continue_dump(&mut self) {
        let Some(mut dump) = self.client.dump.take() else { return };
        let mut page = Vec::with_capacity(self.client.page);
        while dump.rest.emit_next(self.engine, self.host, dump.header, &mut page, self.client.page) {}
        if page.is_empty() {
            emit_done(&mut page, dump.header.seq, dump.header.port);
        } else {
            self.client.dump = Some(dump);
        }
        self.replies.reply(&page, None);
    }
}

impl Rest {
    /// Appends the next object to `page` and steps behind it; `false`: there is none, or it does not fit into `limit` bytes.
    /// A page takes at least one object.
    fn emit_next<H: Host>(
        &mut self,
        engine: &mut Engine<H::Socket, H::Device>,
        host: &mut H,
        header: Header,
        page: &mut Vec<u8>,
        limit: usize,
    ) -> bool {
        let before = page.len();
        let fits = |page: &mut Vec<u8>| {
            let fits = before == 0 || page.len() <= limit;
            page.truncate(if fits { page.len() } else { before });
            fits
        };
        match self {
            Self::Tunnels(after) => {
                let Some(told) = emit_tunnel(engine, host, *after, header, page) else { return false };
                if !fits(page) {
                    return false;
                }
                *after = Some(told);
            }
            Self::Sessions(after) => {
                let Some(told) = emit_session(engine, host, *after, header, page) else { return false };
                if !fits(page) {
                    return false;
                }
                *after = Some(told);
            }
            Self::Paths(after) => {
                let Some(told) = emit_path(engine, host, *after, header, page) else { return false };
                if !fits(page) {
                    return false;
                }
                *after = Some(told);
            }
            Self::Text(text) => {
                let (mut next, mut part) = (*text, String::new());
                // Memory refuses nothing.
                if !next.write_next(engine, host, &mut part).unwrap_or(false) {
                    return false;
                }
                ferrowire::emit_text(page, header, text_command(text.view()), &part);
                if !fits(page) {
                    return false;
                }
                *text = next;
            }
            Self::Messages(messages) => {
                let Some(message) = messages.front() else { return false };
                page.extend_from_slice(message);
                if !fits(page) {
                    return false;
                }
                messages.pop_front();
            }
        }
        true
    }
}

/// Appends the tunnel behind one, as it is now, and returns its id.
fn emit_tunnel<H: Host>(
    engine: &mut Engine<H::Socket, H::Device>,
    host: &mut H,
    after: Option<u32>,
    header: Header,
    page: &mut Vec<u8>,
) -> Option<u32> {
    let key = engine.next_tunnel_key(after)?;
    engine.settle_tunnel(host, key);
    let tunnel = engine.tunnel(key)?;
    let described = describe_tunnel(&tunnel.config, &tunnel.stats, &host.endpoints(&tunnel.socket));
    described.emit(page, header, L2TP_CMD_TUNNEL_GET);
    Some(tunnel.id())
}

/// Appends the session behind one, as it is now, and returns its tunnel's id and its own.
fn emit_session<H: Host>(
    engine: &mut Engine<H::Socket, H::Device>,
    host: &mut H,
    after: Option<(u32, u32)>,
    header: Header,
    page: &mut Vec<u8>,
) -> Option<(u32, u32)> {
    let (key, _) = engine.next_session(after)?;
    engine.settle(host, key);
    let session = engine.session(key)?;
    describe_session(session).emit(page, header, L2TP_CMD_SESSION_GET);
    Some((session.tunnel_id, session.config.session_id))
}

/// Appends the path of the session behind one, and returns the same.
fn emit_path<H: Host>(
    engine: &Engine<H::Socket, H::Device>,
    host: &H,
    after: Option<(u32, u32)>,
    header: Header,
    page: &mut Vec<u8>,
) -> Option<(u32, u32)> {
    let (key, _) = engine.next_session(after)?;
    let report = report_path(engine, host, key)?;
    report.emit(page, header);
    Some((report.tunnel_id, report.session_id))
}

/// The command that tells a text.
const fn text_command(view: View) -> u8 {
    match view {
        View::Tunnels => FERROWIRE_CMD_DEBUG_TUNNELS,
        View::Pppol2tp => FERROWIRE_CMD_DEBUG_PPPOL2TP,
    }
}
