//! socket(2): a generic netlink socket in the caller's namespace, at a number of the window.

use std::io;
use std::os::fd::OwnedFd;

use rustix::net::netlink::GENERIC;
use rustix::net::{AddressFamily, SocketFlags, SocketType, socket_with};
use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};

use super::Socket;
use crate::notify::{Answer, Call};
use crate::supervisor::Supervisor;
use crate::transfer::SOCK_TYPE_MASK;

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
        self.give_at(call, &process, &socket, self.window.netlink(), close_on_exec)
    }
}

fn split_type(word: u32) -> (SocketType, SocketFlags) {
    let flags = SocketFlags::from_bits_retain(word & !SOCK_TYPE_MASK) & SocketFlags::NONBLOCK;
    (SocketType::from_raw(word & SOCK_TYPE_MASK), flags | SocketFlags::CLOEXEC)
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
