//! How much callers without privilege may have.

use l2tp_abi::Errno;
use l2tp_core::host::Caller;

/// Sockets of one kind, or tunnels made by them, that all callers without privilege may have together.
pub const UNPRIVILEGED_MAX: usize = 512;
/// Sockets of one kind, or tunnels made by them, that one user without privilege may have.
pub const USER_MAX: usize = 64;

/// Whether `caller` may have another socket or tunnel beside those of `owners`.
///
/// # Errors
/// `EMFILE` when this user has too many, `ENFILE` when all without privilege have.
pub fn admit<'a>(owners: impl Iterator<Item = &'a Caller> + Clone, caller: &Caller) -> Result<(), Errno> {
    if caller.privileged {
        return Ok(());
    }
    let others = owners.filter(|owner| !owner.privileged);
    if others.clone().filter(|owner| owner.user == caller.user).count() >= USER_MAX {
        return Err(Errno::EMFILE);
    }
    if others.count() >= UNPRIVILEGED_MAX { Err(Errno::ENFILE) } else { Ok(()) }
}
