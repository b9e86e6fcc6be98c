//! What programs ask of their PPPoL2TP sockets and files of `/dev/ppp`, and what they write to them.

use std::collections::HashMap;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, MutexGuard};

use l2tp_abi::errno::Errno;
use l2tp_abi::genl::ferrowire::socket::{SocketAnswer, SocketCall};
use l2tp_abi::ppp::ioctl::{PPPIOCATTCHAN, PPPIOCDISCONN, PPPIOCGCHAN};
use l2tp_core::SessionKey;
use l2tp_core::host::{Caller, PppHolder};
use l2tp_io::pair::PairEnd;
use l2tp_io::poller::Interest;
use l2tp_io::rtnl::Rtnl;
use l2tp_io::sockopt::cookie;
use l2tp_sockets::ppp::{Devices, FileKey, Sent, UnitKey};
use l2tp_sockets::pppol2tp::{Connect, SocketKey, Subsystem};

use super::egress::transmit;
use super::{Beside, Entry, FRAME_MAX, Open, PppState, ROOM};
use crate::device::Device;
use crate::host::{SystemHost, errno};
use crate::loss::Loss;
use crate::shared::{NetEngine, Shared, Source, lock};
use crate::worker::now;

/// Frames taken from one program before the others have their turn.
const FRAMES: usize = 16;

type Answer = Result<(SocketAnswer, Option<OwnedFd>), Errno>;

/// The devices of units, made and removed by a host.
struct Units<'a> {
    host: &'a mut SystemHost,
    devices: &'a mut HashMap<UnitKey, Arc<Device>>,
}

impl Devices for Units<'_> {
    fn create(&mut self, unit: UnitKey, number: u32) -> Result<(), Errno> {
        let tun = self.host.create_tun(&format!("ppp{number}")).map_err(|error| errno(&error))?;
        if let Some(bpf) = self.host.below.load() {
            bpf.take_tun(tun.index());
        }
        let device = Arc::new(Device::new(tun, None, None));
        let source = |queue| Source::Unit(Arc::clone(&device), unit, queue);
        self.host.shared.watch_device(&device, source).map_err(|error| errno(&error))?;
        self.devices.insert(unit, device);
        Ok(())
    }

    fn destroy(&mut self, unit: UnitKey) {
        if let Some(device) = self.devices.remove(&unit) {
            self.host.remove_device(device);
        }
    }
}

/// Who calls a socket, and who opened it: whoever asks on a program's behalf has its own privilege.
#[derive(Clone, Copy)]
struct Program {
    port: u32,
    owner: Caller,
}

impl SystemHost {
    /// Opens a PPPoL2TP socket.
    pub(crate) fn open_pppol2tp(&self, caller: &Caller) -> Answer {
        self.open_ppp(caller, |state| state.sockets.open().map(Open::Socket))
    }

    /// Opens `/dev/ppp`.
    pub(crate) fn open_dev_ppp(&self, caller: &Caller) -> Answer {
        self.open_ppp(caller, |state| state.ppp.open(caller.privileged).map(Open::File))
    }

    fn open_ppp(&self, caller: &Caller, open: impl FnOnce(&mut PppState) -> Result<Open, Errno>) -> Answer {
        lock(&self.shared.ppp).admit(caller)?;
        let system = |error: io::Error| errno(&error);
        let (end, theirs) = PairEnd::pair().map_err(system)?;
        end.set_room(ROOM).map_err(system)?;
        let number = cookie(&theirs).map_err(system)?;
        self.pairs.poller.add(&end, number, Interest::Read).map_err(system)?;
        let mut state = lock(&self.shared.ppp);
        let entry = Entry { open: open(&mut state)?, owner: *caller };
        state.insert(number, entry, end);
        Ok((SocketAnswer::Opened(number), Some(theirs)))
    }

    /// Whether a number, or a descriptor without one, is PPP's.
    pub(crate) fn find_ppp(&self, number: Option<u64>, beside: Option<&OwnedFd>) -> Option<u64> {
        let number = number.or_else(|| cookie(beside?).ok())?;
        lock(&self.shared.ppp).numbers.contains_key(&number).then_some(number)
    }

    /// Calls the socket or file of `number`; `by_number` says that the caller named it so.
    pub(crate) fn call_ppp(
        &mut self,
        engine: &mut NetEngine,
        caller: &Caller,
        (number, by_number): (u64, bool),
        call: SocketCall<'_>,
        beside: Beside,
    ) -> Answer {
        let shared = Arc::clone(&self.shared);
        let mut state = lock(&shared.ppp);
        let entry = state.numbers.get(&number).copied().ok_or(Errno::EBADF)?;
        if by_number && !caller.privileged && caller.connection != entry.owner.connection {
            return Err(Errno::EBADF);
        }
        let answer = match entry.open {
            Open::Socket(key) => {
                let program = Program { port: caller.port, owner: entry.owner };
                self.call_socket(engine, &mut state, program, (number, key), call, beside)
            }
            Open::File(key) => self.call_file(&mut state, key, call),
        };
        answer.map(|answer| (answer, None))
    }

