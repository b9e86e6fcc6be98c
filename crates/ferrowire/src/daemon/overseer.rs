//! The main thread of a daemon: starts a service in every namespace, and ends them, each on a thread of its own.

use std::collections::BTreeMap;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use anyhow::Context;
use l2tp_abi::Errno;
use l2tp_abi::control::{CONTROL_BYTES, Control};
use l2tp_io::creds::peer_pid;
use l2tp_io::door::DoorStream;
use l2tp_io::netns::NetNs;
use l2tp_io::netns::users::Sight;
use l2tp_io::poller::{Events, Interest, Poller, Waker};
use l2tp_io::signals::{Signal, Signals};

use super::exchange::Exchange;
use super::running::Running;
use super::service::{DoorTaken, Settings};
use super::vigil::Vigil;

/// Namespaces that one daemon serves at most.
const NAMESPACES_MAX: usize = 1024;

const SIGNALS: u64 = 0;
const BELL: u64 = 1;
const CONTROL: u64 = 2;

/// How long a namespace is served.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Term {
    /// Until the daemon ends.
    Daemon,
    /// Until nobody else uses it.
    Use,
}

/// All services of this process.
pub(super) struct Overseer {
    poller: Poller,
    signals: Signals,
    control: Option<DoorStream>,
    settings: Settings,
    exchange: Arc<Exchange>,
    services: BTreeMap<u64, Running>,
    /// The namespace of the main thread, which nobody else can keep alive or let die.
    home: u64,
    vigil: Vigil,
    /// Rung by a service that ended by itself.
    bell: Arc<Waker>,
}

impl Overseer {
    /// One without services. `control` is where namespaces are handed in.
    pub(super) fn new(
        signals: Signals,
        control: Option<DoorStream>,
        settings: Settings,
    ) -> anyhow::Result<Self> {
        let home = NetNs::current().context("cannot find out the network namespace: is /proc mounted?")?;
        let poller = Poller::new().context("cannot make an epoll set")?;
        let bell = Arc::new(Waker::new().context("cannot make an eventfd")?);
        poller.add(&signals, SIGNALS, Interest::Read)?;
        poller.add(&*bell, BELL, Interest::Read)?;
        let mut master = None;
        if let Some(control) = &control {
            control.set_nonblocking(true)?;
            poller.add(control, CONTROL, Interest::Read)?;
            master = peer_pid(control.as_fd())?.map(|pid| pid.as_raw_nonzero().get().cast_unsigned());
        }
        Ok(Self {
            poller,
            signals,
            control,
            settings,
            exchange: Arc::default(),
            services: BTreeMap::new(),
            home: home.inode()?,
            vigil: Vigil::new(master).context("cannot look for the users of a network namespace")?,
            bell,
        })
    }

    /// How much can be seen of who uses a namespace.
    pub(super) fn sight(&self) -> Sight {
        self.vigil.sight()
    }

    /// Serves a namespace, its door open when this returns. One that is served already is no error.
    pub(super) fn serve(&mut self, netns: NetNs, term: Term) -> anyhow::Result<u64> {
        let inode = netns.inode()?;
        if self.services.contains_key(&inode) {
            return Ok(inode);
        }
        if self.services.len() >= NAMESPACES_MAX {
            return Err(io::Error::from_raw_os_error(Errno::ENOSPC.0)).context("too many network namespaces");
        }
        if term == Term::Use && inode != self.home {
            self.vigil.watch(&netns).context("cannot enter the network namespace")?;
        }
        let started = Running::start(netns, self.settings.clone(), &self.exchange, Arc::clone(&self.bell));
        match started {
            Ok(running) => drop(self.services.insert(inode, running)),
            Err(error) => {
                self.vigil.forget(inode);
                return Err(error);
            }
        }
        Ok(inode)
    }

    /// Serves until told to end, or nothing is left to serve.
    pub(super) fn run(mut self) -> anyhow::Result<()> {
        let result = self.oversee();
        result.and(self.end_all())
    }

    /// Removes everything, and waits until it is gone; returns the first fault of a service.
    pub(super) fn end_all(mut self) -> anyhow::Result<()> {
        let all = std::mem::take(&mut self.services);
        Self::end(all.into_values().collect())
    }

    fn oversee(&mut self) -> anyhow::Result<()> {
        let mut events = Events::with_capacity(4);
        while self.control.is_some() || !self.services.is_empty() {
            self.poller.wait(&mut events, self.vigil.timeout()).context("cannot wait for events")?;
            for event in events.iter() {
                let goes_on = match event.token {
                    SIGNALS => !self.told_to_end()?,
                    CONTROL => self.obey(),
                    // What happened is told when the service's thread is joined.
                    _ => false,
                };
                if !goes_on {
                    return Ok(());
                }
            }
            self.give_up_the_dead()?;
        }
        Ok(())
    }

    fn told_to_end(&self) -> io::Result<bool> {
        let ending = |signal| matches!(signal, Some(Signal::Terminate | Signal::Interrupt));
        self.signals.read().map(ending)
    }

    /// Answers one message of whoever has the other end of the control socket; false when nobody has.
    fn obey(&mut self) -> bool {
        let Some(control) = &self.control else { return false };
        let (mut buffer, mut descriptors) = ([0; CONTROL_BYTES], Vec::new());
        let message = match control.recv(&mut buffer, &mut descriptors) {
            Ok(0) => return false,
            Ok(length) => Control::parse(buffer.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return true,
            Err(error) if error.raw_os_error() == Some(Errno::EMSGSIZE.0) => None,
            Err(_) => return false,
        };
        let answer = match (message, descriptors.pop(), descriptors.is_empty()) {
            (Some(Control::Serve), Some(netns), true) => match self.serve(netns.into(), Term::Use) {
                Ok(netns) => Control::Serving { netns },
                Err(error) => Control::Refused { errno: errno(&error) },
            },
            _ => Control::Refused { errno: Errno::EINVAL },
        };
        self.say(answer);
        true
    }

    /// Tells whoever has the other end of the control socket. To one that reads nothing this is lost.
    fn say(&self, message: Control) {
        if let Some(control) = &self.control {
            let _: io::Result<()> = control.send(&message.emit(), &[]);
        }
    }

    fn give_up_the_dead(&mut self) -> anyhow::Result<()> {
        let dead = self.vigil.look();
        let services = dead.iter().filter_map(|netns| self.services.remove(netns)).collect();
        Self::end(services)?;
        dead.into_iter().for_each(|netns| self.say(Control::Gone { netns }));
        Ok(())
    }

    /// Ends services, all at the same time, and waits until they have; returns the first fault of one.
    fn end(services: Vec<Running>) -> anyhow::Result<()> {
        services.iter().for_each(Running::end);
        let results: Vec<_> = services.into_iter().map(Running::join).collect();
        results.into_iter().collect()
    }
}

/// Why a namespace could not be served; EIO where that was no answer of the system.
fn errno(error: &anyhow::Error) -> Errno {
    if error.is::<DoorTaken>() {
        return Errno::EADDRINUSE;
    }
    let system = error.chain().find_map(|cause| cause.downcast_ref::<io::Error>()?.raw_os_error());
    system.map_or(Errno::EIO, Errno)
}
