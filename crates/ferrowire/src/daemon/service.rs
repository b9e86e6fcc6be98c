//! The subsystem of one namespace: callers at the door, programs' sockets, devices that went away, and word from the rest of
//! the daemon.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;

use anyhow::Context;
use l2tp_datapath::{Datapath, NetEngine, Path, SystemHost};
use l2tp_io::creds::{caller_may_administer, caller_user};
use l2tp_io::door::{DoorListener, DoorStream, MAX_MESSAGE};
use l2tp_io::linger::Linger;
use l2tp_io::netns::NetNs;
use l2tp_io::poller::{Event, Events, Interest, Poller};
use l2tp_io::spread::Spread;
use l2tp_mgmt::netlink::announce_deaths;

use super::caller::{Caller, Notification};
use super::exchange::{Exchange, Mailbox};

/// Callers that may be connected at the same time.
const CALLERS_MAX: usize = 256;
/// Callers let in between two looks at what the others want.
const ACCEPTED_AT_A_TIME: usize = 64;
/// Events taken at once: everybody's.
const EVENTS: usize = 2 * CALLERS_MAX;

const MAIL: u64 = 0;
const LISTENER: u64 = 1;
const ALARM: u64 = 2;
const CLOSES: u64 = 3;
const SOCKETS: u64 = 4;
const NETWORK: u64 = 5;
/// The first caller's token; it is the caller's netlink port id too.
const FIRST_CALLER: u32 = 16;

/// What is the same in every namespace of a daemon.
#[derive(Clone)]
pub(super) struct Settings {
    /// The abstract name of the door.
    pub(super) door: Vec<u8>,
    /// Threads that carry frames.
    pub(super) workers: usize,
    /// Queues of each device.
    pub(super) queues: usize,
    /// What carries sessions.
    pub(super) path: Path,
}

/// Everything that the daemon has open in one namespace.
pub(super) struct Service {
    poller: Poller,
    mailbox: Arc<Mailbox>,
    exchange: Arc<Exchange>,
    listener: DoorListener,
    netns: NetNs,
    datapath: Datapath,
    host: SystemHost,
    callers: BTreeMap<u32, Caller>,
    next_caller: u32,
    buffer: Vec<u8>,
}

impl Service {
    /// Opens the door and starts the workers, in the namespace of the calling thread.
    pub(super) fn open(
        settings: &Settings,
        exchange: Arc<Exchange>,
        mailbox: Arc<Mailbox>,
    ) -> anyhow::Result<Self> {
        let netns = NetNs::current().context("cannot find out the network namespace: is /proc mounted?")?;
        let listener = DoorListener::bind(&settings.door).map_err(door_taken)?;
        let datapath = Datapath::start(settings.workers).context("cannot start the workers")?;
        let spread = (settings.queues > 1).then(|| Spread::load(settings.queues)).transpose();
        let spread =
            spread.context("--queues takes CAP_BPF, for the program that keeps each flow in one queue")?;
        let host = datapath.host(settings.path, spread).context("cannot start what carries frames")?;
        let poller = Poller::new().context("cannot make an epoll set")?;
        poller.add(&*mailbox, MAIL, Interest::Read)?;
        poller.add(&listener, LISTENER, Interest::Read)?;
        poller.add(datapath.alarm(), ALARM, Interest::Read)?;
        poller.add(host.closes(), CLOSES, Interest::Read)?;
        poller.add(host.socket_events(), SOCKETS, Interest::Read)?;
        poller.add(host.network_events(), NETWORK, Interest::Read)?;
        let (callers, next_caller) = (BTreeMap::new(), FIRST_CALLER);
        let buffer = vec![0; MAX_MESSAGE];
        Ok(Self { poller, mailbox, exchange, listener, netns, datapath, host, callers, next_caller, buffer })
    }

    /// Serves until told to end.
    pub(super) fn run(&mut self) -> anyhow::Result<()> {
        let mut events = Events::with_capacity(EVENTS);
        let mut linger = Linger::default();
        loop {
            let timeout = self.host.follow_after();
            self.poller.wait_awake(&mut events, timeout, &mut linger).context("cannot wait for requests")?;
            if events.iter().next().is_none() {
                self.host.look_around();
            }
            let mut knocked = false;
            for event in events.iter() {
                match event.token {
                    MAIL => {
                        if self.read_mail() {
                            return Ok(());
                        }
                    }
                    LISTENER => knocked = true,
                    ALARM => self.bury_lost_devices(),
                    CLOSES => self.bury_closed_sockets(),
                    SOCKETS => self.serve_sockets(),
                    NETWORK => self.host.take_changes(),
                    _ => self.serve(event),
                }
            }
            // Those who have hung up have left by now.
            if knocked {
                self.accept();
            }
            self.place_sessions();
        }
    }

    /// Removes every tunnel, tells whoever listens, and waits until their devices are gone.
    pub(super) fn close(mut self) {
        let mut heard = Vec::new();
        {
            let mut engine = self.datapath.engine();
            engine.clear(&mut self.host);
            add_deaths(&mut engine, &mut heard);
        }
        self.tell(&heard);
        self.host.close_units();
        self.host.settle();
    }

    /// Passes on what happened in other namespaces of this daemon; says whether to end.
    fn read_mail(&mut self) -> bool {
        let letters = self.mailbox.take();
        for notification in &letters.notifications {
            self.each_caller(|caller| caller.hear(notification));
        }
        for group in letters.lost {
            self.each_caller(|caller| caller.miss(group));
        }
        letters.end
    }

