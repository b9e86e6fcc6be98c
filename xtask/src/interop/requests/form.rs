//! Requests that are not as they should be: attributes missing, doubled, too short, too long, odd flags and headers.

use l2tp_abi::genl::GenlHeader;
use l2tp_abi::genl::l2tp::{
    L2TP_ATTR_ENCAP_TYPE, L2TP_ATTR_FD, L2TP_ATTR_IP6_DADDR, L2TP_ATTR_IP6_SADDR, L2TP_ATTR_L2SPEC_TYPE,
    L2TP_ATTR_LNS_MODE, L2TP_ATTR_MAX, L2TP_ATTR_PROTO_VERSION, L2TP_ATTR_RECV_SEQ, L2TP_ATTR_SEND_SEQ,
};
use l2tp_abi::nl::{Attributes, Messages};

use super::random::Random;

/// Flags that no dump is made of: request, acknowledge, echo, one half of dump, create.
const FLAGS: [u16; 8] = [0x5, 0x1, 0xd, 0x105, 0x205, 0x605, 0x4, 0x0];
/// Attributes with a number of one byte or two that may be anything.
const NUMBERS: [u16; 6] = [
    L2TP_ATTR_ENCAP_TYPE,
    L2TP_ATTR_PROTO_VERSION,
    L2TP_ATTR_L2SPEC_TYPE,
    L2TP_ATTR_RECV_SEQ,
    L2TP_ATTR_SEND_SEQ,
    L2TP_ATTR_LNS_MODE,
];

/// A request in parts.
struct Parts {
    flags: u16,
    genl: [u8; 4],
    attributes: Vec<(u16, Vec<u8>)>,
    tail: Vec<u8>,
}

/// Spoils a request in one place or two.
pub(super) fn spoil(request: &[u8], random: &mut Random) -> Vec<u8> {
    let Some(mut parts) = Parts::of(request) else { return request.to_vec() };
    for _ in 0..=random.below(2) {
        parts.spoil(random);
    }
    parts.emit(request, random)
}

impl Parts {
    fn of(request: &[u8]) -> Option<Self> {
        let message = Messages::new(request).next()?;
        let (_, attributes) = GenlHeader::split(message.payload)?;
        let attributes = Attributes::new(attributes).map(|a| (a.kind, a.payload.to_vec())).collect();
        let genl = *message.payload.first_chunk()?;
        Some(Self { flags: message.header.flags, genl, attributes, tail: Vec::new() })
    }

    fn spoil(&mut self, random: &mut Random) {
        let at = random.below(self.attributes.len());
        let what = random.below(16);
        match (what, self.attributes.get_mut(at)) {
            (0 | 1, Some(_)) => drop(self.attributes.remove(at)),
            (2, Some(attribute)) => {
                let again = attribute.clone();
                self.attributes.push(again);
            }
            // A short IPv6 address is read on into what follows: a fault of the kernel that is mended here.
            (3 | 4, Some((kind, payload))) if ![L2TP_ATTR_IP6_SADDR, L2TP_ATTR_IP6_DADDR].contains(kind) => {
                payload.truncate(random.below(payload.len()));
            }
            (5 | 6, Some((_, payload))) => payload.extend(vec![0; 1 + random.below(9)]),
            (7, Some((kind, _))) => *kind |= if random.below(2) == 0 { 0x8000 } else { 0x4000 },
            (8, Some((kind, payload))) if NUMBERS.contains(kind) => {
                payload.fill_with(|| random.byte() % 5 + if random.below(8) == 0 { 250 } else { 0 });
            }
            (9, Some(_)) => self.attributes.swap(at, 0),
            (10, _) => self.flags = FLAGS[random.below(FLAGS.len())],
            (11, _) => self.genl[0] = random.byte() % 12,
            (12, _) => self.genl[1 + random.below(3)] = random.byte(),
            (13, _) => self.tail = vec![random.byte() & 3; 1 + random.below(6)],
            _ => {
                let kind = L2TP_ATTR_MAX + 1 + u16::from(random.byte());
                self.attributes.push((kind, vec![7; random.below(9)]));
            }
        }
    }

    /// The request as bytes: in one of 16 cases a length is wrong.
    fn emit(&self, request: &[u8], random: &mut Random) -> Vec<u8> {
        let mut out = request.get(..16).unwrap_or_default().to_vec();
        out.extend(self.genl);
        let mut last = 0;
        for (kind, payload) in self.attributes.iter().filter(|(kind, _)| *kind != L2TP_ATTR_FD) {
            last = out.len();
            let len = u16::try_from(payload.len() + 4).unwrap_or(u16::MAX);
            out.extend(len.to_ne_bytes());
            out.extend(kind.to_ne_bytes());
            out.extend(payload);
            out.resize(out.len().next_multiple_of(4), 0);
        }
        out.extend(&self.tail);
        if random.below(16) == 0 && last > 0 {
            let wrong = u16::from(random.byte()) % 48;
            if let Some(place) = out.get_mut(last..last + 2) {
                place.copy_from_slice(&wrong.to_ne_bytes());
            }
        }
        if random.below(16) == 0 {
            out.truncate(16 + random.below(out.len() - 16));
        }
        let len = u32::try_from(out.len()).unwrap_or(u32::MAX);
        for (place, bytes) in [(0..4, &len.to_ne_bytes()[..]), (6..8, &self.flags.to_ne_bytes())] {
            if let Some(place) = out.get_mut(place) {
                place.copy_from_slice(bytes);
            }
        }
        out
    }
}
