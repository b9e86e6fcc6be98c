//! The way out: frames from a device, cut where they are super-frames, each behind its L2TP header, to the socket. The tag of
//! a VLAN pseudowire is one more header in between.

mod trains;

use l2tp_abi::ppp::{PPP_IP, PPP_IPV6};
use l2tp_core::tx::{HEADER_MAX, Sent};
use l2tp_core::{SessionKey, Transmit};
use l2tp_io::offload::Link;
use l2tp_io::offload::split::{Prepared, Train, prepare};
use l2tp_io::offload::vnet::VnetHeader;
use l2tp_io::tap::READ_BYTES;
use l2tp_sockets::ppp::{self, UnitKey};
use l2tp_wire::vlan::{TAG_AT, TAG_LEN, VlanId};
use std::io;
use std::ops::Range;
use std::sync::{Arc, MutexGuard};

use crate::device::Device;
use crate::loss::Loss;
use crate::shared::{NetEngine, Shared, lock};
use crate::socket::TunnelSocket;
use crate::worker::now;

/// Frames read from a device before they are sent: as many as a train may have segments.
const FRAMES: usize = 64;
/// Room for them: eight super-frames, which with what is made of them stay in the cache of one core, or any number of small
/// frames.
const BUFFER_BYTES: usize = 8 * READ_BYTES;
/// Where a frame begins, so that two do not share a line of the processor's cache.
const ALIGNMENT: usize = 64;
/// Rounds of them before the next source has its turn.
const ROUNDS: usize = 4;

/// A worker's transmit buffers.
pub(crate) struct Egress {
    /// The frames, one behind the other.
    buffer: Box<[u8]>,
    frames: Vec<Slot>,
    /// The headers of [`Self::segments`], one behind the other.
    headers: Vec<u8>,
    segments: Vec<Segment>,
}

/// A frame as it was read.
struct Slot {
    /// Where the frame lies in the buffer.
    frame: Range<usize>,
    prepared: Prepared,
    /// Of a packet on its way into PPP: the protocol, and the session that takes it, if one does.
    protocol: Option<u16>,
    session: Option<SessionKey>,
}

/// What becomes one datagram: a header of ours, and a piece of a frame.
#[derive(Debug)]
struct Segment {
    header: Range<usize>,
    /// Where the piece lies in the buffer of frames.
    payload: Range<usize>,
}

impl Segment {
    fn len(&self) -> usize {
        self.header.len() + self.payload.len()
    }
}

impl Egress {
    pub(crate) fn new() -> Self {
        Self {
            buffer: vec![0; BUFFER_BYTES].into_boxed_slice(),
            frames: Vec::with_capacity(FRAMES),
            headers: Vec::with_capacity(trains::SEGMENTS * 128),
            segments: Vec::with_capacity(trains::SEGMENTS),
        }
    }

    /// Sends what waits in a queue of a device.
    pub(crate) fn handle_device(
        &mut self,
        shared: &Shared,
        device: &Device,
        session: SessionKey,
        queue: usize,
    ) {
        for _ in 0..ROUNDS {
            let error = self.read(shared, device, queue);
            self.handle_frames(shared, device, session, 0..self.frames.len());
            if let Some(error) = error {
                if error.kind() != io::ErrorKind::WouldBlock {
                    shared.lose_device(device, session);
                }
                break;
            }
        }
    }

    /// Sends what waits in a queue of the device of a PPP unit.
    pub(crate) fn handle_unit(&mut self, shared: &Shared, device: &Device, unit: UnitKey, queue: usize) {
        for _ in 0..ROUNDS {
            let error = self.read(shared, device, queue);
            self.route(shared, unit);
            let mut first = 0;
            while let Some(slot) = self.frames.get(first) {
                let session = slot.session;
                let run = self.frames.get(first..).unwrap_or_default();
                let count = run.iter().take_while(|slot| slot.session == session).count();
                if let Some(session) = session {
                    self.handle_frames(shared, device, session, first..first + count);
                }
                first += count;
            }
            if let Some(error) = error {
                if error.kind() != io::ErrorKind::WouldBlock {
                    shared.lose_unit(device, unit);
                }
                break;
            }
        }
    }

