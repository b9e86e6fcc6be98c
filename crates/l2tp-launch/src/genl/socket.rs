//! What is remembered of each socket, and for how long.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::OwnedFd;

use l2tp_abi::nl::{Messages, NLMSG_OVERRUN};
use l2tp_io::alive::Alive;
use rustix::io::Errno;
use rustix::process::Pid;

use crate::namespace::{Identity, Injector};

/// Sockets that programs may have open; those above are not emulated.
pub(crate) const SOCKETS_MAX: usize = 16_384;
/// Bytes that wait for a socket whose queue is full: requests are refused then until some of it was read (`ENOBUFS`). The
/// answers to one request may go beyond.
const WAITING_MAX: usize = 1 << 20;
/// Bytes that wait for all sockets together; above that, requests of sockets that do not read are refused.
const ALL_WAITING_MAX: usize = 256 << 20;

/// One socket.
#[derive(Debug)]
pub(crate) struct Socket {
    /// Where it was opened, and stays.
    pub(crate) namespace: Identity,
    /// Whether its opener could administer the namespace: the kernel asks for that of opener and sender.
    pub(crate) opener_privileged: bool,
    /// Its port id; 0 until we know it.
    pub(crate) port: u32,
    opener: Pid,
    /// Used by another thread than the one that opened it: a thread may wait in it while another sends.
    pub(crate) is_shared: bool,
    /// Listens to the group "l2tp".
    pub(crate) is_member: bool,
    /// Answers for which the receive queue has no room.
    waiting: VecDeque<Vec<u8>>,
    waiting_bytes: usize,
    /// A notification was lost.
    overrun: bool,
}

impl Socket {
    pub(crate) fn new(namespace: Identity, opener_privileged: bool, opener: Pid) -> Self {
        Self {
            namespace,
            opener_privileged,
            port: 0,
            opener,
            is_shared: false,
            is_member: false,
            waiting: VecDeque::new(),
            waiting_bytes: 0,
            overrun: false,
        }
    }

    /// Takes note that `thread` uses it.
    pub(crate) fn used_by(&mut self, thread: Pid) {
        self.is_shared |= thread != self.opener;
    }

    /// Whether so much waits that nothing more may be asked for.
    fn is_behind(&self) -> bool {
        self.waiting_bytes > WAITING_MAX
    }

    /// Adds an answer, which is never lost.
    pub(crate) fn push(&mut self, datagram: Vec<u8>) {
        self.waiting_bytes += datagram.len();
        self.waiting.push_back(datagram);
    }

    /// Puts a notification into the receive queue; it is lost if there is no room, as the kernel's own
    /// (`netlink_broadcast_deliver`). The daemon's word that some were lost on the way to us means the same.
    pub(crate) fn notify(&mut self, injector: &Injector, datagram: &[u8]) {
        if Messages::new(datagram).next().is_some_and(|message| message.header.kind == NLMSG_OVERRUN) {
            self.overrun = true;
            return;
        }
        self.pump(injector);
        self.overrun |= self.is_waiting() || injector.put(self.port, datagram) == Err(Errno::AGAIN);
    }

    /// Says once that something was lost.
    pub(crate) fn take_overrun(&mut self) -> bool {
        std::mem::take(&mut self.overrun)
    }

    /// Moves what waits into the receive queue, as far as there is room.
    pub(crate) fn pump(&mut self, injector: &Injector) {
        while let Some(datagram) = self.waiting.front() {
            match injector.put(self.port, datagram) {
                Ok(()) => {}
                Err(Errno::AGAIN) => return,
                // The socket is gone, or the datagram cannot be put there whole.
                Err(_) => {}
            }
            self.waiting_bytes -= datagram.len();
            self.waiting.pop_front();
        }
    }

    /// Whether something waits for room.
    pub(crate) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }
}

/// All sockets, by their cookies.
pub(crate) struct Sockets {
    known: BTreeMap<u64, Socket>,
    alive: Alive,
    /// How many there may be before it is looked which are still open.
    look_at: usize,
}

impl Sockets {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { known: BTreeMap::new(), alive: Alive::new()?, look_at: 64 })
    }

    /// Adds one that is about to be given away.
    pub(crate) fn insert(&mut self, descriptor: &OwnedFd, socket: Socket) -> io::Result<()> {
        if self.known.len() >= self.look_at {
            self.forget_closed()?;
            self.look_at = (2 * self.known.len()).max(64);
        }
        if self.known.len() >= SOCKETS_MAX {
            return Err(Errno::NFILE.into());
        }
        let cookie = rustix::net::sockopt::socket_cookie(descriptor)?;
        self.alive.add(descriptor, cookie)?;
        self.known.insert(cookie, socket);
        Ok(())
    }

    pub(crate) fn get_mut(&mut self, cookie: u64) -> Option<&mut Socket> {
        self.known.get_mut(&cookie)
    }

    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Socket> {
        self.known.values_mut()
    }

    /// Whether a socket has to read before it asks for more.
    pub(crate) fn must_read(&self, cookie: u64) -> bool {
        let Some(socket) = self.known.get(&cookie).filter(|socket| socket.is_waiting()) else { return false };
        let all =
            || self.known.values().fold(0_usize, |sum, socket| sum.saturating_add(socket.waiting_bytes));
        socket.is_behind() || all() > ALL_WAITING_MAX
    }

    /// Whether one was opened in `namespace`, and listens if `members` are asked for.
    pub(crate) fn any_in(&self, namespace: Identity, members: bool) -> bool {
        self.known.values().any(|socket| socket.namespace == namespace && (socket.is_member || !members))
    }

    /// Drops those that no program has open any more.
    pub(crate) fn forget_closed(&mut self) -> io::Result<()> {
        let alive = self.alive.numbers()?;
        self.known.retain(|cookie, _| alive.contains(cookie));
        Ok(())
    }
}
