//! What the layer should do, said in the plainest way: lists that are searched from end to end.

use l2tp_abi::Errno;
use std::collections::VecDeque;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    Fresh,
    Channel(usize),
    Unit(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Joined {
    No,
    Unit(usize),
    Bridge(usize),
}

/// Places in these lists are never used again.
#[derive(Default)]
pub(crate) struct Model {
    /// `None`: closed.
    files: Vec<Option<State>>,
    channels: Vec<ModelChannel>,
    units: Vec<ModelUnit>,
}

struct ModelChannel {
    alive: bool,
    joined: Joined,
    queue: VecDeque<Vec<u8>>,
}

struct ModelUnit {
    number: i32,
    /// The file that made it.
    owner: usize,
    alive: bool,
    queue: VecDeque<Vec<u8>>,
}

/// Where a frame went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    /// To the peer of the channel in this place.
    Peer(usize),
    Network,
    Program,
    Nobody,
}

/// What came of a read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Got {
    Frame(Vec<u8>),
    End,
    Nothing,
}

type Answer = Result<(), Errno>;

fn push(queue: &mut VecDeque<Vec<u8>>, frame: &[u8]) {
    queue.push_back(frame.to_vec());
    if queue.len() > 32 {
        queue.pop_front();
    }
}

impl Model {
    pub(crate) fn open(&mut self) {
        self.files.push(Some(State::Fresh));
    }

    pub(crate) fn close(&mut self, file: usize) {
        if let Some(Some(State::Unit(unit))) = self.files.get(file).copied()
            && self.units[unit].owner == file
        {
            self.units[unit].alive = false;
        }
        self.files[file] = None;
    }

    pub(crate) fn register(&mut self) {
        self.channels.push(ModelChannel { alive: true, joined: Joined::No, queue: VecDeque::new() });
    }

    pub(crate) fn unregister(&mut self, channel: usize) {
        self.part(channel);
        self.channels[channel].alive = false;
    }

    fn part(&mut self, channel: usize) {
        if let Joined::Bridge(other) = self.channels[channel].joined {
            self.channels[other].joined = Joined::No;
        }
        self.channels[channel].joined = Joined::No;
    }

    pub(crate) fn new_unit(&mut self, file: usize, wanted: i32) -> Result<i32, Errno> {
        self.fresh(file)?;
        let taken = |number: i32| self.units.iter().any(|unit| unit.alive && unit.number == number);
        let number = if wanted < 0 { (0..).find(|number| !taken(*number)).unwrap() } else { wanted };
        if taken(number) {
            return Err(Errno::EEXIST);
        }
        self.files[file] = Some(State::Unit(self.units.len()));
        self.units.push(ModelUnit { number, owner: file, alive: true, queue: VecDeque::new() });
        Ok(number)
    }

    pub(crate) fn attach_unit(&mut self, file: usize, number: i32) -> Answer {
        self.fresh(file)?;
        self.files[file] = Some(State::Unit(self.find_unit(number)?));
        Ok(())
    }

    pub(crate) fn attach_channel(&mut self, file: usize, channel: usize) -> Answer {
        self.fresh(file)?;
        self.living(channel)?;
        self.files[file] = Some(State::Channel(channel));
        Ok(())
    }

    pub(crate) fn connect(&mut self, file: usize, number: i32) -> Answer {
        let channel = self.channel_of(file)?;
        let unit = self.find_unit(number)?;
        let channel = &mut self.channels[channel];
        match (channel.joined, channel.alive) {
            (Joined::No, true) => channel.joined = Joined::Unit(unit),
            (Joined::No, false) => return Err(Errno::ENOTCONN),
            _ => return Err(Errno::EINVAL),
        }
        Ok(())
    }

    pub(crate) fn disconnect(&mut self, file: usize) -> Answer {
        let channel = self.channel_of(file)?;
        let Joined::Unit(_) = self.channels[channel].joined else { return Err(Errno::EINVAL) };
        self.part(channel);
        Ok(())
    }

