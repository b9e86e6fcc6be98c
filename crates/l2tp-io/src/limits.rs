//! Limits of this process.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Lets this process have as many descriptors as the host allows: its soft limit is raised to the hard one, which is always
/// allowed (setrlimit(2), RLIMIT_NOFILE). A daemon holds one for each session, a supervisor some for each namespace and thread.
pub fn allow_many_descriptors() {
    let limit = getrlimit(Resource::Nofile);
    let _always_allowed: Result<(), _> =
        setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit });
}
