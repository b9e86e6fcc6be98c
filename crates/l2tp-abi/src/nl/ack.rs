//! Answers of netlink itself: acknowledgements, errors and the end of a dump.

use super::{
    Attributes, Header, Message, MessageBuilder, NLM_F_ACK_TLVS, NLM_F_CAPPED, NLM_F_MULTI, NLMSG_DONE,
    NLMSG_ERROR, NLMSG_HDRLEN, NLMSG_OVERRUN, Rule, align,
};
use crate::Errno;
use alloc::string::String;
use alloc::vec::Vec;

/// `NLMSGERR_ATTR_MSG`: text.
const ATTR_MSG: u16 = 1;
/// `NLMSGERR_ATTR_OFFS`: u32, from the start of the request to the attribute.
const ATTR_OFFS: u16 = 2;
/// `NLMSGERR_ATTR_POLICY`: the rule that was broken.
const ATTR_POLICY: u16 = 4;

/// What an answer says besides its error number, `struct netlink_ext_ack`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExtAck {
    /// Why; of an answer without error, a warning.
    pub message: Option<&'static str>,
    /// Which attribute: bytes from the start of the request.
    pub offset: Option<u32>,
    /// Which rule.
    pub rule: Option<Rule>,
}

/// What a program asked of its netlink socket (`setsockopt` at level `SOL_NETLINK`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AckOptions {
    /// `NETLINK_CAP_ACK`: errors, too, carry only the header of the request.
    pub cap_ack: bool,
    /// `NETLINK_EXT_ACK`: answers carry [`ExtAck`].
    pub ext_ack: bool,
}

/// Appends the answer to `request` for the program at `port` (`netlink_ack`): `NLMSG_ERROR` with the negated `error` or 0,
/// then the request (its header only, if all is well or the program wants it short), then `ext` if the program wants it.
pub fn emit_ack(
    out: &mut Vec<u8>,
    request: &Message<'_>,
    port: u32,
    options: AckOptions,
    error: Option<Errno>,
    ext: &ExtAck,
) {
    let capped = options.cap_ack || error.is_none();
    let flags = if capped { NLM_F_CAPPED } else { 0 };
    let mut answer =
        MessageBuilder::new(out, Header { kind: NLMSG_ERROR, flags, seq: request.header.seq, port });
    answer.raw(&error.map_or(0, |errno| errno.0.saturating_neg()).to_ne_bytes());
    answer.raw(if capped { request.bytes.get(..NLMSG_HDRLEN).unwrap_or_default() } else { request.bytes });
    if options.ext_ack {
        emit_ext(&mut answer, error, ext);
    }
    answer.finish();
}

/// Appends `ext`; offset and rule belong to errors only.
fn emit_ext(answer: &mut MessageBuilder<'_>, error: Option<Errno>, ext: &ExtAck) {
    let (offset, rule) = if error.is_some() { (ext.offset, ext.rule) } else { (None, None) };
    if let Some(text) = ext.message {
        answer.string(ATTR_MSG, text);
    }
    if let Some(offset) = offset {
        answer.u32(ATTR_OFFS, offset);
    }
    if let Some(rule) = rule {
        rule.describe(answer, ATTR_POLICY);
    }
    if ext.message.is_some() || offset.is_some() || rule.is_some() {
        answer.add_flags(NLM_F_ACK_TLVS);
    }
}

/// Appends the end of a dump for the request with number `seq` of the program at `port`.
pub fn emit_done(out: &mut Vec<u8>, seq: u32, port: u32) {
    let mut done = MessageBuilder::new(out, Header { kind: NLMSG_DONE, flags: NLM_F_MULTI, seq, port });
    done.raw(&0_i32.to_ne_bytes());
    done.finish();
}

/// Appends word to the program at `port` that messages for it were lost here: a header of type [`NLMSG_OVERRUN`].
pub fn emit_overrun(out: &mut Vec<u8>, port: u32) {
    MessageBuilder::new(out, Header { kind: NLMSG_OVERRUN, flags: 0, seq: 0, port }).finish();
}

