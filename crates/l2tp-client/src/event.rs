//! What happened, read from a notification.

use l2tp_abi::genl::l2tp::{
    L2TP_CMD_SESSION_CREATE, L2TP_CMD_SESSION_DELETE, L2TP_CMD_SESSION_MODIFY, L2TP_CMD_TUNNEL_CREATE,
    L2TP_CMD_TUNNEL_DELETE, L2TP_CMD_TUNNEL_MODIFY, SessionMessage, TunnelMessage,
};
use l2tp_abi::nl::{Message, NLMSG_OVERRUN};

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// What became of a tunnel, and the tunnel as it was then.
    Tunnel(Change, TunnelMessage),
    /// What became of a session, and the session as it was then.
    Session(Change, SessionMessage),
    /// Some events were lost here, because this program read too slowly.
    Lost,
}

/// What became of a tunnel or session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// It is there.
    Created,
    /// It has other settings; of a tunnel, somebody asked to modify it.
    Modified,
    /// It is gone, by a command of its own.
    Deleted,
    /// It is gone without one: with its tunnel, its device, its socket or the daemon. A kernel does not tell.
    Died,
}

impl Event {
    /// Reads a notification; `None` for one that is of no interest. Deaths without a command come from nobody's port.
    #[must_use]
    pub fn parse(message: &Message<'_>) -> Option<Self> {
        if message.header.kind == NLMSG_OVERRUN {
            return Some(Self::Lost);
        }
        let end = if message.header.port == 0 { Change::Died } else { Change::Deleted };
        let change = match *message.payload.first()? {
            L2TP_CMD_TUNNEL_CREATE | L2TP_CMD_SESSION_CREATE => Change::Created,
            L2TP_CMD_TUNNEL_MODIFY | L2TP_CMD_SESSION_MODIFY => Change::Modified,
            L2TP_CMD_TUNNEL_DELETE | L2TP_CMD_SESSION_DELETE => end,
            _ => return None,
        };
        let (cmd, tunnel) = TunnelMessage::parse(message)?;
        if matches!(cmd, L2TP_CMD_TUNNEL_CREATE | L2TP_CMD_TUNNEL_MODIFY | L2TP_CMD_TUNNEL_DELETE) {
            return Some(Self::Tunnel(change, tunnel));
        }
        SessionMessage::parse(message).map(|(_, session)| Self::Session(change, session))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use l2tp_abi::genl::l2tp::L2TP_CMD_TUNNEL_GET;
    use l2tp_abi::nl::{Header, Messages, emit_overrun};

    fn heard(port: u32, emit: impl FnOnce(&mut Vec<u8>, Header)) -> Option<Event> {
        let mut bytes = Vec::new();
        emit(&mut bytes, Header { kind: 0x23, flags: 4, seq: 0, port });
        Event::parse(&Messages::new(&bytes).next().unwrap())
    }

    #[test]
    fn commands_are_changes() {
        let tunnel = TunnelMessage { conn_id: 1, ..TunnelMessage::default() };
        for (cmd, port, want) in [
            (L2TP_CMD_TUNNEL_CREATE, 16, Some(Change::Created)),
            (L2TP_CMD_TUNNEL_MODIFY, 16, Some(Change::Modified)),
            (L2TP_CMD_TUNNEL_DELETE, 16, Some(Change::Deleted)),
            (L2TP_CMD_TUNNEL_DELETE, 0, Some(Change::Died)),
            (L2TP_CMD_TUNNEL_GET, 16, None),
        ] {
            let event = heard(port, |out, header| tunnel.emit(out, header, cmd));
            assert_eq!(event, want.map(|change| Event::Tunnel(change, tunnel.clone())), "{cmd} {port}");
        }
        let session = SessionMessage { conn_id: 1, session_id: 10, ..SessionMessage::default() };
        let event = heard(0, |out, header| session.emit(out, header, L2TP_CMD_SESSION_DELETE));
        assert_eq!(event, Some(Event::Session(Change::Died, session)));
        assert_eq!(heard(0, |out, _| emit_overrun(out, 5)), Some(Event::Lost));
    }
}
