//! What the workers of a namespace share: the engine behind its lock, who watches what, and a few counters.

use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use l2tp_core::{Engine, SessionKey, TunnelKey};
use l2tp_io::limits::leave_some_descriptors;
use l2tp_io::poller::{Interest, Poller, Waker};
use l2tp_io::rawip::RawSocket;
use l2tp_io::rawudp::RawUdp;
use l2tp_sockets::ppp::UnitKey;

use crate::device::Device;
use crate::held::{Held, Longest};
use crate::l2tpip::L2tpip;
use crate::loss::LossCounters;
use crate::managed::Managed;
use crate::ppp::PppState;
use crate::socket::TunnelSocket;

/// An engine on real sockets and devices.
pub type NetEngine = Engine<Arc<TunnelSocket>, Arc<Device>>;

/// The token of a station's waker.
pub(crate) const WAKE: u64 = 0;

/// Where packets and frames come from.
#[derive(Clone)]
pub(crate) enum Source {
    /// The UDP socket of a tunnel.
    Udp(Arc<TunnelSocket>, TunnelKey),
    /// The raw socket of a family, for all tunnels over IP.
    Raw(Arc<RawSocket>),
    /// The raw socket of a family beside the sockets of programs.
    Managed(Arc<RawUdp>),
    /// A queue of the device of a session.
    Device(Arc<Device>, SessionKey, usize),
    /// A queue of the device of a PPP unit.
    Unit(Arc<Device>, UnitKey, usize),
}

/// What one worker watches.
pub(crate) struct Station {
    pub(crate) poller: Poller,
    pub(crate) waker: Waker,
    sources: Mutex<HashMap<u64, Source>>,
}

impl Station {
    fn new() -> io::Result<Self> {
        let station = Self { poller: Poller::new()?, waker: Waker::new()?, sources: Mutex::default() };
        station.poller.add(&station.waker, WAKE, Interest::Read)?;
        Ok(station)
    }

    /// The source behind a token, unless it was forgotten meanwhile.
    pub(crate) fn source(&self, token: u64) -> Option<Source> {
        lock(&self.sources).get(&token).cloned()
    }
}

/// Says which worker watches a descriptor, and as what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Watch {
    station: usize,
    token: u64,
}

/// How often management looks whether packets still wait.
const TURNS: usize = 1000;

pub(crate) struct Shared {
    engine: Mutex<NetEngine>,
    /// Taken after the engine's lock where both are needed.
    pub(crate) l2tpip: Mutex<L2tpip>,
    /// Taken after the engine's lock where both are needed.
    pub(crate) ppp: Mutex<PppState>,
    pub(crate) stations: Vec<Station>,
    pub(crate) losses: LossCounters,
    pub(crate) longest: Longest,
    /// Workers that wait for the engine.
    waiting: AtomicUsize,
    pub(crate) managed: Arc<Managed>,
    /// Sessions whose device somebody else deleted.
    lost: Mutex<Vec<SessionKey>>,
    /// PPP units in the same case.
    lost_units: Mutex<Vec<UnitKey>>,
    pub(crate) alarm: Waker,
    next_token: AtomicU64,
    next_station: AtomicUsize,
    stopping: AtomicBool,
}

impl Shared {
    pub(crate) fn new(workers: usize) -> io::Result<Self> {
        Ok(Self {
            engine: Mutex::default(),
            l2tpip: Mutex::default(),
            ppp: Mutex::default(),
            stations: (0..workers).map(|_| Station::new()).collect::<io::Result<_>>()?,
            losses: LossCounters::default(),
            longest: Longest::default(),
            waiting: AtomicUsize::new(0),
            managed: Arc::new(Managed::new()),
            lost: Mutex::default(),
            lost_units: Mutex::default(),
            alarm: Waker::new()?,
            next_token: AtomicU64::new(WAKE + 1),
            next_station: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
        })
    }

