//! Why a request came to nothing.

use std::io;

use l2tp_abi::Errno;

/// Why a request came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The server refused it, and nothing has changed.
    #[error("{}", refusal(*errno, message.as_deref()))]
    Refused {
        /// Why, as the kernel numbers it.
        errno: Errno,
        /// What the server says besides (`NLMSGERR_ATTR_MSG`).
        message: Option<String>,
        /// Which attribute: bytes from the start of the request (`NLMSGERR_ATTR_OFFS`).
        offset: Option<u32>,
    },
    /// There is no answer. By [`io::Error::kind`]: `ConnectionRefused`, no daemon serves this network namespace;
    /// `PermissionDenied`, somebody else answers in its place; `TimedOut`, none
    /// came in time; `UnexpectedEof`, the daemon ended; `InvalidData`, it cannot be read.
    #[error("no answer: {0}")]
    Io(#[from] io::Error),
}

impl Error {
    /// Why the server refused, if it did.
    #[must_use]
    pub const fn errno(&self) -> Option<Errno> {
        match self {
            Self::Refused { errno, .. } => Some(*errno),
            Self::Io(_) => None,
        }
    }
}

fn refusal(errno: Errno, message: Option<&str>) -> String {
    message.map_or_else(|| errno.to_string(), |text| format!("{errno}: {text}"))
}

/// An answer that is none.
pub(crate) fn unreadable(what: &str) -> Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("its answer cannot be read: {what}")).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_told_with_the_words_of_the_server() {
        let mut error = Error::Refused { errno: Errno::EEXIST, message: None, offset: None };
        assert_eq!((error.to_string().as_str(), error.errno()), ("File exists", Some(Errno::EEXIST)));
        if let Error::Refused { message, .. } = &mut error {
            *message = Some("taken".to_owned());
        }
        assert_eq!(error.to_string(), "File exists: taken");
        assert_eq!(unreadable("x").to_string(), "no answer: its answer cannot be read: x");
        assert_eq!(unreadable("x").errno(), None);
    }
}
