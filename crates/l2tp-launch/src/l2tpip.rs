//! L2TPIP sockets, `socket(AF_INET or AF_INET6, SOCK_DGRAM, 115)`: the daemon has the socket, the program one end of a pair
//! of Unix sockets that stands for it.
//!
//! Waiting for it, copies of it and its end are the kernel's. Every other call goes to the daemon, which knows what the
//! kernel would say; what is read comes in an [`l2tp_abi::envelope`], which is taken off here. No raw socket is ever given
//! to a program.

mod call;
mod data;

use std::collections::BTreeMap;
use std::io;
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::AddressFamily;

use crate::alive::Alive;
use crate::genl::SOCKETS_MAX;
use crate::namespace::Identity;

/// A program's socket.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Endpoint {
    /// Where it was opened, and stays.
    pub(crate) namespace: Identity,
    family: AddressFamily,
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
    fn insert(&mut self, number: u64, socket: &OwnedFd, endpoint: Endpoint) -> io::Result<()> {
        if self.known.len() >= SOCKETS_MAX {
            return Err(Errno::NFILE.into());
        }
        self.alive.add(socket, number)?;
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

    /// Drops those that no program has open any more.
    pub(crate) fn forget_closed(&mut self) -> io::Result<()> {
        let alive = self.alive.numbers()?;
        self.known.retain(|number, _| alive.contains(number));
        Ok(())
    }
}
