//! Who uses a network namespace, besides this process: processes that are in it, mounts of it ("ip netns add"), and
//! descriptors of it. The kernel tells nobody how often a namespace is referred to, so this is read from /proc.
//!
//! What it cannot see: a descriptor on its way between two processes, or held by a process beyond our own user namespace
//! or sandbox; a mount that no process can reach from its root; sockets and devices that somebody outside has.

use super::NetNs;
use rustix::fs::{AtFlags, CWD, StatxFlags, statx};
use rustix::io::Errno;
use rustix::thread::{CapabilitySet, capabilities};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// How much of the system this process can see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sight {
    /// Every process.
    All,
    /// Every process of its own container.
    Container,
    /// Perhaps not what its neighbours have, for CAP_SYS_PTRACE is missing.
    Poor,
}

impl Sight {
    /// That of this process.
    ///
    /// # Errors
    /// Those of capget(2): none in practice.
    pub fn new() -> io::Result<Self> {
        if !capabilities(None)?.effective.contains(CapabilitySet::SYS_PTRACE) {
            return Ok(Self::Poor);
        }
        let outermost = match FileId::of("/proc/self/ns/pid") {
            Ok(pid) => pid.inode == FIRST_PID_NAMESPACE,
            // A kernel without process namespaces.
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        // Where other users' processes are hidden (proc(5), hidepid), so is the first.
        let all = outermost && Path::new("/proc/1").exists();
        Ok(if all { Self::All } else { Self::Container })
    }
}

/// The inode of the first process namespace (include/uapi/linux/nsfs.h PID_NS_INIT_INO).
const FIRST_PID_NAMESPACE: u64 = 0xEFFF_FFFC;

/// Looks again and again whether namespaces are in use. It remembers what showed each of them in use, so that a look costs
/// little for as long as that is still there.
pub struct Lookout {
    /// Processes whose use does not count: this one, and those that work for it.
    ours: BTreeSet<u32>,
    sight: Sight,
    /// Whole processes may be hidden, so that nothing is known.
    hidden: bool,
    /// The device that all namespaces are files of.
    device: (u32, u32),
    watched: BTreeMap<u64, Watched>,
}

struct Watched {
    /// The inode of the namespace's /proc/PID/net/dev, which everybody may read, where the link to the namespace is for
    /// those with privilege. It is its own for as long as it lives.
    table: u64,
    witness: Option<Witness>,
}

/// A file of /proc that shows that a namespace is in use.
#[derive(Debug)]
enum Witness {
    /// A link to it: of a thread, or of a descriptor.
    Link(PathBuf),
    /// The table of devices of a thread in it.
    Table(PathBuf),
    /// A table of mounts with a mount of it.
    Mounts(PathBuf),
}

impl Lookout {
    /// One to which uses by this process and by `ours` do not count.
    ///
    /// # Errors
    /// `ENOENT` where /proc is not mounted.
    pub fn new(ours: impl IntoIterator<Item = u32>) -> io::Result<Self> {
        let ours = ours.into_iter().chain([std::process::id()]).collect();
        let (sight, device) = (Sight::new()?, FileId::of("/proc/self/ns/net")?.device);
        let hidden = sight == Sight::Poor && hides_processes(&fs::read("/proc/self/mountinfo")?);
        Ok(Self { ours, sight, hidden, device, watched: BTreeMap::new() })
    }

    /// How much it sees.
    #[must_use]
    pub fn sight(&self) -> Sight {
        self.sight
    }

    /// Looks after a namespace from now on. This process must keep it alive until [`Lookout::forget`].
    ///
    /// # Errors
    /// Those of [`NetNs::within`]; `ENOENT` where /proc is not mounted.
    pub fn watch(&mut self, netns: &NetNs) -> io::Result<()> {
        let table = netns.within(|| FileId::of("/proc/thread-self/net/dev"))??.inode;
        self.watched.insert(netns.inode()?, Watched { table, witness: None });
        Ok(())
    }

    /// Looks no more after the namespace with this inode.
    pub fn forget(&mut self, netns: u64) {
        self.watched.remove(&netns);
    }

    /// Whether there is anything to look after.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.watched.is_empty()
    }