/// An acknowledgement or error, as a program reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ack {
    /// The error; `None` acknowledges.
    pub errno: Option<Errno>,
    /// The header of the request.
    pub request: Header,
    /// `NLMSGERR_ATTR_MSG`.
    pub message: Option<String>,
    /// `NLMSGERR_ATTR_OFFS`: bytes from the start of the request to the attribute that was refused.
    pub offset: Option<u32>,
}

impl Ack {
    /// Reads a message of type `NLMSG_ERROR`; `None` if it is of another type or too short.
    #[must_use]
    pub fn parse(message: &Message<'_>) -> Option<Self> {
        if message.header.kind != NLMSG_ERROR {
            return None;
        }
        let (error, rest) = message.payload.split_first_chunk()?;
        let (len, request, after) = Header::split(rest)?;
        let flags = message.header.flags;
        let echoed = if flags & NLM_F_CAPPED == 0 { usize::try_from(len).ok()? } else { NLMSG_HDRLEN };
        let tlvs = if flags & NLM_F_ACK_TLVS == 0 {
            &[]
        } else {
            after.get(align(echoed).saturating_sub(NLMSG_HDRLEN)..).unwrap_or_default()
        };
        Some(Self {
            errno: negated(i32::from_ne_bytes(*error)),
            request,
            message: Attributes::new(tlvs).find_last(ATTR_MSG).map(|a| a.string()),
            offset: Attributes::new(tlvs).find_last(ATTR_OFFS).and_then(|a| a.u32()),
        })
    }
}

/// How a dump ended: `None` if `message` is not its end, `Some(None)` if it ended well.
#[must_use]
pub fn done_errno(message: &Message<'_>) -> Option<Option<Errno>> {
    let code = message.payload.first_chunk().map_or(0, |code| i32::from_ne_bytes(*code));
    (message.header.kind == NLMSG_DONE).then(|| negated(code))
}

/// The error of a negated number; 0 is none.
fn negated(code: i32) -> Option<Errno> {
    (code != 0).then(|| Errno(code.saturating_neg()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nl::Messages;

    fn answer(options: AckOptions, error: Option<Errno>) -> (Vec<u8>, Ack) {
        let mut request = Vec::new();
        let mut builder = MessageBuilder::new(&mut request, Header { kind: 0x23, flags: 5, seq: 7, port: 0 });
        builder.raw(&[1, 1, 0, 0]).u8(7, 3);
        builder.finish();
        let ext = ExtAck { message: Some("why"), offset: Some(20), rule: Some(Rule::U8) };
        let mut out = Vec::new();
        let request = Messages::new(&request).next().unwrap();
        emit_ack(&mut out, &request, 99, options, error, &ext);
        let message = Messages::new(&out).next().unwrap();
        assert_eq!((message.header.seq, message.header.port, message.bytes.len()), (7, 99, out.len()));
        let ack = Ack::parse(&message).unwrap();
        (out, ack)
    }

    #[test]
    fn the_options_decide_what_follows() {
        let ext = AckOptions { cap_ack: false, ext_ack: true };
        let short = AckOptions { cap_ack: true, ext_ack: true };
        assert_eq!(answer(AckOptions::default(), None).0.len(), 36);
        assert_eq!(answer(AckOptions::default(), Some(Errno::EEXIST)).0.len(), 36 + 12);
        for options in [ext, short] {
            let (_, ack) = answer(options, Some(Errno::ERANGE));
            assert_eq!(ack.errno, Some(Errno::ERANGE));
            assert_eq!((ack.message.as_deref(), ack.offset), (Some("why"), Some(20)));
        }
        let (_, warning) = answer(ext, None);
        assert_eq!((warning.errno, warning.message.as_deref(), warning.offset), (None, Some("why"), None));
    }

    #[test]
    fn the_end_of_a_dump() {
        let mut out = Vec::new();
        emit_done(&mut out, 3, 4);
        let done = Messages::new(&out).next().unwrap();
        assert_eq!((out.len(), done_errno(&done), Ack::parse(&done)), (20, Some(None), None));
    }
}
