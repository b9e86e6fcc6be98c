//! PPP: sockets `socket(AF_PPPOX, any, PX_PROTO_OL2TP)` and open files of `/dev/ppp`. The daemon has them, the program one end
//! of a pair of Unix sockets that stands for each.
//!
//! Reading, writing, waiting, copies and the last close are the kernel's. Programs move these descriptors to low numbers and
//! hand them on, so they get the lowest one, and the filter knows the calls on them by their arguments.

mod file;
mod ioctl;
mod socket;
mod stats;

pub(crate) use file::DEV_PPP;
pub(crate) use stats::is_about_a_unit;

use std::io;

use rustix::io::Errno;

use crate::endpoint::{Endpoint, Kind};
use crate::filter::Syscall;
use crate::notify::Answer;
use crate::supervisor::Supervisor;
use crate::transfer::Use;

impl Supervisor {
    /// A call on a socket or an open file.
    pub(crate) fn use_ppp(&mut self, at: &Use<'_>, endpoint: Endpoint) -> io::Result<Answer> {
        let answer = match (at.call.syscall, endpoint.kind) {
            (Syscall::Ioctl, _) => self.control(at, endpoint),
            (_, Kind::DevPpp) => Ok(on_file(at.call.syscall)),
            _ => self.use_pppol2tp(at, endpoint),
        };
        // The kernel would say what it thinks of a Unix socket.
        answer.or_else(|error| match Errno::from_io_error(&error) {
            Some(Errno::FAULT) => Ok(Answer::Fail(Errno::FAULT)),
            _ => Err(error),
        })
    }
}

/// A call on an open file, which to the program is no socket.
fn on_file(syscall: Syscall) -> Answer {
    match syscall {
        Syscall::Bind
        | Syscall::Connect
        | Syscall::Getsockname
        | Syscall::Getpeername
        | Syscall::Setsockopt
        | Syscall::Getsockopt
        | Syscall::Listen
        | Syscall::Accept
        | Syscall::Accept4
        | Syscall::Shutdown => Answer::Fail(Errno::NOTSOCK),
        _ => Answer::Continue,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_no_socket() {
        assert!(matches!(on_file(Syscall::Getsockname), Answer::Fail(Errno::NOTSOCK)));
        assert!(matches!(on_file(Syscall::Read), Answer::Continue));
    }
}
