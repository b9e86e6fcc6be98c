//! Limits of this process.

use rustix::io::Errno;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Descriptors that sessions and tunnels leave to what is needed to look at them and to delete them: callers at the door, netlink sockets.
const SPARE: u64 = 64;

/// Lets this process have as many descriptors as the host allows: its soft limit is raised to the hard one, which is always
/// allowed (setrlimit(2), RLIMIT_NOFILE). A daemon holds one for each session, a supervisor some for each namespace and thread.
pub fn allow_many_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let _always_allowed: Result<(), _> =
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}

/// Whether this descriptor leaves enough for others: the kernel gives the lowest number that is free.
///
/// # Errors
/// `EMFILE` if it is one of the last 64, or of the last eighth where there are less than 512.
pub fn leave_some_descriptors(descriptor: impl AsFd) -> io::Result<()> {
    let Some(limit) = getrlimit(Resource::Nofile).current else { return Ok(()) };
    let number = u64::try_from(descriptor.as_fd().as_raw_fd()).unwrap_or_default();
    if number < limit - SPARE.min(limit / 8) { Ok(()) } else { Err(Errno::MFILE.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::io::{dup, fcntl_dupfd_cloexec};

    #[test]
    fn the_last_numbers_are_left_to_others() {
        let limit = getrlimit(Resource::Nofile).current.expect("a limit");
        let at = |number: u64| fcntl_dupfd_cloexec(io::stdin(), i32::try_from(number).unwrap()).unwrap();
        leave_some_descriptors(dup(io::stdin()).unwrap()).unwrap();
        let refused = leave_some_descriptors(at(limit - 1)).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::EMFILE));
        leave_some_descriptors(at(limit / 2 - 1)).unwrap();
    }
}
