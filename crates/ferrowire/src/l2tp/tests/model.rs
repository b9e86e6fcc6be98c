//! A door with a small model of the kernel behind it: just enough for the recordings.

use std::collections::VecDeque;
use std::io;
use std::os::fd::BorrowedFd;

use l2tp_abi::Errno;
use l2tp_abi::genl::GenlHeader;
use l2tp_abi::genl::ctrl::{CTRL_CMD_GETFAMILY, FamilyMessage, GENL_ID_CTRL};
use l2tp_abi::genl::l2tp::*;
use l2tp_abi::nl::{
    AckOptions, Attributes, ExtAck, Header, Message, Messages, NLM_F_MULTI, emit_ack, emit_done,
};

use l2tp_client::Transport;

const FAMILY: u16 = 0x23;

/// Tunnels and sessions without packets. Sessions are kept in the order of their creation, as the kernel 6.12 takes
/// a session id twice and then shows the newer one.
#[derive(Default)]
pub(super) struct Model {
    tunnels: Vec<TunnelMessage>,
    sessions: Vec<SessionMessage>,
    replies: VecDeque<Vec<u8>>,
}

impl Transport for Model {
    fn send(&mut self, bytes: &[u8], _: Option<BorrowedFd<'_>>) -> io::Result<()> {
        for message in Messages::new(bytes) {
            let (genl, attributes) = GenlHeader::split(message.payload).expect("a genl header");
            if message.header.is_dump() {
                self.dump(&message, genl.cmd);
                continue;
            }
            let error = self.act(&message, genl.cmd, Attributes::new(attributes)).err();
            let options = AckOptions { cap_ack: false, ext_ack: true };
            let mut reply = Vec::new();
            emit_ack(&mut reply, &message, 1, options, error, &ExtAck::default());
            self.replies.push_back(reply);
        }
        Ok(())
    }

    fn receive(&mut self) -> io::Result<Vec<u8>> {
        self.replies.pop_front().ok_or_else(|| io::Error::other("nothing more to say"))
    }
}

impl Model {
    fn act(&mut self, message: &Message<'_>, cmd: u8, attributes: Attributes<'_>) -> Result<(), Errno> {
        let has = |kind| attributes.clone().find_last(kind).is_some();
        let session = SessionMessage::parse(message).map(|(_, session)| session).ok_or(Errno::EINVAL);
        match cmd {
            CTRL_CMD_GETFAMILY if message.header.kind == GENL_ID_CTRL => self.family(message),
            L2TP_CMD_TUNNEL_CREATE if has(L2TP_ATTR_IP_SADDR) != has(L2TP_ATTR_IP_DADDR) => {
                return Err(Errno::EINVAL);
            }
            L2TP_CMD_TUNNEL_CREATE => return self.create_tunnel(message),
            L2TP_CMD_TUNNEL_DELETE => return self.delete_tunnel(session?.conn_id),
            L2TP_CMD_TUNNEL_GET => {
                let tunnel = self.tunnel(session?.conn_id)?.clone();
                self.describe(|out, header| tunnel.emit(out, header, cmd), reply_to(message, 0));
            }
            L2TP_CMD_SESSION_CREATE => return self.create_session(session?),
            L2TP_CMD_SESSION_DELETE => {
                let at = self.newest(&session?)?;
                self.sessions.remove(at);
            }
            L2TP_CMD_SESSION_GET => {
                let found = self.sessions[self.newest(&session?)?].clone();
                self.describe(|out, header| found.emit(out, header, cmd), reply_to(message, 0));
            }
            L2TP_CMD_SESSION_MODIFY => {
                let asked = session?;
                let at = self.newest(&asked)?;
                let target = &mut self.sessions[at];
                if has(L2TP_ATTR_SEND_SEQ) {
                    (target.send_seq, target.recv_seq) = (asked.send_seq, asked.recv_seq);
                }
                if has(L2TP_ATTR_RECV_TIMEOUT) {
                    target.recv_timeout = asked.recv_timeout;
                }
            }
            _ => return Err(Errno::EOPNOTSUPP),
        }
        Ok(())
    }

    fn family(&mut self, message: &Message<'_>) {
        let family = FamilyMessage { name: "l2tp".to_owned(), id: FAMILY, version: 1, ..Default::default() };
        self.describe(|out, header| family.emit(out, header), reply_to(message, 0));
    }

    fn describe(&mut self, emit: impl Fn(&mut Vec<u8>, Header), header: Header) {
        let mut reply = Vec::new();
        emit(&mut reply, header);
        self.replies.push_back(reply);
    }

    fn dump(&mut self, message: &Message<'_>, cmd: u8) {
        let header = reply_to(message, NLM_F_MULTI);
        let mut page = Vec::new();
        if cmd == L2TP_CMD_TUNNEL_GET {
            self.tunnels.sort_by_key(|tunnel| tunnel.conn_id);
            self.tunnels.iter().for_each(|tunnel| tunnel.emit(&mut page, header, cmd));
        } else {
            let mut shown: Vec<_> = self.sessions.iter().rev().collect();
            shown.sort_by_key(|session| (session.conn_id, session.session_id));
            shown.dedup_by_key(|session| (session.conn_id, session.session_id));
            shown.iter().for_each(|session| session.emit(&mut page, header, cmd));
        }
        if !page.is_empty() {
            self.replies.push_back(page);
        }
        let mut done = Vec::new();
        emit_done(&mut done, message.header.seq, 1);
        self.replies.push_back(done);
    }

    fn tunnel(&self, conn_id: u32) -> Result<&TunnelMessage, Errno> {
        self.tunnels.iter().find(|tunnel| tunnel.conn_id == conn_id).ok_or(Errno::ENODEV)
    }

    /// Where the session is that a request means.
    fn newest(&self, asked: &SessionMessage) -> Result<usize, Errno> {
        let same = |s: &SessionMessage| (s.conn_id, s.session_id) == (asked.conn_id, asked.session_id);
        self.sessions.iter().rposition(same).ok_or(Errno::ENODEV)
    }

    /// The attributes of a request to create are those of a reply.
    fn create_tunnel(&mut self, message: &Message<'_>) -> Result<(), Errno> {
        let (_, tunnel) = TunnelMessage::parse(message).ok_or(Errno::EINVAL)?;
        if self.tunnel(tunnel.conn_id).is_ok() {
            return Err(Errno::EEXIST);
        }
        if !["192.0.2.1", "2001:db8::1"].contains(&tunnel.local.to_string().as_str()) {
            return Err(Errno::EADDRNOTAVAIL);
        }
        self.tunnels.push(tunnel);
        Ok(())
    }

    fn delete_tunnel(&mut self, conn_id: u32) -> Result<(), Errno> {
        self.tunnel(conn_id)?;
        self.tunnels.retain(|tunnel| tunnel.conn_id != conn_id);
        self.sessions.retain(|session| session.conn_id != conn_id);
        Ok(())
    }

    fn create_session(&mut self, mut session: SessionMessage) -> Result<(), Errno> {
        session.peer_conn_id = self.tunnel(session.conn_id)?.peer_conn_id;
        let taken = |name: &str| self.sessions.iter().any(|other| other.ifname.as_deref() == Some(name));
        if session.ifname.is_none() {
            session.ifname = (0..).map(|n| format!("l2tpeth{n}")).find(|name| !taken(name));
        }
        self.sessions.push(session);
        Ok(())
    }
}

fn reply_to(message: &Message<'_>, flags: u16) -> Header {
    Header { kind: FAMILY, flags, seq: message.header.seq, port: 1 }
}
