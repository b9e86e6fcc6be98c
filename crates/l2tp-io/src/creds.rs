//! Who may administer: the kernel's `ns_capable(net->user_ns, CAP_NET_ADMIN)`, asked about the process at the other
//! end of a Unix socket (security/commoncap.c cap_capable).

use crate::netns::{NetNs, identity};
use crate::sockopt;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// Bit of the capability in `CapEff` (include/uapi/linux/capability.h).
const CAP_NET_ADMIN: u32 = 12;

/// User namespaces in a line, the first one included (kernel/user_namespace.c create_user_ns: levels 0 to 33).
const MAX_LEVELS: usize = 34;

/// Whether the process that connected the Unix socket `peer` holds CAP_NET_ADMIN over `netns`: it has the capability
/// in the user namespace that owns `netns` or in an ancestor of that, or it runs in the parent of one of these as the
/// user who made it. Its credentials are those of its main thread at the moment of the call.
///
/// What cannot be found out (the process is gone, /proc does not show it, the owner is outside of our own user
/// namespace) is a no.
///
/// # Errors
/// When `peer` is not a Unix socket (`ENOTSOCK`, `EINVAL`), or this process is out of descriptors or memory.
pub fn caller_may_administer(peer: BorrowedFd<'_>, netns: &NetNs) -> io::Result<bool> {
    let Some(pid) = peer_pid(peer)? else { return Ok(false) };
    let Some(process) = no_if_unknown(peer_pidfd(peer, pid))? else { return Ok(false) };
    let Some(caller) = no_if_unknown(Caller::read(pid))? else { return Ok(false) };
    // Read by number, so only true if the number still belonged to the caller after the reading.
    Ok(no_if_unknown(caller.is_capable(netns))?.unwrap_or(false) && is_alive(&process)?)
}

/// The user who connected the Unix socket `peer`, as our own user namespace calls them; the overflow user for one that it does
/// not know.
///
/// # Errors
/// As [`caller_may_administer`].
pub fn caller_user(peer: BorrowedFd<'_>) -> io::Result<u32> {
    peer_credentials(peer).map(|credentials| credentials.uid)
}

/// The kernel's view of the caller.
struct Caller {
    user_namespace: (u64, u64),
    effective_uid: u32,
    net_admin: bool,
}

impl Caller {
    fn read(pid: Pid) -> io::Result<Self> {
        let directory = format!("/proc/{}", pid.as_raw_nonzero());
        let namespace =
            open(format!("{directory}/ns/user"), OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty())?;
        let status = fs::read_to_string(format!("{directory}/status"))?;
        let (effective_uid, net_admin) = parse_status(&status).ok_or(io::ErrorKind::NotFound)?;
        Ok(Self { user_namespace: identity(&namespace)?, effective_uid, net_admin })
    }

    /// The walk of cap_capable, from the namespace's owner upwards.
    fn is_capable(&self, netns: &NetNs) -> io::Result<bool> {
        let mut namespace = related(netns.as_fd(), libc::NS_GET_USERNS)?;
        for _ in 0..MAX_LEVELS {
            if identity(&namespace)? == self.user_namespace {
                return Ok(self.net_admin);
            }
            // EPERM above the first namespace that we may see: the caller is not in our line.
            let parent = related(namespace.as_fd(), libc::NS_GET_PARENT)?;
            if identity(&parent)? == self.user_namespace && self.is_user(owner(&namespace)?) {
                return Ok(true);
            }
            namespace = parent;
        }
        Ok(false)
    }

    /// Users that our user namespace does not know are all shown as the overflow user: two such are not the same.
    fn is_user(&self, uid: u32) -> bool {
        self.effective_uid == uid && overflow_uid().is_some_and(|overflow| overflow != uid)
    }
}