    /// The watched namespaces, by [`NetNs::inode`], of which no use is to be seen; none where something could not be looked at
    /// that may be one. Costs one table of mounts, and a file for every namespace that is not mounted here; the links of all
    /// processes when one of them has lost what showed it in use.
    pub fn look(&mut self) -> BTreeSet<u64> {
        let mut search = Search::new(self);
        search.read_mounts(Path::new("/proc/thread-self/mountinfo"));
        search.ask_witnesses(&self.watched);
        if !search.wanted.is_empty() {
            search.read_processes();
        }
        let Search { found, wanted, blind, .. } = search;
        for (netns, witness) in found {
            if let Some(watched) = self.watched.get_mut(&netns) {
                watched.witness = Some(witness);
            }
        }
        if blind { BTreeSet::new() } else { wanted.into_keys().collect() }
    }
}

impl Witness {
    fn shows(&self, netns: FileId, table: u64) -> bool {
        match self {
            Self::Link(path) => FileId::of(path).is_ok_and(|found| found == netns),
            Self::Table(path) => FileId::of(path).is_ok_and(|found| found.inode == table),
            Self::Mounts(path) => mounted(path).is_ok_and(|found| found.contains(&netns.inode)),
        }
    }
}

/// What a file is, whatever it is called. (The name of a descriptor's link is no help: for a namespace that was opened by a
/// mount of it, it is the place of the mount.)
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct FileId {
    device: (u32, u32),
    inode: u64,
}

impl FileId {
    /// That of the file behind a link. A file system that waits for somebody, as FUSE and NFS may, is not asked.
    fn of(link: impl AsRef<Path>) -> io::Result<Self> {
        let found = statx(CWD, link.as_ref(), AtFlags::STATX_DONT_SYNC, StatxFlags::INO)?;
        Ok(Self { device: (found.stx_dev_major, found.stx_dev_minor), inode: found.stx_ino })
    }
}

/// One look in progress.
struct Search<'a> {
    ours: &'a BTreeSet<u32>,
    device: (u32, u32),
    poor: bool,
    /// Namespaces that may be unused, and the inodes of their tables of devices.
    wanted: BTreeMap<u64, u64>,
    found: BTreeMap<u64, Witness>,
    blind: bool,
    /// Tables of mounts that were read: mount namespace, and the root from which it is seen.
    views: BTreeSet<(FileId, PathBuf)>,
}

impl<'a> Search<'a> {
    fn new(lookout: &'a Lookout) -> Self {
        let poor = lookout.sight == Sight::Poor;
        let wanted = lookout.watched.iter().map(|(netns, watched)| (*netns, watched.table)).collect();
        let (ours, device) = (&lookout.ours, lookout.device);
        let (found, views) = (BTreeMap::new(), BTreeSet::new());
        Self { ours, device, poor, wanted, found, blind: lookout.hidden, views }
    }

    fn ask_witnesses(&mut self, watched: &BTreeMap<u64, Watched>) {
        let device = self.device;
        self.wanted.retain(|inode, table| {
            let netns = FileId { device, inode: *inode };
            let witness = watched.get(inode).and_then(|watched| watched.witness.as_ref());
            !witness.is_some_and(|witness| witness.shows(netns, *table))
        });
    }

    fn read_processes(&mut self) {
        for process in self.numbers(Path::new("/proc")) {
            if self.wanted.is_empty() {
                return;
            }
            if !self.ours.contains(&process) {
                self.read_threads(process);
            }
        }
    }

    /// The threads of a process may each be in a namespace of its own, and have descriptors of its own.
    fn read_threads(&mut self, process: u32) {
        let tasks = PathBuf::from(format!("/proc/{process}/task"));
        for thread in self.numbers(&tasks) {
            let task = tasks.join(thread.to_string());
            self.read_place(&task);
            self.read_view(&task);
            if thread == process || !share_descriptors(process, thread) {
                self.read_descriptors(&task.join("fd"));
            }
        }
    }

    /// The namespace that a thread is in.
    fn read_place(&mut self, task: &Path) {
        let (link, table) = (task.join("ns/net"), task.join("net/dev"));
        match FileId::of(&link) {
            Ok(found) => self.saw_file(found, link),
            Err(error) if is_refusal(&error) => match FileId::of(&table) {
                Ok(found) => self.saw_table(found.inode, table),
                Err(error) => self.judge(&error),
            },
            Err(error) => self.judge(&error),
        }
    }

