//! What the group "deaths" hears, and what it does not.

use crate::dump::{session, tunnel};
use crate::lab::Lab;
use l2tp_abi::genl::l2tp::{
    L2TP_CMD_SESSION_DELETE, L2TP_CMD_TUNNEL_DELETE, L2TP_PWTYPE_PPP, Request, SessionCreate, SessionKey,
    SessionMessage, TunnelMessage,
};
use l2tp_abi::nl::{Header, Messages, NLM_F_ACK, NLMSG_OVERRUN};
use l2tp_core::SessionSelector;
use l2tp_core::engine::DEATHS_MAX;
use l2tp_mgmt::netlink::{DEATHS_GROUP_ID, L2TP_FAMILY_ID, announce_deaths};

/// One death as listeners hear it.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Session(SessionMessage),
    Tunnel(TunnelMessage),
    Overrun,
}

fn deaths(lab: &mut Lab) -> Vec<Heard> {
    let mut heard = Vec::new();
    announce_deaths(&mut lab.engine, |group, datagram| {
        assert_eq!(group, DEATHS_GROUP_ID);
        let message = Messages::new(datagram).next().unwrap();
        assert_eq!(message.bytes.len(), datagram.len());
        if message.header.kind == NLMSG_OVERRUN {
            heard.push(Heard::Overrun);
            return;
        }
        assert_eq!(message.header, Header { kind: L2TP_FAMILY_ID, flags: NLM_F_ACK, seq: 0, port: 0 });
        heard.push(match message.payload[0] {
            L2TP_CMD_SESSION_DELETE => Heard::Session(SessionMessage::parse(&message).unwrap().1),
            L2TP_CMD_TUNNEL_DELETE => Heard::Tunnel(TunnelMessage::parse(&message).unwrap().1),
            other => unreachable!("command {other}"),
        });
    });
    heard
}

fn lab(tunnels: &[u32], sessions: &[u32]) -> Lab {
    let mut lab = Lab::new();
    for conn_id in tunnels {
        assert_eq!(lab.request(&tunnel(*conn_id)).errno, None);
        for session_id in sessions {
            assert_eq!(lab.request(&session(*conn_id, *session_id)).errno, None);
        }
    }
    lab
}

#[test]
fn a_command_is_told_by_the_command() {
    let mut lab = lab(&[1], &[10]);
    lab.request(&Request::SessionDelete(SessionKey::Ids { conn_id: 1, session_id: 10 }));
    lab.request(&Request::TunnelDelete(1));
    assert_eq!(deaths(&mut lab), []);
    assert_eq!(lab.inbox.heard.len(), 4, "two created, two deleted");
}

#[test]
fn sessions_die_with_their_tunnel_as_a_dump_showed_them() {
    let mut lab = lab(&[1, 2], &[10, 11]);
    let shown = lab.sessions();
    lab.request(&Request::TunnelDelete(1));
    let want: Vec<_> = shown.into_iter().filter(|s| s.conn_id == 1).map(Heard::Session).collect();
    assert_eq!(want.len(), 2);
    assert_eq!(deaths(&mut lab), want);
    assert_eq!(deaths(&mut lab), [], "told once");
    assert_eq!(lab.engine.session_count(), 2);
}

#[test]
fn a_session_whose_device_is_gone() {
    let mut lab = lab(&[1], &[10, 11]);
    let shown = lab.sessions();
    let selector = SessionSelector::Ids { tunnel_id: 1, session_id: 11 };
    let key = lab.engine.find_session(selector).unwrap();
    lab.engine.remove_session(&mut lab.host, key);
    lab.engine.remove_session(&mut lab.host, key);
    assert_eq!(deaths(&mut lab), [Heard::Session(shown[1].clone())]);
}

#[test]
fn the_end_of_everything() {
    let mut lab = lab(&[1, 2], &[10]);
    let (tunnels, sessions) = (lab.tunnels(), lab.sessions());
    lab.engine.clear(&mut lab.host);
    let want: Vec<_> = tunnels
        .into_iter()
        .zip(sessions)
        .flat_map(|(tunnel, session)| [Heard::Session(session), Heard::Tunnel(tunnel)])
        .collect();
    assert_eq!(deaths(&mut lab), want);
    assert!(lab.host.is_clean());
}

#[test]
fn more_than_are_kept_are_an_overrun() {
    let mut lab = lab(&[1], &[]);
    for session_id in (0..).take(DEATHS_MAX + 5) {
        let Request::SessionCreate(create) = session(1, session_id) else { unreachable!() };
        // Without a device, which would take the host its time.
        let create = Request::SessionCreate(SessionCreate { pw_type: L2TP_PWTYPE_PPP, ..create });
        assert_eq!(lab.request(&create).errno, None);
    }
    lab.request(&Request::TunnelDelete(1));
    let heard = deaths(&mut lab);
    assert_eq!(heard.len(), DEATHS_MAX + 1);
    assert_eq!(heard.last(), Some(&Heard::Overrun));
    assert_eq!(deaths(&mut lab), []);
}