    /// The engine for a worker, who has packets.
    pub(crate) fn engine(&self) -> MutexGuard<'_, NetEngine> {
        if let Ok(engine) = self.engine.try_lock() {
            return engine;
        }
        self.waiting.fetch_add(1, Ordering::Relaxed);
        let engine = lock(&self.engine);
        self.waiting.fetch_sub(1, Ordering::Relaxed);
        engine
    }

    /// The engine for management, which comes again and again while it tells a long dump: packets that wait go first.
    pub(crate) fn engine_after_packets(&self) -> Held<'_> {
        // Whoever waits has been woken and takes the lock soon; should it not, nobody is served by waiting for it.
        for _ in 0..TURNS {
            if self.waiting.load(Ordering::Relaxed) == 0 {
                break;
            }
            std::thread::yield_now();
        }
        Held::new(lock(&self.engine), &self.longest)
    }

    /// Gives a source to the workers in turn, so that a tunnel's socket and its device meet different ones. `EMFILE` when its descriptor is one
    /// of the last.
    pub(crate) fn watch(&self, fd: impl AsFd, source: Source) -> io::Result<Watch> {
        leave_some_descriptors(&fd)?;
        let token = self.next_token.fetch_add(1, Ordering::Relaxed);
        let station = self.next_station.fetch_add(1, Ordering::Relaxed) % self.stations.len();
        let watch = Watch { station, token };
        if let Some(station) = self.stations.get(station) {
            lock(&station.sources).insert(token, source);
            if let Err(error) = station.poller.add(fd, token, Interest::Read) {
                lock(&station.sources).remove(&token);
                return Err(error);
            }
        }
        Ok(watch)
    }

    /// Takes a source away. A worker may be in the middle of it and finishes.
    pub(crate) fn forget(&self, fd: impl AsFd, watch: Watch) {
        let Some(station) = self.stations.get(watch.station) else { return };
        // A device that was deleted has left the set by itself.
        let _: io::Result<()> = station.poller.remove(fd);
        lock(&station.sources).remove(&watch.token);
    }

    /// Gives the queues of a device to as many workers; `source` says what each is.
    pub(crate) fn watch_device(&self, device: &Device, source: impl Fn(usize) -> Source) -> io::Result<()> {
        // Held until it is whole: a worker may find the device deleted before.
        let mut watches = lock(&device.watches);
        for (number, queue) in device.tap.queues().enumerate() {
            match self.watch(queue, source(number)) {
                Ok(watch) => watches.push(watch),
                Err(error) => {
                    drop(watches);
                    self.forget_device(device);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Takes a device from the workers; says whether they had it.
    pub(crate) fn forget_device(&self, device: &Device) -> bool {
        let watches = std::mem::take(&mut *lock(&device.watches));
        for (queue, watch) in device.tap.queues().zip(&watches) {
            self.forget(queue, *watch);
        }
        !watches.is_empty()
    }

    /// Stops watching a device that cannot be read any more, and tells the owner of the data path. All workers that read from it
    /// come here; the first is enough.
    pub(crate) fn lose_device(&self, device: &Device, session: SessionKey) {
        if self.forget_device(device) {
            lock(&self.lost).push(session);
            self.raise_alarm();
        }
    }

    /// The same for the device of a PPP unit.
    pub(crate) fn lose_unit(&self, device: &Device, unit: UnitKey) {
        if self.forget_device(device) {
            lock(&self.lost_units).push(unit);
            self.raise_alarm();
        }
    }

    fn raise_alarm(&self) {
        // As in `stop`.
        let _: io::Result<()> = self.alarm.wake();
    }

    pub(crate) fn take_lost_units(&self) -> Vec<UnitKey> {
        std::mem::take(&mut lock(&self.lost_units))
    }

    pub(crate) fn take_lost(&self) -> Vec<SessionKey> {
        std::mem::take(&mut lock(&self.lost))
    }

    pub(crate) fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        for station in &self.stations {
            // Waking fails only without a counter to set, which the station has.
            let _: io::Result<()> = station.waker.wake();
        }
    }

    pub(crate) fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }
}

/// A lock whose holder panicked guards values that are whole: nothing here is left half changed.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// As [`lock`].
pub(crate) fn read_lock<T>(value: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    value.read().unwrap_or_else(PoisonError::into_inner)
}

/// As [`lock`].
pub(crate) fn write_lock<T>(value: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    value.write().unwrap_or_else(PoisonError::into_inner)
}
