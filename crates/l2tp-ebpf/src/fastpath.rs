//! [`FastPath`]: the programs in the kernel, and what they know.

use std::collections::HashMap;
use std::{fmt, io};

use aya::programs::TcAttachType;
use aya::{Ebpf, EbpfError, include_bytes_aligned};

use crate::attach::{Attached, filter_for_life, has_tcx, program};
use crate::layout::{self, RxKey, RxSession, TxSession};
use crate::maps::{Maps, patiently};
use crate::{Counters, Refused, Session, Unavailable, entry, grace};

/// The most sessions that the fast path of a namespace carries.
pub const SESSIONS_MAX: u32 = layout::SESSIONS_MAX;

/// `BPF_ANY` and `BPF_NOEXIST`, include/uapi/linux/bpf.h.
const ANY: u64 = 0;
const NEW: u64 = 1;

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
pub struct FastPath {
    pub(crate) ebpf: Ebpf,
    maps: Maps,
    tx: Attached,
    rx: Attached,
    sessions: HashMap<Handle, Keys>,
    retired: Vec<Handle>,
    next_handle: u32,
}

/// Where a session is in the maps.
#[derive(Clone, Copy, Default)]
struct Keys {
    tx: Option<u32>,
    rx: Option<RxKey>,
}

/// What a session is in the maps.
#[derive(Clone, Copy)]
struct Entries {
    tx: Option<(u32, TxSession)>,
    rx: Option<(RxKey, RxSession)>,
}

impl fmt::Debug for FastPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FastPath").field("sessions", &self.sessions.len()).finish_non_exhaustive()
    }
}

impl FastPath {
    /// Loads the programs. They see nothing until they are attached.
    ///
    /// # Errors
    /// [`Unavailable`] says what is missing.
    pub fn load() -> Result<Self, Unavailable> {
        Ok(Self::load_programs()?)
    }

    fn load_programs() -> Result<Self, EbpfError> {
        let mut ebpf = Ebpf::load(include_bytes_aligned!("../object/l2tp.o"))?;
        for name in ["l2tp_tx", "l2tp_cut", "l2tp_rx", "l2tp_below", "l2tp_above"] {
            program(&mut ebpf, name)?.load()?;
        }
        Ok(Self {
            maps: Maps::take(&mut ebpf)?,
            ebpf,
            tx: Attached::new("l2tp_tx"),
            rx: Attached::new("l2tp_rx"),
            sessions: HashMap::new(),
            retired: Vec::new(),
            next_handle: 0,
        })
    }

    /// Takes messages that arrive at a device, one with Ethernet headers as `lo` has them, too; those of others are left alone. Nothing changes if it does so
    /// already.
    ///
    /// # Errors
    /// The kernel's, ENODEV if there is no such device.
    pub fn watch_underlay(&mut self, ifindex: u32) -> io::Result<()> {
        self.rx.attach(&mut self.ebpf, ifindex, TcAttachType::Ingress)
    }

    /// Takes no more messages that arrive at a device.
    pub fn leave_underlay(&mut self, ifindex: u32) {
        self.rx.detach(ifindex);
    }

    /// Takes frames that come by at `hook` of a device, if a session with [`Tx`](crate::Tx) names it.
    ///
    /// # Errors
    /// The kernel's, ENODEV if there is no such device.
    pub fn attach_device(&mut self, ifindex: u32, hook: Hook) -> io::Result<()> {
        let hook = match hook {
            Hook::Ingress => TcAttachType::Ingress,
            Hook::Egress => TcAttachType::Egress,
        };
        self.tx.attach(&mut self.ebpf, ifindex, hook)
    }

    /// Takes frames that a macvlan in passthru mode sends by the TAP below it, and has what arrives by way of that TAP arrive at the macvlan as
    /// it would at any device, once [`Self::above`] is attached too. For as long as the devices live: nothing has to be detached.
    ///
    /// # Errors
    /// The kernel's, ENODEV if there is no such device.
    pub fn attach_passthru(&mut self, below: u32, above: u32) -> io::Result<()> {
        filter_for_life(&mut self.ebpf, "l2tp_tx", below, TcAttachType::Egress)?;
        filter_for_life(&mut self.ebpf, "l2tp_below", below, TcAttachType::Ingress)?;
        if has_tcx() {
            return Ok(());
        }
        filter_for_life(&mut self.ebpf, "l2tp_above", above, TcAttachType::Ingress)
    }

    /// Takes pieces of super-frames where they come out of a device that cuts them: `end` is the other end of a veth whose near end, which
    /// [`Tx::cutter`](crate::Tx::cutter) names, has no segmentation offload for TCP. For as long as that lives.
    ///
    /// # Errors
    /// The kernel's, ENODEV if there is no such device.
    pub fn attach_cutter(&mut self, end: u32) -> io::Result<()> {
        filter_for_life(&mut self.ebpf, "l2tp_cut", end, TcAttachType::Ingress)
    }

    /// Takes packets that the network sends by a device without link layer, a TUN, if a session with [`Tx`](crate::Tx) names it. For as long as the device
    /// lives in this namespace: to be called once, and before it is up, for one that is up loses frames meanwhile.
    ///
    /// # Errors
    /// The kernel's, ENODEV if there is no such device.
    pub fn attach_tun(&mut self, ifindex: u32) -> io::Result<()> {
        filter_for_life(&mut self.ebpf, "l2tp_tx", ifindex, TcAttachType::Egress)
    }

