//! Channels and units: how they come, meet, part and go.

use super::queue::FrameQueue;
use super::{ChannelKey, Devices, File, FileKey, Ppp, Unit, UnitKey};
use alloc::vec::Vec;
use l2tp_abi::Errno;
use l2tp_core::{Instant, SessionKey};

/// The number of the last unit that there can be.
const UNIT_MAX: u32 = i32::MAX.cast_unsigned();

/// A channel: the peer's side of PPP.
#[derive(Debug)]
pub(super) struct Channel {
    index: u32,
    /// Where its frames go; `None`: it is dead.
    session: Option<SessionKey>,
    link: Link,
    pub(super) files: Vec<FileKey>,
    pub(super) queue: FrameQueue,
}

/// What a channel is joined to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Nothing,
    Unit(UnitKey),
    Bridge(ChannelKey),
}

impl Channel {
    pub(super) const fn is_dead(&self) -> bool {
        self.session.is_none()
    }

    pub(super) const fn session(&self) -> Option<SessionKey> {
        self.session
    }

    pub(super) const fn unit(&self) -> Option<UnitKey> {
        if let Link::Unit(unit) = self.link { Some(unit) } else { None }
    }

    pub(super) const fn bridge(&self) -> Option<ChannelKey> {
        if let Link::Bridge(other) = self.link { Some(other) } else { None }
    }
}

impl Ppp {
    /// Makes a channel that sends to `session` (`ppp_register_net_channel`).
    pub fn register_channel(&mut self, session: SessionKey) -> ChannelKey {
        let mut index = self.last_channel_index;
        // There are more numbers than channels.
        loop {
            index = if index >= UNIT_MAX { 1 } else { index + 1 };
            if !self.channel_indices.contains_key(&index) {
                break;
            }
        }
        self.last_channel_index = index;
        let (link, files, queue) = (Link::Nothing, Vec::new(), FrameQueue::default());
        let channel = Channel { index, session: Some(session), link, files, queue };
        let key = ChannelKey(self.channels.insert(channel));
        self.channel_indices.insert(index, key);
        key
    }

    /// The channel dies: it leaves its unit or its bridge, and its files hang up (`ppp_unregister_channel`).
    pub fn unregister_channel(&mut self, key: ChannelKey) {
        // Joined to nothing is as good.
        let _ = self.disconnect(key);
        let _ = self.unbridge(key);
        if let Some(channel) = self.channels.get_mut(key.0) {
            channel.session = None;
            self.channel_indices.remove(&channel.index);
        }
        self.forget_channel(key);
    }

    /// The index by which programs name a channel that lives.
    #[must_use]
    pub fn channel_index(&self, key: ChannelKey) -> Option<u32> {
        self.channels.get(key.0).filter(|channel| !channel.is_dead()).map(|channel| channel.index)
    }

    /// Drops a dead channel that no file stands for.
    pub(super) fn forget_channel(&mut self, key: ChannelKey) {
        if self.channels.get(key.0).is_some_and(|channel| channel.is_dead() && channel.files.is_empty())
            && let Some(channel) = self.channels.remove(key.0)
        {
            self.queued_bytes -= channel.queue.bytes();
        }
    }

    /// `PPPIOCATTCHAN`.
    pub(super) fn attach_channel(&mut self, file: FileKey, index: u32) -> Result<(), Errno> {
        let key = *self.channel_indices.get(&index).ok_or(Errno::ENXIO)?;
        self.channels.get_mut(key.0).ok_or(Errno::ENXIO)?.files.push(file);
        self.set_file(file, File::Channel(key))
    }

    /// `PPPIOCCONNECT`.
    pub(super) fn connect(&mut self, key: ChannelKey, number: u32) -> Result<(), Errno> {
        let unit = *self.unit_numbers.get(&number).ok_or(Errno::ENXIO)?;
        let channel = self.channels.get_mut(key.0).ok_or(Errno::ENXIO)?;
        if channel.link != Link::Nothing {
            return Err(Errno::EINVAL);
        }
        if channel.is_dead() {
            return Err(Errno::ENOTCONN);
        }
        channel.link = Link::Unit(unit);
        if let Some(unit) = self.units.get_mut(unit.0) {
            unit.channels.push(key);
        }
        self.note_unit(unit);
        Ok(())
    }

    /// `PPPIOCDISCONN`.
    pub(super) fn disconnect(&mut self, key: ChannelKey) -> Result<(), Errno> {
        let channel = self.channels.get_mut(key.0).ok_or(Errno::EINVAL)?;
        let unit_key = channel.unit().ok_or(Errno::EINVAL)?;
        channel.link = Link::Nothing;
        self.note_unit(unit_key);
        if let Some(unit) = self.units.get_mut(unit_key.0) {
            unit.channels.retain(|other| *other != key);
        }
        self.forget_unit(unit_key);
        Ok(())
    }

