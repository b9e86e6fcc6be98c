//! Who rides: a session gets its place, or leaves it.

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroU32;

use l2tp_abi::genl::ferrowire::path::Path;
use l2tp_core::{Encap, PwType, SessionKey};
use l2tp_ebpf::{Payload, Session};

use super::BpfPath;
use super::cutter::Cutter;
use super::place::Ride;
use super::plan::{Plan, Reason, lower_of, plan};
use super::ways::{Hop, Ways};
use crate::shared::{NetEngine, Shared, lock};

/// Sessions that are placed before packets have their turn.
const PLACED_AT_A_TIME: usize = 16;
/// The kernel takes some 20 ms to say that no program uses a session any more, however many there are: so many are awaited
/// together.
const SETTLED_TOGETHER: usize = 1024;
/// Why PPP is not carried unless that is asked for: its programs stand at pppN itself, for there is no device of that kind to stand
/// above another.
const UNSEEN: &str =
    "what pppN sends would not be seen by tcpdump and its counters: ask for it with ferrowire path bpf";

impl BpfPath {
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
        let mut plan = plan(&carriage, device, |local, peer| ways.find(&mut self.rtnl, local, peer))?;
        if let Some(tx) = plan
            .session
            .tx
            .as_mut()
            .filter(|_| carriage.encap == Encap::Ip && carriage.pw_type != PwType::Ppp)
        {
            tx.cutter = Some(self.cutter()?);
        }
        Ok(plan)
    }

    /// The device that cuts super-frames for sessions over IP, made now if there is none.
    fn cutter(&mut self) -> Result<NonZeroU32, Reason> {
        if let Some(cutter) = &self.cutter {
            return Ok(cutter.near());
        }
        let made = Cutter::make(&mut self.programs);
        let made = made.map_err(|error| format!("no veth could be made to cut super-frames: {error}"))?;
        Ok(self.cutter.insert(made).near())
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
    pub(super) fn leave(&mut self, key: SessionKey) {
        self.followed.remove(&key);
        let Some(place) = self.places.get_mut(&key) else { return };
        let Some(ride) = place.ride.take() else { return };
        self.programs.retire(ride.handle);
        place.left.push(ride.handle);
        unlist(&mut self.by_hop, ride.hop, key);
        unit_of(&ride.session).map(|device| self.units.remove(&device));
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
