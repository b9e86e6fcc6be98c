//! The BPF path: which sessions it carries, and what the kernel's programs are told of them.
//!
//! All of this is the management thread's. A session is placed when it is made or changed, and placed anew when routes,
//! neighbours or a program's socket say something else; workers never come here. What the programs do not carry comes by
//! the workers as if there were no programs. [`rides`] finds a session its place, [`news`] puts one in doubt.

mod above;
mod cutter;
mod news;
mod place;
mod plan;
mod rides;
mod ways;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use l2tp_abi::genl::ferrowire::path::Path;
use l2tp_core::SessionKey;
use l2tp_core::carriage::Carried;
use l2tp_core::host::Placement;
use l2tp_ebpf::{Counters, FastPath, Handle};
use l2tp_io::rtnl::{Changes, Rtnl};

use crate::device::{Device, Upper};

use above::Attacher;
use cutter::Cutter;
use place::Place;
use ways::Hop;

/// The programs, and what they carry.
pub(crate) struct BpfPath {
    programs: FastPath,
    /// Who attaches the program of the devices that are seen.
    above: Option<Attacher>,
    /// There as soon as a session over IP has been placed.
    cutter: Option<Cutter>,
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
            cutter: None,
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

fn carried(counters: Counters) -> Carried {
    let Counters { rx_packets, rx_bytes, tx_packets, tx_bytes } = counters;
    Carried { rx_packets, rx_bytes, tx_packets, tx_bytes }
}
