//! Tunnels on sockets of programs ("managed" tunnels). The subsystem holds no descriptor of such a socket, so that the
//! tunnel dies with the program's last one; it knows the socket by its number (SO_COOKIE) and asks the kernel where it is.
//!
//! | room | what |
//! |---|---|
//! | [`Managed`] | all of them: which tunnel, where, and which packets are ours |
//! | [`flows`] | from where a packet came and went to, to the tunnels there |
//! | [`socket`] | what one tunnel sends on |

pub(crate) mod flows;
pub(crate) mod socket;

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use l2tp_abi::errno::Errno;
use l2tp_core::host::DataPattern;
use l2tp_core::{Instant, TunnelKey};
use l2tp_io::divert::{Divert, Group, Pattern};
use l2tp_io::inet_diag::{UdpDiag, UdpIdentity, UdpPlace};
use l2tp_io::rawudp::RawUdp;
use l2tp_io::udp::ProgramSocket;

use crate::shared::lock;
use crate::worker::now;
use flows::{Flow, Flows};

/// Between two looks for sockets that may have moved, when packets come to a port of theirs that fit none.
const SWEEP_PERIOD: Duration = Duration::from_secs(1);

/// All managed tunnels over UDP of a namespace.
///
/// Locks are taken in this order: the engine's, the table's; the others alone.
pub(crate) struct Managed {
    divert: Divert,
    diag: Mutex<Option<UdpDiag>>,
    table: Mutex<Table>,
    swept: Mutex<Option<Instant>>,
}

/// The sockets, and where they receive.
#[derive(Default)]
pub(crate) struct Table {
    sockets: HashMap<u64, Entry>,
    flows: Flows,
    receivers: Vec<Arc<RawUdp>>,
}

/// One program's socket.
struct Entry {
    tunnel: TunnelKey,
    identity: UdpIdentity,
    place: UdpPlace,
    /// Takes packets without checksum over IPv6.
    unchecked: bool,
    /// Where it receives, while it is bound.
    group: Option<Group>,
    /// What is taken from it.
    patterns: BTreeSet<Pattern>,
}

impl Managed {
    /// In the namespace of the calling thread.
    pub(crate) fn new() -> Self {
        // Without CONFIG_INET_UDP_DIAG a socket stays, for us, where it was at first.
        let diag = Mutex::new(UdpDiag::open().ok());
        Self { divert: Divert::load(), diag, table: Mutex::default(), swept: Mutex::default() }
    }

    pub(crate) fn table(&self) -> MutexGuard<'_, Table> {
        lock(&self.table)
    }

    /// Whether a raw socket has to be opened first.
    pub(crate) fn lacks_receivers(&self) -> bool {
        self.table().receivers.is_empty()
    }

    pub(crate) fn set_receivers(&self, receivers: Vec<Arc<RawUdp>>) {
        self.table().receivers = receivers;
    }

    /// Takes a program's socket for a tunnel.
    ///
    /// # Errors
    /// `EBUSY` if it carries one already; those of putting a filter on it.
    pub(crate) fn adopt(
        &self,
        tunnel: TunnelKey,
        found: &ProgramSocket,
        socket: impl std::os::fd::AsFd,
    ) -> io::Result<()> {
        let mut table = self.table();
        if table.sockets.contains_key(&found.identity.cookie) {
            return Err(io::Error::from_raw_os_error(Errno::EBUSY.0));
        }
        self.divert.attach(socket)?;
        let entry = Entry {
            tunnel,
            identity: found.identity,
            place: nowhere(found.identity.v6),
            unchecked: found.settings.zero_csum6_rx,
            group: None,
            patterns: BTreeSet::new(),
        };
        table.sockets.insert(found.identity.cookie, entry);
        let moved = table.move_to(&self.divert, found.identity.cookie, found.place);
        if moved.is_err() {
            table.remove(&self.divert, found.identity.cookie);
        }
        moved
    }

    /// Gives a socket back to its program, or forgets one that is closed.
    pub(crate) fn release(&self, cookie: u64) {
        self.table().remove(&self.divert, cookie);
    }

    /// The tunnel that a socket carries.
    pub(crate) fn tunnel_of(&self, cookie: u64) -> Option<TunnelKey> {
        self.table().sockets.get(&cookie).map(|entry| entry.tunnel)
    }

    /// Where the socket is now. If it has moved, what is ours of its packets moves with it.
    pub(crate) fn follow(&self, identity: UdpIdentity) -> UdpPlace {
        let Some(last) = self.table().sockets.get(&identity.cookie).map(|entry| entry.place) else {
            return nowhere(identity.v6);
        };
        let found = lock(&self.diag).as_mut().map(|diag| diag.find(identity, Some(&last)));
        let place = match found {
            Some(Ok(place)) => place.unwrap_or_else(|| nowhere(identity.v6)),
            None | Some(Err(_)) => last,
        };
        if place != last {
            // What the filter has no room for is left to the program.
            let _: io::Result<()> = self.table().move_to(&self.divert, identity.cookie, place);
        }
        place
    }

    /// Looks, once in a while, whether sockets at this port have moved: a packet came to it that fits none of them.
    pub(crate) fn sweep(&self, port: u16) {
        if !self.is_time_to_sweep(now()) {
            return;
        }
        let at_port = |entry: &&Entry| entry.place.local.port() == port;
        let there: Vec<_> =
            self.table().sockets.values().filter(at_port).map(|entry| entry.identity).collect();
        for identity in there {
            self.follow(identity);
        }
    }

    /// Whether the last look is long enough ago; if so, `now` is the last.
    fn is_time_to_sweep(&self, now: Instant) -> bool {
        let mut swept = lock(&self.swept);
        let is_time = swept.is_none_or(|last| now.since(last) >= SWEEP_PERIOD);
        if is_time {
            *swept = Some(now);
        }
        is_time
    }

    /// Takes packets away from the program.
    pub(crate) fn divert(&self, cookie: u64, pattern: &DataPattern) {
        let pattern = pattern_of(pattern);
        let mut table = self.table();
        let Some(entry) = table.sockets.get_mut(&cookie) else { return };
        entry.patterns.insert(pattern);
        if let Some(group) = entry.group {
            // What the filter has no room for the program sees too.
            let _: io::Result<()> = self.divert.insert(group, &pattern);
        }
    }

    /// Leaves packets to the program.
    pub(crate) fn undivert(&self, cookie: u64, pattern: &DataPattern) {
        let pattern = pattern_of(pattern);
        let mut table = self.table();
        let Some(entry) = table.sockets.get_mut(&cookie) else { return };
        entry.patterns.remove(&pattern);
        if let Some(group) = entry.group {
            let shared = table.flows.size(group) > 1;
            table.leave_to_program(&self.divert, group, &pattern, shared);
        }
    }
}

