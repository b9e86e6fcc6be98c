//! socket(2): a generic netlink socket in the caller's namespace, at a number of the window.

use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::netlink::GENERIC;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};

use super::Socket;
use crate::notify::{Answer, Call};
use crate::supervisor::Supervisor;
use crate::task::Process;

/// The bits of a socket's type that are the type (`SOCK_TYPE_MASK`).
const TYPE_MASK: u32 = 0xf;

impl Supervisor {
    /// Makes the socket that the caller asks for. Where that cannot be, it gets the kernel's.
    pub(crate) fn open_generic_netlink(&mut self, call: &Call) -> io::Result<Answer> {
        let process = self.tasks.process(call.thread)?;
        let identity = self.namespaces.of_thread(call.thread)?;
        let Some(namespace) = self.namespaces.get(identity) else { return Ok(Answer::Continue) };
        let privileged = namespace.owners.admit(call.thread)?;
        let (kind, flags) = split_type(call.word(1));
        let socket = namespace.netns().within(|| open(kind, flags, privileged))??;
        self.sockets.insert(&socket, Socket::new(identity, privileged, call.thread))?;
        self.sweep_soon();
        let close_on_exec = call.word(1) & SocketFlags::CLOEXEC.bits() != 0;
        self.give_in_window(call, &process, &socket, 0, close_on_exec)
    }

    /// Answers a call with a copy of `socket` at the first free number of the window, not below `least`.
    pub(crate) fn give_in_window(
        &self,
        call: &Call,
        process: &Process,
        socket: &OwnedFd,
        least: u32,
        close_on_exec: bool,
    ) -> io::Result<Answer> {
        let Some(number) = self.window.numbers_from(least).find(|number| process.is_free(*number)) else {
            return Ok(Answer::Fail(Errno::MFILE));
        };
        if !self.listener.is_valid(call) {
            return Err(Errno::SRCH.into());
        }
        self.listener.give(call, std::os::fd::AsFd::as_fd(socket), Some(number), close_on_exec)?;
        Ok(Answer::Given)
    }
}

fn split_type(word: u32) -> (SocketType, SocketFlags) {
    let flags = SocketFlags::from_bits_retain(word & !TYPE_MASK) & SocketFlags::NONBLOCK;
    (SocketType::from_raw(word & TYPE_MASK), flags | SocketFlags::CLOEXEC)
}

/// Opens it with no more privilege than the caller has: the kernel remembers who opened a socket.
fn open(kind: SocketType, flags: SocketFlags, privileged: bool) -> io::Result<OwnedFd> {
    let open = || Ok(socket_with(AddressFamily::NETLINK, kind, flags, Some(GENERIC))?);
    if privileged {
        return open();
    }
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let none = CapabilitySet::empty();
            set_capabilities(None, CapabilitySets { effective: none, permitted: none, inheritable: none })?;
            open()
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}
