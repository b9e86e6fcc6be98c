//! A namespace with files, channels and units, and devices that are names.

use l2tp_abi::Errno;
use l2tp_abi::ppp::ioctl::{PPPIOCATTACH, PPPIOCATTCHAN, PPPIOCCONNECT, PPPIOCGUNIT, PPPIOCNEWUNIT};
use l2tp_core::slots::Key;
use l2tp_core::{Instant, SessionKey};
use l2tp_sockets::ppp::{ChannelKey, Devices, FileKey, Ppp, Read, UnitKey};
use std::collections::BTreeMap;

/// The devices that there are, and numbers whose names somebody else has.
#[derive(Default)]
pub(crate) struct Names {
    pub(crate) taken: Vec<u32>,
    pub(crate) devices: BTreeMap<UnitKey, u32>,
}

impl Devices for Names {
    fn create(&mut self, unit: UnitKey, number: u32) -> Result<(), Errno> {
        if self.taken.contains(&number) || self.devices.values().any(|other| *other == number) {
            return Err(Errno::EEXIST);
        }
        assert_eq!(self.devices.insert(unit, number), None);
        Ok(())
    }

    fn destroy(&mut self, unit: UnitKey) {
        assert!(self.devices.remove(&unit).is_some());
    }
}

#[derive(Default)]
pub(crate) struct Lab {
    pub(crate) ppp: Ppp,
    pub(crate) names: Names,
    pub(crate) now: Instant,
}

/// The session of that number.
pub(crate) fn session(number: u64) -> SessionKey {
    SessionKey(Key::from_bits(number))
}

pub(crate) fn int(value: i32) -> [u8; 4] {
    value.to_ne_bytes()
}

impl Lab {
    pub(crate) fn open(&mut self) -> FileKey {
        self.ppp.open(true).unwrap()
    }

    pub(crate) fn ioctl(&mut self, file: FileKey, cmd: u32, argument: &[u8]) -> Result<Vec<u8>, Errno> {
        self.ppp.ioctl(&mut self.names, file, cmd, argument, self.now)
    }

    /// A request with a number; the number that comes back, or 0.
    pub(crate) fn ask(&mut self, file: FileKey, cmd: u32, value: i32) -> Result<i32, Errno> {
        let answer = self.ioctl(file, cmd, &int(value))?;
        Ok(answer.try_into().map_or(0, i32::from_ne_bytes))
    }

    pub(crate) fn close(&mut self, file: FileKey) {
        self.ppp.close(&mut self.names, file);
    }

    /// The file of a new unit with this number.
    pub(crate) fn unit(&mut self, number: i32) -> FileKey {
        let file = self.open();
        assert_eq!(self.ask(file, PPPIOCNEWUNIT, number), Ok(number));
        file
    }

    /// Another file of a unit.
    pub(crate) fn attached(&mut self, number: i32) -> FileKey {
        let file = self.open();
        self.ask(file, PPPIOCATTACH, number).unwrap();
        file
    }

    /// A channel that sends to session `number`, and its file.
    pub(crate) fn channel(&mut self, number: u64) -> (ChannelKey, FileKey) {
        let channel = self.ppp.register_channel(session(number));
        let file = self.open();
        let index = self.index(channel);
        self.ask(file, PPPIOCATTCHAN, index).unwrap();
        (channel, file)
    }

    pub(crate) fn index(&self, channel: ChannelKey) -> i32 {
        i32::try_from(self.ppp.channel_index(channel).unwrap()).unwrap()
    }

    /// Unit 0 with a channel to session 7: channel, its file, the unit's.
    pub(crate) fn link(&mut self) -> (ChannelKey, FileKey, FileKey) {
        let unit = self.unit(0);
        let (channel, file) = self.channel(7);
        assert_eq!(self.ask(file, PPPIOCCONNECT, 0), Ok(0));
        assert_eq!(self.ask(unit, PPPIOCGUNIT, 0), Ok(0));
        (channel, file, unit)
    }

    /// The key of the only unit.
    pub(crate) fn unit_key(&self) -> UnitKey {
        *self.names.devices.keys().next().unwrap()
    }

    pub(crate) fn read(&mut self, file: FileKey) -> Result<Read, Errno> {
        self.ppp.read(file, 1502)
    }

    /// Everything that is left when all is closed must be nothing.
    pub(crate) fn is_clean(&self) -> bool {
        self.ppp.counts() == (0, 0, 0) && self.ppp.queued_bytes() == 0 && self.names.devices.is_empty()
    }
}
