//! The BPF path: which sessions it carries, and what the kernel's programs are told of them.
//!
//! All of this is the management thread's. A session is placed when it is made or changed, and placed anew when routes,
//! neighbours or a program's socket say something else; workers never come here. What the programs do not carry comes by
//! the workers as if there were no programs.

mod above;
mod place;
mod plan;
mod ways;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::time::Duration;

use l2tp_abi::genl::ferrowire::path::Path;
use l2tp_core::carriage::Carried;
use l2tp_core::host::Placement;
use l2tp_core::{PwType, SessionKey};
use l2tp_ebpf::{Carrier, Counters, FastPath, Handle, Payload, Session};
use l2tp_io::rtnl::{Changes, Rtnl, Seen};

use crate::device::{Device, Upper};
use crate::shared::{NetEngine, Shared, lock};

use above::Attacher;
use place::{Place, Ride};
use plan::{Plan, Reason, lower_of, plan};
use ways::{FIRST, Hop, LAST, Ways};

/// Sessions that are placed before packets have their turn.
const PLACED_AT_A_TIME: usize = 16;
/// The kernel takes some 20 ms to say that no program uses a session any more, however many there are: so many are awaited
/// together.
const SETTLED_TOGETHER: usize = 1024;
/// `GSO_MAX_SEGS` of the kernel: no limit.
const GSO_MAX_SEGS: u32 = 65_535;
/// How often it is looked whether a program has connected its socket anew. No message tells of it.
const FOLLOWED_EVERY: Duration = Duration::from_secs(1);
/// Once in so many times the ways are looked at: no message tells of a path that has become narrower. And the kernel is told that the
/// next hops are in use, so that it makes sure of them as it does for packets of its own.
const WAYS_EVERY: u32 = 10;

/// The programs, and what they carry.
pub(crate) struct BpfPath {
    programs: FastPath,
    /// Who attaches the program of the devices that are seen.
    above: Option<Attacher>,
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
    /// PPP sessions that the programs carry, by the index of pppN.
    units: HashMap<u32, SessionKey>,
    /// Indices of all pppN that have the program, and are in this namespace.
    tuns: BTreeSet<u32>,
}

/// Why PPP is not carried unless that is asked for: its programs stand at pppN itself, for there is no device of that kind to stand
/// above another.
const UNSEEN: &str =
    "what pppN sends would not be seen by tcpdump and its counters: ask for it with ferrowire path bpf";

impl BpfPath {
    /// Loads the programs for the namespace of the calling thread; an error says what is missing.
    pub(crate) fn load(wanted: Path) -> Result<Self, String> {
        let mut programs = FastPath::load().map_err(|missing| missing.to_string())?;
        let above = programs.above().and_then(|above| above.map(Attacher::start).transpose());
        let above = above.map_err(|error| format!("cannot attach programs: {error}"))?;
        let sockets = Rtnl::open().and_then(|rtnl| Ok((rtnl, Changes::open()?)));
        let (rtnl, changes) = sockets.map_err(|error| format!("cannot ask for routes: {error}"))?;
        Ok(Self {
            programs,
            above,
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
            units: HashMap::new(),
            tuns: BTreeSet::new(),
        })
    }

