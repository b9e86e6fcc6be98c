//! Why a packet went no further. One counter a reason; no packet is logged.

macro_rules! drop_reasons {
    ($($(#[doc = $doc:literal])+ $name:ident => $text:literal),+ $(,)?) => {
        /// Why a received packet was not delivered.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        #[repr(u8)]
        pub enum DropReason {
            $($(#[doc = $doc])+ $name),+
        }

        impl DropReason {
            /// Every reason, in the order of their numbers.
            pub const ALL: &[Self] = &[$(Self::$name),+];

            /// The name under which it is reported.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self {
                    $(Self::$name => $text),+
                }
            }
        }
    };
}

drop_reasons! {
    /// IP: too short for a session id, or session id 0 without a control header.
    Malformed => "malformed",
    /// IP: no session has this id.
    NoSession => "no_session",
    /// IP: a control message for which no socket is bound.
    NoControlSocket => "no_control_socket",
    /// Too short for the header that the session has.
    Truncated => "truncated",
    /// The cookie is not the session's.
    Cookie => "cookie",
    /// No sequence number where one is required.
    SeqMissing => "seq_missing",
    /// A number behind the expected one, or too far ahead: late, duplicate or foreign.
    SeqOutsideWindow => "seq_outside_window",
    /// A number ahead of the expected one in a session that does not reorder.
    SeqGap => "seq_gap",
    /// A second copy of a packet that waits in the reorder queue.
    SeqDuplicate => "seq_duplicate",
    /// Waited longer than the reorder timeout for an earlier packet.
    ReorderExpired => "reorder_expired",
    /// Waited in the reorder queue when its session was deleted.
    SessionDeleted => "session_deleted",
    /// L2TPv2: the offset points behind the packet.
    Offset => "offset",
    /// Ethernet: an inner frame shorter than 14 bytes.
    Runt => "runt",
    /// VLAN: an inner frame without a tag, or with that of another VLAN.
    OtherVlan => "other_vlan",
    /// PPP: no program has attached to the session.
    NoReader => "no_reader",
}

/// A counter for every [`DropReason`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DropCounts([u64; DropReason::ALL.len()]);

impl DropCounts {
    /// Counts one packet.
    pub fn count(&mut self, reason: DropReason) {
        if let Some(counter) = self.0.get_mut(reason as usize) {
            *counter += 1;
        }
    }

    /// Packets dropped for `reason`.
    #[must_use]
    pub fn get(&self, reason: DropReason) -> u64 {
        self.0.get(reason as usize).copied().unwrap_or(0)
    }

    /// Packets dropped for any reason.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }
}
