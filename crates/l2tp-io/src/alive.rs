//! Which files are still open somewhere, without keeping any of them open.
//!
//! An epoll set does not hold what it watches: an entry vanishes when the last copy of its file is closed, in whatever
//! process. /proc/self/fdinfo lists the entries (proc_pid_fdinfo(5)).

use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::event::epoll;
use rustix::io::Errno;

/// A set of files, each known by a number.
pub struct Alive {
    epoll: OwnedFd,
}

impl Alive {
    /// An empty set.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`, `ENOMEM` of epoll_create1(2).
    pub fn new() -> io::Result<Self> {
        Ok(Self { epoll: epoll::create(epoll::CreateFlags::CLOEXEC)? })
    }

    /// Adds a file under `number`; one that is in the set already keeps its number. To be called before our copy is closed,
    /// while others are open.
    ///
    /// # Errors
    /// `ENOSPC` at the limit of /proc/sys/fs/epoll/max_user_watches; `EPERM` for a file that cannot be polled.
    pub fn add(&self, file: impl AsFd, number: u64) -> io::Result<()> {
        let data = epoll::EventData::new_u64(number);
        match epoll::add(&self.epoll, file, data, epoll::EventFlags::empty()) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The numbers of those that are still open.
    ///
    /// # Errors
    /// Where there is no /proc, nothing can be said.
    pub fn numbers(&self) -> io::Result<BTreeSet<u64>> {
        let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", self.epoll.as_raw_fd()))?;
        Ok(info.lines().filter_map(number).collect())
    }
}

/// `tfd:        5 events:       19 data:          1b59c  pos:0 ino:1 sdev:8`
fn number(line: &str) -> Option<u64> {
    let (_, data) = line.strip_prefix("tfd:")?.split_once("data:")?;
    u64::from_str_radix(data.split_whitespace().next()?, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_entry_goes_with_the_last_copy() {
        let alive = Alive::new().unwrap();
        let (left, right) = std::os::unix::net::UnixStream::pair().unwrap();
        alive.add(&left, 0xabc).unwrap();
        alive.add(&right, u64::MAX).unwrap();
        let copy = left.try_clone().unwrap();
        drop(left);
        assert_eq!(alive.numbers().unwrap(), BTreeSet::from([0xabc, u64::MAX]));
        drop(copy);
        // A program that another test starts has copies of all descriptors until it is executed.
        let is_gone = |_: &i32| alive.numbers().unwrap() == BTreeSet::from([u64::MAX]);
        let wait = |_: &i32| std::thread::sleep(std::time::Duration::from_millis(10));
        assert!((0..1000).inspect(wait).any(|round| is_gone(&round)));
    }
}
