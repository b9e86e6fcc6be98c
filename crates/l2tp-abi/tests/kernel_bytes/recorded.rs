//! The recorded bytes.

use l2tp_abi::nl::{AckOptions, Message, Messages};
use netlink_packet_core::NetlinkMessage;
use netlink_packet_generic::GenlMessage;
use netlink_packet_l2tp::L2tpMessage;
use serde_json::Value;

pub(crate) const ORACLE: &str = include_str!("../../../../tests/vectors/kernel/errno-oracle.json");
pub(crate) const REQUESTS: &str = include_str!("../../../../tests/vectors/kernel/ip-l2tp-requests.txt");
pub(crate) const NLCTRL: &str = include_str!("../../../../tests/vectors/kernel/nlctrl.json");

pub(crate) fn unhex(hex: &str) -> Vec<u8> {
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// Every string under a key "hex", anywhere in the oracle.
fn collect_hex(value: &Value, found: &mut Vec<Vec<u8>>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                match value.as_str() {
                    Some(hex) if key == "hex" => found.push(unhex(hex)),
                    _ => collect_hex(value, found),
                }
            }
        }
        Value::Array(list) => list.iter().for_each(|value| collect_hex(value, found)),
        _ => {}
    }
}

/// Every reply and notification of the oracle.
pub(crate) fn recorded() -> Vec<Vec<u8>> {
    let mut found = Vec::new();
    collect_hex(&serde_json::from_str(ORACLE).unwrap(), &mut found);
    found
}

pub(crate) fn first(datagram: &[u8]) -> Message<'_> {
    Messages::new(datagram).next().unwrap()
}

/// Parses and emits with netlink-packet-l2tp.
pub(crate) fn through_their_codec(bytes: &[u8]) -> Vec<u8> {
    let theirs = NetlinkMessage::<GenlMessage<L2tpMessage>>::deserialize(bytes).unwrap();
    let mut again = vec![0; theirs.buffer_len()];
    theirs.serialize(&mut again);
    again
}

/// A recorded conversation with the controller: name, socket options, request, replies.
pub(crate) type Conversation = (String, AckOptions, Vec<u8>, Vec<Vec<u8>>);

pub(crate) fn conversations() -> Vec<Conversation> {
    let recorded: Value = serde_json::from_str(NLCTRL).unwrap();
    let hex = |value: &Value| unhex(value.as_str().unwrap());
    let cases = recorded["cases"].as_array().unwrap().iter();
    cases
        .map(|case| {
            let flag = |key: &str| case[key].as_bool().unwrap();
            let options = AckOptions { cap_ack: flag("cap_ack"), ext_ack: flag("ext_ack") };
            let replies = case["replies"].as_array().unwrap().iter().map(hex).collect();
            (case["name"].as_str().unwrap().to_owned(), options, hex(&case["request"]), replies)
        })
        .collect()
}
