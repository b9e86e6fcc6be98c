//! The moment at which the last descriptor of a program's socket is closed, seen without holding one.
//!
//! The kernel tells of it (sock_diag(7), `CONFIG_INET_UDP_DIAG`). Where it does not, or where some of its words were lost,
//! [`Alive`] knows.

use crate::alive::Alive;
use crate::inet_diag::{UdpDeath, UdpDeaths};
use crate::sockopt;
use rustix::time::{Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec};
use std::collections::BTreeSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Nanoseconds between two looks at the list where the kernel tells nothing: five a second.
const PERIOD: i64 = 200_000_000;

/// Sockets that wait to be closed, by SO_COOKIE.
pub struct LastClose {
    known: BTreeSet<u64>,
    alive: Alive,
    news: News,
}

/// Why to look whether something was closed.
enum News {
    /// The kernel has said so.
    Told(UdpDeaths),
    /// It is time.
    Timer(OwnedFd),
}

impl LastClose {
    /// Begins to listen, in the namespace of the calling thread.
    ///
    /// # Errors
    /// Those of epoll_create(2) and timerfd_create(2).
    pub fn open() -> io::Result<Self> {
        let news =
            UdpDeaths::open().map_or_else(|_| timer().map(News::Timer), |deaths| Ok(News::Told(deaths)))?;
        let closes = Self { known: BTreeSet::new(), alive: Alive::new()?, news };
        closes.rest()?;
        Ok(closes)
    }

    /// Asks for no news while no socket is waited for.
    fn rest(&self) -> io::Result<()> {
        match &self.news {
            News::Told(deaths) => deaths.listen(false),
            News::Timer(timer) => set_period(timer, 0),
        }
    }

    /// Waits for the end of a socket; the caller may, and should, close its own descriptor.
    ///
    /// # Errors
    /// `ENOSPC` at the limit of /proc/sys/fs/epoll/max_user_watches; `ENOTSOCK`.
    pub fn watch(&mut self, socket: impl AsFd) -> io::Result<()> {
        let cookie = sockopt::cookie(&socket)?;
        if self.known.is_empty() {
            match &self.news {
                News::Told(deaths) => deaths.listen(true)?,
                News::Timer(timer) => set_period(timer, PERIOD)?,
            }
        }
        // It may be in the set since it carried a tunnel before.
        self.alive.add(&socket, cookie)?;
        self.known.insert(cookie);
        Ok(())
    }

    /// Waits for a socket no longer.
    pub fn forget(&mut self, cookie: u64) {
        if self.known.remove(&cookie) && self.known.is_empty() {
            // Or there is news of nothing.
            let _: io::Result<()> = self.rest();
        }
    }

    /// The sockets that were closed since this was last asked, each once. To be asked when the descriptor is readable.
    pub fn closed(&mut self) -> Vec<u64> {
        let mut closed = Vec::new();
        let mut look = false;
        match &self.news {
            News::Told(deaths) => {
                while let Some(death) = deaths.next() {
                    match death {
                        UdpDeath::Socket(cookie) if self.known.remove(&cookie) => closed.push(cookie),
                        UdpDeath::Socket(_) => {}
                        UdpDeath::Missed => look = true,
                    }
                }
            }
            News::Timer(timer) => look = rustix::io::read(timer, &mut [0; 8]).is_ok(),
        }
        if look {
            closed.extend(self.missing());
        }
        if !closed.is_empty() && self.known.is_empty() {
            // As in `forget`.
            let _: io::Result<()> = self.rest();
        }
        closed
    }

    /// Takes out what is in the list no more.
    fn missing(&mut self) -> Vec<u64> {
        // Without /proc nothing can be known to be gone.
        let Ok(open) = self.alive.numbers() else { return Vec::new() };
        let gone: Vec<u64> = self.known.difference(&open).copied().collect();
        self.known = self.known.intersection(&open).copied().collect();
        gone
    }
}

/// A timer that does not run yet.
fn timer() -> io::Result<OwnedFd> {
    let flags = TimerfdFlags::CLOEXEC | TimerfdFlags::NONBLOCK;
    Ok(rustix::time::timerfd_create(TimerfdClockId::Monotonic, flags)?)
}

fn set_period(timer: &OwnedFd, nanoseconds: i64) -> io::Result<()> {
    let period = Timespec { tv_sec: 0, tv_nsec: nanoseconds };
    let value = Itimerspec { it_interval: period, it_value: period };
    rustix::time::timerfd_settime(timer, TimerfdTimerFlags::empty(), &value)?;
    Ok(())
}

/// Readable when [`LastClose::closed`] may have something to tell.
impl AsFd for LastClose {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.news {
            News::Told(deaths) => deaths.as_fd(),
            News::Timer(timer) => timer.as_fd(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testns::in_fresh_netns;
    use rustix::event::{PollFd, PollFlags, poll};
    use std::net::UdpSocket;

    /// What is told within two seconds.
    fn await_closed(closes: &mut LastClose) -> Vec<u64> {
        let timeout = Timespec { tv_sec: 2, tv_nsec: 0 };
        for _ in 0..20 {
            poll(&mut [PollFd::new(&*closes, PollFlags::IN)], Some(&timeout)).unwrap();
            let closed = closes.closed();
            if !closed.is_empty() {
                return closed;
            }
        }
        Vec::new()
    }

    fn the_last_of_several(mut closes: LastClose) {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let bystander = UdpSocket::bind("127.0.0.1:0").unwrap();
        let cookie = sockopt::cookie(&socket).unwrap();
        let copies = [socket.try_clone().unwrap(), socket.try_clone().unwrap()];
        let ours = socket.try_clone().unwrap();
        closes.watch(&ours).unwrap();
        closes.watch(&bystander).unwrap();
        drop(ours);
        drop(socket);
        drop(copies);
        assert_eq!(await_closed(&mut closes), [cookie]);
        assert!(closes.missing().is_empty(), "the bystander is open");
        closes.forget(sockopt::cookie(&bystander).unwrap());
        drop(bystander);
        assert!(closes.closed().is_empty() && closes.missing().is_empty());
    }

    #[test]
    fn where_the_kernel_tells() {
        in_fresh_netns(|| {
            let closes = LastClose::open().unwrap();
            assert!(matches!(closes.news, News::Told(_)), "this kernel has no INET_UDP_DIAG");
            the_last_of_several(closes);
        });
    }

    #[test]
    fn where_it_tells_nothing() {
        in_fresh_netns(|| {
            let told = LastClose::open().unwrap();
            the_last_of_several(LastClose { news: News::Timer(timer().unwrap()), ..told });
        });
    }

    #[test]
    fn words_that_were_lost_are_made_up_for() {
        in_fresh_netns(|| {
            let mut closes = LastClose::open().unwrap();
            let sockets: Vec<_> = (0..3).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
            let cookies: Vec<_> = sockets.iter().map(|socket| sockopt::cookie(socket).unwrap()).collect();
            for socket in &sockets {
                closes.watch(socket).unwrap();
            }
            assert!(closes.missing().is_empty());
            drop(sockets);
            assert_eq!(closes.missing(), cookies);
            assert!(closes.closed().is_empty(), "each is told once");
        });
    }
}
