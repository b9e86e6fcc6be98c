//! Endpoints: descriptors that stand for what the daemon holds. Each is one end of a pair of Unix sockets, which the program
//! has; waiting for it, copies of it and its end are the kernel's, every other call goes to the daemon.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;

use l2tp_abi::genl::ferrowire::Actor;
use l2tp_abi::genl::ferrowire::socket::{ADDRESS_MAX, SocketAnswer, SocketCall, SocketRequest};
use l2tp_io::alive::Alive;
use rustix::io::Errno;
use rustix::net::AddressFamily;

use crate::genl::SOCKETS_MAX;
use crate::namespace::Identity;
use crate::notify::{Answer, Call};
use crate::remote::Length;
use crate::supervisor::Supervisor;
use crate::transfer::Use;

/// A program's descriptor.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Endpoint {
    /// Where it was opened, and stays.
    pub(crate) namespace: Identity,
    pub(crate) kind: Kind,
}

/// What the daemon holds behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An L2TPIP socket of this address family.
    L2tpip(AddressFamily),
    /// A PPPoL2TP socket.
    Pppol2tp,
    /// An open file of `/dev/ppp`.
    DevPpp,
}

impl Kind {
    /// Why a call failed. A daemon that was started anew does not know the sockets of the last one: as without any, they are
    /// dead. Of PPP's sockets `EBADF` has other meanings too, and stays.
    fn refusal(self, errno: Errno) -> Errno {
        match (self, errno) {
            (Self::L2tpip(_), Errno::BADF) => Errno::CONNREFUSED,
            _ => errno,
        }
    }
}

/// All of them, by their numbers: the cookies of the programs' ends.
pub(crate) struct Endpoints {
    known: BTreeMap<u64, Endpoint>,
    alive: Alive,
}

impl Endpoints {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self { known: BTreeMap::new(), alive: Alive::new()? })
    }

    /// Adds one that is about to be given away.
    fn insert(&mut self, number: u64, end: &OwnedFd, endpoint: Endpoint) -> io::Result<()> {
        if self.known.len() >= SOCKETS_MAX {
            self.forget_closed()?;
        }
        if self.known.len() >= SOCKETS_MAX {
            return Err(Errno::NFILE.into());
        }
        self.alive.add(end, number)?;
        self.known.insert(number, endpoint);
        Ok(())
    }

    pub(crate) fn get(&self, number: u64) -> Option<Endpoint> {
        self.known.get(&number).copied()
    }

    /// Whether one was opened in `namespace`.
    pub(crate) fn any_in(&self, namespace: Identity) -> bool {
        self.known.values().any(|endpoint| endpoint.namespace == namespace)
    }

    /// Whether there may be some outside of the window.
    pub(crate) fn any_anywhere(&self) -> bool {
        self.known.values().any(|endpoint| !matches!(endpoint.kind, Kind::L2tpip(_)))
    }

    /// Drops those that no program has open any more.
    pub(crate) fn forget_closed(&mut self) -> io::Result<()> {
        let alive = self.alive.numbers()?;
        self.known.retain(|number, _| alive.contains(number));
        Ok(())
    }
}

impl Supervisor {
    /// Has the daemon of the caller's namespace open something; the error is the answer to the call where it did not.
    pub(crate) fn open_endpoint(
        &mut self,
        call: &Call,
        kind: Kind,
        request: SocketCall<'_>,
    ) -> io::Result<Result<OwnedFd, Answer>> {
        let identity = self.namespaces.of_thread(call.thread)?;
        self.sweep_soon();
        let Some(namespace) = self.namespaces.get_mut(identity) else { return Ok(Err(Answer::Continue)) };
        // Who has no privilege may open sockets, but not without end, and no file.
        let actor = Actor { privileged: namespace.owners.admit(call.thread)?, ..actor(call) };
        let Some(door) = namespace.door(&mut self.starter) else { return Ok(Err(Answer::Continue)) };
        match door.call(actor, &SocketRequest { socket: None, call: request }, None) {
            Ok(Ok((SocketAnswer::Opened(number), Some(end)))) => {
                self.endpoints.insert(number, &end, Endpoint { namespace: identity, kind })?;
                Ok(Ok(end))
            }
            Ok(Err(errno)) => Ok(Err(Answer::Fail(errno))),
            _ => {
                namespace.lose_door();
                Ok(Err(Answer::Continue))
            }
        }
    }

    /// Has the daemon carry out a call, with what it is about `beside` it; without a daemon the descriptor is dead.
    pub(crate) fn carry_out(
        &mut self,
        at: &Use<'_>,
        endpoint: Endpoint,
        call: SocketCall<'_>,
        beside: Option<&OwnedFd>,
    ) -> Result<SocketAnswer, Errno> {
        let namespace = self.namespaces.get_mut(endpoint.namespace).ok_or(Errno::CONNREFUSED)?;
        let door = namespace.door(&mut self.starter).ok_or(Errno::CONNREFUSED)?;
        match door.call(actor(at.call), &SocketRequest { socket: Some(at.cookie), call }, beside) {
            Ok(answer) => answer.map(|(answer, _)| answer).map_err(|errno| endpoint.kind.refusal(errno)),
            Err(_) => {
                namespace.lose_door();
                Err(Errno::CONNREFUSED)
            }
        }
    }

    /// A call that returns nothing but whether it was carried out.
    pub(crate) fn perform(
        &mut self,
        at: &Use<'_>,
        endpoint: Endpoint,
        call: SocketCall<'_>,
        beside: Option<&OwnedFd>,
    ) -> Answer {
        self.carry_out(at, endpoint, call, beside).map_or_else(Answer::Fail, |_| Answer::Return(0))
    }

    /// getsockname(2), getpeername(2).
    pub(crate) fn tell_name(
        &mut self,
        at: &Use<'_>,
        endpoint: Endpoint,
        call: SocketCall<'_>,
    ) -> io::Result<Answer> {
        match self.carry_out(at, endpoint, call, None) {
            Ok(SocketAnswer::Address(name)) => {
                at.memory.tell(at.call.address(1), at.call.address(2), &name, Length::Whole)
            }
            Ok(_) => Ok(Answer::Fail(Errno::INVAL)),
            Err(errno) => Ok(Answer::Fail(errno)),
        }
    }
}

/// The address of bind(2) and connect(2).
pub(crate) fn address(at: &Use<'_>) -> io::Result<Vec<u8>> {
    at.memory.read(at.call.address(1), at.call.size(2).min(usize::from(ADDRESS_MAX)))
}

/// The calling thread, with our own privilege: that of naming by its number what another connection opened. The calls that ask
/// for more do not come this way.
pub(crate) fn actor(call: &Call) -> Actor {
    Actor { port: call.thread.as_raw_nonzero().get().cast_unsigned(), privileged: true, options: 0 }
}
