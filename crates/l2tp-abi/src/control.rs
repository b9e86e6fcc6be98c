//! What a daemon and the program that started it for itself say to each other: `ferrowire daemon --control-fd N`, where N
//! is one end of a SEQPACKET pair of Unix sockets that the daemon inherits.
//!
//! The program hands in network namespaces, one a message, and each is answered in turn. When the program closes its end,
//! the daemon removes everything and ends. What that program itself has of a namespace (threads, descriptors) does not
//! count as a use of it; what others have does, its children included.
//!
//! A message has [`CONTROL_BYTES`] bytes, in the byte order of the machine: kind (u32), errno (i32), inode of the
//! namespace (u64, the number in /proc/PID/ns/net). What a kind does not use is 0.

use crate::errno::Errno;

/// Bytes of every message.
pub const CONTROL_BYTES: usize = 16;

/// A message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Control {
    /// Kind 1, to the daemon, with one descriptor of a network namespace beside it (`SCM_RIGHTS`): serve this one too. One
    /// that is served already is no error.
    Serve,
    /// Kind 2, the answer: the door of the namespace is open.
    Serving {
        /// Inode of the namespace.
        netns: u64,
    },
    /// Kind 3, the other answer: the namespace cannot be served.
    Refused {
        /// Why: `EADDRINUSE` when another daemon serves it, `EPERM` without privilege over it, `EINVAL` for what is no network
        /// namespace, `ENOSPC` with more than 1024, `EMFILE` ...
        errno: Errno,
    },
    /// Kind 4, at any time: nobody used the namespace any more, and all of it is let go. It may be handed in again. It never
    /// comes for the namespace that the daemon was started in, and may not come from a daemon without
    /// CAP_SYS_PTRACE, which cannot see what processes of other users have.
    Gone {
        /// Inode of the namespace.
        netns: u64,
    },
}

impl Control {
    /// The message as bytes.
    #[must_use]
    pub fn emit(self) -> [u8; CONTROL_BYTES] {
        let (kind, errno, netns) = match self {
            Self::Serve => (1_u32, 0, 0),
            Self::Serving { netns } => (2, 0, netns),
            Self::Refused { errno } => (3, errno.0, 0),
            Self::Gone { netns } => (4, 0, netns),
        };
        let mut bytes = [0; CONTROL_BYTES];
        bytes[..4].copy_from_slice(&kind.to_ne_bytes());
        bytes[4..8].copy_from_slice(&errno.to_ne_bytes());
        bytes[8..].copy_from_slice(&netns.to_ne_bytes());
        bytes
    }

    /// Reads a message; `None` for what is none.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; CONTROL_BYTES] = bytes.try_into().ok()?;
        let (kind, rest) = bytes.split_first_chunk()?;
        let (errno, rest) = rest.split_first_chunk()?;
        let (netns, _) = rest.split_first_chunk()?;
        let netns = u64::from_ne_bytes(*netns);
        match u32::from_ne_bytes(*kind) {
            1 => Some(Self::Serve),
            2 => Some(Self::Serving { netns }),
            3 => Some(Self::Refused { errno: Errno(i32::from_ne_bytes(*errno)) }),
            4 => Some(Self::Gone { netns }),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_message_reads_as_it_was_written() {
        let netns = 4_026_532_345;
        let messages = [
            Control::Serve,
            Control::Serving { netns },
            Control::Refused { errno: Errno::EADDRINUSE },
            Control::Gone { netns },
        ];
        for (kind, message) in (1_u32..).zip(messages) {
            let bytes = message.emit();
            assert_eq!(bytes[..4], kind.to_ne_bytes());
            assert_eq!(Control::parse(&bytes), Some(message));
            assert_eq!(Control::parse(&bytes[1..]), None);
        }
        for kind in [0, 5_u32] {
            let mut bytes = [0; CONTROL_BYTES];
            bytes[..4].copy_from_slice(&kind.to_ne_bytes());
            assert_eq!(Control::parse(&bytes), None);
        }
    }
}
