//! Bytes that nobody sent.

use crate::recorded::{first, recorded};
use l2tp_abi::genl::ctrl::FamilyMessage;
use l2tp_abi::genl::l2tp::{self, SessionMessage, TunnelMessage};
use l2tp_abi::nl::{Ack, ExtAck, Messages, Strictness};
use proptest::prelude::*;

proptest! {
    /// Any bytes give a value or nothing, and never a panic.
    #[test]
    fn no_bytes_are_fatal(bytes in proptest::collection::vec(any::<u8>(), 0..400), fixed in 0_usize..500) {
        for message in Messages::new(&bytes) {
            let _ = TunnelMessage::parse(&message);
            let _ = SessionMessage::parse(&message);
            let _ = FamilyMessage::parse(&message);
            let _ = Ack::parse(&message);
            let _ = l2tp_abi::nl::done_errno(&message);
        }
        for strictness in [Strictness::Liberal, Strictness::Strict] {
            let _ = l2tp::POLICY.validate(&bytes, fixed, strictness, &mut ExtAck::default());
        }
    }

    /// The same for real messages with some bytes changed and the end cut off, which get deeper into the parsers.
    #[test]
    fn damaged_messages_are_not_fatal(
        which in any::<prop::sample::Index>(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let all = recorded();
        let mut bytes = which.get(&all).clone();
        for (at, value) in damage {
            let at = at.index(bytes.len());
            bytes[at] = value;
        }
        bytes.truncate(cut.index(bytes.len()) + 1);
        let len = u32::try_from(bytes.len()).unwrap();
        if let Some(field) = bytes.first_chunk_mut::<4>() {
            *field = len.to_ne_bytes();
        }
        for message in Messages::new(&bytes) {
            if let Some((cmd, tunnel)) = TunnelMessage::parse(&message) {
                let mut out = Vec::new();
                tunnel.emit(&mut out, message.header, cmd);
                prop_assert_eq!(TunnelMessage::parse(&first(&out)).unwrap().1.conn_id, tunnel.conn_id);
            }
            if let Some((cmd, session)) = SessionMessage::parse(&message) {
                let mut out = Vec::new();
                session.emit(&mut out, message.header, cmd);
                prop_assert_eq!(SessionMessage::parse(&first(&out)).unwrap(), (cmd, session));
            }
        }
    }
}
