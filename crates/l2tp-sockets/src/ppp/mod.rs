//! The generic PPP layer (`drivers/net/ppp/ppp_generic.c`): channels to peers, units with a network device each, and the open
//! files of `/dev/ppp` through which a program sees both.
//!
//! | room | what |
//! |---|---|
//! | [`Ppp`] | all of a namespace: opening, closing, what is waiting |
//! | `ioctl` | what a file is asked, in each of its states |
//! | `link` | channels and units: made, joined, bridged, dead |
//! | `carriage` | whose packets a path below may carry, and what it has carried |
//! | `route` | where a frame goes: to a program, to the network, to the peer, across a bridge |
//!
//! Frames begin with their protocol; the two bytes `FF 03` in front belong to L2TP's side. What a frame's way ends in is told
//! to the caller, who holds the bytes: nothing is copied but what waits for a program.
//!
//! Compression, of TCP headers too, multilink and packet filters are not here: a kernel that was built without them is what
//! programs see.

mod carriage;
mod ioctl;
mod link;
mod queue;
mod route;
mod unit;

pub use carriage::Unfit;
pub use queue::QUEUE_MAX;
pub use route::{Received, Sent};

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;
use l2tp_abi::Errno;
use l2tp_abi::ppp::{SC_LOOP_TRAFFIC, UnitStats};
use l2tp_core::SessionKey;
use l2tp_core::slots::{Key, Slots};

use link::Channel;
use unit::Unit;

/// Files that may be open.
pub const FILES_MAX: usize = 1 << 18;
/// Bytes of all frames that wait for programs.
pub const QUEUED_BYTES_MAX: usize = 64 << 20;

/// Names an open file of `/dev/ppp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileKey(pub Key);

/// Names a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChannelKey(pub Key);

/// Names a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UnitKey(pub Key);

/// The network devices of units.
pub trait Devices {
    /// Makes the device of a unit, `pppN` of its number, down.
    ///
    /// # Errors
    /// `EEXIST` for a name in use, or what the system answered.
    fn create(&mut self, unit: UnitKey, number: u32) -> Result<(), Errno>;

    /// Removes the device of a unit that is dead.
    fn destroy(&mut self, unit: UnitKey);
}

/// Files, channels and units of a namespace.
#[derive(Debug, Default)]
pub struct Ppp {
    files: Slots<File>,
    channels: Slots<Channel>,
    units: Slots<Unit>,
    channel_indices: BTreeMap<u32, ChannelKey>,
    /// Those that live.
    unit_numbers: BTreeMap<u32, UnitKey>,
    last_channel_index: u32,
    /// No number below it is free.
    lowest_unit: u32,
    /// Bytes of all queues.
    queued_bytes: usize,
    /// What [`Ppp::take_changed`] is to tell.
    changed: BTreeSet<SessionKey>,
}

/// What an open file stands for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum File {
    /// Nothing yet.
    #[default]
    Fresh,
    Channel(ChannelKey),
    Unit(UnitKey),
}

/// What `read` gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Read {
    /// A frame.
    Frame(Vec<u8>),
    /// The end: the channel is dead, or the unit has no channel.
    End,
    /// Nothing yet: the program waits, or gets `EAGAIN`.
    Nothing,
}

/// What `poll` gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readiness {
    /// `POLLIN`: a frame, or the end of a unit without channel.
    pub readable: bool,
    /// `POLLOUT`.
    pub writable: bool,
    /// `POLLHUP`: the channel or unit is dead.
    pub hung_up: bool,
}

impl Ppp {
    /// Opens `/dev/ppp`.
    ///
    /// # Errors
    /// `EPERM` for a caller that may not administer the network namespace, `ENFILE` when too many are open.
    pub fn open(&mut self, privileged: bool) -> Result<FileKey, Errno> {
        if !privileged {
            return Err(Errno::EPERM);
        }
        if self.files.len() >= FILES_MAX {
            return Err(Errno::ENFILE);
        }
        Ok(FileKey(self.files.insert(File::Fresh)))
    }

    /// The last `close` of a file. A unit dies with the file that made it.
    pub fn close(&mut self, devices: &mut impl Devices, file: FileKey) {
        match self.files.remove(file.0) {
            Some(File::Channel(key)) => {
                if let Some(channel) = self.channels.get_mut(key.0) {
                    channel.files.retain(|other| *other != file);
                }
                self.forget_channel(key);
            }
            Some(File::Unit(key)) => {
                let owned = self.units.get_mut(key.0).is_some_and(|unit| {
                    unit.files.retain(|other| *other != file);
                    unit.owner == Some(file)
                });
                if owned {
                    self.kill_unit(devices, key);
                }
                self.forget_unit(key);
            }
            Some(File::Fresh) | None => {}
        }
    }

