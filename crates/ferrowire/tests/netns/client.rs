//! The client library against a daemon: what a program of somebody else does.

use std::io::ErrorKind;
use std::time::Duration;

use l2tp_client::{
    Change, Connection, Errno, Error, Event, Events, SessionCreate, SessionKey, SessionModify, TunnelCreate,
};

use crate::host::Host;
use crate::require;

const PATIENCE: Option<Duration> = Some(Duration::from_secs(20));

fn tunnel(conn_id: u32, port: u16) -> TunnelCreate {
    let address = |port| ([127, 0, 0, 1], port).into();
    TunnelCreate::udp(conn_id, conn_id + 1, address(port), address(port + 1))
}

/// The next events, each as what changed and the ids of tunnel and session.
fn heard(events: &mut Events, count: usize) -> Vec<(Change, u32, Option<u32>)> {
    let mut heard = Vec::new();
    for _ in 0..count {
        heard.push(match events.wait(PATIENCE).unwrap().expect("one event more") {
            Event::Tunnel(change, tunnel) => (change, tunnel.conn_id, None),
            Event::Session(change, session) => (change, session.conn_id, Some(session.session_id)),
            Event::Lost => panic!("events were lost"),
        });
    }
    heard
}

#[test]
fn a_program_makes_changes_lists_and_removes() {
    if !require::met(&[]) {
        return;
    }
    let mut host = Host::new();
    host.start_daemon();
    let (mut connection, mut events) = host.here(|| (Connection::door().unwrap(), Events::door().unwrap()));
    connection.noop().unwrap();
    for (conn_id, port) in [(1, 5001), (3, 6001)] {
        connection.create_tunnel(&tunnel(conn_id, port)).unwrap();
    }
    for session_id in [10, 11] {
        connection.create_session(&SessionCreate::ethernet(1, session_id, session_id)).unwrap();
    }
    let key = SessionKey::Ids { conn_id: 1, session_id: 10 };
    let change = SessionModify { send_seq: Some(true), ..SessionModify::of(key.clone()) };
    connection.modify_session(&change).unwrap();
    assert!(connection.session(&key).unwrap().send_seq);
    assert_eq!(connection.tunnel(3).unwrap().ports, Some((6001, 6002)));
    let ids: Vec<_> = connection.tunnels().unwrap().map(|tunnel| tunnel.unwrap().conn_id).collect();
    assert_eq!(ids, [1, 3]);
    let ids: Vec<_> = connection.sessions().unwrap().map(|session| session.unwrap().session_id).collect();
    assert_eq!(ids, [10, 11]);
    assert!(connection.counters().unwrap().contains(&("sessions".to_owned(), 2)));
    assert!(connection.debug_tunnels().unwrap().contains("TUNNEL 1 peer 2"));
    connection.delete_session(&key).unwrap();
    connection.delete_tunnel(1).unwrap();
    assert_eq!(connection.tunnel(1).unwrap_err().errno(), Some(Errno::ENODEV));
    let want = [
        (Change::Created, 1, None),
        (Change::Created, 3, None),
        (Change::Created, 1, Some(10)),
        (Change::Created, 1, Some(11)),
        (Change::Modified, 1, Some(10)),
        (Change::Deleted, 1, Some(10)),
        (Change::Deleted, 1, None),
        (Change::Died, 1, Some(11)),
    ];
    assert_eq!(heard(&mut events, want.len()), want);
    assert_eq!(events.wait(Some(Duration::ZERO)).unwrap(), None);
    host.kill_daemon();
    let ended = |error: Error| matches!(error, Error::Io(error) if error.kind() == ErrorKind::UnexpectedEof);
    assert!(ended(events.wait(PATIENCE).unwrap_err()));
    assert!(connection.noop().is_err());
}

#[test]
fn nobody_at_the_door() {
    if !require::met(&[]) {
        return;
    }
    let error = Host::new().here(|| Connection::door().err().unwrap());
    assert!(matches!(&error, Error::Io(error) if error.kind() == ErrorKind::ConnectionRefused), "{error}");
}
