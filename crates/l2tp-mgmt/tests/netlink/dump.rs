//! Dumps of many objects, in pages.

use crate::lab::Lab;
use l2tp_abi::Errno;
use l2tp_abi::genl::l2tp::{
    L2TP_ENCAPTYPE_UDP, L2TP_PWTYPE_ETH, Request, SessionCreate, SessionKey, TunnelCreate, TunnelSocket,
};
use l2tp_abi::nl::{Messages, NLM_F_MULTI, NLMSG_DONE};
use l2tp_mgmt::netlink::{DUMP_PAGE, L2TP_FAMILY_ID};
use l2tp_oracle::answer;
use std::net::Ipv4Addr;

pub(crate) fn tunnel(conn_id: u32) -> Request {
    let localhost = Ipv4Addr::LOCALHOST.into();
    Request::TunnelCreate(TunnelCreate {
        conn_id,
        peer_conn_id: conn_id,
        proto_version: 3,
        encap_type: L2TP_ENCAPTYPE_UDP,
        socket: TunnelSocket::Addresses { local: localhost, peer: localhost, ports: Some((0, 5002)) },
        udp_csum: false,
        udp_zero_csum6_tx: false,
        udp_zero_csum6_rx: false,
    })
}

pub(crate) fn session(conn_id: u32, session_id: u32) -> Request {
    Request::SessionCreate(SessionCreate {
        conn_id,
        session_id,
        peer_session_id: session_id,
        pw_type: L2TP_PWTYPE_ETH,
        ..SessionCreate::default()
    })
}

/// A namespace with these tunnels, each with these sessions.
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
fn an_empty_dump_is_its_end() {
    let mut lab = Lab::new();
    let replies = lab.send(&Request::SessionDump.emit(L2TP_FAMILY_ID, 3));
    assert_eq!(replies.len(), 1);
    let done = Messages::new(&replies[0]).next().unwrap();
    assert_eq!(
        (done.header.kind, done.header.flags, done.header.seq, replies[0].len()),
        (NLMSG_DONE, NLM_F_MULTI, 3, 20)
    );
    assert!(!lab.client.is_dumping());
}

#[test]
fn pages_are_full_but_not_overfull_and_the_end_comes_alone() {
    let ids: Vec<u32> = (0..50).rev().collect();
    let mut lab = lab(&[7, 3], &ids);
    let mut pages = lab.send(&Request::SessionDump.emit(L2TP_FAMILY_ID, 1));
    assert_eq!(pages.len(), 1, "only one page before the program reads again");
    while lab.client.is_dumping() {
        let next = lab.read_on();
        assert_eq!(next.len(), 1);
        pages.extend(next);
    }
    let (end, pages) = pages.split_last().unwrap();
    assert_eq!(end.len(), 20);
    assert!(pages.len() > 5);
    for page in pages {
        assert!(page.len() <= DUMP_PAGE, "{}", page.len());
    }
    for page in pages.split_last().unwrap().1 {
        assert!(page.len() > DUMP_PAGE - 240, "{} leaves room for one more", page.len());
    }
    let order: Vec<_> = lab.sessions().iter().map(|session| (session.conn_id, session.session_id)).collect();
    let want: Vec<_> = [3, 7].iter().flat_map(|tunnel| (0..50).map(move |id| (*tunnel, id))).collect();
    assert_eq!(order, want);
}

#[test]
fn a_larger_buffer_takes_larger_pages() {
    let ids: Vec<u32> = (0..50).collect();
    let mut lab = lab(&[1], &ids);
    lab.client.set_page(32 * 1024);
    assert_eq!(Messages::new(&lab.send(&Request::SessionDump.emit(L2TP_FAMILY_ID, 1))[0]).count(), 50);
}

#[test]
fn one_dump_at_a_time_but_other_requests_in_between() {
    let ids: Vec<u32> = (0..50).collect();
    let mut lab = lab(&[1, 2], &ids);
    lab.send(&Request::SessionDump.emit(L2TP_FAMILY_ID, 1));
    assert!(lab.client.is_dumping());
    let refused = lab.send(&Request::TunnelDump.emit(L2TP_FAMILY_ID, 2));
    assert_eq!(answer(&refused).errno, Some(Errno::EBUSY));
    let got = lab.send(&Request::TunnelGet(2).emit(L2TP_FAMILY_ID, 3));
    assert_eq!(answer(&got).messages.len(), 1);
    // What is not yet told may still go: a dump shows what is there as it passes.
    let gone = lab.send(&Request::TunnelDelete(2).emit(L2TP_FAMILY_ID, 4));
    assert_eq!(answer(&gone).errno, None);
    let gone = SessionKey::Ids { conn_id: 1, session_id: 49 };
    lab.send(&Request::SessionDelete(gone).emit(L2TP_FAMILY_ID, 5));
    let mut rest = Vec::new();
    while lab.client.is_dumping() {
        rest.extend(lab.read_on());
    }
    let first_page = DUMP_PAGE / 232;
    assert_eq!(answer(&rest).messages.len(), 49 - first_page);
}
