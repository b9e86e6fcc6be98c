//! The family "ferrowire", bytes in and bytes out.

use crate::dump::{session, tunnel};
use crate::lab::{Lab, PORT};
use l2tp_abi::Errno;
use l2tp_abi::genl::ctrl::{self, FamilyMessage};
use l2tp_abi::genl::ferrowire::{
    ACT_EXT_ACK, Actor, FERROWIRE_ATTR_GROUP, FERROWIRE_ATTR_TEXT, FERROWIRE_CMD_JOIN, FERROWIRE_CMD_STATS,
    Request, parse_counter, parse_text,
};
use l2tp_abi::genl::{GenlHeader, l2tp};
use l2tp_abi::nl::{Header, Message, Messages, NLM_F_DUMP, NLM_F_REQUEST, NLMSG_DONE};
use l2tp_core::config::SessionChange;
use l2tp_core::{Deliver, DropReason, Frame, Instant, SessionKey, SessionSelector};
use l2tp_mgmt::netlink::{
    Client, DEATHS_GROUP_ID, DUMP_PAGE, FERROWIRE_FAMILY_ID, L2TP_FAMILY_ID, L2TP_GROUP_ID,
};
use l2tp_oracle::Answer;
use std::collections::BTreeMap;
use std::time::Duration;

fn ask(lab: &mut Lab, request: Request) -> Answer {
    lab.ask(&request.emit(FERROWIRE_FAMILY_ID, 7))
}

fn first(bytes: &[u8]) -> Message<'_> {
    Messages::new(bytes).next().unwrap()
}

fn counters(lab: &mut Lab) -> BTreeMap<String, u64> {
    let answer = ask(lab, Request::Stats);
    assert_eq!(answer.errno, None);
    answer.messages.iter().map(|bytes| parse_counter(&first(bytes)).unwrap()).collect()
}

/// Nobody is there to take frames.
struct Nobody;

impl<D> Deliver<D> for Nobody {
    fn deliver(&mut self, _: SessionKey, _: Option<&D>, _: Frame) -> bool {
        false
    }
}

#[test]
fn the_controller_knows_it() {
    let mut lab = Lab::with_client(Client::new(PORT, false));
    let answer = lab.ask(&ctrl::get_family("ferrowire", 5));
    let family = FamilyMessage::parse(&first(&answer.messages[0])).unwrap();
    assert_eq!((family.name.as_str(), family.id, family.version), ("ferrowire", FERROWIRE_FAMILY_ID, 1));
    assert_eq!(family.groups, [("deaths".to_owned(), DEATHS_GROUP_ID)]);
    let ops: Vec<_> = family.ops.iter().map(|op| (op.cmd, op.flags)).collect();
    let administration = [(1, 0x1c), (2, 0x1c), (3, 0x1c), (4, 0x1a), (5, 0x1a), (6, 0x1a)];
    let (administrator_does, sockets) = ops.split_at(6);
    assert_eq!(administrator_does, administration);
    let (sockets, paths) = sockets.split_at(11);
    assert_eq!(paths, [(18, 0x1a), (19, 0x1c)]);
    // Sockets are for anybody, but for /dev/ppp.
    let wanted: Vec<_> = (7..=17).map(|cmd| (cmd, if cmd == 15 { 0x1a } else { 0x0a })).collect();
    assert_eq!(sockets, wanted);
    // The commands, and the fourteen attributes that requests may carry.
    assert_eq!(lab.ask(&ctrl::dump_policy("ferrowire", 6)).messages.len(), 19 + 14);
}

#[test]
fn it_asks_for_privilege() {
    let mut lab = Lab::with_client(Client::new(PORT, false));
    for request in
        [Request::Stats, Request::DebugTunnels, Request::DebugPppol2tp, Request::Join(8), Request::Leave(8)]
    {
        assert_eq!(ask(&mut lab, request).errno, Some(Errno::EPERM), "{request:?}");
    }
    assert!(!lab.client.hears(L2TP_GROUP_ID));
}

