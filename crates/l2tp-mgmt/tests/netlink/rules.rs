//! What no recorded case shows: batches, acknowledgements, header checks, odd values, arbitrary bytes.

use crate::dump::{session, tunnel};
use crate::lab::{Lab, PORT};
use l2tp_abi::Errno;
use l2tp_abi::genl::GenlHeader;
use l2tp_abi::genl::l2tp::{
    L2TP_ATTR_CONN_ID, L2TP_ATTR_RECV_SEQ, L2TP_ATTR_SESSION_ID, L2TP_CMD_SESSION_MODIFY, L2TP_PWTYPE_PPP,
    Request, SessionCreate, SessionKey, SessionModify, TunnelCreate,
};
use l2tp_abi::nl::{Header, Messages, NLM_F_ACK, NLM_F_REQUEST, NLMSG_ERROR};
use l2tp_mgmt::netlink::{Client, L2TP_FAMILY_ID};
use l2tp_model::{Model, Reply, command};
use l2tp_oracle::answer;
use proptest::prelude::*;

/// A message without attributes.
fn bare(header: Header, cmd: u8, reserved: u16) -> Vec<u8> {
    let mut out = Vec::new();
    GenlHeader { cmd, version: 1, reserved }.begin(&mut out, header).finish();
    out
}

fn to_l2tp(flags: u16) -> Header {
    Header { kind: L2TP_FAMILY_ID, flags, seq: 9, port: 0 }
}

#[test]
fn a_batch_is_answered_message_by_message() {
    let mut lab = Lab::new();
    let batch = [
        tunnel(1).emit(L2TP_FAMILY_ID, 10),
        tunnel(1).emit(L2TP_FAMILY_ID, 11),
        session(1, 5).emit(L2TP_FAMILY_ID, 12),
        Request::SessionGet(SessionKey::Ids { conn_id: 1, session_id: 5 }).emit(L2TP_FAMILY_ID, 13),
    ]
    .concat();
    let replies = lab.send(&batch);
    let seen: Vec<_> = replies
        .iter()
        .map(|reply| {
            let message = Messages::new(reply).next().unwrap();
            (message.header.seq, message.header.kind, answer(std::slice::from_ref(reply)).errno)
        })
        .collect();
    assert_eq!(
        seen,
        [
            (10, NLMSG_ERROR, None),
            (11, NLMSG_ERROR, Some(Errno::EEXIST)),
            (12, NLMSG_ERROR, None),
            (13, L2TP_FAMILY_ID, None),
            (13, NLMSG_ERROR, None),
        ]
    );
}

#[test]
fn success_is_told_only_if_asked_for_and_failure_always() {
    let mut lab = Lab::new();
    assert_eq!(lab.send(&bare(to_l2tp(NLM_F_REQUEST), 2, 0)).len(), 1);
    assert_eq!(
        lab.send(&bare(to_l2tp(NLM_F_REQUEST), 0, 0)).len(),
        1,
        "the reply of NOOP, no acknowledgement"
    );
    assert_eq!(lab.send(&bare(to_l2tp(NLM_F_REQUEST | NLM_F_ACK), 0, 0)).len(), 2);
    assert_eq!(lab.send(&bare(to_l2tp(0), 2, 0)).len(), 0, "not a request");
    assert_eq!(answer(&lab.send(&bare(to_l2tp(NLM_F_ACK), 2, 0))).errno, None, "not a request, acknowledged");
}

#[test]
fn numbers_behind_the_last_command_must_be_clean() {
    let mut lab = Lab::new();
    let dirty = answer(&lab.send(&bare(to_l2tp(NLM_F_REQUEST), 9, 1)));
    assert_eq!(
        (dirty.errno, dirty.text.as_deref()),
        (Some(Errno::EINVAL), Some("genlmsghdr.reserved field is not 0"))
    );
    let flags = answer(&lab.send(&bare(to_l2tp(NLM_F_REQUEST | 0x400), 9, 0)));
    assert_eq!(flags.text.as_deref(), Some("ambiguous or reserved bits set in nlmsg_flags"));
    assert_eq!(answer(&lab.send(&bare(to_l2tp(NLM_F_REQUEST), 9, 0))).errno, Some(Errno::EOPNOTSUPP));
    assert_eq!(answer(&lab.send(&bare(to_l2tp(NLM_F_REQUEST | NLM_F_ACK | 0x400), 0, 1))).errno, None);
}

#[test]
fn privilege_is_asked_for_before_the_attributes() {
    let mut lab = Lab::with_client(Client::new(PORT, false));
    for cmd in 1..=8 {
        assert_eq!(
            answer(&lab.send(&bare(to_l2tp(NLM_F_REQUEST), cmd, 0))).errno,
            Some(Errno::EPERM),
            "{cmd}"
        );
    }
}