    /// Takes no more frames of a device. One that is gone does not need it, but it gives a descriptor back.
    pub fn detach_device(&mut self, ifindex: u32) {
        self.tx.detach(ifindex);
    }

    /// Carries a session from now on.
    ///
    /// # Errors
    /// [`Refused`]; nothing has changed then.
    pub fn insert(&mut self, session: &Session) -> Result<Handle, Refused> {
        if self.sessions.len() >= SESSIONS_MAX as usize {
            return Err(Refused::Full(SESSIONS_MAX));
        }
        let handle = Handle(self.next_handle);
        let entries = Entries::new(session, handle)?;
        self.maps.start_counters(handle.0)?;
        if let Err(refused) = self.put(handle, &entries) {
            self.maps.end_counters(handle.0);
            return Err(refused);
        }
        self.next_handle = self.next_handle.wrapping_add(1);
        Ok(handle)
    }

    /// Changes what is known of a session, its route for example. Each frame sees the old or the new, and none is lost.
    ///
    /// # Errors
    /// [`Refused`]; the session is then carried as before. ENOENT for one that is gone.
    pub fn replace(&mut self, handle: Handle, session: &Session) -> Result<(), Refused> {
        if !self.sessions.contains_key(&handle) {
            return Err(io::Error::from_raw_os_error(libc::ENOENT).into());
        }
        let entries = Entries::new(session, handle)?;
        self.put(handle, &entries)
    }

    /// What has been carried of a session so far, all CPUs together; zeros for one that is gone.
    #[must_use]
    pub fn counters(&self, handle: Handle) -> Counters {
        self.maps.counters(handle.0)
    }

    /// Carries no more frames of a session: the next one is the user path's. At once; frames that are in a program at this moment still pass, and are
    /// in what [`Self::settle`] counts.
    pub fn retire(&mut self, handle: Handle) {
        let Some(keys) = self.sessions.remove(&handle) else { return };
        self.forget(keys);
        self.retired.push(handle);
    }

    /// Forgets the retired sessions and returns what was carried of each, to the last frame. Waits until no program uses them any more: some
    /// 10 to 30 ms, however many they are; not at all if there are none.
    pub fn settle(&mut self) -> Vec<(Handle, Counters)> {
        if self.retired.is_empty() {
            return Vec::new();
        }
        grace::wait_for_programs();
        let retired = std::mem::take(&mut self.retired);
        let maps = &mut self.maps;
        let counted = retired.into_iter().map(|handle| {
            let counters = maps.counters(handle.0);
            maps.end_counters(handle.0);
            (handle, counters)
        });
        counted.collect()
    }

    /// [`Self::retire`] and [`Self::settle`] at once: what was carried of a session, and of others that had been retired.
    pub fn remove(&mut self, handle: Handle) -> Vec<(Handle, Counters)> {
        self.retire(handle);
        self.settle()
    }

    /// Puts a session into the maps, or in the place of what it was. On an error it is what it was.
    fn put(&mut self, handle: Handle, entries: &Entries) -> Result<(), Refused> {
        let old = self.sessions.get(&handle).copied().unwrap_or_default();
        let new = entries.keys();
        let before = old.rx.and_then(|key| self.maps.rx.get(&key, ANY).ok());
        if let Some((key, value)) = &entries.rx {
            let mode = if old.rx == Some(*key) { ANY } else { NEW };
            patiently(|| self.maps.rx.insert(key, value, mode)).map_err(taken)?;
        }
        if let Some((key, value)) = &entries.tx {
            let mode = if old.tx == Some(*key) { ANY } else { NEW };
            if let Err(error) = patiently(|| self.maps.tx.insert(key, value, mode)) {
                self.restore(old.rx.zip(before), new.rx);
                return Err(taken(error));
            }
        }
        let left = Keys { tx: old.tx.filter(|_| old.tx != new.tx), rx: old.rx.filter(|_| old.rx != new.rx) };
        self.forget(left);
        self.sessions.insert(handle, new);
        Ok(())
    }

    /// Takes back that `new` was put where `old` was, if anything was there.
    fn restore(&mut self, old: Option<(RxKey, RxSession)>, new: Option<RxKey>) {
        match (old, new) {
            (Some((key, value)), Some(new)) if key == new => {
                // It was there a moment ago, and nobody else writes.
                let _ = patiently(|| self.maps.rx.insert(key, value, ANY));
            }
            (_, rx) => self.forget(Keys { tx: None, rx }),
        }
    }

    fn forget(&mut self, keys: Keys) {
        // What is gone already is what was wanted.
        if let Some(key) = keys.tx {
            let _ = self.maps.tx.remove(&key);
        }
        if let Some(key) = keys.rx {
            let _ = self.maps.rx.remove(&key);
        }
    }
}

impl Entries {
    fn new(session: &Session, handle: Handle) -> Result<Self, Refused> {
        entry::check(session)?;
        let tx = session.tx.as_ref().map(|tx| entry::tx_session(session, tx, handle.0));
        let rx = session.rx.as_ref().map(|rx| entry::rx_session(session, rx, handle.0));
        Ok(Self { tx: tx.transpose()?, rx: rx.transpose()? })
    }

    fn keys(&self) -> Keys {
        Keys { tx: self.tx.map(|(key, _)| key), rx: self.rx.map(|(key, _)| key) }
    }
}

fn taken(error: io::Error) -> Refused {
    match error.raw_os_error() {
        Some(libc::EEXIST) => Refused::Taken,
        Some(libc::E2BIG) => Refused::Full(SESSIONS_MAX),
        _ => Refused::Kernel(error),
    }
}
