//! The ids under which programs see the family "l2tp", and those under which the door does.
//!
//! Ids are given out by the kernel as families come, so no fixed number is safe: the door's may be another family's. What
//! programs see is a number that no family of this kernel has, from the end of the range where the kernel comes last.
//! Messages are translated both ways, in place: ids keep their size.

use l2tp_abi::genl::ctrl::{
    CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME, CTRL_ATTR_MCAST_GROUPS, CTRL_ATTR_MCAST_GRP_ID,
    CTRL_CMD_GETFAMILY, CTRL_CMD_GETPOLICY, FamilyMessage, GENL_ID_CTRL,
};
use l2tp_abi::genl::l2tp::L2TP_GENL_NAME;
use l2tp_abi::genl::{GENL_HDRLEN, GenlHeader};
use l2tp_abi::nl::{
    Attribute, Attributes, Message, Messages, NLA_HDRLEN, NLM_F_CAPPED, NLMSG_ERROR, NLMSG_HDRLEN,
    NLMSG_MIN_TYPE,
};

/// The highest id that the kernel gives to a family (`GENL_MAX_ID`).
const FAMILY_MAX: u16 = 1023;
/// The first id for the group; the kernel gives out the lowest that are free.
const GROUP_FIRST: u32 = 4096;
/// Where `nlmsg_type` is in a message.
const TYPE: usize = 4;
/// Where `nlmsg_flags` is.
const FLAGS: usize = 6;

/// Ids of the family and of its multicast group.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ids {
    pub(crate) family: u16,
    pub(crate) group: u32,
}

impl Ids {
    /// What nobody has in this kernel, whose families are `known`.
    pub(crate) fn free_among(known: &[FamilyMessage]) -> Self {
        let taken = |id: &u16| known.iter().any(|family| family.id == *id);
        let family = (NLMSG_MIN_TYPE + 1..=FAMILY_MAX).rev().find(|id| !taken(id)).unwrap_or(FAMILY_MAX);
        let groups = known.iter().flat_map(|family| &family.groups).map(|(_, id)| *id);
        Self { family, group: groups.fold(GROUP_FIRST, |free, id| free.max(id.saturating_add(1))) }
    }

    /// What a description of the family says.
    pub(crate) fn of(family: &FamilyMessage) -> Self {
        Self { family: family.id, group: family.groups.first().map_or(0, |(_, id)| *id) }
    }
}

/// Whose a program's message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A request to the family.
    L2tp,
    /// A question to the controller about the family.
    AboutL2tp,
    /// A question to the controller about all families.
    AllFamilies,
    /// Netlink's own, which nobody looks at.
    Nothing,
    /// The kernel's.
    Other,
}

/// Says whose `message` is, for a program that sees the family under `seen`.
pub(crate) fn classify(message: &Message<'_>, seen: Ids) -> Kind {
    if message.header.kind == seen.family {
        return Kind::L2tp;
    }
    if message.header.kind < NLMSG_MIN_TYPE {
        return Kind::Nothing;
    }
    let Some((genl, attributes)) = GenlHeader::split(message.payload) else { return Kind::Other };
    if message.header.kind != GENL_ID_CTRL {
        return Kind::Other;
    }
    match genl.cmd {
        CTRL_CMD_GETFAMILY if message.header.is_dump() => Kind::AllFamilies,
        CTRL_CMD_GETFAMILY if is_named(attributes).unwrap_or_else(|| has_id(attributes, seen)) => {
            Kind::AboutL2tp
        }
        CTRL_CMD_GETPOLICY if has_id(attributes, seen) => Kind::AboutL2tp,
        CTRL_CMD_GETPOLICY if find(attributes, CTRL_ATTR_FAMILY_ID).is_none() => {
            if is_named(attributes) == Some(true) { Kind::AboutL2tp } else { Kind::Other }
        }
        _ => Kind::Other,
    }
}

/// Whether the name in a question is the family's, where there is a name.
fn is_named(attributes: &[u8]) -> Option<bool> {
    Some(find(attributes, CTRL_ATTR_FAMILY_NAME)?.c_str() == L2TP_GENL_NAME.as_bytes())
}

fn has_id(attributes: &[u8], seen: Ids) -> bool {
    find(attributes, CTRL_ATTR_FAMILY_ID).and_then(|id| id.u16()) == Some(seen.family)
}

fn find(attributes: &[u8], kind: u16) -> Option<Attribute<'_>> {
    Attributes::new(attributes).find_last(kind)
}

