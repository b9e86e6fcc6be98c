//! The signals that end or reload a daemon, as a descriptor to wait for.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

/// A signal that was sent to the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: end.
    Terminate,
    /// SIGINT: Ctrl-C.
    Interrupt,
    /// SIGHUP: the terminal is gone, or reload.
    HangUp,
}

/// SIGTERM, SIGINT and SIGHUP, blocked and read from a signalfd.
pub struct Signals {
    descriptor: OwnedFd,
}

impl Signals {
    /// Blocks the three signals for the calling thread and those that it starts later: call it in `main`, before any
    /// thread is started, or another thread will be killed by the signal. A program started by exec(2) inherits the
    /// mask too. They stay blocked when this value is dropped.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`, `ENOMEM` of signalfd(2).
    pub fn block() -> io::Result<Self> {
        let set = watched();
        // SAFETY: `set` is an initialised signal set, and the old mask is not asked for.
        let status = unsafe { libc::pthread_sigmask(libc::SIG_BLOCK, &raw const set, std::ptr::null_mut()) };
        if status != 0 {
            return Err(io::Error::from_raw_os_error(status));
        }
        // SAFETY: -1 asks for a new descriptor; `set` is an initialised signal set.
        let fd = unsafe { libc::signalfd(-1, &raw const set, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: signalfd has just returned this descriptor, and nothing else owns it.
        Ok(Self { descriptor: unsafe { OwnedFd::from_raw_fd(fd) } })
    }

    /// The next signal that has arrived, if any. Never blocks.
    ///
    /// # Errors
    /// Those of read(2), but for `EAGAIN`.
    pub fn read(&self) -> io::Result<Option<Signal>> {
        let mut info = MaybeUninit::<libc::signalfd_siginfo>::uninit();
        let size = size_of::<libc::signalfd_siginfo>();
        // SAFETY: the buffer is `size` bytes long and writable.
        let got = unsafe { libc::read(self.descriptor.as_raw_fd(), info.as_mut_ptr().cast(), size) };
        if got < 0 {
            let error = io::Error::last_os_error();
            return if error.kind() == io::ErrorKind::WouldBlock { Ok(None) } else { Err(error) };
        }
        // SAFETY: signalfd(2) writes whole records only, and every bit pattern is a valid one.
        let info = unsafe { info.assume_init() };
        Ok(match i32::try_from(info.ssi_signo) {
            Ok(libc::SIGTERM) => Some(Signal::Terminate),
            Ok(libc::SIGINT) => Some(Signal::Interrupt),
            Ok(libc::SIGHUP) => Some(Signal::HangUp),
            _ => None,
        })
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

fn watched() -> libc::sigset_t {
    let mut set = MaybeUninit::uninit();
    // SAFETY: sigemptyset initialises the set that it is given.
    unsafe { libc::sigemptyset(set.as_mut_ptr()) };
    // SAFETY: initialised by the line above.
    let mut set = unsafe { set.assume_init() };
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGHUP] {
        // SAFETY: `set` is initialised, and the signal number is valid.
        unsafe { libc::sigaddset(&raw mut set, signal) };
    }
    set
}

#[cfg(test)]
mod tests {
    use super::{Signal, Signals};

    #[test]
    fn a_blocked_signal_is_read() {
        let signals = Signals::block().unwrap();
        assert_eq!(signals.read().unwrap(), None);
        for (number, signal) in [
            (libc::SIGTERM, Signal::Terminate),
            (libc::SIGINT, Signal::Interrupt),
            (libc::SIGHUP, Signal::HangUp),
        ] {
            // SAFETY: raise has no preconditions; the signal is blocked in this thread, which it is directed to.
            assert_eq!(unsafe { libc::raise(number) }, 0);
            assert_eq!(signals.read().unwrap(), Some(signal));
            assert_eq!(signals.read().unwrap(), None);
        }
    }
}
