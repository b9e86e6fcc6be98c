//! The controller, policies and refusals.

use crate::recorded::{ORACLE, conversations, first};
use l2tp_abi::genl::ctrl::{self, FamilyMessage};
use l2tp_abi::genl::l2tp::{self, Request};
use l2tp_abi::genl::{GENL_HDRLEN, GenlHeader};
use l2tp_abi::nl::{Ack, Attributes, ExtAck, NLMSG_ERROR, Policy, Strictness, emit_ack};
use serde_json::Value;

#[test]
fn the_policy_is_the_one_that_the_kernel_tells() {
    let oracle: Value = serde_json::from_str(ORACLE).unwrap();
    let told = oracle["policy"]["0"].as_object().unwrap();
    let numbers = [
        "",
        "FLAG",
        "U8",
        "U16",
        "U32",
        "U64",
        "",
        "",
        "",
        "",
        "BINARY",
        "",
        "NUL_STRING",
        "NESTED",
        "",
        "",
        "",
        "UINT",
    ];
    // The kernel tells its policy in the order of the attribute types, those without a rule left out.
    let mut described = 0;
    for ((kind, rule), (name, want)) in
        l2tp::POLICY.rules().filter(|(_, rule)| *rule != l2tp_abi::nl::Rule::Unspec).zip(told)
    {
        let mut out = Vec::new();
        ctrl::emit_rule(&mut out, first(&Request::Noop.emit(0x23, 1)).header, 0x23, 0, (kind, rule));
        let nest =
            Attributes::new(&first(&out).payload[GENL_HDRLEN..]).find_last(ctrl::CTRL_ATTR_POLICY).unwrap();
        let rule = nest.attributes().find_last(0).and_then(|a| a.attributes().find_last(kind)).unwrap();
        let number = rule.attributes().find_last(1).and_then(|a| a.u32()).unwrap();
        assert_eq!(numbers[usize::try_from(number).unwrap()], want["type"], "{name}");
        assert_eq!(rule.attributes().find_last(5).and_then(|a| a.u64()), want["max"].as_u64(), "{name}");
        assert_eq!(
            rule.attributes().find_last(7).and_then(|a| a.u32()).map(u64::from),
            want["max_length"].as_u64(),
            "{name}"
        );
        described += 1;
    }
    assert_eq!(described, told.len());
}

#[test]
fn families_come_out_as_they_went_in() {
    let mut found = 0;
    for (name, _, _, replies) in conversations() {
        for reply in &replies {
            let message = first(reply);
            if let Some(family) = FamilyMessage::parse(&message) {
                let mut out = Vec::new();
                family.emit(&mut out, message.header);
                assert_eq!(&out, reply, "{name}");
                assert_eq!((family.name.as_str(), family.id, family.ops.len()), ("nlctrl", 0x10, 2));
                found += 1;
            }
        }
    }
    assert!(found > 10);
}

/// The kernel's answer to a request that breaks the policy, byte for byte.
#[test]
fn refusals_are_those_of_the_kernel() {
    let mut seen = 0;
    for (name, options, request, replies) in conversations() {
        let message = first(&request);
        let Some((genl, _)) = GenlHeader::split(message.payload) else { continue };
        let mut ext = ExtAck::default();
        let result = if genl.cmd == ctrl::CTRL_CMD_GETPOLICY && message.header.is_dump() {
            refusal(&ctrl::GETPOLICY_POLICY, &request, Strictness::Strict, &mut ext)
        } else if genl.cmd == ctrl::CTRL_CMD_GETFAMILY {
            refusal(&ctrl::GETFAMILY_POLICY, &request, Strictness::Liberal, &mut ext)
        } else {
            None
        };
        if let Some(errno) = result {
            let mut out = Vec::new();
            emit_ack(&mut out, &message, first(&replies[0]).header.port, options, Some(errno), &ext);
            assert_eq!(out, replies[0], "{name}, {options:?}");
            seen += 1;
        }
    }
    assert_eq!(seen, 3 * 7);
}

fn refusal<const N: usize>(
    policy: &Policy<N>,
    request: &[u8],
    strictness: Strictness,
    ext: &mut ExtAck,
) -> Option<l2tp_abi::Errno> {
    policy.validate(request, GENL_HDRLEN, strictness, ext).err()
}

#[test]
fn errors_are_read_back() {
    let mut texts = 0;
    for (_, _, request, replies) in conversations() {
        for reply in replies {
            let message = first(&reply);
            let ack = Ack::parse(&message);
            assert_eq!(ack.is_some(), message.header.kind == NLMSG_ERROR);
            let Some(ack) = ack else { continue };
            assert_eq!(ack.request, first(&request).header);
            texts += usize::from(ack.message.is_some());
        }
    }
    assert!(texts > 10);
}