    /// `read` into a buffer of `room` bytes.
    ///
    /// # Errors
    /// `ENXIO` on a fresh file, `EBADF` without one; `EOVERFLOW` for a frame that is longer than the buffer, which is lost.
    pub fn read(&mut self, file: FileKey, room: usize) -> Result<Read, Errno> {
        let (frame, at_end) = match self.file(file)? {
            File::Fresh => return Err(Errno::ENXIO),
            File::Channel(key) => {
                let channel = self.channels.get_mut(key.0).ok_or(Errno::ENXIO)?;
                (channel.queue.pop(), channel.is_dead())
            }
            File::Unit(key) => {
                let unit = self.units.get_mut(key.0).ok_or(Errno::ENXIO)?;
                (unit.queue.pop(), unit.owner.is_none() || unit.is_idle())
            }
        };
        let Some(frame) = frame else { return Ok(if at_end { Read::End } else { Read::Nothing }) };
        self.queued_bytes -= frame.len();
        if frame.len() > room { Err(Errno::EOVERFLOW) } else { Ok(Read::Frame(frame)) }
    }

    /// `poll`. A fresh file is ready for nothing.
    #[must_use]
    pub fn poll(&self, file: FileKey) -> Readiness {
        match self.file(file) {
            Ok(File::Channel(key)) => self.channels.get(key.0).map_or(Readiness::default(), |channel| {
                Readiness { readable: !channel.queue.is_empty(), writable: true, hung_up: channel.is_dead() }
            }),
            Ok(File::Unit(key)) => self.units.get(key.0).map_or(Readiness::default(), |unit| Readiness {
                readable: !unit.queue.is_empty() || unit.is_idle(),
                writable: true,
                hung_up: unit.owner.is_none(),
            }),
            _ => Readiness::default(),
        }
    }

    /// The counters of unit `number`, for `SIOCGPPPSTATS` on its device. `None` if there is none.
    #[must_use]
    pub fn unit_stats(&self, number: u32) -> Option<UnitStats> {
        let key = self.unit_numbers.get(&number)?;
        self.units.get(key.0).map(|unit| unit.stats)
    }

    /// The number of a unit that lives.
    #[must_use]
    pub fn unit_number(&self, unit: UnitKey) -> Option<u32> {
        self.units.get(unit.0).filter(|unit| unit.owner.is_some()).map(|unit| unit.number)
    }

    /// The number of the unit that a channel has joined.
    #[must_use]
    pub fn unit_of(&self, channel: ChannelKey) -> Option<u32> {
        self.unit_number(self.channels.get(channel.0)?.unit()?)
    }

    /// Files, channels and units: how many there are.
    #[must_use]
    pub fn counts(&self) -> (usize, usize, usize) {
        (self.files.len(), self.channels.len(), self.units.len())
    }

    /// Bytes of the frames that wait for programs.
    #[must_use]
    pub const fn queued_bytes(&self) -> usize {
        self.queued_bytes
    }

    /// The open files that read what waits for a channel's program.
    #[must_use]
    pub fn channel_files(&self, channel: ChannelKey) -> &[FileKey] {
        self.channels.get(channel.0).map_or(&[], |channel| &channel.files)
    }

    /// The open files that see what becomes of a channel: its own, and those of the unit that it has joined.
    #[must_use]
    pub fn witnesses(&self, channel: ChannelKey) -> Vec<FileKey> {
        let unit = self.channels.get(channel.0).and_then(Channel::unit);
        let of_unit = unit.map_or(&[][..], |unit| self.unit_files(unit));
        [self.channel_files(channel), of_unit].concat()
    }

    /// The open files that stand for the same channel or unit as `file`, itself included, and for a channel those of its unit.
    #[must_use]
    pub fn companions(&self, file: FileKey) -> Vec<FileKey> {
        match self.file(file) {
            Ok(File::Channel(channel)) => self.witnesses(channel),
            Ok(File::Unit(unit)) => self.unit_files(unit).to_vec(),
            Ok(File::Fresh) | Err(_) => Vec::new(),
        }
    }

    /// The open files that read what waits for a unit's program.
    #[must_use]
    pub fn unit_files(&self, unit: UnitKey) -> &[FileKey] {
        self.units.get(unit.0).map_or(&[], |unit| &unit.files)
    }

    fn file(&self, file: FileKey) -> Result<File, Errno> {
        self.files.get(file.0).copied().ok_or(Errno::EBADF)
    }
}

impl Unit {
    /// Without a channel, and not waiting for traffic that would be a reason to dial: its program reads the end.
    fn is_idle(&self) -> bool {
        self.channels.is_empty() && self.flags & SC_LOOP_TRAFFIC == 0
    }
}
