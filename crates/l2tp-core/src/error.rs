//! Why a command is refused: the one table from cause to errno.

use l2tp_abi::errno::Errno;
use thiserror::Error as ThisError;

/// A refused command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ThisError)]
pub enum Error {
    /// The encapsulation is neither UDP nor IP.
    #[error("the encapsulation is neither UDP nor IP")]
    UnknownEncap,
    /// The tunnel id is taken, in L2TPv2 or v3.
    #[error("a tunnel with this id exists")]
    TunnelExists,
    /// There is no such tunnel.
    #[error("there is no tunnel with this id")]
    NoTunnel,
    /// There is no such session.
    #[error("there is no such session")]
    NoSession,
    /// The session id is taken, by the rules of its version and encapsulation.
    #[error("a session with this id exists")]
    SessionExists,
    /// The pseudowire type is no number of the kernel's.
    #[error("the pseudowire type is out of range")]
    PwTypeOutOfRange,
    /// The pseudowire type has no driver, or none in L2TPv2.
    #[error("this pseudowire type is not supported")]
    PwTypeUnsupported,
    /// The VLAN is not one of 1 to 4094.
    #[error("this is no VLAN: they are 1 to 4094")]
    BadVlanId,
    /// The sublayer is neither none nor default.
    #[error("the L2-specific sublayer is neither none nor default")]
    UnknownL2spec,
    /// The device name is not one.
    #[error("this is no name for a device")]
    BadName,
    /// A table is full.
    #[error("there are too many tunnels or sessions")]
    Full,
    /// The operating system refused.
    #[error("{0}")]
    Host(Errno),
}

impl Error {
    /// The errno that the kernel answers with.
    #[must_use]
    pub fn errno(self) -> Errno {
        match self {
            Self::UnknownEncap
            | Self::PwTypeOutOfRange
            | Self::BadVlanId
            | Self::UnknownL2spec
            | Self::BadName => Errno::EINVAL,
            Self::TunnelExists | Self::SessionExists => Errno::EEXIST,
            Self::NoTunnel | Self::NoSession => Errno::ENODEV,
            Self::PwTypeUnsupported => Errno::EPROTONOSUPPORT,
            Self::Full => Errno::ENOSPC,
            Self::Host(errno) => errno,
        }
    }
}

impl From<Errno> for Error {
    fn from(errno: Errno) -> Self {
        Self::Host(errno)
    }
}