/// Effective user and CAP_NET_ADMIN of a /proc/PID/status (proc_pid_status(5)).
fn parse_status(status: &str) -> Option<(u32, bool)> {
    let field = |name| status.lines().find_map(|line| line.strip_prefix(name));
    let effective_uid = field("Uid:")?.split_whitespace().nth(1)?.parse().ok()?;
    let capabilities = u64::from_str_radix(field("CapEff:")?.trim(), 16).ok()?;
    Some((effective_uid, capabilities >> CAP_NET_ADMIN & 1 == 1))
}

fn overflow_uid() -> Option<u32> {
    fs::read_to_string("/proc/sys/kernel/overflowuid").ok()?.trim().parse().ok()
}

/// Number of the process that connected, or made the pair; `None` when our process namespace does not show it.
///
/// # Errors
/// `ENOTSOCK` for what is no socket.
pub fn peer_pid(peer: BorrowedFd<'_>) -> io::Result<Option<Pid>> {
    peer_credentials(peer).map(|credentials| Pid::from_raw(credentials.pid))
}

/// Read by hand: the kernel says 0 for a process that we do not see, which is no valid number for rustix.
fn peer_credentials(peer: BorrowedFd<'_>) -> io::Result<libc::ucred> {
    let mut credentials = libc::ucred { pid: 0, uid: 0, gid: 0 };
    let mut size = libc::socklen_t::try_from(size_of::<libc::ucred>()).unwrap_or_default();
    let (level, option) = (libc::SOL_SOCKET, libc::SO_PEERCRED);
    let to = (&raw mut credentials).cast();
    // SAFETY: `credentials` is writable for `size` bytes, its own size, and `size` is writable too.
    let status = unsafe { libc::getsockopt(peer.as_raw_fd(), level, option, to, &raw mut size) };
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(credentials) }
}

/// A descriptor of the process that connected: from the socket (6.5), or by its number.
fn peer_pidfd(peer: BorrowedFd<'_>, pid: Pid) -> io::Result<OwnedFd> {
    match sockopt::get(peer, libc::SOL_SOCKET, libc::SO_PEERPIDFD) {
        // SAFETY: the kernel has just made this descriptor for us, and nothing else owns it.
        Ok(fd) => Ok(unsafe { OwnedFd::from_raw_fd(fd) }),
        Err(error) if error.raw_os_error() == Some(libc::ENOPROTOOPT) => {
            Ok(pidfd_open(pid, PidfdFlags::empty())?)
        }
        Err(error) => Err(error),
    }
}

/// A pidfd becomes readable when its process ends.
fn is_alive(process: &OwnedFd) -> io::Result<bool> {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    Ok(poll(&mut [PollFd::new(process, PollFlags::IN)], Some(&now))? == 0)
}

/// The namespace that stands in this relation to another (ioctl_ns(2)).
fn related(namespace: BorrowedFd<'_>, relation: libc::Ioctl) -> io::Result<OwnedFd> {
    // SAFETY: NS_GET_USERNS and NS_GET_PARENT, the callers' relations, take no argument.
    let fd = unsafe { libc::ioctl(namespace.as_raw_fd(), relation) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the ioctl has just returned this descriptor, and nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The user who made a user namespace, as our own user namespace calls them.
fn owner(namespace: &OwnedFd) -> io::Result<u32> {
    let mut uid = 0_u32;
    // SAFETY: NS_GET_OWNER_UID writes one uid_t to its argument.
    let status = unsafe { libc::ioctl(namespace.as_raw_fd(), libc::NS_GET_OWNER_UID, &raw mut uid) };
    if status < 0 { Err(io::Error::last_os_error()) } else { Ok(uid) }
}

/// Errors that say only that the answer is not known.
fn no_if_unknown<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) => match error.raw_os_error() {
            Some(libc::EMFILE | libc::ENFILE | libc::ENOMEM | libc::EBADF) => Err(error),
            _ => Ok(None),
        },
    }
}

#[cfg(test)]
mod tests;
