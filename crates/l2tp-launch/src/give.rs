//! Descriptors for callers: at a number of the window, from where the filter knows them, or at the lowest, where it knows them
//! by what is asked.

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, OwnedFd};

use rustix::io::Errno;

use crate::filter::Syscall;
use crate::notify::{Answer, Call};
use crate::supervisor::Supervisor;
use crate::task::Process;
use crate::transfer::Use;

impl Supervisor {
    /// Answers a call with a copy of `socket` at the first free one of `numbers`.
    ///
    /// # Errors
    /// When the caller's limit of open files is below the window, or the caller is gone.
    pub(crate) fn give_at(
        &self,
        call: &Call,
        process: &Process,
        socket: &OwnedFd,
        mut numbers: Range<u32>,
        close_on_exec: bool,
    ) -> io::Result<Answer> {
        let Some(number) = numbers.find(|number| process.is_free(*number)) else {
            return Ok(Answer::Fail(Errno::MFILE));
        };
        if !self.listener.is_valid(call) {
            return Err(Errno::SRCH.into());
        }
        self.listener.give(call, socket.as_fd(), Some(number), close_on_exec)?;
        Ok(Answer::Given)
    }

    /// Answers a call with a copy of `end` at the caller's lowest free number.
    ///
    /// # Errors
    /// When the caller is gone.
    pub(crate) fn give_lowest(&self, call: &Call, end: &OwnedFd, close_on_exec: bool) -> io::Result<Answer> {
        if !self.listener.is_valid(call) {
            return Err(Errno::SRCH.into());
        }
        match self.listener.give(call, end.as_fd(), None, close_on_exec) {
            Err(error) if error.raw_os_error() == Some(libc::EMFILE) => Ok(Answer::Fail(Errno::MFILE)),
            result => result.map(|()| Answer::Given),
        }
    }

    /// dup(2) and fcntl(2) with `F_DUPFD…`: the copy must be among `numbers` too, unless the caller wants it above them.
    ///
    /// # Errors
    /// As [`Supervisor::give_at`].
    pub(crate) fn duplicate(&self, at: &Use<'_>, numbers: Range<u32>) -> io::Result<Answer> {
        let is_fcntl = at.call.syscall == Syscall::Fcntl;
        let least = if is_fcntl { at.call.word(2) } else { 0 };
        if least >= numbers.end {
            return Ok(Answer::Continue);
        }
        let close_on_exec = is_fcntl && at.call.int(1) == libc::F_DUPFD_CLOEXEC;
        self.give_at(at.call, &at.process, &at.socket, numbers.start.max(least)..numbers.end, close_on_exec)
    }
}
