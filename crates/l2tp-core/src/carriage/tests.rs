//! What a path below is told, and what it has counted.

use alloc::vec::Vec;
use core::time::Duration;

use super::{Carried, Unfit};
use crate::config::{Cookie, L2specType, PwType, SessionChange, SocketConfig, VlanId};
use crate::nowhere::Nowhere;
use crate::{Encap, Engine, SessionConfig, SessionKey, SessionSelector, TunnelConfig, TunnelKey};

const SOME: Carried = Carried { rx_packets: 1, rx_bytes: 20, tx_packets: 300, tx_bytes: 4000 };

fn engine(version: u8, encap: Encap, config: SessionConfig) -> (Engine<(), ()>, TunnelKey, SessionKey) {
    let mut engine = Engine::default();
    let socket = SocketConfig::Descriptor { fd: 3 };
    let tunnel = TunnelConfig { version, tunnel_id: 1, peer_tunnel_id: 2, encap, socket };
    let tunnel = engine.create_tunnel(&mut Nowhere::default(), tunnel, None).unwrap();
    let session = engine.create_session(&mut Nowhere::default(), 1, config).unwrap();
    (engine, tunnel, session)
}

fn header(version: u8, encap: Encap, config: SessionConfig) -> Vec<u8> {
    let (engine, _, session) = engine(version, encap, config);
    engine.carriage(session).unwrap().unwrap().header().to_vec()
}

#[test]
fn the_header_is_that_of_every_packet() {
    let cookie = Cookie::new(&[1, 2, 3, 4]).unwrap();
    let v3 = SessionConfig { cookie, ..SessionConfig::ethernet(7, 0x0102_0304) };
    let over_ip = [1, 2, 3, 4, 1, 2, 3, 4, 0, 0, 0, 0];
    assert_eq!(header(3, Encap::Ip, v3.clone()), over_ip);
    assert_eq!(header(3, Encap::Udp, v3), [&[0, 3, 0, 0], &over_ip[..]].concat());
    let bare = SessionConfig { l2spec: L2specType::None, ..SessionConfig::ethernet(7, 8) };
    assert_eq!(header(3, Encap::Ip, bare), [0, 0, 0, 8]);
    let v2 = SessionConfig { pw_type: PwType::Ppp, ..SessionConfig::ethernet(7, 8) };
    assert_eq!(header(2, Encap::Udp, v2), [0, 2, 0, 2, 0, 8]);
}

#[test]
fn what_needs_the_engine_is_unfit() {
    let unfit = |change: fn(&mut SessionConfig)| {
        let mut config = SessionConfig::ethernet(7, 8);
        change(&mut config);
        let (engine, _, session) = engine(3, Encap::Udp, config);
        engine.carriage(session).unwrap().err()
    };
    assert_eq!(unfit(|_| {}), None);
    assert_eq!(unfit(|c| c.send_seq = true), Some(Unfit::SendSeq));
    assert_eq!(unfit(|c| c.recv_seq = true), Some(Unfit::RecvSeq));
    assert_eq!(unfit(|c| c.reorder_timeout = Duration::from_millis(4)), Some(Unfit::Reorders));
    assert_eq!(unfit(|c| c.pw_type = PwType::EthVlan(VlanId::new(5).unwrap())), Some(Unfit::Vlan));
}

#[test]
fn changes_are_told_once() {
    let (mut engine, _, session) = engine(3, Encap::Udp, SessionConfig::ethernet(7, 8));
    assert!(engine.take_changed().contains(&session));
    assert!(engine.take_changed().is_empty());
    let ids = SessionSelector::Ids { tunnel_id: 1, session_id: 7 };
    engine.modify_session(ids, &SessionChange { send_seq: Some(true), ..SessionChange::default() }).unwrap();
    assert!(engine.take_changed().contains(&session));
    engine.modify_session(ids, &SessionChange::default()).unwrap();
    engine.delete_session(&mut Nowhere::default(), ids).unwrap();
    assert!(engine.take_changed().is_empty(), "of what is gone there is nothing to tell");
    assert!(engine.carriage(session).is_none());
}

#[test]
fn what_was_carried_is_counted_once() {
    let (mut engine, tunnel, session) = engine(3, Encap::Udp, SessionConfig::ethernet(7, 8));
    let mut host = Nowhere { carried: SOME, ..Nowhere::default() };
    engine.settle(&mut host, session);
    engine.settle(&mut host, session);
    host.carried = SOME;
    engine.settle_tunnel(&mut host, tunnel);
    let stats = engine.session(session).unwrap().stats;
    assert_eq!((stats.rx_packets, stats.rx_bytes, stats.tx_packets, stats.tx_bytes), (2, 40, 600, 8000));
    assert_eq!(engine.tunnel(tunnel).unwrap().stats, stats);
    assert_eq!(engine.counters().delivered, 2);
}

/// What is carried until the end is the tunnel's, and is told with the session's death.
#[test]
fn the_last_packets_of_a_session_are_counted() {
    let (mut engine, tunnel, session) = engine(3, Encap::Udp, SessionConfig::ethernet(7, 8));
    engine.remove_session(&mut Nowhere { carried: SOME, ..Nowhere::default() }, session);
    assert_eq!(engine.tunnel(tunnel).unwrap().stats.tx_packets, 300);
    let Some(crate::engine::Death::Session(session)) = engine.poll_death() else { panic!("nobody died") };
    assert_eq!(session.stats.tx_packets, 300);
}
