//! Which path carries a session: the messages of [`FERROWIRE_CMD_PATH_SET`] and [`FERROWIRE_CMD_PATHS`].

use super::{FERROWIRE_ATTR_NAME, genl};
use crate::Errno;
use crate::genl::GenlHeader;
use crate::nl::{AttributeTable, Attributes, Header, Message, NLM_F_ACK, NLM_F_REQUEST};
use alloc::string::String;
use alloc::vec::Vec;

/// Command: which path is to carry a session, or all and those to come. Asks for PATH, and for TUNNEL_ID and SESSION_ID where
/// one session is meant.
pub const FERROWIRE_CMD_PATH_SET: u8 = 18;
/// Command: dump of all sessions with their paths: TUNNEL_ID, SESSION_ID, NAME, PATH, CARRIED_BY, REASON.
pub const FERROWIRE_CMD_PATHS: u8 = 19;

/// Attribute: u32, our tunnel id.
pub const FERROWIRE_ATTR_TUNNEL_ID: u16 = 14;
/// Attribute: u32, our session id.
pub const FERROWIRE_ATTR_SESSION_ID: u16 = 15;
/// Attribute: u8, the [`Path`] that is asked for.
pub const FERROWIRE_ATTR_PATH: u16 = 16;
/// Attribute: u8, the [`Path`] that carries the session.
pub const FERROWIRE_ATTR_CARRIED_BY: u16 = 17;
/// Attribute: text, why it is not BPF.
pub const FERROWIRE_ATTR_REASON: u16 = 18;

/// What carries a session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Path {
    /// Whatever is best.
    #[default]
    Auto,
    /// The daemon's workers.
    User,
    /// The kernel's network stack, by BPF programs.
    Bpf,
}

impl Path {
    /// Its number.
    #[must_use]
    pub const fn number(self) -> u8 {
        match self {
            Self::Auto => 0,
            Self::User => 1,
            Self::Bpf => 2,
        }
    }

    /// The path of that number, if there is one.
    #[must_use]
    pub const fn from_number(number: u8) -> Option<Self> {
        match number {
            0 => Some(Self::Auto),
            1 => Some(Self::User),
            2 => Some(Self::Bpf),
            _ => None,
        }
    }

    /// Its word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::User => "user",
            Self::Bpf => "bpf",
        }
    }
}

/// A request for a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PathRequest {
    /// Our tunnel id and our session id; `None`: all sessions, and those to come.
    pub session: Option<(u32, u32)>,
    /// What is to carry it.
    pub path: Path,
}

impl PathRequest {
    /// The request as a message to the family with id `family`, to be acknowledged.
    #[must_use]
    pub fn emit(self, family: u16, seq: u32) -> Vec<u8> {
        let mut out = Vec::new();
        let header = Header { kind: family, flags: NLM_F_REQUEST | NLM_F_ACK, seq, port: 0 };
        let mut message = genl(FERROWIRE_CMD_PATH_SET).begin(&mut out, header);
        if let Some((tunnel_id, session_id)) = self.session {
            message.u32(FERROWIRE_ATTR_TUNNEL_ID, tunnel_id).u32(FERROWIRE_ATTR_SESSION_ID, session_id);
        }
        message.u8(FERROWIRE_ATTR_PATH, self.path.number());
        message.finish();
        out
    }

    /// Reads what [`Self::emit`] wrote.
    ///
    /// # Errors
    /// EINVAL for one id without the other, and for a path that is none.
    pub fn parse<const N: usize>(attributes: &AttributeTable<'_, N>) -> Result<Self, Errno> {
        let path = attributes.u8(FERROWIRE_ATTR_PATH).and_then(Path::from_number).ok_or(Errno::EINVAL)?;
        let ids = (attributes.u32(FERROWIRE_ATTR_TUNNEL_ID), attributes.u32(FERROWIRE_ATTR_SESSION_ID));
        let session = match ids {
            (Some(tunnel_id), Some(session_id)) => Some((tunnel_id, session_id)),
            (None, None) => None,
            _ => return Err(Errno::EINVAL),
        };
        Ok(Self { session, path })
    }
}

