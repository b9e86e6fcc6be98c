//! Answers as text that is equal for equal answers: without the ids that a server chooses, and without what depends on how a
//! kernel was built.

use std::fmt::{self, Write as _};

use l2tp_abi::genl::GENL_HDRLEN;
use l2tp_abi::genl::l2tp::{L2TP_ATTR_PAD, L2TP_ATTR_RECV_TIMEOUT, L2TP_ATTR_STATS, L2TP_ATTR_UDP_SPORT};
use l2tp_abi::nl::{
    Ack, Attributes, Header, Message, Messages, NLM_F_ACK_TLVS, NLM_F_CAPPED, NLMSG_ERROR, NLMSG_HDRLEN,
};

/// Milliseconds that are ticks of 4 and of 10 ms: times are rounded up to them.
const TICKS: u64 = 20;
/// From here on a kernel chooses ports.
const EPHEMERAL: u16 = 32_768;
/// Padding before numbers of 64 bits, which only some kernels need: among the counters (`L2TP_ATTR_STATS_PAD`) …
const STATS_PAD: u16 = 9;
/// … and in the rule that an error names (`NLMSGERR_ATTR_POLICY`, `NL_POLICY_TYPE_ATTR_PAD`).
const ATTR_POLICY: u16 = 4;
const POLICY_PAD: u16 = 11;

/// The datagrams that answer a request to the family with id `family`.
pub(super) fn answer(family: u16, datagrams: &[Vec<u8>]) -> String {
    let mut text = String::new();
    for message in datagrams.iter().flat_map(|datagram| Messages::new(datagram)) {
        let Header { flags, seq, kind, .. } = message.header;
        // Memory refuses nothing.
        let _: fmt::Result = match Ack::parse(&message) {
            Some(ack) => {
                let errno = ack.errno.and_then(|errno| errno.name()).unwrap_or("OK");
                write!(text, "{errno} {:?} [ack", ack.message.unwrap_or_default())
            }
            None if kind == family => write!(text, "[l2tp"),
            None => write!(text, "[{kind}"),
        };
        let payload = payload(family, &message);
        let _: fmt::Result = write!(text, " flags {flags:x} seq {seq} {}] ", hex(&payload));
    }
    text
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn payload(family: u16, message: &Message<'_>) -> Vec<u8> {
    if message.header.kind != NLMSG_ERROR {
        let is_ours = message.header.kind == family;
        return if is_ours {
            without_padding(message.payload, GENL_HDRLEN, &object)
        } else {
            message.payload.to_vec()
        };
    }
    let mut payload = if message.header.flags & NLM_F_ACK_TLVS == 0 {
        message.payload.to_vec()
    } else {
        without_padding(message.payload, 4 + echoed(message), &reason)
    };
    // The echo of the request has the family's id in it.
    payload.get_mut(8..10).into_iter().for_each(|kind| kind.fill(0));
    payload
}

/// Bytes of the request that an acknowledgement gives back.
fn echoed(message: &Message<'_>) -> usize {
    let len = message.payload.get(4..8).and_then(|len| len.first_chunk());
    let len = len.and_then(|len| usize::try_from(u32::from_ne_bytes(*len)).ok()).unwrap_or_default();
    if message.header.flags & NLM_F_CAPPED == 0 { len.next_multiple_of(4) } else { NLMSG_HDRLEN }
}

/// What stays of an attribute; `None`: nothing.
type Keep = dyn Fn(u16, &[u8]) -> Option<Vec<u8>>;

/// `bytes`, from `start` on only what `keep` leaves of the attributes there.
fn without_padding(bytes: &[u8], start: usize, keep: &Keep) -> Vec<u8> {
    let mut out = bytes.get(..start).unwrap_or(bytes).to_vec();
    for attribute in Attributes::new(bytes.get(start..).unwrap_or_default()) {
        let Some(payload) = keep(attribute.kind, attribute.payload) else { continue };
        let len = u16::try_from(payload.len() + 4).unwrap_or(u16::MAX);
        out.extend(len.to_ne_bytes());
        out.extend(attribute.kind.to_ne_bytes());
        out.extend(payload);
        out.resize(out.len().next_multiple_of(4), 0);
    }
    out
}

/// Of a tunnel's or a session's attributes.
fn object(kind: u16, payload: &[u8]) -> Option<Vec<u8>> {
    match kind {
        L2TP_ATTR_PAD => None,
        // A port that nobody asked for.
        L2TP_ATTR_UDP_SPORT
            if payload.first_chunk().is_some_and(|port| u16::from_ne_bytes(*port) >= EPHEMERAL) =>
        {
            Some(vec![0; 2])
        }
        L2TP_ATTR_STATS => {
            Some(without_padding(payload, 0, &|kind, payload| kept_but(STATS_PAD, kind, payload)))
        }
        L2TP_ATTR_RECV_TIMEOUT => {
            let time = payload.first_chunk().map_or(0, |bytes| u64::from_ne_bytes(*bytes));
            Some(time.div_ceil(TICKS).saturating_mul(TICKS).to_ne_bytes().to_vec())
        }
        _ => Some(payload.to_vec()),
    }
}

/// Of an error's attributes.
fn reason(kind: u16, payload: &[u8]) -> Option<Vec<u8>> {
    match kind {
        ATTR_POLICY => {
            Some(without_padding(payload, 0, &|kind, payload| kept_but(POLICY_PAD, kind, payload)))
        }
        _ => Some(payload.to_vec()),
    }
}

fn kept_but(pad: u16, kind: u16, payload: &[u8]) -> Option<Vec<u8>> {
    (kind != pad || !payload.is_empty()).then(|| payload.to_vec())
}
