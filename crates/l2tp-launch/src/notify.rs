//! The listener of the filter: trapped calls in, answers out (seccomp_unotify(2)).

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Instant;

use rustix::io::Errno;
use rustix::process::Pid;

use crate::filter::{NATIVE, Syscall};
use crate::sys;

/// A system call that waits for its answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    /// The kernel's number for this trap.
    id: u64,
    /// The thread that calls. The number is its own for as long as the call is valid.
    pub(crate) thread: Pid,
    /// What it calls.
    pub(crate) syscall: Syscall,
    arguments: [u64; 6],
}

impl Call {
    /// An argument as the kernel takes an address.
    pub(crate) fn address(&self, index: usize) -> u64 {
        self.arguments.get(index).copied().unwrap_or_default()
    }

    /// An argument as the kernel takes a `size_t`.
    pub(crate) fn size(&self, index: usize) -> usize {
        usize::try_from(self.address(index)).unwrap_or(usize::MAX)
    }

    /// An argument as the kernel takes an `unsigned int`: its lower half.
    pub(crate) fn word(&self, index: usize) -> u32 {
        let [a, b, c, d, ..] = self.address(index).to_le_bytes();
        u32::from_le_bytes([a, b, c, d])
    }

    /// An argument as the kernel takes an `int`.
    pub(crate) fn int(&self, index: usize) -> i32 {
        self.word(index).cast_signed()
    }
}

/// What becomes of a call.
#[derive(Debug)]
pub(crate) enum Answer {
    /// It runs as if it had not been trapped.
    Continue,
    /// It returns this.
    Return(i64),
    /// It fails with this.
    Fail(Errno),
    /// It is interrupted: `EINTR`, or it starts again, as the caller's signal handler wants.
    Interrupt,
    /// It has been answered already, with a descriptor.
    Given,
    /// It waits with us, until then.
    Wait(Option<Instant>),
}

impl Answer {
    /// Success with a length.
    pub(crate) fn length(length: usize) -> Self {
        i64::try_from(length).map_or(Self::Fail(Errno::OVERFLOW), Self::Return)
    }
}

/// The kernel's own number for "interrupted, restart if the handler says so"; never seen by programs.
const ERESTARTSYS: i32 = 512;

/// The supervisor's end.
pub(crate) struct Listener {
    descriptor: OwnedFd,
}

impl Listener {
    /// The next call, if it is one that may be trapped; others (there are none) go on.
    ///
    /// # Errors
    /// `ENOENT` when the caller died meanwhile.
    pub(crate) fn receive(&self) -> io::Result<Option<Call>> {
        let notification = sys::receive_notification(self.as_fd())?;
        let number = u32::try_from(notification.data.nr).ok();
        let thread = i32::try_from(notification.pid).ok().and_then(Pid::from_raw);
        let (Some(syscall), Some(thread)) = (number.and_then(|number| NATIVE.call(number)), thread) else {
            self.respond(notification.id, 0, 0, true);
            return Ok(None);
        };
        Ok(Some(Call { id: notification.id, thread, syscall, arguments: notification.data.args }))
    }

    /// Gives a call its answer. Nothing happens when the caller died.
    pub(crate) fn answer(&self, call: &Call, answer: &Answer) {
        match answer {
            Answer::Continue => self.respond(call.id, 0, 0, true),
            Answer::Return(value) => self.respond(call.id, *value, 0, false),
            Answer::Fail(errno) => self.respond(call.id, 0, -errno.raw_os_error(), false),
            Answer::Interrupt => self.respond(call.id, 0, -ERESTARTSYS, false),
            Answer::Given | Answer::Wait(_) => {}
        }
    }

    /// Whether the call still waits: its thread lives, and its number is its own.
    pub(crate) fn is_valid(&self, call: &Call) -> bool {
        sys::is_notification_valid(self.as_fd(), call.id)
    }

    /// Answers a call with a copy of `descriptor` in the caller's table: at `number`, or at the lowest that is free.
    ///
    /// # Errors
    /// `EMFILE`, `EBADF` where the number is beyond the caller's limit.
    pub(crate) fn give(
        &self,
        call: &Call,
        descriptor: BorrowedFd<'_>,
        number: Option<u32>,
        close_on_exec: bool,
    ) -> io::Result<()> {
        let set = if number.is_some() { libc::SECCOMP_ADDFD_FLAG_SETFD } else { 0 };
        let flags = libc::SECCOMP_ADDFD_FLAG_SEND | set;
        let invalid = |_| io::ErrorKind::InvalidInput;
        let request = libc::seccomp_notif_addfd {
            id: call.id,
            flags: u32::try_from(flags).map_err(invalid)?,
            srcfd: u32::try_from(descriptor.as_raw_fd()).map_err(invalid)?,
            newfd: number.unwrap_or_default(),
            newfd_flags: if close_on_exec { libc::O_CLOEXEC.cast_unsigned() } else { 0 },
        };
        sys::add_descriptor(self.as_fd(), request).map(drop)
    }

    fn respond(&self, id: u64, val: i64, error: i32, goes_on: bool) {
        let flags = if goes_on { libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE } else { 0 };
        let flags = u32::try_from(flags).unwrap_or_default();
        // ENOENT: the caller is dead, and needs no answer.
        let _: io::Result<()> =
            sys::send_response(self.as_fd(), libc::seccomp_notif_resp { id, val, error, flags });
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl From<OwnedFd> for Listener {
    fn from(descriptor: OwnedFd) -> Self {
        Self { descriptor }
    }
}