    /// Lets some callers in. Fewer at a time than events are served, so that those who hang up at once leave as fast as
    /// they come.
    fn accept(&mut self) {
        for _ in 0..ACCEPTED_AT_A_TIME {
            // Without a free descriptor the caller stays in the queue until another leaves.
            let Ok(Some(stream)) = self.listener.accept() else { return };
            self.admit(stream);
        }
    }

    /// Takes a caller on, if there is room; otherwise it sees the connection closed. Callers without privilege, who can only
    /// look things up, leave half of the room to those with.
    fn admit(&mut self, stream: DoorStream) {
        let privileged = caller_may_administer(stream.as_fd(), &self.netns).unwrap_or(false);
        let Ok(user) = caller_user(stream.as_fd()) else { return };
        if self.callers.len() >= if privileged { CALLERS_MAX } else { CALLERS_MAX / 2 } {
            return;
        }
        let port = self.next_caller;
        self.next_caller = port.checked_add(1).unwrap_or(FIRST_CALLER);
        if self.poller.add(&stream, u64::from(port), Interest::Read).is_ok() {
            self.callers.insert(port, Caller::new(stream, port, user, privileged));
        }
    }

    fn serve(&mut self, event: Event) {
        let Some(mut caller) = u32::try_from(event.token).ok().and_then(|port| self.callers.remove(&port))
        else {
            return;
        };
        let mut heard = Vec::new();
        let goes_on = self.answer(&mut caller, event, &mut heard).is_ok();
        if goes_on && caller.watch(&self.poller).is_ok() {
            self.callers.insert(caller.number(), caller);
        }
        self.tell(&heard);
    }

    /// Takes a request, or goes on with what waits; the error says that the program is gone. Packets wait for one datagram of
    /// requests or one page of a dump at a time, and never while something is sent.
    fn answer(&mut self, caller: &mut Caller, event: Event, heard: &mut Vec<Notification>) -> io::Result<()> {
        let mut request = caller.receive(event, &mut self.buffer)?;
        while request.is_some() || caller.wants_more() {
            let mut engine = self.datapath.engine();
            caller.serve(&mut engine, &mut self.host, &self.datapath, heard, |server| match request.take() {
                Some((length, descriptor)) => {
                    server.descriptor = descriptor;
                    server.handle_datagram(self.buffer.get(..length).unwrap_or_default());
                }
                None => server.continue_dump(),
            });
            self.host.settle_ppp();
            // Who is answered may rely on it; what many sessions need is done by and by.
            let _more: bool = self.host.place_sessions(&mut engine);
            add_deaths(&mut engine, heard);
            drop(engine);
            caller.flush()?;
        }
        Ok(())
    }

    /// Sends notifications to every caller that listens, in every namespace of this daemon: as the kernel does.
    fn tell(&mut self, heard: &[Notification]) {
        for notification in heard {
            self.each_caller(|caller| caller.hear(notification));
        }
        self.exchange.post(&self.mailbox, heard);
    }

    /// Does something to every caller that may leave datagrams waiting for it.
    fn each_caller(&mut self, each: impl Fn(&mut Caller) -> bool) {
        for caller in self.callers.values_mut() {
            if each(caller) {
                // A caller that cannot be watched is dropped with its next event.
                let _: io::Result<()> = caller.watch(&self.poller);
            }
        }
    }

    /// Finds the right path for sessions that are new or changed. Packets wait for some of them at a time.
    fn place_sessions(&mut self) {
        loop {
            let more = self.host.place_sessions(&mut self.datapath.engine());
            self.host.settle_paths();
            if !more {
                return;
            }
        }
    }

    fn bury_lost_devices(&mut self) {
        // The alarm says that there may be something; nothing is no harm.
        let _: io::Result<bool> = self.datapath.alarm().reset();
        self.host.bury_lost_units();
        let lost = self.datapath.take_lost_devices();
        self.bury(|engine, host| lost.iter().for_each(|key| engine.remove_session(host, *key)));
    }

    fn bury_closed_sockets(&mut self) {
        let closed = self.host.take_closed();
        self.bury(|engine, host| closed.iter().for_each(|key| engine.remove_tunnel(host, *key)));
    }

    /// Sends what programs wrote to sockets of ours and to `/dev/ppp`, and ends what those carried that were closed.
    fn serve_sockets(&mut self) {
        let closed = self.host.serve_sockets();
        self.bury(|engine, host| closed.iter().for_each(|key| engine.remove_tunnel(host, *key)));
    }

    /// Removes what no command has named, and tells whoever listens.
    fn bury(&mut self, remove: impl FnOnce(&mut NetEngine, &mut SystemHost)) {
        let mut heard = Vec::new();
        {
            let mut engine = self.datapath.engine();
            remove(&mut engine, &mut self.host);
            self.host.settle_ppp();
            add_deaths(&mut engine, &mut heard);
        }
        self.tell(&heard);
    }
}

/// Adds what died without a command of its own since this was last asked.
fn add_deaths(engine: &mut NetEngine, heard: &mut Vec<Notification>) {
    announce_deaths(engine, |group, datagram| heard.push(Notification::new(group, datagram)));
}

fn door_taken(error: io::Error) -> anyhow::Error {
    if error.kind() == io::ErrorKind::AddrInUse {
        return DoorTaken.into();
    }
    anyhow::Error::new(error).context("cannot open the door")
}

/// Somebody serves this namespace.
#[derive(Debug)]
pub(super) struct DoorTaken;

impl fmt::Display for DoorTaken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("another ferrowire daemon serves this network namespace already")
    }
}

impl std::error::Error for DoorTaken {}
