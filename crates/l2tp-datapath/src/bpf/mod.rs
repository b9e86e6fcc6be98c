//! The BPF path: which sessions it carries, and what the kernel's programs are told of them.
//!
//! All of this is the management thread's. A session is placed when it is made or changed, and placed anew when routes,
//! neighbours or a program's socket say something else; workers never come here. What the programs do not carry comes by
//! the workers as if there were no programs.

mod place;
mod plan;
mod ways;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use l2tp_abi::genl::ferrowire::path::Path;
use l2tp_core::SessionKey;
use l2tp_core::carriage::Carried;
use l2tp_core::host::Placement;
use l2tp_ebpf::{Counters, FastPath, Handle};
use l2tp_io::rtnl::{Changes, Rtnl};

use crate::device::{Device, Upper};
use crate::shared::NetEngine;

use place::{Place, Ride};
use plan::{Reason, plan};
use ways::{FIRST, Hop, LAST, Ways};

/// Sessions that are placed before packets have their turn.
const PLACED_AT_A_TIME: usize = 16;
/// The kernel takes some 20 ms to say that no program uses a session any more, however many there are: so many are awaited
/// together.
const SETTLED_TOGETHER: usize = 1024;
/// How often it is looked whether a program has connected its socket anew. No message tells of it.
const FOLLOWED_EVERY: Duration = Duration::from_secs(1);
/// Once in so many times the ways are looked at: no message tells of a path that has become narrower. And the kernel is told that the
/// next hops are in use, so that it makes sure of them as it does for packets of its own.
const WAYS_EVERY: u32 = 10;

/// The programs, and what they carry.
pub(crate) struct BpfPath {
    programs: FastPath,
    rtnl: Rtnl,
    changes: Changes,
    /// What is to carry the sessions of which nothing else was said.
    wanted: Path,
    places: HashMap<SessionKey, Place>,
    /// Sessions for which the right place is to be found.
    due: BTreeSet<SessionKey>,
    /// Sessions by the next hop to their peers, for when its link-layer address changes.
    by_hop: BTreeMap<Hop, BTreeSet<SessionKey>>,
    /// Sessions on sockets of programs.
    followed: BTreeSet<SessionKey>,
    /// How often it was looked around since the ways were looked at.
    looks: u32,
    /// Sessions that have left the programs, which may be in the middle of a frame of theirs.
    leaving: HashMap<Handle, SessionKey>,
    /// Devices, by the index of the one below.
    devices: HashMap<u32, (SessionKey, Arc<Device>)>,
}

impl BpfPath {
    /// Loads the programs for the namespace of the calling thread; an error says what is missing.
    pub(crate) fn load(wanted: Path) -> Result<Self, String> {
        let programs = FastPath::load().map_err(|missing| missing.to_string())?;
        let sockets = Rtnl::open().and_then(|rtnl| Ok((rtnl, Changes::open()?)));
        let (rtnl, changes) = sockets.map_err(|error| format!("cannot ask for routes: {error}"))?;
        Ok(Self {
            programs,
            rtnl,
            changes,
            wanted,
            places: HashMap::new(),
            due: BTreeSet::new(),
            by_hop: BTreeMap::new(),
            followed: BTreeSet::new(),
            looks: 0,
            leaving: HashMap::new(),
            devices: HashMap::new(),
        })
    }