impl Table {
    /// The tunnels whose sockets receive a packet.
    pub(crate) fn find(&self, to: SocketAddr, from: SocketAddr) -> Option<&flows::Members> {
        self.flows.find(to, from)
    }

    /// Puts a socket at a place, and what is taken from it.
    fn move_to(&mut self, divert: &Divert, cookie: u64, place: UdpPlace) -> io::Result<()> {
        self.withdraw(divert, cookie);
        let Some(entry) = self.sockets.get_mut(&cookie) else { return Ok(()) };
        entry.place = place;
        if let Some(flow) = Flow::of(&place) {
            let group = self.flows.insert(flow, entry.tunnel, entry.unchecked);
            entry.group = Some(group);
            entry.patterns.iter().try_for_each(|pattern| divert.insert(group, pattern))?;
            divert.join(cookie, group)?;
        }
        self.listen()
    }

    /// Takes a socket from its place.
    fn withdraw(&mut self, divert: &Divert, cookie: u64) {
        let Some(entry) = self.sockets.get_mut(&cookie) else { return };
        let (tunnel, place) = (entry.tunnel, entry.place);
        let patterns = entry.patterns.clone();
        if let (Some(group), Some(flow)) = (entry.group.take(), Flow::of(&place)) {
            divert.leave(cookie);
            self.flows.remove(&flow, tunnel);
            let shared = self.flows.size(group) > 0;
            for pattern in &patterns {
                self.leave_to_program(divert, group, pattern, shared);
            }
        }
    }

    fn remove(&mut self, divert: &Divert, cookie: u64) {
        self.withdraw(divert, cookie);
        self.sockets.remove(&cookie);
        // Fewer ports than are listened to are no harm.
        let _: io::Result<()> = self.listen();
    }

    /// Takes a pattern out of the filter, unless another socket of a `shared` group still has it.
    fn leave_to_program(&self, divert: &Divert, group: Group, pattern: &Pattern, shared: bool) {
        let has_it = |entry: &Entry| entry.group == Some(group) && entry.patterns.contains(pattern);
        if !(shared && self.sockets.values().any(has_it)) {
            divert.remove(group, pattern);
        }
    }

    /// Tells the raw sockets which ports there are.
    fn listen(&mut self) -> io::Result<()> {
        let Some(ports) = self.flows.take_new_ports() else { return Ok(()) };
        self.receivers.iter().try_for_each(|receiver| receiver.listen(&ports))
    }
}

/// The place of a socket that is bound to none.
fn nowhere(v6: bool) -> UdpPlace {
    let local = if v6 { (Ipv6Addr::UNSPECIFIED, 0).into() } else { (Ipv4Addr::UNSPECIFIED, 0).into() };
    UdpPlace { local, peer: None }
}

fn pattern_of(pattern: &DataPattern) -> Pattern {
    let DataPattern { version, tunnel_id, session_id, header_len } = *pattern;
    Pattern { version, tunnel_id, session_id, header_len: u32::try_from(header_len).unwrap_or(u32::MAX) }
}
