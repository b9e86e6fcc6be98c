//! What a path below has to know to carry a unit's plain packets between its device and its peer, which then come by here no more.

use super::{ChannelKey, File, FileKey, Ppp, UnitKey};
use alloc::collections::BTreeSet;
use alloc::vec::Vec;
use core::fmt;
use l2tp_abi::ppp::{NpMode, PPP_IP, PPP_IPV6, SC_LOOP_TRAFFIC, SC_MULTILINK};
use l2tp_core::carriage::Carried;
use l2tp_core::{Instant, SessionKey};

/// Why packets must all come by here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unfit {
    /// No living unit is joined to the channel.
    NoUnit,
    /// Its frames go to another channel, or come from there.
    Bridged,
    /// Packets may have to go by another channel.
    Multilink,
    /// Packets go to the unit's program, for which they are a reason to dial.
    Loops,
    /// Packets of IPv4 or IPv6 are not let through.
    Mode,
}

impl fmt::Display for Unfit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoUnit => "it has no pppN: its channel is joined to no unit",
            Self::Bridged => "its channel is bridged to another",
            Self::Multilink => "its unit has more than one channel, or may have",
            Self::Loops => "its unit dials when there is traffic",
            Self::Mode => "its unit does not let all of IPv4 and IPv6 through",
        })
    }
}

impl Ppp {
    /// The unit to which packets of IPv4 and IPv6 from a channel's peer go as they are, and whose own go to that peer.
    ///
    /// # Errors
    /// [`Unfit`]: where they go is for [`Ppp::receive`] and [`Ppp::transmit`] to say, packet by packet.
    pub fn plain_unit(&self, channel: ChannelKey) -> Result<UnitKey, Unfit> {
        let channel =
            self.channels.get(channel.0).filter(|channel| !channel.is_dead()).ok_or(Unfit::NoUnit)?;
        if channel.bridge().is_some() {
            return Err(Unfit::Bridged);
        }
        let key = channel.unit().ok_or(Unfit::NoUnit)?;
        let unit = self.units.get(key.0).filter(|unit| unit.owner.is_some()).ok_or(Unfit::NoUnit)?;
        let passes = |protocol| unit.np_mode(protocol) == Some(NpMode::Pass);
        if unit.channels.len() != 1 || unit.flags & SC_MULTILINK != 0 {
            Err(Unfit::Multilink)
        } else if unit.flags & SC_LOOP_TRAFFIC != 0 {
            Err(Unfit::Loops)
        } else if !passes(PPP_IP) || !passes(PPP_IPV6) {
            Err(Unfit::Mode)
        } else {
            Ok(key)
        }
    }

    /// Counts what a path below has carried, `carried` with the packets' own bytes, as the traffic of the unit that the channel
    /// has joined.
    ///
    /// Nobody knows when exactly the packets passed: they count as activity now. So a unit may look less idle than it is until
    /// it is asked again: a program that hangs up idle links does so later by at most the time between two of its questions.
    pub fn count_carried(&mut self, channel: ChannelKey, carried: &Carried, now: Instant) {
        let unit = self.channels.get(channel.0).and_then(|channel| channel.unit());
        let Some(unit) = unit.and_then(|unit| self.units.get_mut(unit.0)) else { return };
        unit.stats.rx_packets += carried.rx_packets;
        unit.stats.rx_bytes += carried.rx_bytes;
        unit.stats.tx_packets += carried.tx_packets;
        unit.stats.tx_bytes += carried.tx_bytes;
        if carried.rx_packets > 0 {
            unit.last_recv = now;
        }
        if carried.tx_packets > 0 {
            unit.last_xmit = now;
        }
    }

    /// The sessions of a unit's channels.
    #[must_use]
    pub fn unit_sessions(&self, unit: UnitKey) -> Vec<SessionKey> {
        let channels = self.units.get(unit.0).into_iter().flat_map(|unit| &unit.channels);
        channels.filter_map(|channel| self.session(*channel)).collect()
    }

    /// The session of a channel that lives.
    #[must_use]
    pub fn session(&self, channel: ChannelKey) -> Option<SessionKey> {
        self.channels.get(channel.0)?.session()
    }

    /// The sessions of the channel or unit that a file stands for.
    #[must_use]
    pub fn sessions(&self, file: FileKey) -> Vec<SessionKey> {
        match self.file(file) {
            Ok(File::Unit(unit)) => self.unit_sessions(unit),
            Ok(File::Channel(channel)) => self.session(channel).into_iter().collect(),
            Ok(File::Fresh) | Err(_) => Vec::new(),
        }
    }

    /// The sessions of which [`Self::plain_unit`] may say another thing than when this was last asked. Some may have ended.
    #[must_use]
    pub fn take_changed(&mut self) -> BTreeSet<SessionKey> {
        core::mem::take(&mut self.changed)
    }

    pub(crate) fn note_channel(&mut self, channel: ChannelKey) {
        self.changed.extend(self.session(channel));
    }

    pub(super) fn note_unit(&mut self, unit: UnitKey) {
        self.changed.extend(self.unit_sessions(unit));
    }
}