    fn call_socket(
        &mut self,
        engine: &mut NetEngine,
        state: &mut PppState,
        program: Program,
        (number, key): (u64, SocketKey),
        call: SocketCall<'_>,
        beside: Beside,
    ) -> Result<SocketAnswer, Errno> {
        let PppState { ppp, sockets, .. } = state;
        let mut on = Subsystem { engine, host: self, ppp };
        match call {
            SocketCall::Connect(address) => {
                let (pid, owner) = (i32::try_from(program.port).unwrap_or_default(), program.owner);
                sockets.connect(&mut on, key, Connect { address, pid, owner, descriptor: beside })?;
                Ok(SocketAnswer::Done)
            }
            SocketCall::Name | SocketCall::Peer => sockets.name(&on, key).map(SocketAnswer::Address),
            SocketCall::Set { level, option, value } => {
                sockets.set_option(&mut on, key, (level, option), value).map(|()| SocketAnswer::Done)
            }
            SocketCall::Get { level, option } => {
                sockets.option(&on, key, (level, option), i32::MAX).map(SocketAnswer::Value)
            }
            SocketCall::Ioctl { request, argument } => {
                let value = sockets.ioctl(&mut on, key, (request, argument), now())?;
                // Of this socket, which nobody else fills; not of any that came along.
                if let Some(program) = beside.filter(|beside| cookie(beside).ok() == Some(number))
                    && request == PPPIOCGCHAN
                {
                    self.move_unread(state, key, &program);
                }
                Ok(SocketAnswer::Value(value))
            }
            _ => Err(Errno::EOPNOTSUPP),
        }
    }

    /// What the program has not read from its socket is the channel's from now on.
    fn move_unread(&self, state: &mut PppState, key: SocketKey, program: &OwnedFd) {
        let Some(channel) = state.sockets.channel_of(key) else { return };
        let mut buffer = vec![0; FRAME_MAX];
        while let Some(length) = l2tp_io::pair::take_unread(program, &mut buffer) {
            state.ppp.receive(channel, buffer.get(..length).unwrap_or_default(), now());
        }
        state.pump_channel(channel, &self.shared.losses);
    }

    fn call_file(
        &mut self,
        state: &mut PppState,
        key: FileKey,
        call: SocketCall<'_>,
    ) -> Result<SocketAnswer, Errno> {
        let SocketCall::Ioctl { request, argument } = call else { return Err(Errno::ENOTSOCK) };
        self.count_carried(state, &state.ppp.sessions(key));
        let losses = &Arc::clone(&self.shared).losses;
        let before = state.ppp.companions(key);
        let mut units = Units { host: self, devices: &mut state.devices };
        let value = state.ppp.ioctl(&mut units, key, request, argument, now())?;
        match request {
            // What came before there was a file for it.
            PPPIOCATTCHAN => state.pump(key, losses),
            // A unit may have lost its last channel. One that never had any has not come to its end.
            PPPIOCDISCONN => state.tell_end(&before, losses),
            _ => {}
        }
        Ok(SocketAnswer::Value(value))
    }

    /// The counters of the unit whose device has this name.
    pub(crate) fn ppp_stats(&mut self, name: &[u8]) -> Answer {
        let name = std::str::from_utf8(name).map_err(|_| Errno::ENOTTY)?;
        let index = Rtnl::open().and_then(|mut rtnl| rtnl.index_of(name)).map_err(|_| Errno::ENOTTY)?;
        let shared = Arc::clone(&self.shared);
        let mut state = lock(&shared.ppp);
        let unit =
            state.devices.iter().find(|(_, device)| device.tap.index() == index).map(|(unit, _)| *unit);
        let unit = unit.ok_or(Errno::ENOTTY)?;
        let sessions = state.ppp.unit_sessions(unit);
        self.count_carried(&mut state, &sessions);
        let stats = state.ppp.unit_number(unit).and_then(|number| state.ppp.unit_stats(number));
        stats.map(|stats| (SocketAnswer::Value(stats.emit()), None)).ok_or(Errno::ENOTTY)
    }

    /// Removes the devices of all units: nobody is left to ask for them.
    pub fn close_units(&self) {
        let devices = std::mem::take(&mut lock(&self.shared.ppp).devices);
        devices.into_values().for_each(|device| self.remove_device(device));
    }

