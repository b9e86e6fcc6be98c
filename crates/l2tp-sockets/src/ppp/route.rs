//! Where a frame goes (`ppp_input`, `ppp_receive_nonmp_frame`, `ppp_send_frame`, `ppp_write`).

use super::{ChannelKey, File, FileKey, Ppp, QUEUE_MAX, QUEUED_BYTES_MAX, UnitKey};
use alloc::vec::Vec;
use core::ops::Range;
use l2tp_abi::Errno;
use l2tp_abi::ppp::{
    NpMode, PPP_CCPFRAG, PPP_LCP, PPP_VJC_COMP, PPP_VJC_UNCOMP, SC_LOOP_TRAFFIC, SC_MULTILINK,
};
use l2tp_core::{Instant, SessionKey};

/// The protocol field.
const PROTOCOL_LEN: usize = 2;
/// The least of a frame of LCP: protocol, code, identifier, length.
const LCP_MIN: usize = 6;
/// Protocols of the link, not of the network, from here on.
const LINK_PROTOCOLS: u16 = 0xc000;
/// Protocols that carry no traffic of a network from here on.
const CONTROL_PROTOCOLS: u16 = 0x8000;

/// What becomes of a frame from the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Received {
    /// It goes to the network through the device of a unit.
    Network {
        /// The unit.
        unit: UnitKey,
        /// The PPP protocol.
        protocol: u16,
        /// Where the packet is in the frame.
        packet: Range<usize>,
    },
    /// It goes to another session, as it is.
    Bridged(SessionKey),
    /// It waits for the program of the channel.
    ToChannel(ChannelKey),
    /// It waits for the program of the unit.
    ToUnit(UnitKey),
    /// Nobody gets it: it makes no sense, its mode forbids it, or too much waits.
    Dropped,
}

/// What becomes of a frame of a program or of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// It goes to a session, as it is.
    Session(SessionKey),
    /// It waits for the program of the unit, for which traffic is a reason to dial.
    ToUnit(UnitKey),
    /// Nobody gets it: there is no channel, its mode forbids it, or too much waits.
    Dropped,
}

impl Ppp {
    /// Takes a frame from a channel's peer, `FF 03` stripped.
    pub fn receive(&mut self, key: ChannelKey, frame: &[u8], now: Instant) -> Received {
        let Some(channel) = self.channels.get(key.0).filter(|channel| !channel.is_dead()) else {
            return Received::Dropped;
        };
        if let Some(other) = channel.bridge() {
            let session = self.channels.get(other.0).and_then(|other| other.session());
            return session.map_or(Received::Dropped, Received::Bridged);
        }
        let Some((protocol, header)) = protocol_of(frame) else {
            if let Some(unit) = channel.unit().and_then(|unit| self.units.get_mut(unit.0)) {
                unit.stats.rx_errors += 1;
            }
            return Received::Dropped;
        };
        match channel.unit() {
            Some(unit) if protocol < LINK_PROTOCOLS && protocol != PPP_CCPFRAG => {
                self.receive_for_unit(unit, frame, (protocol, header), now)
            }
            _ => match self.wait_for_channel(key, protocol, frame, header) {
                true => Received::ToChannel(key),
                false => Received::Dropped,
            },
        }
    }

    fn receive_for_unit(
        &mut self,
        key: UnitKey,
        frame: &[u8],
        (protocol, header): (u16, usize),
        now: Instant,
    ) -> Received {
        let Some(unit) = self.units.get_mut(key.0).filter(|unit| unit.owner.is_some()) else {
            return Received::Dropped;
        };
        if matches!(protocol, PPP_VJC_COMP | PPP_VJC_UNCOMP) {
            unit.stats.rx_errors += 1;
            return Received::Dropped;
        }
        unit.stats.rx_packets += 1;
        unit.stats.rx_bytes += frame.len().saturating_sub(header) as u64;
        match unit.np_mode(protocol) {
            None => match self.wait_for_unit(key, protocol, frame.get(header..).unwrap_or_default()) {
                true => Received::ToUnit(key),
                false => Received::Dropped,
            },
            Some(mode) => {
                unit.last_recv = now;
                let packet = header..frame.len();
                if mode == NpMode::Pass {
                    Received::Network { unit: key, protocol, packet }
                } else {
                    Received::Dropped
                }
            }
        }
    }

