//! Who may administer: the kernel's `ns_capable(net->user_ns, CAP_NET_ADMIN)`, asked about the process at the other
//! end of a Unix socket, or about a thread (security/commoncap.c cap_capable). And who may serve, in `server`.

use crate::netns::{NetNs, identity};
use crate::sockopt;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::readlink;
use rustix::process::{Pid, PidfdFlags, pidfd_open};
use rustix::thread::{CapabilitySet, capabilities};
use std::fs;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

pub(crate) mod server;

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
    let Some(owners) = no_if_unknown(Owners::of(netns))? else { return Ok(false) };
    // Read by number, so only true if the number still belonged to the caller after the reading.
    Ok(owners.admit(pid)? && is_still_of(pid, caller_user(peer)?) && is_alive(&process)?)
}

/// Whether a process has executed no set-user-id program, nor one with capabilities, since it was `user`'s: what it may do then
/// is not meant for whoever connected before. /proc shows root as the owner of such a process (proc(5), `PR_SET_DUMPABLE`).
fn is_still_of(pid: Pid, user: u32) -> bool {
    let owner = fs::metadata(format!("/proc/{}", pid.as_raw_nonzero())).map(|found| found.uid());
    owner.is_ok_and(|owner| owner == user)
}

/// The user who connected the Unix socket `peer`, as our own user namespace calls them; the overflow user for one that it does
/// not know.
///
/// # Errors
/// As [`caller_may_administer`].
pub fn caller_user(peer: BorrowedFd<'_>) -> io::Result<u32> {
    peer_credentials(peer).map(|credentials| credentials.uid)
}

/// The user namespaces above a network namespace: the one that owns it, its parent, and so on as far as this process
/// may see. They never change, so they can be kept for as long as the network namespace lives.
#[derive(Debug)]
pub struct Owners {
    /// `None` on a kernel without user namespaces (CONFIG_USER_NS), where everybody is in the one that there is.
    line: Option<Vec<Owner>>,
}

/// A user namespace, and who made it.
#[derive(Debug)]
struct Owner {
    inode: u64,
    uid: u32,
}

impl Owners {
    /// Those of `netns`.
    ///
    /// # Errors
    /// Those of ioctl_ns(2): `EPERM` when the owner is outside of our own user namespace.
    pub fn of(netns: &NetNs) -> io::Result<Self> {
        if !has_user_namespaces() {
            return Ok(Self { line: None });
        }
        let mut namespace = related(netns.as_fd(), libc::NS_GET_USERNS)?;
        let mut line = Vec::new();
        for _ in 0..MAX_LEVELS {
            line.push(Owner { inode: identity(&namespace)?.1, uid: owner(&namespace)? });
            match related(namespace.as_fd(), libc::NS_GET_PARENT) {
                Ok(parent) => namespace = parent,
                // Above the first namespace that we may see.
                Err(error) if error.raw_os_error() == Some(libc::EPERM) => break,
                Err(error) => return Err(error),
            }
        }
        Ok(Self { line: Some(line) })
    }

    /// Whether this user, by the number that ours has for them, made one of the user namespaces.
    fn made_by(&self, uid: u32) -> bool {
        self.line.iter().flatten().any(|owner| owner.uid == uid)
    }

    /// Whether the thread with this number holds CAP_NET_ADMIN over the network namespace, as [`caller_may_administer`]
    /// says. Whoever asks must know that the number is still that of the thread that is meant.
    ///
    /// # Errors
    /// When this process is out of descriptors or memory.
    pub fn admit(&self, thread: Pid) -> io::Result<bool> {
        Ok(no_if_unknown(self.has_capability(thread))?.unwrap_or(false))
    }

    /// The walk of cap_capable, from the namespace's owner upwards.
    fn has_capability(&self, thread: Pid) -> io::Result<bool> {
        let may = || Ok(capabilities(Some(thread))?.effective.contains(CapabilitySet::NET_ADMIN));
        let Some(line) = &self.line else { return may() };
        // The link's text has the inode, for half the price of the file behind it; the device is the same for all.
        let path = format!("/proc/{}/ns/user", thread.as_raw_nonzero());
        let link = readlink(path, Vec::new())?;
        let inode =
            link.to_str().ok().and_then(|text| text.strip_prefix("user:[")?.strip_suffix(']')?.parse().ok());
        let inode: u64 = inode.ok_or(io::ErrorKind::InvalidData)?;
        for (owner, child) in line.iter().zip(std::iter::once(None).chain(line.iter().map(Some))) {
            if owner.inode != inode {
                continue;
            }
            // The user who made the namespace below is its root.
            let made_it = child.is_some_and(|child| is_user(thread, child.uid).unwrap_or(false));
            return if made_it { Ok(true) } else { may() };
        }
        Ok(false)
    }
}

/// Whether this kernel has user namespaces. Without /proc nothing can be said: then nobody is admitted.
fn has_user_namespaces() -> bool {
    Path::new("/proc/self/ns/user").exists() || !Path::new("/proc/self/ns/net").exists()
}

/// Whether a thread runs as this user. Users that our user namespace does not know are all shown as the overflow user:
/// two such are not the same.
fn is_user(thread: Pid, uid: u32) -> io::Result<bool> {
    let status = fs::read_to_string(format!("/proc/{}/status", thread.as_raw_nonzero()))?;
    let effective = effective_uid(&status).ok_or(io::ErrorKind::NotFound)?;
    Ok(effective == uid && overflow_uid().is_some_and(|overflow| overflow != uid))
}

/// Effective user of a /proc/PID/status (proc_pid_status(5)).
fn effective_uid(status: &str) -> Option<u32> {
    let users = status.lines().find_map(|line| line.strip_prefix("Uid:"))?;
    users.split_whitespace().nth(1)?.parse().ok()
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
