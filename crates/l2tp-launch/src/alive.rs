//! Which of the sockets that were given away are still open somewhere, without keeping any of them open.
//!
//! An epoll set does not hold what it watches: an entry vanishes when the last copy of its file is closed, in whatever
//! process. /proc/self/fdinfo lists the entries (proc_pid_fdinfo(5)).

use std::collections::HashSet;
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::event::epoll;

/// A set of files, each known by a number.
pub(crate) struct Alive {
    epoll: OwnedFd,
}

impl Alive {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { epoll: epoll::create(epoll::CreateFlags::CLOEXEC)? })
    }

    /// Adds a file under `number`. To be called before our copy is closed, while others are open.
    pub(crate) fn add(&self, file: impl AsFd, number: u64) -> io::Result<()> {
        let data = epoll::EventData::new_u64(number);
        Ok(epoll::add(&self.epoll, file, data, epoll::EventFlags::empty())?)
    }

    /// The numbers of those that are still open.
    pub(crate) fn numbers(&self) -> io::Result<HashSet<u64>> {
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
        assert_eq!(alive.numbers().unwrap(), HashSet::from([0xabc, u64::MAX]));
        drop(copy);
        // A program that another test starts has copies of all descriptors until it is executed.
        let is_gone = |_: &i32| alive.numbers().unwrap() == HashSet::from([u64::MAX]);
        let wait = |_: &i32| std::thread::sleep(std::time::Duration::from_millis(10));
        assert!((0..1000).inspect(wait).any(|round| is_gone(&round)));
    }
}
