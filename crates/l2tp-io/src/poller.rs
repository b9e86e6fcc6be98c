//! Waiting: a thin epoll with exact timeouts, and a waker.

use crate::linger::Linger;
use rustix::buffer::spare_capacity;
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, epoll, eventfd, poll};
use rustix::io::Errno;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// What to wait for on a descriptor. Level-triggered; errors and hang-ups are always reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Readable, or closed by the peer.
    Read,
    /// Writable.
    Write,
    /// Both.
    ReadWrite,
}

impl Interest {
    fn flags(self) -> epoll::EventFlags {
        let read = epoll::EventFlags::IN | epoll::EventFlags::RDHUP;
        match self {
            Self::Read => read,
            Self::Write => epoll::EventFlags::OUT,
            Self::ReadWrite => read | epoll::EventFlags::OUT,
        }
    }
}

/// One descriptor that is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// The value given to [`Poller::add`].
    pub token: u64,
    /// A read will not block: data, end of stream, or an error to collect.
    pub readable: bool,
    /// A write will not block, or will give the error.
    pub writable: bool,
    /// The other side is gone for good: both directions are shut, or the device was deleted.
    pub closed: bool,
}

/// Room for the events of one [`Poller::wait`]; allocated once.
pub struct Events {
    ready: Vec<epoll::Event>,
}

impl Events {
    /// Room for `capacity` events a wait (at least one).
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self { ready: Vec::with_capacity(capacity.max(1)) }
    }

    /// The events of the last wait.
    pub fn iter(&self) -> impl Iterator<Item = Event> + '_ {
        self.ready.iter().map(|event| {
            let (flags, data) = (event.flags, event.data);
            let gone = epoll::EventFlags::HUP | epoll::EventFlags::ERR;
            let read = epoll::EventFlags::IN | epoll::EventFlags::RDHUP | gone;
            Event {
                token: data.u64(),
                readable: flags.intersects(read),
                writable: flags.intersects(epoll::EventFlags::OUT | gone),
                closed: flags.contains(epoll::EventFlags::HUP),
            }
        })
    }
}

/// An epoll instance.
pub struct Poller {
    epoll: OwnedFd,
}

impl Poller {
    /// A new, empty set.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`, `ENOMEM` of epoll_create1(2).
    pub fn new() -> io::Result<Self> {
        Ok(Self { epoll: epoll::create(epoll::CreateFlags::CLOEXEC)? })
    }