/// A program's message as the door wants it.
pub(crate) fn inward(message: &Message<'_>, seen: Ids, door: Ids) -> Vec<u8> {
    let mut bytes = message.bytes.to_vec();
    if message.header.kind == seen.family {
        put(&mut bytes, TYPE, door.family.to_ne_bytes());
    } else {
        replace_family(&mut bytes, seen.family, door.family);
    }
    bytes
}

/// Changes a datagram of the door's, which answers `request` (or nothing: a notification), to what the program wants.
pub(crate) fn outward(datagram: &mut [u8], request: &[u8], door: Ids, seen: Ids) {
    let mut start = 0;
    while let Some(message) = Messages::new(datagram.get(start..).unwrap_or_default()).next() {
        let (kind, length) = (message.header.kind, message.bytes.len());
        let Some(bytes) = datagram.get_mut(start..start + length) else { return };
        match kind {
            NLMSG_ERROR => restore_echo(bytes, request),
            GENL_ID_CTRL => {
                replace_family(bytes, door.family, seen.family);
                replace_group(bytes, door.group, seen.group);
            }
            kind if kind == door.family => put(bytes, TYPE, seen.family.to_ne_bytes()),
            _ => {}
        }
        start += length.next_multiple_of(4);
    }
}

/// In an error or an acknowledgement: the request, or its header, as the program wrote it.
fn restore_echo(bytes: &mut [u8], request: &[u8]) {
    let flags =
        bytes.get(FLAGS..).and_then(<[u8]>::first_chunk).map_or(0, |flags| u16::from_ne_bytes(*flags));
    let length = if flags & NLM_F_CAPPED == 0 { request.len() } else { NLMSG_HDRLEN };
    // Behind the error number.
    let echo = bytes.iter_mut().skip(NLMSG_HDRLEN + size_of::<i32>());
    echo.zip(request).take(length).for_each(|(to, byte)| *to = *byte);
}

/// Changes the attribute `CTRL_ATTR_FAMILY_ID` of a message of the controller's.
fn replace_family(bytes: &mut [u8], from: u16, to: u16) {
    let attributes = bytes.get(NLMSG_HDRLEN + GENL_HDRLEN..).unwrap_or_default();
    let found = find(attributes, CTRL_ATTR_FAMILY_ID).filter(|id| id.u16() == Some(from));
    if let Some(at) = found.map(|id| NLMSG_HDRLEN + GENL_HDRLEN + id.offset + NLA_HDRLEN) {
        put(bytes, at, to.to_ne_bytes());
    }
}

/// Changes the id of a multicast group of a message of the controller's.
fn replace_group(bytes: &mut [u8], from: u32, to: u32) {
    let start = NLMSG_HDRLEN + GENL_HDRLEN;
    let attributes = bytes.get(start..).unwrap_or_default();
    let Some(list) = find(attributes, CTRL_ATTR_MCAST_GROUPS) else { return };
    let start = start + list.offset + NLA_HDRLEN;
    let places: Vec<usize> = list
        .attributes()
        .filter_map(|group| {
            let id =
                group.attributes().find_last(CTRL_ATTR_MCAST_GRP_ID).filter(|id| id.u32() == Some(from))?;
            Some(start + group.offset + NLA_HDRLEN + id.offset + NLA_HDRLEN)
        })
        .collect();
    for place in places {
        put(bytes, place, to.to_ne_bytes());
    }
}