    /// Becomes readable when [`Self::take_changes`] has something to do.
    pub(crate) fn events(&self) -> BorrowedFd<'_> {
        self.changes.as_fd()
    }

    /// When [`Self::look_around`] wants to be called.
    pub(crate) fn follow_after(&self) -> Option<Duration> {
        (!self.places.is_empty()).then_some(FOLLOWED_EVERY)
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
        if let Some(above) = &self.above {
            above.take(index);
        }
        Ok(Upper { index, name: self.rtnl.link(index)?.name })
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

    /// What was carried of a PPP session since this was last asked, for its unit to count: bytes without headers. `None` for any
    /// other session.
    pub(crate) fn take_packets(&mut self, key: SessionKey) -> Option<Carried> {
        let packets = self.places.get_mut(&key)?.take_packets(&self.programs)?;
        Some(carried(packets))
    }

    /// The same two for a session that ends.
    pub(crate) fn remove(&mut self, key: SessionKey) -> (Carried, Option<Carried>) {
        self.leave(key);
        let rest = (self.take_carried(key), self.take_packets(key));
        self.places.remove(&key);
        self.due.remove(&key);
        rest
    }

    /// These are to be placed, and whatever else is due: as many as packets may wait for. Says whether there are more.
    pub(crate) fn place_some(
        &mut self,
        engine: &NetEngine,
        shared: &Shared,
        changed: BTreeSet<SessionKey>,
    ) -> bool {
        self.due.extend(changed);
        let rest = self.due.iter().nth(PLACED_AT_A_TIME).copied();
        let rest = rest.map(|first| self.due.split_off(&first)).unwrap_or_default();
        let now = std::mem::replace(&mut self.due, rest);
        let mut ways = Ways::default();
        for key in now {
            self.place(engine, shared, key, &mut ways);
        }
        !self.due.is_empty()
    }

    fn place(&mut self, engine: &NetEngine, shared: &Shared, key: SessionKey, ways: &mut Ways) {
        if engine.session(key).is_none() {
            return;
        }
        let planned = self.plan(engine, shared, key, ways);
        let result = planned.and_then(|plan| self.ride(key, plan));
        if let Err(reason) = result {
            self.leave(key);
            self.places.entry(key).or_default().reason = reason;
        }
    }

    fn plan(
        &mut self,
        engine: &NetEngine,
        shared: &Shared,
        key: SessionKey,
        ways: &mut Ways,
    ) -> Result<Plan, Reason> {
        let wanted = self.placement(key).wanted;
        if wanted == Path::User {
            return Err("the user path was asked for".into());
        }
        let carriage = engine.carriage(key).ok_or("it has ended")?.map_err(|unfit| unfit.to_string())?;
        let device = match carriage.pw_type {
            PwType::Ppp if wanted == Path::Auto => return Err(UNSEEN.into()),
            PwType::Ppp => unit_index(shared, key)?,
            _ => {
                let device = engine.session(key).and_then(|session| session.device.as_ref());
                let lower = lower_of(device)?;
                if !self.devices.contains_key(&lower) {
                    return Err("the TAP below its device was moved away".into());
                }
                lower
            }
        };
        plan(&carriage, device, |local, peer| ways.find(&mut self.rtnl, local, peer))
    }

    /// Has the programs carry a session as planned.
    fn ride(&mut self, key: SessionKey, plan: Plan) -> Result<(), Reason> {
        let device = unit_of(&plan.session);
        if let Some(device) = device {
            self.take_unit(key, device)?;
        }
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
        if let Some(old) = place.ride(Ride { handle, session: plan.session.clone(), hop: plan.hop }) {
            unlist(&mut self.by_hop, old.hop, key);
            unit_of(&old.session).map(|device| self.units.remove(&device));
        }
        self.units.extend(device.map(|device| (device, key)));
        self.by_hop.entry(plan.hop).or_default().insert(key);
        if is_cut(&plan.session) {
            self.limit_segments(&plan.session, 1);
        }
        if plan.is_followed {
            self.followed.insert(key);
        }
        Ok(())
    }

    /// Has the programs see what a new pppN sends, which is down. They take nothing of it before a session is inserted; later, it
    /// would lose frames meanwhile.
    pub(crate) fn take_tun(&mut self, device: u32) {
        // Without, its sessions are the workers'.
        if self.programs.attach_tun(device).is_ok() {
            self.tuns.insert(device);
        }
    }

    /// What a unit's device sends is this session's from now on.
    fn take_unit(&mut self, key: SessionKey, device: u32) -> Result<(), Reason> {
        if !self.tuns.contains(&device) {
            return Err("its pppN takes no program, or was moved away".into());
        }
        // One that has left the unit finds its place in a moment.
        if let Some(old) = self.units.get(&device).copied().filter(|old| *old != key) {
            self.leave(old);
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
        unit_of(&ride.session).map(|device| self.units.remove(&device));
        self.leaving.insert(ride.handle, key);
        if is_cut(&ride.session) {
            self.limit_segments(&ride.session, GSO_MAX_SEGS);
        }
    }

    /// Has the network stack cut what a session's device is given. A device that has been moved away stays as it is: what comes uncut is
    /// the workers'.
    fn limit_segments(&mut self, session: &Session, segments: u32) {
        let device = session.tx.as_ref().and_then(|tx| self.devices.get(&tx.device));
        if let Some(upper) = device.and_then(|(_, device)| device.upper.as_ref()) {
            let _: io::Result<()> = self.rtnl.set_gso_max_segs(upper.index, segments);
        }
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
            self.due.extend(self.places.keys());
            for (index, address) in self.by_hop.keys() {
                // One that is not there any more is found out when the sessions are placed.
                let _: io::Result<()> = self.rtnl.use_neighbour(*index, *address);
            }
        }
    }

    /// Finds the place anew of sessions whose pppN may be in another namespace by now, where the programs do not reach it.
    fn doubt_units(&mut self, seen: &Seen) {
        seen.gone.iter().for_each(|index| _ = self.tuns.remove(index));
        if seen.overrun {
            self.tuns.retain(|index| self.rtnl.link(*index).is_ok());
        }
        let gone = seen.gone.iter().filter_map(|index| self.units.get(index)).copied().collect::<Vec<_>>();
        for session in if seen.overrun { self.units.values().copied().collect() } else { gone } {
            self.leave(session);
            self.due.insert(session);
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
        self.doubt_units(&seen);
        for device in seen.links.union(&seen.gone) {
            let towards = self.by_hop.range((*device, FIRST)..=(*device, LAST));
            self.due.extend(towards.flat_map(|(_, sessions)| sessions));
        }
        for lower in &seen.gone {
            // Deleted, which its descriptor tells, or moved away, where the programs would do harm.
            let moved = self.devices.remove(lower);
            self.due.extend(moved.map(|(session, _)| session));
        }
        let of_links = seen.links.iter().filter_map(|index| self.devices.get(index));
        let all: Vec<_> = match seen.overrun {
            true => self.devices.values().cloned().collect(),
            false => of_links.cloned().collect(),
        };
        let mut is_alone = |device: &Device| self.rtnl.has_upper(device.tap.index()).is_ok_and(|has| !has);
        all.into_iter().filter(|(_, device)| is_alone(device)).collect()
    }
}

/// Why BPF programs cannot carry sessions in the namespace of the calling thread; nothing if they can.
#[must_use]
pub fn why_no_bpf() -> Option<String> {
    if let Err(missing) = FastPath::load() {
        return Some(missing.to_string());
    }
    let has_macvlan = Rtnl::open().and_then(|mut rtnl| rtnl.has_macvlan());
    has_macvlan.is_ok_and(|has| !has).then(|| "this kernel has no macvlan (CONFIG_MACVLAN)".to_owned())
}

/// Whether super-frames must be cut before: the kernel cuts nothing behind protocol 115.
fn is_cut(session: &Session) -> bool {
    session.carrier == Carrier::Ip
}

fn unlist(by_hop: &mut BTreeMap<Hop, BTreeSet<SessionKey>>, hop: Hop, key: SessionKey) {
    if let Some(keys) = by_hop.get_mut(&hop) {
        keys.remove(&key);
        if keys.is_empty() {
            by_hop.remove(&hop);
        }
    }
}

/// The index of a PPP session's pppN.
fn unit_index(shared: &Shared, key: SessionKey) -> Result<u32, Reason> {
    let state = lock(&shared.ppp);
    let device = state.plain_device(key).map_err(|unfit| unfit.to_string())?;
    Ok(device.tap.index())
}

/// The index of pppN, if the session carries PPP.
fn unit_of(session: &Session) -> Option<u32> {
    let device = session.tx.as_ref().map(|tx| tx.device);
    device.filter(|_| session.payload == Payload::Ppp)
}

fn carried(counters: Counters) -> Carried {
    let Counters { rx_packets, rx_bytes, tx_packets, tx_bytes } = counters;
    Carried { rx_packets, rx_bytes, tx_packets, tx_bytes }
}
