//! Network namespaces as descriptors: where a device lives, where a socket is opened.

pub mod users;

use crate::rtnl::Rtnl;
use rustix::fs::{Mode, OFlags, fstat, open};
use rustix::io::Errno;
use rustix::thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe};
use std::fs;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// A network namespace, kept alive by this handle (network_namespaces(7)).
#[derive(Debug)]
pub struct NetNs {
    descriptor: OwnedFd,
}

impl NetNs {
    /// The namespace of the calling thread.
    ///
    /// # Errors
    /// `ENOENT` where /proc is not mounted.
    pub fn current() -> io::Result<Self> {
        Self::open_path("/proc/thread-self/ns/net")
    }

    /// The namespace that `ip netns add NAME` made: /run/netns/NAME.
    ///
    /// # Errors
    /// `ENOENT` when there is none of that name; `EINVAL` for a name that is no file name.
    pub fn open_named(name: &str) -> io::Result<Self> {
        if name.is_empty() || name == "." || name == ".." || name.contains('/') {
            return Err(Errno::INVAL.into());
        }
        Self::open_path(Path::new("/run/netns").join(name))
    }

    /// The namespace behind a bind mount or a /proc/PID/ns/net link.
    ///
    /// # Errors
    /// Those of open(2). That the file is a network namespace is checked when it is entered.
    pub fn open_path(path: impl AsRef<Path>) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC;
        Ok(Self { descriptor: open(path.as_ref(), flags, Mode::empty())? })
    }

    /// Moves the calling thread into this namespace. Sockets that it has already open stay where they are.
    ///
    /// # Errors
    /// `EPERM` without CAP_SYS_ADMIN both in the namespace's user namespace and in the thread's own; `EINVAL` when
    /// the descriptor is no network namespace.
    pub fn enter(&self) -> io::Result<()> {
        Ok(move_into_link_name_space(self.descriptor.as_fd(), Some(LinkNameSpaceType::Network))?)
    }

    /// Moves the calling thread into a new namespace of its own, with `lo` up.
    ///
    /// # Errors
    /// `EPERM` without CAP_SYS_ADMIN; `ENOSPC` at the limit of /proc/sys/user/max_net_namespaces.
    pub fn unshare() -> io::Result<Self> {
        unshare(UnshareFlags::NEWNET)?;
        with_loopback_up()
    }

    /// Moves the process into a new user namespace, as its root, and a new network namespace, with `lo` up. This is
    /// what lets a user without privileges have network devices.
    ///
    /// # Errors
    /// `EINVAL` when the process has more than one thread; `EPERM` where the host forbids user namespaces
    /// (kernel.unprivileged_userns_clone, kernel.apparmor_restrict_unprivileged_userns); `ENOSPC` at the limit of
    /// /proc/sys/user/max_user_namespaces.
    pub fn unshare_user() -> io::Result<Self> {
        let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        unshare(UnshareFlags::NEWUSER | UnshareFlags::NEWNET)?;
        // An unprivileged process may map its group only after it has given up setgroups(2).
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
        fs::write("/proc/self/gid_map", format!("0 {gid} 1"))?;
        with_loopback_up()
    }

    /// Whether both handles are of one namespace.
    ///
    /// # Errors
    /// Those of fstat(2): none in practice.
    pub fn same_as(&self, other: &Self) -> io::Result<bool> {
        Ok(identity(&self.descriptor)? == identity(&other.descriptor)?)
    }

    /// The namespace's inode: what names it among the network namespaces of this kernel, for as long as it lives.
    ///
    /// # Errors
    /// Those of fstat(2): none in practice.
    pub fn inode(&self) -> io::Result<u64> {
        Ok(identity(&self.descriptor)?.1)
    }

    /// Runs `work` in this namespace: on a thread of its own that ends with it, or at once where the calling thread
    /// is there already. A panic of `work` goes on in the caller.
    ///
    /// # Errors
    /// Those of [`NetNs::enter`], and `EAGAIN` when no thread can be made; then `work` has not run.
    pub fn within<R: Send>(&self, work: impl FnOnce() -> R + Send) -> io::Result<R> {
        if self.same_as(&Self::current()?)? {
            return Ok(work());
        }
        std::thread::scope(|scope| {
            let thread = std::thread::Builder::new().name("netns".into());
            let handle = thread.spawn_scoped(scope, || self.enter().map(|()| work()))?;
            handle.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }
}

impl AsFd for NetNs {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

/// Takes a descriptor that names a namespace: received from another process, or given by an ioctl.
impl From<OwnedFd> for NetNs {
    fn from(descriptor: OwnedFd) -> Self {
        Self { descriptor }
    }
}

/// Device and inode: what makes two namespace descriptors name the same namespace (namespaces(7)). They may name
/// another one when nothing of this one is open any more.
///
/// # Errors
/// Those of fstat(2): none in practice.
pub fn identity(namespace: impl AsFd) -> io::Result<(u64, u64)> {
    let stat = fstat(namespace)?;
    Ok((stat.st_dev, stat.st_ino))
}

fn unshare(flags: UnshareFlags) -> io::Result<()> {
    // SAFETY: the descriptor table stays shared (no CLONE_FILES), which is the one hazard of unshare.
    unsafe { unshare_unsafe(flags) }?;
    Ok(())
}

fn with_loopback_up() -> io::Result<NetNs> {
    let mut rtnl = Rtnl::open()?;
    let loopback = rtnl.index_of("lo")?;
    rtnl.set_up(loopback, true)?;
    NetNs::current()
}

#[cfg(test)]
mod tests;
