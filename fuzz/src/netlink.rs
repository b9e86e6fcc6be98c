//! Netlink messages, attributes and policies.

use l2tp_abi::Errno;
use l2tp_abi::genl::ctrl::{FamilyMessage, GETFAMILY_POLICY, GETPOLICY_POLICY};
use l2tp_abi::genl::ferrowire;
use l2tp_abi::genl::l2tp::{POLICY, SessionMessage, TunnelMessage};
use l2tp_abi::genl::{GENL_HDRLEN, GenlHeader};
use l2tp_abi::nl::{
    Ack, AckOptions, Attributes, ExtAck, Message, Messages, NLA_HDRLEN, NLMSG_DONE, NLMSG_ERROR,
    NLMSG_HDRLEN, Policy, Strictness, done_errno, emit_ack,
};

/// How deep nests are followed.
const DEPTH: usize = 4;

/// A datagram, read as requests and as replies.
pub fn netlink(data: &[u8]) {
    let mut total = 0;
    for message in Messages::new(data) {
        assert!(message.bytes.len() >= NLMSG_HDRLEN && message.bytes.ends_with(message.payload));
        total += message.bytes.len();
        as_request(&message);
        as_reply(&message);
        assert!(done_errno(&message).is_none() || message.header.kind == NLMSG_DONE);
    }
    assert!(total <= data.len());
    attributes(data, DEPTH);
}

fn attributes(data: &[u8], depth: usize) {
    let mut walk = Attributes::new(data);
    let mut end = 0;
    for attribute in walk.by_ref() {
        assert_eq!(attribute.offset, end);
        end = (attribute.offset + NLA_HDRLEN + attribute.payload.len()).next_multiple_of(4);
        assert!(attribute.string().len() <= attribute.payload.len() * char::REPLACEMENT_CHARACTER.len_utf8());
        assert_eq!(attribute.ipv6().octets()[0], attribute.payload.first().copied().unwrap_or(0));
        assert_eq!(attribute.u64().is_some(), attribute.payload.len() >= 8);
        assert_eq!(attribute.ipv4().is_some(), attribute.payload.len() >= 4);
        if depth > 0 {
            attributes(attribute.payload, depth - 1);
        }
    }
    assert!(end.saturating_sub(3) <= data.len() && walk.leftover() <= data.len());
}

fn as_request(message: &Message<'_>) {
    for strictness in [Strictness::Liberal, Strictness::Strict] {
        check_policy(&POLICY, message, strictness);
        check_policy(&GETFAMILY_POLICY, message, strictness);
        check_policy(&GETPOLICY_POLICY, message, strictness);
        check_policy(&ferrowire::POLICY, message, strictness);
    }
    let mut out = Vec::new();
    let options = AckOptions { cap_ack: false, ext_ack: true };
    let ext = ExtAck { message: Some("why"), offset: Some(20), rule: None };
    emit_ack(&mut out, message, 1, options, Some(Errno::EINVAL), &ext);
    let ack = Messages::new(&out).next().as_ref().and_then(Ack::parse);
    let told = ack.map(|ack| (ack.errno, ack.request.seq, ack.message, ack.offset));
    assert_eq!(told, Some((Some(Errno::EINVAL), message.header.seq, Some("why".to_owned()), Some(20))));
}

/// A refusal names a place inside the message.
fn check_policy<const N: usize>(policy: &Policy<N>, message: &Message<'_>, strictness: Strictness) {
    let mut ext = ExtAck::default();
    match policy.validate(message.bytes, GENL_HDRLEN, strictness, &mut ext) {
        Ok(table) => assert!(!table.has(0), "no attribute has type 0"),
        Err(errno) => {
            assert!(matches!(errno, Errno::EINVAL | Errno::ERANGE) && ext.message.is_some());
            let offset = ext.offset.and_then(|offset| usize::try_from(offset).ok());
            assert!(offset.is_none_or(|offset| offset < message.bytes.len()));
        }
    }
}

/// What a reply says is still said after it was written again.
fn as_reply(message: &Message<'_>) {
    assert!(Ack::parse(message).is_none() || message.header.kind == NLMSG_ERROR);
    assert_eq!(GenlHeader::split(message.payload).is_some(), message.payload.len() >= GENL_HDRLEN);
    let mut out = Vec::new();
    if let Some((cmd, session)) = SessionMessage::parse(message) {
        session.emit(&mut out, message.header, cmd);
        let again = Messages::new(&out).next().and_then(|message| SessionMessage::parse(&message));
        assert_eq!(again, Some((cmd, session)));
    }
    out.clear();
    if let Some((cmd, tunnel)) = TunnelMessage::parse(message) {
        tunnel.emit(&mut out, message.header, cmd);
        let again = Messages::new(&out).next().and_then(|message| TunnelMessage::parse(&message));
        assert_eq!(again, Some((cmd, tunnel)));
    }
    out.clear();
    if let Some(family) = FamilyMessage::parse(message) {
        family.emit(&mut out, message.header);
        let again = Messages::new(&out).next().and_then(|message| FamilyMessage::parse(&message));
        assert_eq!(again.map(|family| family.name), Some(family.name));
    }
    out.clear();
    if let Some((name, value)) = ferrowire::parse_counter(message) {
        ferrowire::emit_counter(&mut out, message.header, &name, value);
        let again = Messages::new(&out).next().and_then(|message| ferrowire::parse_counter(&message));
        assert_eq!(again, Some((name, value)));
    }
    out.clear();
    if let Some(text) = ferrowire::parse_text(message) {
        ferrowire::emit_text(&mut out, message.header, ferrowire::FERROWIRE_CMD_DEBUG_TUNNELS, &text);
        let again = Messages::new(&out).next().and_then(|message| ferrowire::parse_text(&message));
        assert_eq!(again, Some(text));
    }
}