    /// Becomes readable when [`Self::take_changes`] has something to do.
    pub(crate) fn events(&self) -> BorrowedFd<'_> {
        self.changes.as_fd()
    }

    /// When [`Self::follow`] wants to be called.
    pub(crate) fn follow_after(&self) -> Option<Duration> {
        (!self.by_hop.is_empty()).then_some(FOLLOWED_EVERY)
    }

    /// Puts the device that is seen above a TAP that is not, so that the programs can take what the network sends by it: down,
    /// and with the MTU that is asked for.
    ///
    /// # Errors
    /// `EOPNOTSUPP` on a kernel without macvlan, `EEXIST` for a name in use.
    pub(crate) fn raise(&mut self, lower: u32, name: &str, address: [u8; 6], mtu: u32) -> io::Result<Upper> {
        let index = self.rtnl.create_macvlan(name, lower, address)?;
        self.rtnl.set_mtu(index, mtu)?;
        self.programs.attach_passthru(lower, index)?;
        Ok(Upper { name: self.rtnl.link(index)?.name })
    }

    /// Gets a TAP ready for [`Self::raise`], and returns the address that the device above it is to have.
    ///
    /// # Errors
    /// Those of [`Rtnl::prepare_lower`].
    pub(crate) fn prepare_lower(&mut self, lower: u32) -> io::Result<[u8; 6]> {
        self.rtnl.prepare_lower(lower)
    }

    /// Remembers whose device this is, to see when the part of it that is seen has been deleted.
    pub(crate) fn watch(&mut self, session: SessionKey, device: &Arc<Device>) {
        self.devices.insert(device.tap.index(), (session, Arc::clone(device)));
    }

    /// A device goes.
    pub(crate) fn forget(&mut self, device: &Device) {
        self.devices.remove(&device.tap.index());
    }

    /// Says what is to carry a session, or all and those to come.
    pub(crate) fn set_wanted(&mut self, key: Option<SessionKey>, path: Path) {
        match key {
            Some(key) => {
                self.places.entry(key).or_default().wanted = Some(path);
                self.due.insert(key);
            }
            None => {
                self.wanted = path;
                self.places.values_mut().for_each(|place| place.wanted = None);
                self.due.extend(self.places.keys());
            }
        }
    }

    /// What carries a session.
    pub(crate) fn placement(&self, key: SessionKey) -> Placement {
        let place = self.places.get(&key);
        let rides = place.is_some_and(|place| place.ride.is_some());
        Placement {
            wanted: place.and_then(|place| place.wanted).unwrap_or(self.wanted),
            carried_by: if rides { Path::Bpf } else { Path::User },
            reason: place.filter(|_| !rides).map(|place| place.reason.to_string()).unwrap_or_default(),
        }
    }

    /// What was carried of a session since this was last asked.
    pub(crate) fn take_carried(&mut self, key: SessionKey) -> Carried {
        let Some(place) = self.places.get_mut(&key) else { return Carried::default() };
        carried(place.take_counted(&self.programs))
    }

    /// The same for a session that ends.
    pub(crate) fn remove(&mut self, key: SessionKey) -> Carried {
        self.leave(key);
        let rest = self.take_carried(key);
        self.places.remove(&key);
        self.due.remove(&key);
        rest
    }

    /// These are to be placed, and whatever else is due: as many as packets may wait for. Says whether there are more.
    pub(crate) fn place_some(&mut self, engine: &mut NetEngine) -> bool {
        self.due.extend(engine.take_changed());
        let rest = self.due.iter().nth(PLACED_AT_A_TIME).copied();
        let rest = rest.map(|first| self.due.split_off(&first)).unwrap_or_default();
        let now = std::mem::replace(&mut self.due, rest);
        let mut ways = Ways::default();
        for key in now {
            self.place(engine, key, &mut ways);
        }
        !self.due.is_empty()
    }

    fn place(&mut self, engine: &NetEngine, key: SessionKey, ways: &mut Ways) {
        let Some(session) = engine.session(key) else { return };
        let wanted = self.placement(key).wanted;
        let planned = match engine.carriage(key) {
            None => return,
            Some(_) if wanted == Path::User => Err(Reason::from("the user path was asked for")),
            Some(Err(unfit)) => Err(unfit.to_string().into()),
            Some(Ok(carriage)) => {
                plan(&carriage, session.device.as_ref(), |local, peer| ways.find(&mut self.rtnl, local, peer))
            }
        };
        let result = planned.and_then(|plan| self.ride(key, plan));
        if let Err(reason) = result {
            self.leave(key);
            self.places.entry(key).or_default().reason = reason;
        }
    }

    /// Has the programs carry a session as planned.
    fn ride(&mut self, key: SessionKey, plan: plan::Plan) -> Result<(), Reason> {
        let place = self.places.entry(key).or_default();
        match &mut place.ride {
            Some(ride) if ride.session == plan.session => return Ok(()),
            Some(ride) => {
                self.programs.replace(ride.handle, &plan.session).map_err(|error| error.to_string())?;
            }
            None => {}
        }
        let (underlay, _) = plan.hop;
        self.programs
            .watch_underlay(underlay)
            .map_err(|error| format!("the device towards the peer takes no program: {error}"))?;
        let handle = match &place.ride {
            Some(ride) => ride.handle,
            None => self.programs.insert(&plan.session).map_err(|error| error.to_string())?,
        };
        if let Some(old) = place.ride.replace(Ride { handle, session: plan.session, hop: plan.hop }) {
            unlist(&mut self.by_hop, old.hop, key);
        }
        self.by_hop.entry(plan.hop).or_default().insert(key);
        if plan.is_followed {
            self.followed.insert(key);
        }
        Ok(())
    }

    /// Has the workers carry a session.
    fn leave(&mut self, key: SessionKey) {
        self.followed.remove(&key);
        let Some(place) = self.places.get_mut(&key) else { return };
        let Some(ride) = place.ride.take() else { return };
        self.programs.retire(ride.handle);
        place.left.push(ride.handle);
        unlist(&mut self.by_hop, ride.hop, key);
        self.leaving.insert(ride.handle, key);
    }

    /// Waits for the programs to finish with sessions that have left them, if they are many. Not with the engine in hand.
    pub(crate) fn settle(&mut self) {
        if self.leaving.len() < SETTLED_TOGETHER {
            return;
        }
        for (handle, counted) in self.programs.settle() {
            let key = self.leaving.remove(&handle);
            if let Some(place) = key.and_then(|key| self.places.get_mut(&key)) {
                place.settle(handle, counted);
            }
        }
    }

    /// Looks again at what programs' sockets are connected to.
    pub(crate) fn follow(&mut self) {
        self.due.extend(&self.followed);
    }

    /// [`Self::follow_after`] has passed.
    pub(crate) fn look_around(&mut self) {
        self.follow();
        self.looks = (self.looks + 1) % WAYS_EVERY;
        if self.looks == 0 {
            for ((index, address), sessions) in &self.by_hop {
                self.due.extend(sessions);
                // One that is not there any more is found out when the sessions are placed.
                let _: io::Result<()> = self.rtnl.use_neighbour(*index, *address);
            }
        }
    }

    /// Hears what has changed on the network, and says which devices have been deleted.
    pub(crate) fn take_changes(&mut self) -> Vec<(SessionKey, Arc<Device>)> {
        // What could not be read comes again with the next message.
        let Ok(seen) = self.changes.take() else { return Vec::new() };
        if seen.routes || seen.overrun {
            self.due.extend(self.places.keys());
        }
        for hop in &seen.neighbours {
            self.due.extend(self.by_hop.get(hop).into_iter().flatten());
        }
        for device in seen.links.union(&seen.gone) {
            let towards = self.by_hop.range((*device, FIRST)..=(*device, LAST));
            self.due.extend(towards.flat_map(|(_, sessions)| sessions));
        }
        let lowers =
            seen.links.iter().filter_map(|index| self.devices.get(index)).cloned().collect::<Vec<_>>();
        let all = if seen.overrun { self.devices.values().cloned().collect() } else { lowers };
        let mut is_alone = |device: &Device| self.rtnl.has_upper(device.tap.index()).is_ok_and(|has| !has);
        all.into_iter().filter(|(_, device)| is_alone(device)).collect()
    }
}

fn unlist(by_hop: &mut BTreeMap<Hop, BTreeSet<SessionKey>>, hop: Hop, key: SessionKey) {
    if let Some(keys) = by_hop.get_mut(&hop) {
        keys.remove(&key);
        if keys.is_empty() {
            by_hop.remove(&hop);
        }
    }
}

fn carried(counters: Counters) -> Carried {
    let Counters { rx_packets, rx_bytes, tx_packets, tx_bytes } = counters;
    Carried { rx_packets, rx_bytes, tx_packets, tx_bytes }
}
