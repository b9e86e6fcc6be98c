//! The maps, by which the programs know the sessions.
#![expect(unsafe_code, reason = "the layout of the maps' values is promised to aya")]

use std::io;
use std::thread::sleep;
use std::time::Duration;

use aya::maps::{HashMap, Map, MapData, MapError, PerCpuHashMap, PerCpuValues};
use aya::{Ebpf, Pod};

use crate::Counters;
use crate::layout::{CpuCounters, RxKey, RxSession, TxSession};

/// How often memory is asked for, and how long after each time.
const ATTEMPTS: u32 = 100;
const MOMENT: Duration = Duration::from_millis(1);

// SAFETY: plain numbers in C's layout without gaps.
unsafe impl Pod for TxSession {}
// SAFETY: as above.
unsafe impl Pod for RxKey {}
// SAFETY: as above.
unsafe impl Pod for RxSession {}
// SAFETY: as above.
unsafe impl Pod for CpuCounters {}

/// The maps of one pair of programs.
pub(crate) struct Maps {
    /// The ways out, by device.
    pub(crate) tx: HashMap<MapData, u32, TxSession>,
    /// The ways in, by what messages say.
    pub(crate) rx: HashMap<MapData, RxKey, RxSession>,
    counters: PerCpuHashMap<MapData, u32, CpuCounters>,
}

impl Maps {
    /// Takes the maps of loaded programs.
    pub(crate) fn take(ebpf: &mut Ebpf) -> Result<Self, MapError> {
        Ok(Self {
            tx: take(ebpf, "TX")?.try_into()?,
            rx: take(ebpf, "RX")?.try_into()?,
            counters: take(ebpf, "COUNTERS")?.try_into()?,
        })
    }

    /// Begins to count; every CPU with IPv4 ids of its own.
    pub(crate) fn start_counters(&mut self, handle: u32) -> io::Result<()> {
        let cpus = aya::util::nr_cpus().map_err(|(_, error)| error)?;
        let apart = 0x1_0000 / u64::try_from(cpus).unwrap_or(u64::MAX).max(1);
        let values =
            (0..).map(|cpu| CpuCounters { next_id: cpu * apart, ..CpuCounters::default() }).take(cpus);
        let values = values.collect::<Vec<_>>();
        patiently(|| self.counters.insert(handle, PerCpuValues::try_from(values.clone())?, 0))
    }

    /// What all CPUs have counted.
    pub(crate) fn counters(&self, handle: u32) -> Counters {
        let cpus = self.counters.get(&handle, 0);
        let add = |sum: Counters, cpu: &CpuCounters| sum + Counters::from(*cpu);
        cpus.map_or_else(|_| Counters::default(), |cpus| cpus.iter().fold(Counters::default(), add))
    }

    /// Counts no more.
    pub(crate) fn end_counters(&mut self, handle: u32) {
        // What is gone already is what was wanted.
        let _ = self.counters.remove(&handle);
    }
}

impl From<CpuCounters> for Counters {
    fn from(cpu: CpuCounters) -> Self {
        Self {
            rx_packets: cpu.rx_packets,
            rx_bytes: cpu.rx_bytes,
            tx_packets: cpu.tx_packets,
            tx_bytes: cpu.tx_bytes,
        }
    }
}

fn take(ebpf: &mut Ebpf, name: &str) -> Result<Map, MapError> {
    ebpf.take_map(name).ok_or_else(|| MapError::InvalidName { name: name.to_owned() })
}

/// Changes a map. The kernel takes the memory from a small stock, which it fills up a moment later: where many sessions come at once it is empty now and then.
pub(crate) fn patiently(mut change: impl FnMut() -> Result<(), MapError>) -> io::Result<()> {
    let mut attempts = 1;
    loop {
        match change().map_err(errno) {
            Err(error) if error.raw_os_error() == Some(libc::ENOMEM) && attempts < ATTEMPTS => {}
            result => return result,
        }
        attempts += 1;
        sleep(MOMENT);
    }
}

/// The kernel's error in one of aya's.
pub(crate) fn errno(error: MapError) -> io::Error {
    match error {
        MapError::SyscallError(error) => error.io_error,
        MapError::IoError(error) | MapError::CreateError { io_error: error, .. } => error,
        other => io::Error::other(other),
    }
}