    /// Finds the session of each packet, and its protocol field.
    fn route(&mut self, shared: &Shared, unit: UnitKey) {
        let now = now();
        let mut state = lock(&shared.ppp);
        for slot in &mut self.frames {
            let packet = slot.bytes(&self.buffer);
            let protocol = match packet.first().map(|first| first >> 4) {
                Some(4) => PPP_IP,
                Some(6) => PPP_IPV6,
                _ => continue,
            };
            match state.ppp.transmit(unit, protocol, packet, now) {
                ppp::Sent::Session(session) => slot.session = Some(session),
                ppp::Sent::ToUnit(unit) => state.pump_unit(unit, &shared.losses),
                ppp::Sent::Dropped => {}
            }
            slot.protocol = Some(protocol);
        }
    }

    /// Reads frames until there are no more or no room; returns why there are no more.
    fn read(&mut self, shared: &Shared, device: &Device, queue: usize) -> Option<io::Error> {
        self.frames.clear();
        let queue = device.tap.queue(queue)?;
        let mut start = 0;
        while self.frames.len() < FRAMES {
            let room = self.buffer.get_mut(start..start + READ_BYTES)?;
            let len = match queue.read(room) {
                Ok(len) => len,
                Err(error) => return Some(error),
            };
            let read = room.get_mut(..len).unwrap_or_default();
            let Some(prepared) = prepared(device.link(), read) else {
                shared.losses.add(Loss::FrameMalformed, 1);
                continue;
            };
            let frame = start + VnetHeader::LEN..start + len;
            start = frame.end.next_multiple_of(ALIGNMENT);
            self.frames.push(Slot { frame, prepared, protocol: None, session: None });
        }
        None
    }

    /// Numbers the frames under one lock, and sends them.
    fn handle_frames(&mut self, shared: &Shared, device: &Device, session: SessionKey, slots: Range<usize>) {
        let frames = self.frames.get(slots.clone()).unwrap_or_default();
        let count = frames.iter().map(Slot::segments).sum();
        if count == 0 {
            return;
        }
        let (engine, _turn) = take_turn(shared, device, session);
        let Some(transmit) = { engine }.handle_tx(session, count) else { return };
        let mut sent = Sent::default();
        let mut number = 0;
        for slot in slots {
            let segments = self.frames.get(slot).map_or(0, Slot::segments);
            for index in 0..segments {
                self.push(&transmit, number, slot, index, device.vlan);
                number += 1;
                if self.segments.len() == trains::SEGMENTS {
                    self.send(shared, &transmit.socket, &mut sent);
                }
            }
        }
        self.send(shared, &transmit.socket, &mut sent);
        shared.engine().finish_tx(session, &sent);
    }

    /// Writes the headers of segment `index` of a frame, the `number`th of this transmission.
    fn push(
        &mut self,
        transmit: &Transmit<Arc<TunnelSocket>>,
        number: u32,
        slot: usize,
        index: u32,
        vlan: Option<VlanId>,
    ) {
        let Some(frame) = self.frames.get(slot) else { return };
        let mut l2tp = [0; HEADER_MAX];
        let len = transmit.emit_header(number, &mut l2tp);
        let start = self.headers.len();
        self.headers.extend_from_slice(l2tp.get(..len).unwrap_or_default());
        if let Some(protocol) = frame.protocol {
            self.headers.extend_from_slice(&protocol.to_be_bytes());
        }
        let inner = self.headers.len();
        let bytes = frame.bytes(&self.buffer);
        let mut payload = match &frame.prepared {
            Prepared::Train(train) => emit_inner(&mut self.headers, train, bytes, index),
            Prepared::Single => 0..bytes.len(),
        };
        if let Some(vlan) = vlan {
            payload.start += tag(&mut self.headers, inner, vlan, bytes);
        }
        let payload = frame.frame.start + payload.start..frame.frame.start + payload.end;
        self.segments.push(Segment { header: start..self.headers.len(), payload });
    }