    /// Takes what a program wrote; false when `number` is none of PPP's.
    pub(crate) fn serve_ppp(&mut self, number: u64, buffer: &mut [u8]) -> bool {
        let shared = Arc::clone(&self.shared);
        let Some((open, end)) = find(&lock(&shared.ppp), number) else { return false };
        for _ in 0..FRAMES {
            match end.recv(buffer) {
                Ok(Some(length)) => {
                    let frame = buffer.get(..length).unwrap_or_default();
                    let sent = self.take_frame(&shared, open, frame);
                    shared.losses.note(Loss::ControlUnsent, sent.is_err());
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if errno(&error) == Errno::EMSGSIZE => shared.losses.add(Loss::ControlUnsent, 1),
                Ok(None) | Err(_) => {
                    self.close_ppp(&shared, number, open);
                    break;
                }
            }
        }
        true
    }

    fn take_frame(&mut self, shared: &Shared, open: Open, frame: &[u8]) -> Result<(), Errno> {
        let mut engine = shared.engine();
        let mut state = lock(&shared.ppp);
        let sent = match open {
            Open::File(file) => state.ppp.write(file, frame, now())?,
            Open::Socket(key) => {
                let PppState { ppp, sockets, .. } = &mut *state;
                Sent::Session(sockets.send(&Subsystem { engine: &mut *engine, host: self, ppp }, key)?)
            }
        };
        if let Sent::ToUnit(unit) = sent {
            state.pump_unit(unit, &shared.losses);
        }
        release(state, engine);
        if let Sent::Session(session) = sent {
            transmit(shared, session, frame);
        }
        Ok(())
    }

    /// The last copy of a program's descriptor is closed.
    fn close_ppp(&mut self, shared: &Shared, number: u64, open: Open) {
        let mut engine = shared.engine();
        let mut state = lock(&shared.ppp);
        state.numbers.remove(&number);
        if let Some(end) = state.ends.remove(&open) {
            // It is closed in a moment anyway.
            let _: io::Result<()> = self.pairs.poller.remove(&*end);
        }
        let sessions = state.sessions(open);
        self.count_carried(&mut state, &sessions);
        let PppState { ppp, sockets, devices, .. } = &mut *state;
        let witnesses = match open {
            Open::Socket(key) => {
                let witnesses = sockets.channel_of(key).map(|channel| ppp.witnesses(channel));
                sockets.close(&mut Subsystem { engine: &mut *engine, host: self, ppp }, key);
                witnesses.unwrap_or_default()
            }
            Open::File(file) => {
                let mut companions = ppp.companions(file);
                ppp.close(&mut Units { host: self, devices }, file);
                // What has not died goes on, a unit that has no channel yet too.
                companions.retain(|companion| ppp.poll(*companion).hung_up);
                companions
            }
        };
        state.tell_end(&witnesses, &shared.losses);
    }

    /// Sessions that have ended since this was last called hang up. To be called after whatever may end one.
    pub fn settle_ppp(&mut self) {
        let ended = std::mem::take(&mut self.ended);
        if ended.is_empty() {
            return;
        }
        let shared = Arc::clone(&self.shared);
        let mut state = lock(&shared.ppp);
        self.count_last(&mut state);
        for session in ended {
            state.session_ended(session, &shared.losses);
        }
    }

    /// Units whose device somebody else deleted die.
    pub fn bury_lost_units(&mut self) {
        let shared = Arc::clone(&self.shared);
        let mut state = lock(&shared.ppp);
        for unit in shared.take_lost_units() {
            let files = state.ppp.unit_files(unit).to_vec();
            let PppState { ppp, devices, .. } = &mut *state;
            ppp.lose_unit(&mut Units { host: self, devices }, unit);
            state.tell_end(&files, &shared.losses);
        }
    }

    pub(crate) fn ppp_holder_of(&self, session: SessionKey) -> Option<PppHolder> {
        let state = lock(&self.shared.ppp);
        let (_, bound) = state.sockets.holder(session)?;
        let number = state.sockets.channel(session).and_then(|channel| state.ppp.unit_of(channel));
        Some(PppHolder { bound, interface: number.map(|number| format!("ppp{number}")) })
    }
}

fn find(state: &PppState, number: u64) -> Option<(Open, Arc<PairEnd>)> {
    let open = state.numbers.get(&number)?.open;
    state.ends.get(&open).map(|end| (open, Arc::clone(end)))
}

/// In the order in which they were not taken.
fn release(state: MutexGuard<'_, PppState>, engine: MutexGuard<'_, NetEngine>) {
    drop(state);
    drop(engine);
}