#[test]
fn groups_are_joined_and_left() {
    let mut lab = Lab::new();
    for group in [L2TP_GROUP_ID, DEATHS_GROUP_ID] {
        assert_eq!(ask(&mut lab, Request::Join(group)).errno, None);
        assert!(lab.client.hears(group));
    }
    assert_eq!(ask(&mut lab, Request::Leave(L2TP_GROUP_ID)).errno, None);
    assert!(!lab.client.hears(L2TP_GROUP_ID) && lab.client.hears(DEATHS_GROUP_ID));
    assert_eq!(ask(&mut lab, Request::Join(77)).errno, Some(Errno::EINVAL));
}

#[test]
fn requests_are_checked_strictly() {
    let mut lab = Lab::new();
    let mut send = |cmd, flags, kind: u16, payload: &[u8]| {
        let mut out = Vec::new();
        let header = Header { kind: FERROWIRE_FAMILY_ID, flags: NLM_F_REQUEST | flags, seq: 1, port: 0 };
        let mut message = GenlHeader { cmd, version: 1, reserved: 0 }.begin(&mut out, header);
        message.bytes(kind, payload);
        message.finish();
        lab.ask(&out).errno
    };
    assert_eq!(send(FERROWIRE_CMD_JOIN, 0, FERROWIRE_ATTR_GROUP, &[8, 0, 0]), Some(Errno::EINVAL));
    assert_eq!(send(FERROWIRE_CMD_JOIN, 0, FERROWIRE_ATTR_TEXT, &[0]), Some(Errno::EINVAL));
    assert_eq!(send(FERROWIRE_CMD_JOIN, 0, 99, &[]), Some(Errno::EINVAL));
    assert_eq!(send(FERROWIRE_CMD_JOIN, 4, FERROWIRE_ATTR_GROUP, &[8, 0, 0, 0]), None);
    assert_eq!(send(FERROWIRE_CMD_STATS, NLM_F_DUMP, 99, &[]), Some(Errno::EINVAL));
    assert_eq!(send(FERROWIRE_CMD_STATS, 0, 99, &[]), Some(Errno::EOPNOTSUPP));
    assert_eq!(send(FERROWIRE_CMD_JOIN, NLM_F_DUMP, 99, &[]), Some(Errno::EOPNOTSUPP));
}

#[test]
fn all_counters_are_told() {
    let mut lab = Lab::new();
    lab.inbox.losses = vec![("device_refused", 3)];
    assert!(counters(&mut lab).iter().all(|(name, value)| (*value == 3) == (name == "loss_device_refused")));
    lab.request(&tunnel(1));
    lab.request(&session(1, 10));
    let tunnel = lab.engine.find_tunnel(1).unwrap();
    // Control, then data with a frame that nobody takes, then a runt.
    for packet in [&[0xc8; 14][..], &data(20), &data(13)] {
        lab.engine.handle_udp(Instant(0), tunnel, packet, &mut Nobody);
    }
    let counters = counters(&mut lab);
    let want = [("tunnels", 1), ("sessions", 1), ("up", 1), ("drop_no_reader", 1), ("drop_runt", 1)];
    for (name, value) in want {
        assert_eq!(counters[name], value, "{name}");
    }
    let not_zero = counters.values().filter(|value| **value > 0).count();
    assert_eq!((not_zero, counters.len()), (want.len() + 1, 6 + DropReason::ALL.len() + 2));
}

/// A data packet for session 10 with a frame of `len` bytes.
fn data(len: usize) -> Vec<u8> {
    let header = [0, 3, 0, 0, 0, 0, 0, 10, 0, 0, 0, 0];
    [&header[..], &vec![0; len]].concat()
}

