//! The controller: what it says of itself, against a kernel's bytes, and what it says of the l2tp family.

use crate::lab::{Lab, PORT};
use l2tp_abi::Errno;
use l2tp_abi::genl::ctrl::{
    self, CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME, CTRL_CMD_GETFAMILY, CTRL_VERSION, FamilyMessage,
    GENL_ID_CTRL,
};
use l2tp_abi::genl::{GenlHeader, l2tp};
use l2tp_abi::nl::{Header, Messages, NETLINK_CAP_ACK, NETLINK_EXT_ACK};
use l2tp_mgmt::netlink::{Client, L2TP_FAMILY_ID, L2TP_GROUP_ID};
use l2tp_oracle::unhex;
use serde_json::Value;

const NLCTRL: &str = include_str!("../../../../tests/vectors/kernel/nlctrl.json");

#[test]
fn a_kernels_conversations_byte_for_byte() {
    let recorded: Value = serde_json::from_str(NLCTRL).unwrap();
    let port = u32::try_from(recorded["port"].as_u64().unwrap()).unwrap();
    let cases = recorded["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 81);
    for case in cases {
        let mut lab = Lab::with_client(Client::new(port, false));
        for (option, key) in [(NETLINK_CAP_ACK, "cap_ack"), (NETLINK_EXT_ACK, "ext_ack")] {
            lab.client.set_option(option, case[key].as_bool().unwrap().into()).unwrap();
        }
        let mut replies = lab.send(&unhex(case["request"].as_str().unwrap()));
        while lab.client.is_dumping() {
            replies.extend(lab.read_on());
        }
        let want: Vec<_> =
            case["replies"].as_array().unwrap().iter().map(|hex| unhex(hex.as_str().unwrap())).collect();
        assert_eq!(
            replies, want,
            "{}, ext_ack {}, cap_ack {}",
            case["name"], case["ext_ack"], case["cap_ack"]
        );
    }
}

/// The reply is 276 bytes long, as strace of programs on a real kernel shows it.
#[test]
fn the_l2tp_family() {
    let mut lab = Lab::with_client(Client::new(PORT, false));
    let answer = lab.ask(&ctrl::get_family("l2tp", 5));
    let bytes = &answer.messages[0];
    assert_eq!((answer.errno, answer.messages.len(), bytes.len()), (None, 1, 276));
    let message = Messages::new(bytes).next().unwrap();
    assert_eq!(message.header, Header { kind: GENL_ID_CTRL, flags: 0, seq: 5, port: PORT });
    let family = FamilyMessage::parse(&message).unwrap();
    assert_eq!(
        (family.name.as_str(), family.id, family.version, family.maxattr),
        ("l2tp", L2TP_FAMILY_ID, 1, 35)
    );
    assert_eq!(family.groups, [("l2tp".to_owned(), L2TP_GROUP_ID)]);
    let flags: Vec<_> = family.ops.iter().map(|op| op.flags).collect();
    assert_eq!(flags, [0x0a, 0x1a, 0x1a, 0x1a, 0x1e, 0x1a, 0x1a, 0x1a, 0x1e]);
}

#[test]
fn of_id_and_name_the_name_wins() {
    let ask = |id: u16, name: &str| {
        let mut out = Vec::new();
        let genl = GenlHeader { cmd: CTRL_CMD_GETFAMILY, version: CTRL_VERSION, reserved: 0 };
        let mut message = genl.begin(&mut out, Header { kind: GENL_ID_CTRL, flags: 1, seq: 1, port: 0 });
        message.u16(CTRL_ATTR_FAMILY_ID, id).string(CTRL_ATTR_FAMILY_NAME, name);
        message.finish();
        let answer = Lab::new().ask(&out);
        answer
            .messages
            .first()
            .map(|bytes| FamilyMessage::parse(&Messages::new(bytes).next().unwrap()).unwrap().id)
    };
    assert_eq!(ask(GENL_ID_CTRL, "l2tp"), Some(L2TP_FAMILY_ID));
    assert_eq!(ask(L2TP_FAMILY_ID, "nlctrl"), Some(GENL_ID_CTRL));
    assert_eq!(ask(L2TP_FAMILY_ID, "nope"), None);
}

#[test]
fn a_dump_lists_all_families() {
    let answer = Lab::new().ask(&ctrl::dump_families(1));
    let parse = |bytes: &Vec<u8>| FamilyMessage::parse(&Messages::new(bytes).next().unwrap()).unwrap().name;
    assert_eq!(answer.messages.iter().map(parse).collect::<Vec<_>>(), ["nlctrl", "l2tp", "ferrowire"]);
    assert_eq!(answer.errno, None);
}

/// Nine commands that all use policy 0, then its rules: 32 attributes have one.
#[test]
fn the_policy_of_the_l2tp_family() {
    let answer = Lab::new().ask(&ctrl::dump_policy("l2tp", 1));
    assert_eq!((answer.errno, answer.messages.len()), (None, 9 + 32));
    // GET: only requests to do have a policy; dumps look at no attribute.
    let get = &answer.messages[usize::from(l2tp::L2TP_CMD_TUNNEL_GET)];
    assert_eq!(get[28..], [16, 0, 9, 0x80, 12, 0, 4, 0x80, 8, 0, 1, 0, 0, 0, 0, 0]);
    // IFNAME: NUL_STRING of at most 15 bytes.
    let rule = &answer.messages[9 + 7];
    assert_eq!(rule[28..40], [28, 0, 8, 0x80, 24, 0, 0, 0x80, 20, 0, 8, 0x80]);
    assert_eq!(rule[40..], [8, 0, 7, 0, 15, 0, 0, 0, 8, 0, 1, 0, 12, 0, 0, 0]);
}

#[test]
fn an_unknown_family_is_not_found() {
    let answer = Lab::new().ask(&ctrl::get_family("ovs_flow", 1));
    assert_eq!((answer.errno, answer.messages.len()), (Some(Errno::ENOENT), 0));
}
