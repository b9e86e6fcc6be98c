//! PPP sessions: what `l2tp-sockets` knows of sockets, channels and units, the pairs that stand for programs' descriptors, and
//! the TUN devices of units.
//!
//! | room | what |
//! |---|---|
//! | [`PppState`] | all of a namespace; which descriptor is what |
//! | `calls` | what programs ask, by the thread of the daemon |
//! | [`ingress`] | frames from peers, by the workers |
//! | `carried` | what BPF programs carry in their place |
//! | `egress` | packets from units' devices, by the workers |
//!
//! A frame of a network's protocol goes between a worker and a device and meets no program. The few that negotiate the link go
//! through the pairs.

mod calls;
mod carried;
mod egress;
pub(crate) mod ingress;

use std::collections::HashMap;
use std::io::IoSlice;
use std::os::fd::OwnedFd;
use std::sync::Arc;

use l2tp_abi::errno::Errno;
use l2tp_core::SessionKey;
use l2tp_core::host::Caller;
use l2tp_io::pair::PairEnd;
use l2tp_sockets::ppp::{ChannelKey, FileKey, Ppp, Read, UnitKey};
use l2tp_sockets::pppol2tp::{Pppol2tp, SocketKey};
use l2tp_sockets::quota;

use crate::device::Device;
use crate::loss::{Loss, LossCounters};

/// Bytes of the longest frame that a program reads: more than any MRU.
const FRAME_MAX: usize = 1 << 16;
/// Bytes that may wait for a program that does not read, as the kernel counts them: some 32 frames of 1500 bytes.
const ROOM: usize = 128 << 10;

/// What a program's descriptor stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Open {
    /// A PPPoL2TP socket.
    Socket(SocketKey),
    /// An open file of `/dev/ppp`.
    File(FileKey),
}

/// PPP in a namespace. Its lock is taken after the engine's.
#[derive(Default)]
pub(crate) struct PppState {
    pub(crate) ppp: Ppp,
    pub(crate) sockets: Pppol2tp,
    /// By SO_COOKIE of the program's end.
    numbers: HashMap<u64, Entry>,
    ends: HashMap<Open, Arc<PairEnd>>,
    devices: HashMap<UnitKey, Arc<Device>>,
}

/// A descriptor that was opened, and for whom.
#[derive(Clone, Copy, Debug)]
struct Entry {
    open: Open,
    owner: Caller,
}

impl PppState {
    /// The device of a unit.
    pub(crate) fn device(&self, unit: UnitKey) -> Option<&Arc<Device>> {
        self.devices.get(&unit)
    }

    /// Whether `caller` may have another descriptor.
    fn admit(&self, caller: &Caller) -> Result<(), Errno> {
        quota::admit(self.numbers.values().map(|entry| &entry.owner), caller)
    }

    /// Whether any program could take a frame.
    pub(crate) fn is_used(&self) -> bool {
        !self.sockets.is_empty()
    }

    /// Gives what waits for a channel's program to it.
    pub(crate) fn pump_channel(&mut self, channel: ChannelKey, losses: &LossCounters) {
        for file in self.ppp.channel_files(channel).to_vec() {
            self.pump(file, losses);
        }
    }

    /// Gives what waits for a unit's program to it.
    pub(crate) fn pump_unit(&mut self, unit: UnitKey, losses: &LossCounters) {
        for file in self.ppp.unit_files(unit).to_vec() {
            self.pump(file, losses);
        }
    }

    /// Gives the frames that a file could read to its program, and the end, where that is all that will ever come.
    pub(crate) fn pump(&mut self, file: FileKey, losses: &LossCounters) {
        let Some(end) = self.ends.get(&Open::File(file)) else { return };
        loop {
            match self.ppp.read(file, FRAME_MAX) {
                Ok(Read::Frame(frame)) => {
                    let sent = end.send(&[IoSlice::new(&frame)]);
                    losses.note(Loss::ControlRefused, sent.is_err());
                }
                Ok(Read::End) => {
                    // For good, as it is told on a pair: a unit without channel may have one again.
                    if self.ppp.poll(file).hung_up {
                        // The program has let go of it, or will read the end.
                        let _: std::io::Result<()> = end.finish();
                    }
                    return;
                }
                Ok(Read::Nothing) | Err(_) => return,
            }
        }
    }

    /// Gives the frames that wait on a socket to its program.
    pub(crate) fn pump_socket(&mut self, socket: SocketKey, losses: &LossCounters) {
        let Some(end) = self.ends.get(&Open::Socket(socket)) else { return };
        while let Ok(Some(frame)) = self.sockets.recv(socket, FRAME_MAX) {
            // A frame of no bytes cannot be told from the end.
            let sent = if frame.bytes.is_empty() { Ok(()) } else { end.send(&[IoSlice::new(&frame.bytes)]) };
            losses.note(Loss::ControlRefused, sent.is_err());
        }
    }

    /// A session is gone: its channel hangs up.
    pub(crate) fn session_ended(&mut self, session: SessionKey, losses: &LossCounters) {
        let Some(channel) = self.sockets.channel(session) else {
            return self.sockets.session_ended(&mut self.ppp, session);
        };
        let witnesses = self.ppp.witnesses(channel);
        self.sockets.session_ended(&mut self.ppp, session);
        self.tell_end(&witnesses, losses);
    }

    /// Files that may have come to their end.
    fn tell_end(&mut self, files: &[FileKey], losses: &LossCounters) {
        for file in files {
            self.pump(*file, losses);
        }
    }

    fn insert(&mut self, number: u64, entry: Entry, end: PairEnd) {
        self.numbers.insert(number, entry);
        self.ends.insert(entry.open, Arc::new(end));
    }
}

/// What a call is about besides its socket.
type Beside = Option<OwnedFd>;