    fn read_descriptors(&mut self, directory: &Path) {
        for descriptor in self.numbers(directory) {
            let link = directory.join(descriptor.to_string());
            match FileId::of(&link) {
                Ok(found) => self.saw_file(found, link),
                // One refusal stands for all.
                Err(error) if is_refusal(&error) => return self.judge(&error),
                Err(error) => self.judge(&error),
            }
        }
    }

    /// Processes share tables of mounts, but see only what lies below their root.
    fn read_view(&mut self, task: &Path) {
        let root = || fs::read_link(task.join("root"));
        let is_new = match FileId::of(task.join("ns/mnt")).and_then(|mounts| Ok((mounts, root()?))) {
            Ok(view) => self.views.insert(view),
            // The table itself is for everybody.
            Err(error) => is_refusal(&error),
        };
        if is_new {
            self.read_mounts(&task.join("mountinfo"));
        }
    }

    fn read_mounts(&mut self, table: &Path) {
        match mounted(table) {
            Ok(found) => found.iter().for_each(|netns| self.saw(*netns, || Witness::Mounts(table.into()))),
            Err(error) => self.judge(&error),
        }
    }

    fn saw(&mut self, netns: u64, witness: impl FnOnce() -> Witness) {
        if self.wanted.remove(&netns).is_some() {
            self.found.insert(netns, witness());
        }
    }

    fn saw_file(&mut self, found: FileId, link: PathBuf) {
        if found.device == self.device {
            self.saw(found.inode, || Witness::Link(link));
        }
    }

    fn saw_table(&mut self, found: u64, table: PathBuf) {
        if let Some((netns, _)) = self.wanted.iter().find(|(_, wanted)| **wanted == found) {
            self.saw(*netns, || Witness::Table(table));
        }
    }

    /// The numbers among the names in a directory.
    fn numbers(&mut self, directory: &Path) -> Vec<u32> {
        match fs::read_dir(directory).and_then(Iterator::collect::<io::Result<Vec<_>>>) {
            Ok(entries) => {
                entries.iter().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
            }
            Err(error) => {
                self.judge(&error);
                Vec::new()
            }
        }
    }

    /// What is gone is no use, and with CAP_SYS_PTRACE only what lies beyond our user namespace or sandbox is refused.
    fn judge(&mut self, error: &io::Error) {
        self.blind |= match Errno::from_io_error(error) {
            // EINVAL: a process that has ended and was not waited for has no mounts.
            Some(Errno::NOENT | Errno::SRCH | Errno::INVAL) => false,
            _ if is_refusal(error) => self.poor,
            _ => true,
        };
    }
}

fn is_refusal(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::PermissionDenied
}

/// The network namespaces that are mounted, by a /proc/PID/mountinfo (proc_pid_mountinfo(5)): the fourth field of a line
/// is "net:[INODE]", and the first behind the dash the file system's type.
fn mounted(table: &Path) -> io::Result<BTreeSet<u64>> {
    let text = fs::read(table)?;
    let namespace = |line: &str| {
        let (mount, file_system) = line.split_once(" - ")?;
        let root = mount.split(' ').nth(3).filter(|_| file_system.starts_with("nsfs "))?;
        root.strip_prefix("net:[")?.strip_suffix(']')?.parse().ok()
    };
    Ok(String::from_utf8_lossy(&text).lines().filter_map(namespace).collect())
}

/// Whether /proc shows nobody the processes of other users, by its line in a table of mounts (proc(5), hidepid).
fn hides_processes(mountinfo: &[u8]) -> bool {
    let hides = |line: &str| {
        let (mount, file_system) = line.split_once(" - ")?;
        let is_proc = mount.split(' ').nth(4)? == "/proc";
        Some(is_proc && file_system.contains("hidepid="))
    };
    String::from_utf8_lossy(mountinfo).lines().filter_map(hides).any(|hides| hides)
}

/// Whether a thread has the descriptors of its process, as almost all have (kcmp(2)).
fn share_descriptors(process: u32, thread: u32) -> bool {
    const KCMP_FILES: libc::c_int = 2;
    let (process, thread) = (process.cast_signed(), thread.cast_signed());
    // SAFETY: kcmp compares by number and touches no memory of ours; the last two arguments mean nothing here.
    let order = unsafe { libc::syscall(libc::SYS_kcmp, process, thread, KCMP_FILES, 0, 0) };
    order == 0
}

#[cfg(test)]
mod tests;