    /// Takes a frame that a program wrote: through the unit, or straight to the peer.
    ///
    /// # Errors
    /// `ENXIO` on a fresh file; `EINVAL` for a frame without protocol, and for one of LCP without its header.
    pub fn write(&mut self, file: FileKey, frame: &[u8], now: Instant) -> Result<Sent, Errno> {
        let state = self.file(file)?;
        if state == File::Fresh {
            return Err(Errno::ENXIO);
        }
        let (field, packet) = frame.split_first_chunk::<PROTOCOL_LEN>().ok_or(Errno::EINVAL)?;
        let protocol = u16::from_be_bytes(*field);
        if protocol == PPP_LCP && frame.len() < LCP_MIN {
            return Err(Errno::EINVAL);
        }
        Ok(match state {
            File::Unit(unit) => self.send(unit, protocol, packet, now),
            File::Channel(channel) => {
                let session = self.channels.get(channel.0).and_then(|channel| channel.session());
                session.map_or(Sent::Dropped, Sent::Session)
            }
            File::Fresh => Sent::Dropped,
        })
    }

    /// Takes a packet that the network gave to a unit's device; `protocol` is PPP's.
    pub fn transmit(&mut self, unit: UnitKey, protocol: u16, packet: &[u8], now: Instant) -> Sent {
        let mode = self.units.get(unit.0).and_then(|unit| unit.np_mode(protocol));
        if mode == Some(NpMode::Pass) { self.send(unit, protocol, packet, now) } else { Sent::Dropped }
    }

    fn send(&mut self, key: UnitKey, protocol: u16, packet: &[u8], now: Instant) -> Sent {
        let Some(unit) = self.units.get_mut(key.0).filter(|unit| unit.owner.is_some()) else {
            return Sent::Dropped;
        };
        if protocol < CONTROL_PROTOCOLS {
            unit.last_xmit = now;
        }
        unit.stats.tx_packets += 1;
        unit.stats.tx_bytes += packet.len() as u64;
        if unit.flags & SC_LOOP_TRAFFIC != 0 {
            return self.loop_back(key, protocol, packet);
        }
        let first = unit.channels.first().filter(|_| unit.flags & SC_MULTILINK == 0);
        let session = first.and_then(|first| self.channels.get(first.0)?.session());
        session.map_or(Sent::Dropped, Sent::Session)
    }

    /// Unlike a frame from the peer, one from the network gives way to those that wait.
    fn loop_back(&mut self, key: UnitKey, protocol: u16, packet: &[u8]) -> Sent {
        let is_full = self.units.get(key.0).is_some_and(|unit| unit.queue.len() >= QUEUE_MAX);
        if !is_full && self.wait_for_unit(key, protocol, packet) {
            return Sent::ToUnit(key);
        }
        if let Some(unit) = self.units.get_mut(key.0) {
            unit.stats.tx_errors += 1;
        }
        Sent::Dropped
    }

    fn wait_for_channel(&mut self, key: ChannelKey, protocol: u16, frame: &[u8], header: usize) -> bool {
        let Some(frame) = self.to_wait(protocol, frame.get(header..).unwrap_or_default()) else {
            return false;
        };
        let Some(channel) = self.channels.get_mut(key.0) else { return false };
        self.queued_bytes += frame.len();
        self.queued_bytes -= channel.queue.push(frame);
        true
    }

    fn wait_for_unit(&mut self, key: UnitKey, protocol: u16, packet: &[u8]) -> bool {
        let Some(frame) = self.to_wait(protocol, packet) else { return false };
        let Some(unit) = self.units.get_mut(key.0) else { return false };
        self.queued_bytes += frame.len();
        self.queued_bytes -= unit.queue.push(frame);
        true
    }

    /// The frame as programs read it, unless too much waits already.
    fn to_wait(&self, protocol: u16, packet: &[u8]) -> Option<Vec<u8>> {
        let len = PROTOCOL_LEN + packet.len();
        (self.queued_bytes + len <= QUEUED_BYTES_MAX).then(|| [&protocol.to_be_bytes(), packet].concat())
    }
}

/// The protocol and the length of its field, which a peer may have shortened to one byte (RFC 1661 section 2). A frame has two
/// bytes at least.
fn protocol_of(frame: &[u8]) -> Option<(u16, usize)> {
    let (field, _) = frame.split_first_chunk::<PROTOCOL_LEN>()?;
    let [first, _] = *field;
    Some(if first & 1 == 1 { (first.into(), 1) } else { (u16::from_be_bytes(*field), PROTOCOL_LEN) })
}
