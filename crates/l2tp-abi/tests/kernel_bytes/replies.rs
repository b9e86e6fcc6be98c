//! Replies and notifications of the l2tp family.

use crate::recorded::{first, recorded, through_their_codec};
use l2tp_abi::genl::l2tp::{self, SessionMessage, TunnelMessage};
use l2tp_abi::genl::{GENL_HDRLEN, GenlHeader};
use l2tp_abi::nl::{Attributes, Header};

fn is_tunnel(cmd: u8) -> bool {
    (l2tp::L2TP_CMD_TUNNEL_CREATE..=l2tp::L2TP_CMD_TUNNEL_GET).contains(&cmd)
}

fn is_session(cmd: u8) -> bool {
    (l2tp::L2TP_CMD_SESSION_CREATE..=l2tp::L2TP_CMD_SESSION_GET).contains(&cmd)
}

/// Parses and emits again.
fn reemit(bytes: &[u8]) -> Vec<u8> {
    let message = first(bytes);
    let (genl, _) = GenlHeader::split(message.payload).unwrap();
    let mut out = Vec::new();
    if is_tunnel(genl.cmd) {
        let (cmd, tunnel) = TunnelMessage::parse(&message).unwrap();
        tunnel.emit(&mut out, message.header, cmd);
    } else if is_session(genl.cmd) {
        let (cmd, session) = SessionMessage::parse(&message).unwrap();
        session.emit(&mut out, message.header, cmd);
    } else {
        genl.begin(&mut out, message.header).finish();
    }
    out
}

#[test]
fn recorded_replies_and_notifications_come_out_as_they_went_in() {
    let all = recorded();
    assert!(all.len() > 70, "only {} messages found", all.len());
    for bytes in &all {
        assert_eq!(&reemit(bytes), bytes);
    }
}

#[test]
fn an_independent_codec_reads_the_same() {
    for bytes in recorded() {
        let again = through_their_codec(&bytes);
        let message = first(&bytes);
        let (genl, _) = GenlHeader::split(message.payload).unwrap();
        if is_session(genl.cmd) {
            assert_eq!(SessionMessage::parse(&first(&again)), SessionMessage::parse(&message));
        } else if is_tunnel(genl.cmd) {
            assert_eq!(TunnelMessage::parse(&first(&again)), TunnelMessage::parse(&message));
        }
    }
}

/// The recorded tunnels have no transport mode IPsec; the place of its attribute is that of the kernel's source.
#[test]
fn what_no_recording_has() {
    let session = SessionMessage { using_ipsec: true, recv_timeout: 4, ..SessionMessage::default() };
    let mut out = Vec::new();
    session.emit(&mut out, Header::default(), l2tp::L2TP_CMD_SESSION_GET);
    let message = first(&out);
    assert_eq!(SessionMessage::parse(&message), Some((l2tp::L2TP_CMD_SESSION_GET, session)));
    let kinds: Vec<_> =
        Attributes::new(&message.payload[GENL_HDRLEN..]).map(|attribute| attribute.kind).collect();
    assert_eq!(kinds, [9, 11, 10, 12, 17, 1, 18, 19, 20, 21, 22, 30]);
}
