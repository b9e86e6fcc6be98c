//! [`FastPath`]: the programs in the kernel, and what they know.

use std::io;

use crate::{Counters, Refused, Session, Unavailable};

/// The most sessions that the fast path of a namespace carries.
pub const SESSIONS_MAX: u32 = 65_536;

/// A session on the fast path. Never used again for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Handle(u32);

/// Where a program sees what the network sends by a device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// At the ingress of this device, the hidden end of a veth: what its other end sends.
    Ingress,
    /// At the egress of this device, a TAP or a TUN.
    Egress,
}

/// The fast path of one network namespace: that of the thread that calls. It ends with this value.
#[derive(Debug)]
pub struct FastPath {}

impl FastPath {
    /// Loads the programs. They see nothing until they are attached.
    ///
    /// # Errors
    /// [`Unavailable`] says what is missing.
    pub fn load() -> Result<Self, Unavailable> {
        unimplemented!()
    }

    /// Takes messages that arrive at a device of Ethernet or `lo`. Nothing changes if it does so already.
    ///
    /// # Errors
    /// The kernel's, ENODEV if there is no such device, EOPNOTSUPP for a device of another kind.
    pub fn watch_underlay(&mut self, ifindex: u32) -> io::Result<()> {
        unimplemented!("{ifindex}")
    }

    /// Takes no more messages that arrive at a device.
    pub fn leave_underlay(&mut self, ifindex: u32) {
        unimplemented!("{ifindex}")
    }

    /// Takes frames that come by at `hook` of a device, if a session with [`Tx`](crate::Tx) names it.
    ///
    /// # Errors
    /// The kernel's, ENODEV if there is no such device.
    pub fn attach_device(&mut self, ifindex: u32, hook: Hook) -> io::Result<()> {
        unimplemented!("{ifindex} {hook:?}")
    }

    /// Takes no more frames of a device. A device that is gone needs no such call, but it frees memory.
    pub fn detach_device(&mut self, ifindex: u32) {
        unimplemented!("{ifindex}")
    }

    /// Carries a session from now on.
    ///
    /// # Errors
    /// [`Refused`]; nothing has changed then.
    pub fn insert(&mut self, session: &Session) -> Result<Handle, Refused> {
        unimplemented!("{session:?}")
    }

    /// Changes what is known of a session, its route for example. Each frame sees the old or the new, and none is lost.
    ///
    /// # Errors
    /// [`Refused`]; the session is then carried as before.
    pub fn replace(&mut self, handle: Handle, session: &Session) -> Result<(), Refused> {
        unimplemented!("{handle:?} {session:?}")
    }

    /// What has been carried of a session so far, all CPUs together; zeros for one that is gone.
    #[must_use]
    pub fn counters(&self, handle: Handle) -> Counters {
        unimplemented!("{handle:?}")
    }

    /// Carries no more frames of a session: the next one is the user path's. At once; frames that are in a program at this moment still pass, and are
    /// in what [`Self::settle`] counts.
    pub fn retire(&mut self, handle: Handle) {
        unimplemented!("{handle:?}")
    }

    /// Forgets the retired sessions and returns what was carried of each, to the last frame. Waits until no program uses them any more: some
    /// 10 to 30 ms, however many they are; not at all if there are none.
    pub fn settle(&mut self) -> Vec<(Handle, Counters)> {
        unimplemented!()
    }

    /// [`Self::retire`] and [`Self::settle`] for one session: what was carried of it.
    pub fn remove(&mut self, handle: Handle) -> Counters {
        unimplemented!("{handle:?}")
    }
}
