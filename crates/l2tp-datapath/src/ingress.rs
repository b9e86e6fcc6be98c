//! The way in: datagrams from a socket, through the engine, to devices.

use std::ops::Range;
use std::sync::Arc;

use l2tp_core::{Deliver, Frame, Instant, SessionKey, TunnelKey, Verdict};
use l2tp_io::batch::{MAX_BATCH, RecvBatch};
use l2tp_io::offload::coalesce::coalesce;
use l2tp_io::rawip::RawSocket;
use l2tp_io::rawudp::{Datagram, RawUdp, UDP_LEN};
use l2tp_wire::vlan::{TAG_LEN, untag};

use crate::device::Device;
use crate::loss::Loss;
use crate::ppp::ingress::{Rest, has_readers};
use crate::shared::{NetEngine, Shared, lock};
use crate::socket::TunnelSocket;
use crate::worker::now;

/// Datagrams, or trains of them, taken with one system call.
const SLOTS: usize = 32;
/// The longest datagram or train.
const SLOT_BYTES: usize = 65_535;
/// Calls before the next source has its turn.
const ROUNDS: usize = 4;

/// A worker's receive buffers.
pub(crate) struct Ingress {
    batch: RecvBatch,
    out: Outbox,
    deadline: Option<Instant>,
    /// Faults of the batch that were counted already.
    seen: l2tp_io::batch::RecvFaults,
}

/// Frames on their way to devices.
#[derive(Default)]
struct Outbox {
    frames: Vec<Delivery>,
    /// The devices of the frames, in their order: a run of frames for one device holds it once.
    devices: Vec<Arc<Device>>,
    /// Which slot the engine is looking at, and where in it the packet starts.
    slot: usize,
    start: usize,
    /// Control messages over IP: slot and control connection id.
    control: Vec<(usize, u32)>,
    /// Frames of PPP sessions may have a reader.
    has_ppp: bool,
    /// What the routing of PPP's frames left to do.
    ppp_rest: Rest,
}

struct Delivery {
    to: Reader,
    place: Place,
    /// Where the frame is at its place.
    range: Range<usize>,
}

/// Who takes a frame.
enum Reader {
    /// The device of an Ethernet session, or of a PPP unit, by its place in [`Outbox::devices`].
    Device(usize),
    /// Whoever reads a PPP session.
    Ppp(SessionKey),
    /// It has been taken.
    Nobody,
}

enum Place {
    /// In the receive buffer.
    Slot(usize),
    /// Out of a reorder queue.
    Held(Vec<u8>),
}

impl Deliver<Arc<Device>> for Outbox {
    fn deliver(&mut self, session: SessionKey, device: Option<&Arc<Device>>, frame: Frame) -> bool {
        let to = match device {
            Some(device) => Reader::Device(place_of(&mut self.devices, device)),
            None if self.has_ppp => Reader::Ppp(session),
            None => return false,
        };
        let (place, range) = match frame {
            Frame::Packet(range) => {
                (Place::Slot(self.slot), self.start + range.start..self.start + range.end)
            }
            Frame::Held(bytes) => {
                let range = 0..bytes.len();
                (Place::Held(bytes), range)
            }
        };
        self.frames.push(Delivery { to, place, range });
        true
    }
}

/// The place of a device behind those of the frames before.
fn place_of(devices: &mut Vec<Arc<Device>>, device: &Arc<Device>) -> usize {
    if devices.last().is_none_or(|last| !Arc::ptr_eq(last, device)) {
        devices.push(Arc::clone(device));
    }
    devices.len() - 1
}

impl Delivery {
    /// Takes the tag off a frame for a device that has none.
    fn untag(&mut self, batch: &mut RecvBatch) {
        let bytes = match &mut self.place {
            Place::Slot(slot) => batch.payload_mut(*slot),
            Place::Held(bytes) => bytes,
        };
        if let Some(frame) = bytes.get_mut(self.range.clone()) {
            untag(frame);
            self.range.start += TAG_LEN;
        }
    }

    /// The device that it goes to, one of `devices`.
    fn device<'a>(&self, devices: &'a [Arc<Device>]) -> Option<&'a Device> {
        if let Reader::Device(place) = self.to { devices.get(place).map(|device| &**device) } else { None }
    }

    fn bytes<'a>(&'a self, slots: &[&'a [u8]; MAX_BATCH]) -> &'a [u8] {
        let bytes = match &self.place {
            Place::Slot(slot) => slots.get(*slot).copied().unwrap_or_default(),
            Place::Held(bytes) => bytes,
        };
        bytes.get(self.range.clone()).unwrap_or_default()
    }
}