/// What carries a session, and why.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PathReport {
    /// Our tunnel id.
    pub tunnel_id: u32,
    /// Our session id.
    pub session_id: u32,
    /// Name of its device at creation, if it has one.
    pub name: Option<String>,
    /// What was asked for.
    pub wanted: Path,
    /// What carries it: never [`Path::Auto`].
    pub carried_by: Path,
    /// Why it is not BPF; empty if it is.
    pub reason: String,
}

impl PathReport {
    /// Appends it as [`FERROWIRE_CMD_PATHS`] tells it.
    pub fn emit(&self, out: &mut Vec<u8>, header: Header) {
        let mut message = genl(FERROWIRE_CMD_PATHS).begin(out, header);
        message.u32(FERROWIRE_ATTR_TUNNEL_ID, self.tunnel_id).u32(FERROWIRE_ATTR_SESSION_ID, self.session_id);
        if let Some(name) = &self.name {
            message.string(FERROWIRE_ATTR_NAME, name);
        }
        message
            .u8(FERROWIRE_ATTR_PATH, self.wanted.number())
            .u8(FERROWIRE_ATTR_CARRIED_BY, self.carried_by.number())
            .string(FERROWIRE_ATTR_REASON, &self.reason);
        message.finish();
    }

    /// Reads what [`Self::emit`] wrote; `None` if something is missing.
    #[must_use]
    pub fn parse(message: &Message<'_>) -> Option<Self> {
        let (_, attributes) = GenlHeader::split(message.payload)?;
        let find = |kind| Attributes::new(attributes).find_last(kind);
        Some(Self {
            tunnel_id: find(FERROWIRE_ATTR_TUNNEL_ID)?.u32()?,
            session_id: find(FERROWIRE_ATTR_SESSION_ID)?.u32()?,
            name: find(FERROWIRE_ATTR_NAME).map(|name| name.string()),
            wanted: Path::from_number(find(FERROWIRE_ATTR_PATH)?.u8()?)?,
            carried_by: Path::from_number(find(FERROWIRE_ATTR_CARRIED_BY)?.u8()?)?,
            reason: find(FERROWIRE_ATTR_REASON)?.string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genl::GENL_HDRLEN;
    use crate::genl::ferrowire::POLICY;
    use crate::nl::{ExtAck, Messages, Strictness};

    #[test]
    fn requests_round_trip() {
        let parse = |bytes: &[u8]| {
            let table = POLICY.validate(bytes, GENL_HDRLEN, Strictness::Strict, &mut ExtAck::default());
            PathRequest::parse(&table.unwrap())
        };
        for session in [None, Some((7, u32::MAX))] {
            for path in [Path::Auto, Path::User, Path::Bpf] {
                let request = PathRequest { session, path };
                assert_eq!(parse(&request.emit(0x24, 1)), Ok(request));
            }
        }
        let mut half = PathRequest { session: Some((1, 2)), path: Path::User }.emit(0x24, 1);
        // The session's id becomes another tunnel's.
        half[28 + 2] = 14;
        assert_eq!(parse(&half), Err(Errno::EINVAL));
        let mut wrong = PathRequest { session: None, path: Path::User }.emit(0x24, 1);
        wrong[24] = 3;
        assert_eq!(parse(&wrong), Err(Errno::EINVAL));
    }

    #[test]
    fn reports_round_trip() {
        let report = PathReport {
            tunnel_id: 1,
            session_id: 2,
            name: Some("l2tpeth0".into()),
            wanted: Path::Auto,
            carried_by: Path::User,
            reason: "it sends sequence numbers".into(),
        };
        let nameless = PathReport { name: None, carried_by: Path::Bpf, ..PathReport::default() };
        let mut out = Vec::new();
        report.emit(&mut out, Header::default());
        nameless.emit(&mut out, Header::default());
        let read: Vec<_> = Messages::new(&out).map(|message| PathReport::parse(&message)).collect();
        assert_eq!(read, [Some(report), Some(nameless)]);
    }
}