#[test]
fn flags_are_one_bit_and_timeouts_are_ticks() {
    let mut lab = Lab::new();
    lab.request(&tunnel(1));
    lab.request(&session(1, 5));
    for (value, want) in [(1, true), (2, false), (255, true), (254, false), (3, true)] {
        let mut out = Vec::new();
        let genl = GenlHeader { cmd: L2TP_CMD_SESSION_MODIFY, version: 1, reserved: 0 };
        let mut message = genl.begin(&mut out, to_l2tp(NLM_F_REQUEST));
        message.u32(L2TP_ATTR_CONN_ID, 1).u32(L2TP_ATTR_SESSION_ID, 5).u8(L2TP_ATTR_RECV_SEQ, value);
        message.finish();
        assert!(lab.send(&out).is_empty());
        assert_eq!(lab.sessions()[0].recv_seq, want, "{value}");
    }
    for (asked, told) in [(50, 52), (1234, 1236), (0, 0), (1 << 40, 1 << 40)] {
        let key = SessionKey::Ifname("l2tpeth0".into());
        let modify =
            SessionModify { key, recv_seq: None, send_seq: None, lns_mode: None, recv_timeout: Some(asked) };
        assert_eq!(lab.request(&Request::SessionModify(modify)).errno, None);
        assert_eq!(lab.sessions()[0].recv_timeout, told);
    }
}

/// Attributes that do not fit the tunnel are taken and mean nothing.
#[test]
fn attributes_of_other_versions_and_families_mean_nothing() {
    let mut lab = Lab::new();
    let Request::TunnelCreate(v3) = tunnel(1) else { unreachable!() };
    let v2 = TunnelCreate { proto_version: 2, udp_zero_csum6_tx: true, udp_zero_csum6_rx: true, ..v3 };
    assert_eq!(lab.request(&Request::TunnelCreate(v2)).errno, None);
    let shown = &lab.tunnels()[0];
    assert_eq!(
        (shown.udp_zero_csum6_tx, shown.udp_zero_csum6_rx, shown.udp_csum),
        (false, false, Some(false))
    );
    let Request::SessionCreate(v3) = session(1, 5) else { unreachable!() };
    let ppp = SessionCreate {
        pw_type: L2TP_PWTYPE_PPP,
        cookie: vec![1; 4],
        peer_cookie: vec![2; 4],
        ifname: Some("x".into()),
        l2spec_type: Some(7),
        ..v3
    };
    assert_eq!(lab.request(&Request::SessionCreate(ppp)).errno, None);
    let shown = &lab.sessions()[0];
    assert_eq!((shown.cookie.len(), shown.peer_cookie.len(), &shown.ifname), (0, 0, &None));
}

#[test]
fn names_have_to_be_text() {
    let mut lab = Lab::new();
    lab.request(&tunnel(1));
    let text = session(1, 5).emit(L2TP_FAMILY_ID, 1);
    let with_name = |name: &[u8]| {
        let attribute = [&u16::try_from(name.len() + 4).unwrap().to_le_bytes()[..], &[8, 0], name].concat();
        let mut bytes = [&text[..], &attribute[..]].concat();
        let len = u32::try_from(bytes.len()).unwrap();
        bytes[..4].copy_from_slice(&len.to_le_bytes());
        bytes
    };
    assert_eq!(answer(&lab.send(&with_name(&[0xff, 0]))).errno, Some(Errno::EINVAL));
    assert_eq!(answer(&lab.send(&with_name("ü\0".as_bytes()))).errno, None);
}

proptest! {
    /// Any bytes: no panic, and no more than one answer for every 16 bytes.
    #[test]
    fn no_bytes_are_fatal(
        bytes in proptest::collection::vec(any::<u8>(), 0..300),
        kind in prop_oneof![Just(0x10_u16), Just(L2TP_FAMILY_ID), any::<u16>()],
        flags in prop_oneof![Just(5_u16), Just(0x305), any::<u16>()],
        cmd in 0_u8..12,
        privileged: bool,
    ) {
        let mut lab = Lab::with_client(Client::new(PORT, privileged));
        lab.request(&tunnel(1));
        let mut message = bare(Header { kind, flags, seq: 1, port: 0 }, cmd, 0);
        message.extend_from_slice(&bytes);
        let len = u32::try_from(message.len()).unwrap();
        message[..4].copy_from_slice(&len.to_le_bytes());
        prop_assert!(lab.send(&message).len() <= 2);
        prop_assert!(lab.send(&bytes).len() <= 2 * bytes.len().div_ceil(16));
    }

    /// Any sequence of commands leaves what the reference model says, and is answered as it says.
    #[test]
    fn commands_agree_with_the_model(bytes in proptest::collection::vec(any::<u8>(), 1..600)) {
        let mut lab = Lab::new();
        let mut model = Model::new(usize::MAX, usize::MAX);
        let mut bytes = bytes.into_iter();
        while bytes.len() > 0 {
            let request = command(&mut || bytes.next().unwrap_or_default());
            prop_assert_eq!(lab.request(&request).errno, model.apply(&request).err(), "{:?}", request);
            prop_assert_eq!(Ok(Reply::Tunnels(lab.tunnels())), model.apply(&Request::TunnelDump));
            prop_assert_eq!(Ok(Reply::Sessions(lab.sessions())), model.apply(&Request::SessionDump));
        }
        lab.engine.clear(&mut lab.host);
        prop_assert!(lab.host.is_clean());
    }
}
