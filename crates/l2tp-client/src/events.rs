//! Events as they come.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use l2tp_abi::Errno;
use l2tp_abi::genl::ctrl::FamilyMessage;
use l2tp_abi::genl::ferrowire::{DEATHS_GROUP, FERROWIRE_GENL_NAME, Request};
use l2tp_abi::genl::l2tp::L2TP_GENL_MCGROUP;
use l2tp_abi::nl::{Ack, Messages, NLMSG_ERROR};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::connection::{Connection, find_family};
use crate::conversation::Transport;
use crate::error::Error;
use crate::event::Event;
use crate::socket::Socket;

/// Tunnels and sessions of a network namespace as they come, change and go.
///
/// As an iterator it waits for each event and ends never, but with errors: `UnexpectedEof` when the daemon has ended. Its
/// descriptor is readable when [`Events::wait`] has something to do.
#[derive(Debug)]
pub struct Events {
    socket: Socket,
    pending: VecDeque<Event>,
}

impl Events {
    /// Those of Ferrowire's daemon in the network namespace of the calling thread, deaths without a command among them.
    ///
    /// # Errors
    /// As [`Connection::door`]; `EPERM` without `CAP_NET_ADMIN`.
    pub fn door() -> Result<Self, Error> {
        let Connection { mut conversation, l2tp } = Connection::door()?;
        let ferrowire = find_family(&mut conversation, FERROWIRE_GENL_NAME)?;
        let mut requests = Vec::new();
        for (family, group) in [(&l2tp, L2TP_GENL_MCGROUP), (&ferrowire, DEATHS_GROUP)] {
            requests.extend(Request::Join(group_id(family, group)?).emit(ferrowire.id, 1));
        }
        let mut events = Self { socket: conversation.into_transport(), pending: VecDeque::new() };
        events.socket.send(&requests, None)?;
        let mut joined = 0;
        while joined < 2 {
            joined += events.receive()?;
        }
        Ok(events)
    }

    /// Those of the kernel's own L2TP in the network namespace of the calling thread. It tells of commands only.
    ///
    /// # Errors
    /// As [`Connection::kernel`].
    pub fn kernel() -> Result<Self, Error> {
        let Connection { conversation, l2tp } = Connection::kernel()?;
        let socket = conversation.into_transport();
        socket.join(group_id(&l2tp, L2TP_GENL_MCGROUP)?)?;
        Ok(Self { socket, pending: VecDeque::new() })
    }

    /// Waits for the next event, as long as `timeout` says; `None`: as long as it takes. Returns `None` when the time is over.
    ///
    /// # Errors
    /// [`Error::Io`] of kind `UnexpectedEof` when the daemon has ended.
    pub fn wait(&mut self, timeout: Option<Duration>) -> Result<Option<Event>, Error> {
        let deadline = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        while self.pending.is_empty() {
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if !is_readable(&self.socket, left)? {
                return Ok(None);
            }
            self.receive()?;
        }
        Ok(self.pending.pop_front())
    }

    /// Takes one datagram in; returns how many requests it acknowledges.
    fn receive(&mut self) -> Result<usize, Error> {
        let datagram = match self.socket.receive() {
            Err(error) if error.raw_os_error() == Some(Errno::ENOBUFS.0) => {
                self.pending.push_back(Event::Lost);
                return Ok(0);
            }
            received => received?,
        };
        if datagram.is_empty() {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the daemon has ended").into());
        }
        let mut acknowledged = 0;
        for message in Messages::new(&datagram) {
            if message.header.kind != NLMSG_ERROR {
                self.pending.extend(Event::parse(&message));
            } else if let Some(Ack { errno: Some(errno), message, offset, .. }) = Ack::parse(&message) {
                return Err(Error::Refused { errno, message, offset });
            } else {
                acknowledged += 1;
            }
        }
        Ok(acknowledged)
    }
}

impl Iterator for Events {
    type Item = Result<Event, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        self.wait(None).transpose()
    }
}

impl AsFd for Events {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

fn group_id(family: &FamilyMessage, name: &str) -> io::Result<u32> {
    let group = family.groups.iter().find(|(group, _)| group == name);
    group.map(|(_, id)| *id).ok_or_else(|| io::Error::other(format!("there is no group {name:?}")))
}

fn is_readable(fd: impl AsFd, timeout: Option<Duration>) -> io::Result<bool> {
    // Longer than can be said is as long as it takes.
    let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    Ok(rustix::io::retry_on_intr(|| poll(&mut fds, timeout.as_ref()))? > 0)
}