impl Ingress {
    pub(crate) fn new() -> Self {
        let batch = RecvBatch::new(SLOTS, SLOT_BYTES);
        Self { seen: batch.faults(), batch, out: Outbox::default(), deadline: None }
    }

    /// When [`Self::expire`] wants to be called.
    pub(crate) fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// Takes what waits on a tunnel's UDP socket.
    pub(crate) fn handle_udp(&mut self, shared: &Shared, socket: &TunnelSocket, tunnel: TunnelKey) {
        let TunnelSocket::Udp { socket, .. } = socket else { return };
        for _ in 0..ROUNDS {
            let received = socket.recv_batch(&mut self.batch).unwrap_or(0);
            self.handle_batch(shared, |engine, now, packet, out| engine.handle_udp(now, tunnel, packet, out));
            if received < SLOTS {
                break;
            }
        }
    }

    /// Takes what waits on the raw socket of a family.
    pub(crate) fn handle_raw(&mut self, shared: &Shared, socket: &RawSocket) {
        for _ in 0..ROUNDS {
            let received = socket.recv_batch(&mut self.batch).unwrap_or(0);
            self.handle_batch(shared, |engine, now, packet, out| engine.handle_ip(now, packet, out));
            self.hand_up(shared);
            if received < SLOTS {
                break;
            }
        }
    }

    /// Takes what waits beside the sockets of programs.
    pub(crate) fn handle_managed(&mut self, shared: &Shared, socket: &RawUdp) {
        for _ in 0..ROUNDS {
            let received = socket.recv_batch(&mut self.batch).unwrap_or(0);
            self.handle_datagrams(shared);
            if received < SLOTS {
                break;
            }
        }
    }

    /// As [`Self::handle_batch`], for datagrams of which it is still to be found out whose they are.
    fn handle_datagrams(&mut self, shared: &Shared) {
        let now = now();
        self.out.has_ppp = has_readers(shared);
        // Checksums take their time: before anybody has to wait.
        let datagrams = parse(&self.batch);
        let mut engine = shared.engine();
        let table = shared.managed.table();
        let (mut malformed, mut stray) = (0, None);
        for (slot, datagram) in datagrams.iter().flatten().enumerate() {
            let Some(datagram) = datagram else {
                malformed += 1;
                continue;
            };
            let Some(members) = table.find(datagram.to, datagram.from) else {
                stray = Some(datagram.to.port());
                continue;
            };
            if datagram.unchecked && datagram.to.is_ipv6() && !members.unchecked {
                malformed += 1;
                continue;
            }
            (self.out.slot, self.out.start) = (slot, UDP_LEN);
            let stride = engine.train_stride(&members.tunnels, datagram.payload);
            for packet in datagram.payload.chunks(stride.max(1)) {
                engine.handle_shared_udp(now, &members.tunnels, packet, &mut self.out);
                self.out.start += packet.len();
            }
        }
        self.deadline = engine.poll_timeout();
        drop(table);
        drop(engine);
        shared.losses.add(Loss::DatagramMalformed, malformed);
        self.flush(shared);
        self.count_faults(shared);
        if let Some(port) = stray {
            shared.managed.sweep(port);
        }
    }

    /// Runs every packet of the batch through the engine under one lock, then writes the frames that came out.
    fn handle_batch(
        &mut self,
        shared: &Shared,
        mut handle: impl FnMut(&mut NetEngine, Instant, &[u8], &mut Outbox) -> Verdict,
    ) {
        let now = now();
        self.out.has_ppp = has_readers(shared);
        let mut engine = shared.engine();
        for (slot, received) in self.batch.iter().enumerate() {
            (self.out.slot, self.out.start) = (slot, 0);
            for packet in received.segments() {
                let verdict = handle(&mut engine, now, packet, &mut self.out);
                if let Verdict::Control { control_connection_id } = verdict {
                    self.out.control.push((slot, control_connection_id));
                }
                self.out.start += packet.len();
            }
        }
        self.deadline = engine.poll_timeout();
        drop(engine);
        self.flush(shared);
        self.count_faults(shared);
    }