    /// Starts to watch `fd`; its events carry `token`.
    ///
    /// # Errors
    /// `EEXIST` when it is watched already, `EPERM` when it cannot be polled, `ENOSPC` at the user's epoll limit.
    pub fn add(&self, fd: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::add(&self.epoll, fd, epoll::EventData::new_u64(token), interest.flags())?)
    }

    /// Changes token and interest of a watched descriptor.
    ///
    /// # Errors
    /// `ENOENT` when it is not watched.
    pub fn modify(&self, fd: impl AsFd, token: u64, interest: Interest) -> io::Result<()> {
        Ok(epoll::modify(&self.epoll, fd, epoll::EventData::new_u64(token), interest.flags())?)
    }

    /// Stops watching `fd`. To be called before the last copy of it is closed: a copy that lives on elsewhere
    /// (handed to another process) would keep reporting.
    ///
    /// # Errors
    /// `ENOENT` when it is not watched.
    pub fn remove(&self, fd: impl AsFd) -> io::Result<()> {
        Ok(epoll::delete(&self.epoll, fd)?)
    }

    /// Waits until something is ready or `timeout` has passed (`None`: for ever) and returns the number of events;
    /// 0 after the timeout or a signal. The timeout is exact to the nanosecond timer, not rounded to milliseconds.
    ///
    /// # Errors
    /// Those of epoll_wait(2), but for `EINTR`.
    pub fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<usize> {
        let Some(timeout) = timeout else { return self.collect(events, None) };
        let ready = self.collect(events, Some(&ZERO))?;
        if ready > 0 || timeout.is_zero() {
            return Ok(ready);
        }
        // epoll_pwait rounds to milliseconds and epoll_pwait2 needs 5.11; ppoll on the epoll descriptor does neither.
        let timeout = Timespec::try_from(timeout).unwrap_or(LONGEST);
        match poll(&mut [PollFd::new(&self.epoll, PollFlags::IN)], Some(&timeout)) {
            Ok(0) | Err(Errno::INTR) => Ok(0),
            Ok(_) => self.collect(events, Some(&ZERO)),
            Err(error) => Err(error.into()),
        }
    }

    /// As [`Poller::wait`], for one who is asked many times in a row: looks for a moment before it sleeps.
    ///
    /// # Errors
    /// As [`Poller::wait`].
    pub fn wait_awake(
        &self,
        events: &mut Events,
        timeout: Option<Duration>,
        linger: &mut Linger,
    ) -> io::Result<usize> {
        let look = || Some(self.collect(events, Some(&ZERO))).filter(|ready| !matches!(ready, Ok(0)));
        linger.find(look).unwrap_or_else(|| self.wait(events, timeout))
    }

    fn collect(&self, events: &mut Events, timeout: Option<&Timespec>) -> io::Result<usize> {
        events.ready.clear();
        match epoll::wait(&self.epoll, spare_capacity(&mut events.ready), timeout) {
            Ok(ready) => Ok(ready),
            Err(Errno::INTR) => Ok(0),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Poller {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

const ZERO: Timespec = Timespec { tv_sec: 0, tv_nsec: 0 };
/// A timeout beyond the kernel's range: a century.
const LONGEST: Timespec = Timespec { tv_sec: 100 * 365 * 86_400, tv_nsec: 0 };

/// Wakes a [`Poller`] from another thread (an eventfd). Watch it with [`Interest::Read`].
pub struct Waker {
    counter: OwnedFd,
}

impl Waker {
    /// A waker that is not set.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`, `ENOMEM` of eventfd(2).
    pub fn new() -> io::Result<Self> {
        Ok(Self { counter: eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)? })
    }

    /// Makes the waker readable. Wakes that come before [`Waker::reset`] fold into one.
    ///
    /// # Errors
    /// None in practice; a counter that is full is a waker that is set, and no error.
    pub fn wake(&self) -> io::Result<()> {
        match rustix::io::write(&self.counter, &1_u64.to_ne_bytes()) {
            Ok(_) | Err(Errno::AGAIN) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// Takes the wake back; says whether there was one.
    ///
    /// # Errors
    /// None in practice; those of read(2).
    pub fn reset(&self) -> io::Result<bool> {
        let mut count = [0; 8];
        match rustix::io::read(&self.counter, &mut count) {
            Ok(_) => Ok(true),
            Err(Errno::AGAIN) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsFd for Waker {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.counter.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::{Events, Interest, Poller, Waker};
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    use std::time::{Duration, Instant};

    #[test]
    fn reports_what_is_ready_with_its_token() {
        let poller = Poller::new().unwrap();
        let mut events = Events::with_capacity(8);
        let (mut near, far) = UnixStream::pair().unwrap();
        poller.add(&far, u64::MAX - 1, Interest::Read).unwrap();
        assert_eq!(poller.wait(&mut events, Some(Duration::ZERO)).unwrap(), 0);

        near.write_all(b"x").unwrap();
        assert_eq!(poller.wait(&mut events, None).unwrap(), 1);
        let event = events.iter().next().unwrap();
        assert_eq!((event.token, event.readable, event.writable), (u64::MAX - 1, true, false));

        poller.modify(&far, 7, Interest::ReadWrite).unwrap();
        poller.wait(&mut events, Some(Duration::from_secs(5))).unwrap();
        assert!(events.iter().all(|event| event.token == 7 && event.writable && !event.closed));

        drop(near);
        poller.wait(&mut events, Some(Duration::from_secs(5))).unwrap();
        assert!(events.iter().all(|event| event.closed));

        poller.remove(&far).unwrap();
        assert_eq!(poller.wait(&mut events, Some(Duration::ZERO)).unwrap(), 0);
        assert_eq!(poller.remove(&far).unwrap_err().raw_os_error(), Some(libc::ENOENT));
    }

    #[test]
    fn timeouts_below_a_millisecond_are_kept() {
        let poller = Poller::new().unwrap();
        let mut events = Events::with_capacity(1);
        let timeout = Duration::from_micros(100);
        let shortest = (0..50)
            .map(|_| {
                let start = Instant::now();
                assert_eq!(poller.wait(&mut events, Some(timeout)).unwrap(), 0);
                start.elapsed()
            })
            .min()
            .unwrap();
        assert!(shortest >= timeout, "woke early: {shortest:?}");
        assert!(shortest < Duration::from_micros(900), "rounded up to a millisecond: {shortest:?}");
    }

    #[test]
    fn a_waker_wakes_another_thread_once() {
        let poller = Poller::new().unwrap();
        let waker = Waker::new().unwrap();
        poller.add(&waker, 1, Interest::Read).unwrap();
        let mut events = Events::with_capacity(4);
        std::thread::scope(|scope| {
            scope
                .spawn(|| {
                    waker.wake().unwrap();
                    waker.wake().unwrap();
                })
                .join()
                .unwrap();
            assert_eq!(poller.wait(&mut events, Some(Duration::from_secs(5))).unwrap(), 1);
        });
        assert!(waker.reset().unwrap());
        assert!(!waker.reset().unwrap());
        assert_eq!(poller.wait(&mut events, Some(Duration::ZERO)).unwrap(), 0);
    }

    #[test]
    fn more_events_than_room_come_in_the_next_wait() {
        let poller = Poller::new().unwrap();
        let wakers: Vec<_> = (0..3).map(|_| Waker::new().unwrap()).collect();
        for (waker, token) in wakers.iter().zip(0..) {
            waker.wake().unwrap();
            poller.add(waker, token, Interest::Read).unwrap();
        }
        let mut events = Events::with_capacity(2);
        assert_eq!(poller.wait(&mut events, None).unwrap(), 2);
        assert_eq!(events.iter().count(), 2);
    }
}