#[test]
fn what_waits_is_told() {
    let mut lab = Lab::new();
    lab.request(&tunnel(1));
    lab.request(&session(1, 10));
    let change = SessionChange { reorder_timeout: Some(Duration::from_secs(1)), ..Default::default() };
    let selector = SessionSelector::Ids { tunnel_id: 1, session_id: 10 };
    lab.engine.modify_session(selector, &change).unwrap();
    let tunnel = lab.engine.find_tunnel(1).unwrap();
    for ns in [0, 2, 3] {
        let header = [0, 3, 0, 0, 0, 0, 0, 10, 0x40, 0, 0, ns];
        lab.engine.handle_udp(Instant(0), tunnel, &[&header[..], &[0; 20]].concat(), &mut Nobody);
    }
    let counters = counters(&mut lab);
    assert_eq!((counters["waiting"], counters["waiting_bytes"]), (2, 40));
}

#[test]
fn texts_come_in_pages_and_survive_change() {
    let mut lab = Lab::new();
    for id in 0..30 {
        lab.request(&tunnel(id));
        lab.request(&session(id, 1000 + id));
    }
    let whole: String = texts(&ask(&mut lab, Request::DebugTunnels).messages).concat();
    assert_eq!((whole.matches("\nTUNNEL ").count(), whole.matches("  SESSION 1").count()), (30, 30));
    let mut pages = lab.send(&Request::DebugTunnels.emit(FERROWIRE_FAMILY_ID, 1));
    assert!(lab.client.is_dumping() && pages[0].len() <= DUMP_PAGE);
    for id in 1..29 {
        lab.send(&l2tp::Request::TunnelDelete(id).emit(L2TP_FAMILY_ID, 2));
    }
    while lab.client.is_dumping() {
        pages.extend(lab.read_on());
    }
    let end = pages.pop().unwrap();
    assert_eq!((first(&end).header.kind, end.len()), (NLMSG_DONE, 20));
    assert!(pages.last().unwrap().len() <= DUMP_PAGE);
    let text: String =
        pages.iter().flat_map(|page| Messages::new(page)).filter_map(|m| parse_text(&m)).collect();
    assert!(text.contains("\nTUNNEL 29 peer") && text.contains("  SESSION 1029,"));
    assert!(!text.contains("\nTUNNEL 28 peer"));
}

fn texts(messages: &[Vec<u8>]) -> Vec<String> {
    messages.iter().map(|bytes| parse_text(&first(bytes)).unwrap()).collect()
}

#[test]
fn a_text_of_nothing_is_its_header() {
    let mut lab = Lab::new();
    lab.request(&tunnel(1));
    let all = texts(&ask(&mut lab, Request::DebugTunnels).messages);
    assert_eq!(all.len(), 2);
    // A tunnel of version 3 is not in the list of L2TPv2.
    let v2 = texts(&ask(&mut lab, Request::DebugPppol2tp).messages);
    assert_eq!(v2.len(), 1);
    assert!(v2[0].starts_with("PPPoL2TP driver info, V2.0\n"));
}

/// What a caller asks for another program is answered to that program's port id, with its privilege and no more.
#[test]
fn acting_for_another_program() {
    let mut lab = Lab::new();
    let actor = |privileged| Actor { port: 4711, privileged, options: ACT_EXT_ACK };
    let asked_as = |lab: &mut Lab, actor, request: &l2tp::Request| {
        let mut datagram = Request::Act(actor).emit(FERROWIRE_FAMILY_ID, 0);
        datagram.extend(request.emit(L2TP_FAMILY_ID, 8));
        let replies = lab.send(&datagram);
        assert_eq!(replies.len(), 1, "acting is not answered");
        assert_eq!(first(&replies[0]).header.port, 4711);
        l2tp_oracle::answer(&replies).errno
    };
    let create = tunnel(1);
    assert_eq!(asked_as(&mut lab, actor(false), &create), Some(Errno::EPERM));
    assert_eq!(asked_as(&mut lab, actor(true), &create), None);

    // Who has no privilege cannot act as one who has, nor at all.
    let mut lab = Lab::with_client(Client::new(PORT, false));
    assert_eq!(ask(&mut lab, Request::Act(actor(true))).errno, Some(Errno::EPERM));
    assert_eq!(lab.request(&create).errno, Some(Errno::EPERM));
}