    /// Gives the control messages of the batch to the programs that wait for them.
    fn hand_up(&mut self, shared: &Shared) {
        if self.out.control.is_empty() {
            return;
        }
        let sockets = lock(&shared.l2tpip);
        for (slot, conn_id) in self.out.control.drain(..) {
            if let Some(received) = self.batch.iter().nth(slot) {
                sockets.deliver(conn_id, &received, &shared.losses);
            }
        }
    }

    /// Lets packets that have waited long enough go.
    pub(crate) fn expire(&mut self, shared: &Shared, now: Instant) {
        if self.deadline.is_none_or(|deadline| now < deadline) {
            return;
        }
        self.out.has_ppp = has_readers(shared);
        let mut engine = shared.engine();
        engine.handle_timeout(now, &mut self.out);
        self.deadline = engine.poll_timeout();
        drop(engine);
        self.flush(shared);
    }

    /// Writes the frames to their devices, runs for one device joined where they can be.
    fn flush(&mut self, shared: &Shared) {
        let Outbox { frames, devices, ppp_rest, .. } = &mut self.out;
        if frames.is_empty() {
            return;
        }
        for delivery in frames.iter_mut() {
            if delivery.device(devices).is_some_and(|device| device.vlan.is_some()) {
                delivery.untag(&mut self.batch);
            }
        }
        let mut slots: [&[u8]; MAX_BATCH] = [&[]; MAX_BATCH];
        for (place, received) in slots.iter_mut().zip(self.batch.iter()) {
            *place = received.bytes;
        }
        route_ppp(shared, frames, devices, &slots, ppp_rest);
        let same = |a: &Delivery, b: &Delivery| match (&a.to, &b.to) {
            (Reader::Device(a), Reader::Device(b)) => a == b,
            _ => false,
        };
        for run in frames.chunk_by(same) {
            let Some(device) = run.first().and_then(|delivery| delivery.device(devices)) else { continue };
            let frames = run.iter().map(|delivery| delivery.bytes(&slots));
            coalesce(device.link(), device.has_udp_trains(), frames, |parts| {
                shared.losses.note(Loss::DeviceRefused, device.deliver(parts).is_err());
            });
        }
        self.give_back(shared);
        self.out.ppp_rest.finish(shared);
    }

    /// Returns the memory of frames that waited, and lets go of the devices.
    fn give_back(&mut self, shared: &Shared) {
        self.out.devices.clear();
        let mut engine = None;
        for delivery in self.out.frames.drain(..) {
            if let Place::Held(bytes) = delivery.place {
                engine.get_or_insert_with(|| shared.engine()).recycle(bytes);
            }
        }
    }

    fn count_faults(&mut self, shared: &Shared) {
        let faults = self.batch.faults();
        if faults != self.seen {
            shared.losses.add(Loss::DatagramTruncated, faults.truncated - self.seen.truncated);
            shared.losses.add(Loss::DatagramMalformed, faults.malformed - self.seen.malformed);
            shared.losses.add(Loss::NetworkReported, faults.reported - self.seen.reported);
            self.seen = faults;
        }
    }
}

/// The datagrams of a batch; of those that are none, nothing.
fn parse(batch: &RecvBatch) -> [Option<Option<Datagram<'_>>>; SLOTS] {
    let mut received = batch.iter();
    std::array::from_fn(|_| Some(Datagram::parse(&received.next()?)))
}

/// Finds out who takes the frames of PPP sessions: what is left are packets for devices.
fn route_ppp(
    shared: &Shared,
    frames: &mut [Delivery],
    devices: &mut Vec<Arc<Device>>,
    slots: &[&[u8]; MAX_BATCH],
    rest: &mut Rest,
) {
    let is_ppp = |delivery: &Delivery| matches!(delivery.to, Reader::Ppp(_));
    if !frames.iter().any(is_ppp) {
        return;
    }
    let now = now();
    let mut state = lock(&shared.ppp);
    for delivery in frames {
        let Reader::Ppp(session) = delivery.to else { continue };
        let routed = state.route(shared, session, delivery.bytes(slots), now, rest);
        delivery.to = match routed {
            Some((device, packet)) => {
                delivery.range.start += packet.start;
                Reader::Device(place_of(devices, &device))
            }
            None => Reader::Nobody,
        };
    }
}