    /// `PPPIOCBRIDGECHAN`.
    pub(super) fn bridge(&mut self, key: ChannelKey, index: u32) -> Result<(), Errno> {
        let other = *self.channel_indices.get(&index).ok_or(Errno::ENXIO)?;
        let is_free = |key: ChannelKey| self.channels.get(key.0).is_some_and(|ch| ch.link == Link::Nothing);
        if !is_free(key) || !is_free(other) || key == other {
            return Err(Errno::EALREADY);
        }
        if self.channel_index(key).is_none() {
            return Err(Errno::ENOTCONN);
        }
        for (near, far) in [(key, other), (other, key)] {
            if let Some(channel) = self.channels.get_mut(near.0) {
                channel.link = Link::Bridge(far);
            }
            self.note_channel(near);
        }
        Ok(())
    }

    /// `PPPIOCUNBRIDGECHAN`.
    pub(super) fn unbridge(&mut self, key: ChannelKey) -> Result<(), Errno> {
        let other = self.channels.get(key.0).and_then(Channel::bridge).ok_or(Errno::EINVAL)?;
        for key in [key, other] {
            if let Some(channel) = self.channels.get_mut(key.0) {
                channel.link = Link::Nothing;
            }
            self.note_channel(key);
        }
        Ok(())
    }

    /// `PPPIOCNEWUNIT`: its number.
    pub(super) fn new_unit(
        &mut self,
        devices: &mut impl Devices,
        file: FileKey,
        wanted: Option<u32>,
        now: Instant,
    ) -> Result<u32, Errno> {
        let unit = UnitKey(self.units.vacant_key());
        let number = match wanted {
            Some(number) if self.unit_numbers.contains_key(&number) => return Err(Errno::EEXIST),
            Some(number) => devices.create(unit, number).map(|()| number)?,
            None => self.create_lowest(devices, unit)?,
        };
        let unit = UnitKey(self.units.insert(Unit::new(number, file, now)));
        self.unit_numbers.insert(number, unit);
        self.set_file(file, File::Unit(unit))?;
        Ok(number)
    }

    /// Takes the lowest number that is free here and whose name is free in the namespace.
    fn create_lowest(&mut self, devices: &mut impl Devices, unit: UnitKey) -> Result<u32, Errno> {
        while self.unit_numbers.contains_key(&self.lowest_unit) {
            self.lowest_unit += 1;
        }
        for number in self.lowest_unit..=UNIT_MAX {
            if self.unit_numbers.contains_key(&number) {
                continue;
            }
            match devices.create(unit, number) {
                Err(Errno::EEXIST) => {}
                result => return result.map(|()| number),
            }
        }
        Err(Errno::EEXIST)
    }

    /// `PPPIOCATTACH`.
    pub(super) fn attach_unit(&mut self, file: FileKey, number: u32) -> Result<(), Errno> {
        let key = *self.unit_numbers.get(&number).ok_or(Errno::ENXIO)?;
        self.units.get_mut(key.0).ok_or(Errno::ENXIO)?.files.push(file);
        self.set_file(file, File::Unit(key))
    }

    /// The unit dies. Its channels stay joined to what is left of it until they leave, as in the kernel.
    pub(super) fn kill_unit(&mut self, devices: &mut impl Devices, key: UnitKey) {
        let Some(unit) = self.units.get_mut(key.0) else { return };
        unit.owner = None;
        self.unit_numbers.remove(&unit.number);
        self.lowest_unit = self.lowest_unit.min(unit.number);
        self.note_unit(key);
        devices.destroy(key);
    }

    /// A unit whose device somebody else deleted dies.
    pub fn lose_unit(&mut self, devices: &mut impl Devices, key: UnitKey) {
        if self.unit_number(key).is_some() {
            self.kill_unit(devices, key);
        }
        self.forget_unit(key);
    }

    /// Drops a dead unit to which nothing is joined.
    pub(super) fn forget_unit(&mut self, key: UnitKey) {
        let is_left = |unit: &Unit| unit.owner.is_none() && unit.files.is_empty() && unit.channels.is_empty();
        if self.units.get(key.0).is_some_and(is_left)
            && let Some(unit) = self.units.remove(key.0)
        {
            self.queued_bytes -= unit.queue.bytes();
        }
    }

    fn set_file(&mut self, file: FileKey, state: File) -> Result<(), Errno> {
        *self.files.get_mut(file.0).ok_or(Errno::EBADF)? = state;
        Ok(())
    }
}