    fn send(&mut self, shared: &Shared, socket: &TunnelSocket, sent: &mut Sent) {
        trains::send(socket, &self.headers, &self.segments, &self.buffer, shared, sent);
        self.segments.clear();
        self.headers.clear();
    }
}

/// The engine, and where several workers send numbered packets of one session, the right to be the next: what gets its number
/// first is to leave first.
fn take_turn<'a>(
    shared: &'a Shared,
    device: &'a Device,
    session: SessionKey,
) -> (MutexGuard<'a, NetEngine>, Option<MutexGuard<'a, ()>>) {
    let engine = shared.engine();
    if !device.tap.is_spread() || !engine.numbers_packets(session) {
        return (engine, None);
    }
    drop(engine);
    let turn = lock(&device.turn);
    (shared.engine(), Some(turn))
}

/// Appends the headers of a segment of a super-frame and returns where its payload is.
fn emit_inner(headers: &mut Vec<u8>, train: &Train, frame: &[u8], index: u32) -> Range<usize> {
    let start = headers.len();
    headers.resize(start + train.header_len(), 0);
    let index = usize::try_from(index).unwrap_or(usize::MAX);
    train.emit(frame, index, headers.get_mut(start..).unwrap_or_default())
}

/// Puts a tag behind the addresses of a frame, whose headers begin at `inner`. Where they hold no addresses yet, these are
/// taken from the frame; returns how many bytes of it.
fn tag(headers: &mut Vec<u8>, inner: usize, vlan: VlanId, frame: &[u8]) -> usize {
    let addresses = if headers.len() > inner { &[] } else { frame.get(..TAG_AT).unwrap_or(frame) };
    headers.extend_from_slice(addresses);
    headers.extend_from_slice(&vlan.tag());
    // What is behind the addresses comes behind the tag.
    if let Some(behind) = headers.get_mut(inner + TAG_AT..) {
        behind.rotate_right(TAG_LEN);
    }
    addresses.len()
}

/// Looks at the virtio header of what was read, and completes the frame's checksum. `None` for what is no frame.
fn prepared(link: Link, read: &mut [u8]) -> Option<Prepared> {
    let (header, _) = VnetHeader::parse(read)?;
    prepare(link, &header, read.get_mut(VnetHeader::LEN..)?).ok()
}

impl Slot {
    fn bytes<'a>(&self, buffer: &'a [u8]) -> &'a [u8] {
        buffer.get(self.frame.clone()).unwrap_or_default()
    }

    /// How many datagrams it becomes.
    fn segments(&self) -> u32 {
        match &self.prepared {
            Prepared::Single => 1,
            Prepared::Train(train) => u32::try_from(train.segments()).unwrap_or(u32::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Behind the addresses, whether these are still in the frame or were copied with the other headers.
    #[test]
    fn a_tag_goes_behind_the_addresses() {
        let vlan = VlanId::new(5).unwrap();
        let frame: Vec<u8> = (0..60).collect();
        for copied in [0, 54] {
            let mut headers = vec![99; 7];
            headers.extend_from_slice(&frame[..copied]);
            let taken = tag(&mut headers, 7, vlan, &frame);
            let whole = [&headers[7..], &frame[copied.max(taken)..]].concat();
            assert_eq!(whole, [&frame[..12], &[0x81, 0, 0, 5], &frame[12..]].concat());
            assert_eq!((headers[..7].to_vec(), copied + taken), (vec![99; 7], copied.max(12)));
        }
        let mut headers = Vec::new();
        assert_eq!(tag(&mut headers, 0, vlan, &frame[..5]), 5);
        assert_eq!(headers.len(), 5 + TAG_LEN);
    }
}
