//! Requests as the recorded cases describe them, as bytes.

use l2tp_abi::genl::GenlHeader;
use l2tp_abi::genl::l2tp;
use l2tp_abi::nl::{Attributes, Header, MessageBuilder, Rule};
use serde_json::Value;
use std::net::IpAddr;

/// The id of the family "l2tp" on the kernel that was recorded, and here.
pub const FAMILY: u16 = 0x23;

/// The number of a descriptor that a case calls by a name such as `sock:udp4`; `None`: there is none.
pub type Descriptors<'a> = &'a dyn Fn(&str) -> Option<u32>;

const COMMANDS: [&str; 9] = [
    "NOOP",
    "TUNNEL_CREATE",
    "TUNNEL_DELETE",
    "TUNNEL_MODIFY",
    "TUNNEL_GET",
    "SESSION_CREATE",
    "SESSION_DELETE",
    "SESSION_MODIFY",
    "SESSION_GET",
];

const ATTRIBUTES: [&str; 35] = [
    "",
    "PW_TYPE",
    "ENCAP_TYPE",
    "OFFSET",
    "DATA_SEQ",
    "L2SPEC_TYPE",
    "L2SPEC_LEN",
    "PROTO_VERSION",
    "IFNAME",
    "CONN_ID",
    "PEER_CONN_ID",
    "SESSION_ID",
    "PEER_SESSION_ID",
    "UDP_CSUM",
    "VLAN_ID",
    "COOKIE",
    "PEER_COOKIE",
    "DEBUG",
    "RECV_SEQ",
    "SEND_SEQ",
    "LNS_MODE",
    "USING_IPSEC",
    "RECV_TIMEOUT",
    "FD",
    "IP_SADDR",
    "IP_DADDR",
    "UDP_SPORT",
    "UDP_DPORT",
    "MTU",
    "MRU",
    "STATS",
    "IP6_SADDR",
    "IP6_DADDR",
    "UDP_ZERO_CSUM6_TX",
    "UDP_ZERO_CSUM6_RX",
];

/// Bytes from hexadecimal digits.
///
/// # Panics
/// On anything else.
#[must_use]
pub fn unhex(hex: &str) -> Vec<u8> {
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

/// The type of the attribute called `name`, which may be a number.
///
/// # Panics
/// On an unknown name.
#[must_use]
pub fn attribute_kind(name: &Value) -> u16 {
    let name = name.as_str().unwrap();
    let known = ATTRIBUTES.iter().position(|known| *known == name);
    known.map_or_else(|| name.parse().unwrap(), |kind| u16::try_from(kind).unwrap())
}

/// A step as a request with the sequence number `seq`; `None` if it names a descriptor that there is none of.
///
/// # Panics
/// On a step that is no request.
#[must_use]
pub fn build(step: &Value, seq: u32, descriptors: Descriptors<'_>) -> Option<Vec<u8>> {
    let flags = step["flags"].as_str().map_or(5, |flags| u16::from_str_radix(&flags[2..], 16).unwrap());
    let version = step["version"].as_u64().map_or(1, |version| u8::try_from(version).unwrap());
    let mut out = Vec::new();
    let genl = GenlHeader { cmd: command(&step["cmd"]), version, reserved: 0 };
    let mut message = genl.begin(&mut out, Header { kind: FAMILY, flags, seq, port: 0 });
    for attribute in step["attrs"].as_array().unwrap() {
        put(&mut message, attribute_kind(&attribute[0]), &attribute[1], descriptors)?;
    }
    message.finish();
    Some(out)
}

fn command(name: &Value) -> u8 {
    let known = COMMANDS.iter().position(|known| name == known);
    u8::try_from(known.map_or_else(|| name.as_u64().unwrap(), |cmd| u64::try_from(cmd).unwrap())).unwrap()
}

fn put(
    message: &mut MessageBuilder<'_>,
    kind: u16,
    value: &Value,
    descriptors: Descriptors<'_>,
) -> Option<()> {
    match value {
        Value::Bool(set) => message.flag(kind, *set),
        Value::Number(number) => message.bytes(kind, &integer(kind, number.as_i64().unwrap())),
        Value::String(text) => message.bytes(kind, &bytes(kind, text, descriptors)?),
        _ => return None,
    };
    Some(())
}

/// A number as wide as the policy wants it.
fn integer(kind: u16, value: i64) -> Vec<u8> {
    let rule = l2tp::POLICY.rules().find(|(known, _)| *known == kind).map(|(_, rule)| rule);
    let len = match rule {
        Some(Rule::U8) => 1,
        Some(Rule::U16) => 2,
        Some(Rule::Msecs) => 8,
        _ => 4,
    };
    value.to_le_bytes()[..len].to_vec()
}

fn bytes(kind: u16, text: &str, descriptors: Descriptors<'_>) -> Option<Vec<u8>> {
    if let Some(hex) = text.strip_prefix("raw:") {
        return Some(unhex(hex));
    }
    match kind {
        l2tp::L2TP_ATTR_IFNAME => Some([text.as_bytes(), &[0]].concat()),
        l2tp::L2TP_ATTR_COOKIE | l2tp::L2TP_ATTR_PEER_COOKIE => Some(unhex(text)),
        l2tp::L2TP_ATTR_FD => descriptors(text).map(|number| number.to_le_bytes().to_vec()),
        _ => Some(match text.parse().unwrap() {
            IpAddr::V4(ip) => ip.octets().to_vec(),
            IpAddr::V6(ip) => ip.octets().to_vec(),
        }),
    }
}

/// The type of the attribute at `offset` bytes into a request.
///
/// # Panics
/// Where none is.
#[must_use]
pub fn kind_at(request: &[u8], offset: u32) -> u16 {
    let offset = usize::try_from(offset).unwrap();
    Attributes::new(&request[20..]).find(|attribute| attribute.offset + 20 == offset).unwrap().kind
}