    pub(crate) fn bridge(&mut self, file: usize, other: usize) -> Answer {
        let channel = self.channel_of(file)?;
        self.living(other)?;
        let free = |channel: usize| self.channels[channel].joined == Joined::No;
        if !free(channel) || !free(other) || channel == other {
            return Err(Errno::EALREADY);
        }
        if !self.channels[channel].alive {
            return Err(Errno::ENOTCONN);
        }
        self.channels[channel].joined = Joined::Bridge(other);
        self.channels[other].joined = Joined::Bridge(channel);
        Ok(())
    }

    pub(crate) fn unbridge(&mut self, file: usize) -> Answer {
        let channel = self.channel_of(file)?;
        let Joined::Bridge(_) = self.channels[channel].joined else { return Err(Errno::EINVAL) };
        self.part(channel);
        Ok(())
    }

    /// A frame from the peer, its protocol of two bytes.
    pub(crate) fn receive(&mut self, channel: usize, frame: &[u8]) -> Way {
        if !self.channels[channel].alive {
            return Way::Nobody;
        }
        let link_protocol = frame[0] >= 0xc0;
        match self.channels[channel].joined {
            Joined::Bridge(other) => Way::Peer(other),
            Joined::Unit(unit) if !link_protocol => match (self.units[unit].alive, frame[0]) {
                (false, _) => Way::Nobody,
                (true, 0) => Way::Network,
                (true, _) => {
                    push(&mut self.units[unit].queue, frame);
                    Way::Program
                }
            },
            _ => {
                push(&mut self.channels[channel].queue, frame);
                Way::Program
            }
        }
    }

    pub(crate) fn write(&self, file: usize) -> Result<Way, Errno> {
        Ok(match self.files[file].ok_or(Errno::EBADF)? {
            State::Fresh => return Err(Errno::ENXIO),
            State::Channel(channel) if self.channels[channel].alive => Way::Peer(channel),
            State::Channel(_) => Way::Nobody,
            State::Unit(unit) => self.first_channel(unit).map_or(Way::Nobody, Way::Peer),
        })
    }

    pub(crate) fn read(&mut self, file: usize) -> Result<Got, Errno> {
        let (frame, ended) = match self.files[file].ok_or(Errno::EBADF)? {
            State::Fresh => return Err(Errno::ENXIO),
            State::Channel(at) => {
                let channel = &mut self.channels[at];
                (channel.queue.pop_front(), !channel.alive)
            }
            State::Unit(at) => {
                let joined = self.channels.iter().any(|channel| channel.joined == Joined::Unit(at));
                let unit = &mut self.units[at];
                (unit.queue.pop_front(), !unit.alive || !joined)
            }
        };
        Ok(frame.map_or(if ended { Got::End } else { Got::Nothing }, Got::Frame))
    }

    /// The only channel of a unit, for models in which a unit has one at most.
    fn first_channel(&self, unit: usize) -> Option<usize> {
        let mut joined =
            (0..self.channels.len()).filter(|at| self.channels[*at].joined == Joined::Unit(unit));
        if self.units[unit].alive { joined.next() } else { None }
    }

    /// Whether a unit that lives has this number and a channel already.
    pub(crate) fn has_channel(&self, number: i32) -> bool {
        let unit = self.units.iter().position(|unit| unit.alive && unit.number == number);
        unit.is_some_and(|unit| self.channels.iter().any(|channel| channel.joined == Joined::Unit(unit)))
    }

    pub(crate) fn files(&self) -> usize {
        self.files.len()
    }

    pub(crate) fn channels(&self) -> usize {
        self.channels.len()
    }

    pub(crate) fn open_files(&self) -> usize {
        self.files.iter().flatten().count()
    }

    fn fresh(&self, file: usize) -> Answer {
        match self.files[file].ok_or(Errno::EBADF)? {
            State::Fresh => Ok(()),
            _ => Err(Errno::ENOTTY),
        }
    }

    fn channel_of(&self, file: usize) -> Result<usize, Errno> {
        match self.files[file].ok_or(Errno::EBADF)? {
            State::Channel(channel) => Ok(channel),
            _ => Err(Errno::ENOTTY),
        }
    }

    fn living(&self, channel: usize) -> Answer {
        if self.channels[channel].alive { Ok(()) } else { Err(Errno::ENXIO) }
    }

    fn find_unit(&self, number: i32) -> Result<usize, Errno> {
        self.units.iter().position(|unit| unit.alive && unit.number == number).ok_or(Errno::ENXIO)
    }
}