fn put<const N: usize>(bytes: &mut [u8], at: usize, value: [u8; N]) {
    if let Some(place) = bytes.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
        *place = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use l2tp_abi::Errno;
    use l2tp_abi::genl::ctrl::{dump_families, dump_policy, get_family};
    use l2tp_abi::nl::{AckOptions, ExtAck, Header, MessageBuilder, NLM_F_REQUEST, emit_ack};

    const SEEN: Ids = Ids { family: 1020, group: 5000 };
    const DOOR: Ids = Ids { family: 0x23, group: 8 };

    fn one(bytes: &[u8]) -> Message<'_> {
        Messages::new(bytes).next().unwrap()
    }

    /// A question to the controller with an id, a name, or both.
    fn question(cmd: u8, id: Option<u16>, name: Option<&str>) -> Vec<u8> {
        let mut out = Vec::new();
        let header = Header { kind: GENL_ID_CTRL, flags: NLM_F_REQUEST, seq: 7, port: 0 };
        let mut message = GenlHeader { cmd, version: 1, reserved: 0 }.begin(&mut out, header);
        if let Some(id) = id {
            message.u16(CTRL_ATTR_FAMILY_ID, id);
        }
        if let Some(name) = name {
            message.string(CTRL_ATTR_FAMILY_NAME, name);
        }
        message.finish();
        out
    }

    #[test]
    fn ids_that_nobody_has() {
        let family =
            |id, group| FamilyMessage { id, groups: vec![("x".into(), group)], ..FamilyMessage::default() };
        assert_eq!(Ids::free_among(&[]), Ids { family: 1023, group: 4096 });
        assert_eq!(
            Ids::free_among(&[family(1023, 3), family(1021, 9999)]),
            Ids { family: 1022, group: 10_000 }
        );
    }

    #[test]
    fn whose_a_message_is() {
        let kind = |bytes: &[u8]| classify(&one(bytes), SEEN);
        assert_eq!(kind(&get_family("l2tp", 1)), Kind::AboutL2tp);
        assert_eq!(kind(&get_family("ethtool", 1)), Kind::Other);
        assert_eq!(kind(&dump_policy("l2tp", 1)), Kind::AboutL2tp);
        assert_eq!(kind(&dump_policy("ethtool", 1)), Kind::Other);
        assert_eq!(kind(&dump_families(1)), Kind::AllFamilies);
        // By id and by name: of a family the name decides, of a policy the id.
        for (cmd, id, name, ours) in [
            (CTRL_CMD_GETFAMILY, Some(0x10), Some("l2tp"), true),
            (CTRL_CMD_GETFAMILY, Some(1020), Some("ethtool"), false),
            (CTRL_CMD_GETFAMILY, Some(1020), None, true),
            (CTRL_CMD_GETFAMILY, Some(0x23), None, false),
            (CTRL_CMD_GETPOLICY, Some(0x10), Some("l2tp"), false),
            (CTRL_CMD_GETPOLICY, Some(1020), Some("ethtool"), true),
            (CTRL_CMD_GETPOLICY, None, None, false),
        ] {
            let want = if ours { Kind::AboutL2tp } else { Kind::Other };
            assert_eq!(kind(&question(cmd, id, name)), want, "{cmd} {id:?} {name:?}");
        }
        let mut own = Vec::new();
        MessageBuilder::new(&mut own, Header { kind: 1020, ..Header::default() }).finish();
        MessageBuilder::new(&mut own, Header { kind: 3, ..Header::default() }).finish();
        let kinds: Vec<_> = Messages::new(&own).map(|message| classify(&message, SEEN)).collect();
        assert_eq!(kinds, [Kind::L2tp, Kind::Nothing]);
    }

    #[test]
    fn a_description_there_and_back() {
        let family = FamilyMessage {
            name: "l2tp".into(),
            id: DOOR.family,
            groups: vec![("l2tp".into(), DOOR.group), ("other".into(), 77)],
            ..FamilyMessage::default()
        };
        let mut datagram = Vec::new();
        family.emit(&mut datagram, Header::default());
        outward(&mut datagram, &[], DOOR, SEEN);
        let seen = FamilyMessage::parse(&one(&datagram)).unwrap();
        assert_eq!(Ids::of(&seen), SEEN);
        assert_eq!(seen.groups[1].1, 77);
    }

    #[test]
    fn a_refusal_repeats_the_request_as_it_was() {
        for capped in [false, true] {
            let request = question(CTRL_CMD_GETPOLICY, Some(SEEN.family), Some("l2tp"));
            let forwarded = inward(&one(&request), SEEN, DOOR);
            assert_eq!(find(&forwarded[20..], CTRL_ATTR_FAMILY_ID).unwrap().u16(), Some(DOOR.family));
            let answer = |request: &[u8]| {
                let mut out = Vec::new();
                let options = AckOptions { cap_ack: capped, ext_ack: true };
                let ext = ExtAck { message: Some("why"), ..ExtAck::default() };
                emit_ack(&mut out, &one(request), 99, options, Some(Errno::EOPNOTSUPP), &ext);
                out
            };
            let mut got = answer(&forwarded);
            outward(&mut got, &request, DOOR, SEEN);
            assert_eq!(got, answer(&request));
        }
    }

    #[test]
    fn replies_of_the_family_carry_the_id_that_is_seen() {
        let mut datagram = Vec::new();
        for _ in 0..2 {
            let header = Header { kind: DOOR.family, ..Header::default() };
            MessageBuilder::new(&mut datagram, header).u8(1, 1);
        }
        outward(&mut datagram, &[], DOOR, SEEN);
        assert!(Messages::new(&datagram).all(|message| message.header.kind == SEEN.family));
        assert_eq!(Messages::new(&datagram).count(), 2);
    }
}
