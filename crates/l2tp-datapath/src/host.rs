//! The operating system as the engine sees it.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::time::Duration;

use l2tp_abi::errno::Errno;
use l2tp_abi::genl::ferrowire::path::Path;
use l2tp_abi::genl::ferrowire::socket::{SocketAnswer, SocketCall, SocketRequest};
use l2tp_abi::sockaddr::AF_PPPOX;
use l2tp_core::carriage::Carried;
use l2tp_core::host::{Caller, DataPattern, DeviceRequest, Placement, PppHolder};
use l2tp_core::{Encap, Endpoints, Host, SessionKey, SocketConfig, TunnelConfig, TunnelKey};
use l2tp_io::last_close::LastClose;
use l2tp_io::rawip::{Family, RawRoute, RawSocket, probe};
use l2tp_io::rawudp::RawUdp;
use l2tp_io::spread::Spread;
use l2tp_io::tap::Tap;
use l2tp_io::udp::{ProgramSocket, UdpConfig, UdpSocket};

use crate::below::Below;
use crate::bpf::BpfPath;
use crate::device::{Device, Upper};
use crate::l2tpip::Pairs;
use crate::managed::socket::ManagedSocket;
use crate::names::Numbers;
use crate::reaper::Reaper;
use crate::shared::{NetEngine, Shared, Source, Watch, lock};
use crate::socket::TunnelSocket;

/// The name of a new device awaits the end of so many old ones: they go together, within some 20 ms.
const NAMES_AWAITED: usize = 64;

/// What stands before the number in the name of a TAP below another device.
const LOWER: &str = "l2tplow";

/// Limits of a TAP device's MTU, in bytes; the kernel's `l2tpeth` has 0 and 65535.
const TAP_MTU: std::ops::RangeInclusive<u32> = 68..=65521;

/// Opens sockets and devices in the namespace of the calling thread and gives them to the workers.
pub struct SystemHost {
    pub(crate) shared: Arc<Shared>,
    reaper: Reaper,
    numbers: Numbers,
    sockets: HashMap<TunnelKey, Watch>,
    raw: [Option<RawShare>; 2],
    closes: LastClose,
    pub(crate) pairs: Pairs,
    /// PPP sessions that have ended, of which [`Self::settle_ppp`] is to tell.
    pub(crate) ended: Vec<SessionKey>,
    /// The last that was carried of them below the workers, which their units are to count.
    pub(crate) uncounted: Vec<(SessionKey, Carried)>,
    pub(crate) below: Below,
    /// The number of the TAP that was made last below another device.
    lowers: u32,
    /// The queues of devices, if they have several.
    spread: Option<Spread>,
}

/// The raw socket of a family, open while a tunnel or an L2TPIP socket needs it.
struct RawShare {
    socket: Arc<RawSocket>,
    watch: Watch,
    users: usize,
}

impl SystemHost {
    pub(crate) fn new(shared: Arc<Shared>, path: Path, spread: Option<Spread>) -> io::Result<Self> {
        let below = Below::new(path)?;
        let (reaper, closes, pairs) = (Reaper::start()?, LastClose::open()?, Pairs::new()?);
        let (numbers, sockets, raw) = (Numbers::default(), HashMap::new(), [None, None]);
        let (ended, uncounted) = (Vec::new(), Vec::new());
        Ok(Self {
            shared,
            reaper,
            numbers,
            sockets,
            raw,
            closes,
            pairs,
            ended,
            uncounted,
            below,
            lowers: 0,
            spread,
        })
    }

    /// Waits until every device of a deleted session is gone.
    pub fn settle(&self) {
        self.reaper.settle();
    }

    /// Becomes readable when [`Self::take_closed`] may have something to tell.
    #[must_use]
    pub fn closes(&self) -> &LastClose {
        &self.closes
    }

    /// The tunnels whose programs have closed their sockets. Each is told once; the engine still has them.
    #[must_use]
    pub fn take_closed(&mut self) -> Vec<TunnelKey> {
        let closed = self.closes.closed();
        closed.into_iter().filter_map(|cookie| self.shared.managed.tunnel_of(cookie)).collect()
    }

    /// Becomes readable when [`Self::take_changes`] has something to do.
    #[must_use]
    pub fn network_events(&self) -> BorrowedFd<'_> {
        self.below.events()
    }

    /// When [`Self::look_around`] wants to be called.
    #[must_use]
    pub fn follow_after(&self) -> Option<Duration> {
        self.below.found().ok().and_then(BpfPath::follow_after)
    }

    /// Looks for what no message tells of: programs' sockets that were connected anew, paths that have become narrower.
    pub fn look_around(&mut self) {
        if let Some(bpf) = self.below.get() {
            bpf.look_around();
        }
    }

    /// Hears what has changed on the network. Devices that were deleted are told by [`crate::Datapath::take_lost_devices`].
    pub fn take_changes(&mut self) {
        let Some(bpf) = self.below.get() else { return };
        for (session, device) in bpf.take_changes() {
            self.shared.lose_device(&device, session);
        }
    }

    /// Finds the right path for sessions that were made or changed, and for those of which the network says something new: as
    /// many as packets may wait for. Says whether there are more.
    pub fn place_sessions(&mut self, engine: &mut NetEngine) -> bool {
        let mut changed = engine.take_changed();
        changed.extend(lock(&self.shared.ppp).ppp.take_changed());
        let bpf = if changed.is_empty() { self.below.get() } else { self.below.load() };
        bpf.is_some_and(|bpf| bpf.place_some(engine, &self.shared, changed))
    }

    /// Tidies up behind sessions that BPF does not carry any more, when they are many. May take some 20 ms: not with the engine in hand.
    pub fn settle_paths(&mut self) {
        if let Some(bpf) = self.below.get() {
            bpf.settle();
        }
    }

    /// Takes a program's UDP socket for a tunnel. The descriptor is closed again: the socket is to die when the program
    /// lets go of it.
    fn adopt_udp(&mut self, key: TunnelKey, descriptor: &OwnedFd) -> io::Result<Arc<TunnelSocket>> {
        let found = ProgramSocket::examine(descriptor.as_fd())?;
        self.open_receivers()?;
        let managed = &self.shared.managed;
        managed.adopt(key, &found, descriptor)?;
        if let Err(error) = self.closes.watch(descriptor) {
            managed.release(found.identity.cookie);
            return Err(error);
        }
        Ok(Arc::new(TunnelSocket::Managed(ManagedSocket::new(Arc::clone(managed), &found))))
    }

    /// Opens the raw sockets that receive beside those of programs, with the first of these.
    fn open_receivers(&self) -> io::Result<()> {
        if !self.shared.managed.lacks_receivers() {
            return Ok(());
        }
        let open = |family| {
            let receiver = Arc::new(RawUdp::open(family)?);
            self.shared.watch(&*receiver, Source::Managed(Arc::clone(&receiver)))?;
            io::Result::Ok(receiver)
        };
        let mut receivers = vec![open(Family::V4)?];
        // A host may have no IPv6.
        receivers.extend(open(Family::V6));
        self.shared.managed.set_receivers(receivers);
        Ok(())
    }

    fn open_udp(&mut self, key: TunnelKey, config: UdpConfig) -> io::Result<Arc<TunnelSocket>> {
        let tunnel = Arc::new(TunnelSocket::udp(UdpSocket::open(&config)?, config));
        if let TunnelSocket::Udp { socket, .. } = &*tunnel {
            let watch = self.shared.watch(socket, Source::Udp(Arc::clone(&tunnel), key))?;
            self.sockets.insert(key, watch);
        }
        Ok(tunnel)
    }

    fn open_ip(&mut self, local: IpAddr, peer: IpAddr) -> io::Result<Arc<TunnelSocket>> {
        let source = probe(local, peer)?.local;
        let socket = self.share_raw(if local.is_ipv4() { Family::V4 } else { Family::V6 })?;
        Ok(Arc::new(TunnelSocket::Ip { socket, route: RawRoute::new(source, peer) }))
    }

    pub(crate) fn share_raw(&mut self, family: Family) -> io::Result<Arc<RawSocket>> {
        let place = &mut self.raw[family as usize];
        if let Some(share) = place {
            share.users += 1;
            return Ok(Arc::clone(&share.socket));
        }
        let socket = Arc::new(RawSocket::open(family)?);
        let watch = self.shared.watch(&*socket, Source::Raw(Arc::clone(&socket)))?;
        *place = Some(RawShare { socket: Arc::clone(&socket), watch, users: 1 });
        Ok(socket)
    }

    pub(crate) fn release_raw(&mut self, socket: &Arc<RawSocket>) {
        for place in &mut self.raw {
            let Some(share) = place.as_mut().filter(|share| Arc::ptr_eq(&share.socket, socket)) else {
                continue;
            };
            share.users -= 1;
            if share.users == 0 {
                self.shared.forget(&*share.socket, share.watch);
                *place = None;
            }
        }
    }

    /// Makes a device: a TAP, or the pair of devices whose frames BPF programs can take.
    fn create_pair(&mut self, request: &DeviceRequest<'_>, mtu: u32) -> io::Result<(Tap, Option<Upper>)> {
        self.await_names(request.name);
        if request.vlan.is_none()
            && let Some(bpf) = self.below.load()
        {
            let lower = create_lower(&mut self.lowers, self.spread.as_ref())?;
            let address = bpf.prepare_lower(lower.index())?;
            let raise = |name: &str| bpf.raise(lower.index(), name, address, mtu);
            match create_named(&mut self.numbers, &self.reaper, request.name, raise) {
                Err(error) if error.raw_os_error() == Some(Errno::EOPNOTSUPP.0) => {}
                raised => return Ok((lower, Some(raised?))),
            }
        }
        let spread = self.spread.as_ref();
        let create = |name: &str| Tap::create_spread(name, spread);
        let tap = create_named(&mut self.numbers, &self.reaper, request.name, create)?;
        tap.set_mtu(mtu)?;
        Ok((tap, None))
    }

    /// Who deletes the session of l2tpeth0 and makes another means l2tpeth0 again, if it is one of a few.
    fn await_names(&self, name: &str) {
        if name.contains('%') && (1..=NAMES_AWAITED).contains(&self.reaper.pending()) {
            self.reaper.settle();
        }
    }

    /// Makes the device of a PPP unit. As above, its name may be on its way out.
    pub(crate) fn create_tun(&self, name: &str) -> io::Result<Tap> {
        let create = || Tap::create_ppp(name, self.spread.as_ref());
        match create() {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && self.reaper.pending() > 0 => {
                self.reaper.settle();
                create()
            }
            result => result,
        }
    }

    /// Takes a device from the workers, and removes it soon.
    pub(crate) fn remove_device(&self, device: Arc<Device>) {
        self.shared.forget_device(&device);
        self.reaper.take(device);
    }
}

impl Host for SystemHost {
    type Socket = Arc<TunnelSocket>;
    type Device = Arc<Device>;
    type Descriptor = OwnedFd;

    fn open_socket(
        &mut self,
        key: TunnelKey,
        config: &TunnelConfig,
        descriptor: Option<OwnedFd>,
    ) -> Result<Self::Socket, Errno> {
        let SocketConfig::Addresses { local, peer, sport, dport, udp_csum, zero_csum6_tx, zero_csum6_rx } =
            config.socket
        else {
            let descriptor = descriptor.ok_or(Errno::EBADF)?;
            if let Some(adopted) = self.adopt_l2tpip(key, config.encap, &descriptor) {
                return adopted;
            }
            let adopted = match config.encap {
                Encap::Udp => self.adopt_udp(key, &descriptor),
                Encap::Ip => refuse_for_ip(&descriptor),
            };
            return adopted.map_err(|error| errno(&error));
        };
        let opened = match config.encap {
            Encap::Udp => self.open_udp(
                key,
                UdpConfig {
                    local: Some(SocketAddr::new(local, sport)),
                    peer: Some(SocketAddr::new(peer, dport)),
                    checksum: udp_csum,
                    zero_csum6_tx,
                    zero_csum6_rx,
                },
            ),
            Encap::Ip => self.open_ip(local, peer),
        };
        opened.map_err(|error| errno(&error))
    }

    fn close_socket(&mut self, key: TunnelKey, socket: Self::Socket) {
        match &*socket {
            TunnelSocket::Udp { socket, .. } => {
                if let Some(watch) = self.sockets.remove(&key) {
                    self.shared.forget(socket, watch);
                }
            }
            TunnelSocket::Managed(socket) => {
                self.closes.forget(socket.cookie());
                socket.managed().release(socket.cookie());
            }
            TunnelSocket::Ip { socket, .. } => self.release_raw(socket),
            TunnelSocket::L2tpip { path, .. } => lock(&self.shared.l2tpip).detach(key, path),
        }
    }

    fn divert(&mut self, socket: &Self::Socket, pattern: &DataPattern) {
        if let TunnelSocket::Managed(socket) = &**socket {
            socket.managed().divert(socket.cookie(), pattern);
        }
    }

    fn undivert(&mut self, socket: &Self::Socket, pattern: &DataPattern) {
        if let TunnelSocket::Managed(socket) = &**socket {
            socket.managed().undivert(socket.cookie(), pattern);
        }
    }

    fn endpoints(&self, socket: &Self::Socket) -> Endpoints {
        socket.endpoints()
    }

    fn route_mtu(&self, socket: &Self::Socket) -> u32 {
        socket.route_mtu()
    }

    fn create_device(
        &mut self,
        key: SessionKey,
        request: &DeviceRequest<'_>,
    ) -> Result<(Self::Device, String), Errno> {
        let mtu = request.mtu.clamp(*TAP_MTU.start(), *TAP_MTU.end());
        let (tap, upper) = self.create_pair(request, mtu).map_err(|error| errno(&error))?;
        let device = Arc::new(Device::new(tap, upper, request.vlan));
        let source = |queue| Source::Device(Arc::clone(&device), key, queue);
        self.shared.watch_device(&device, source).map_err(|error| {
            self.numbers.give_back(device.name());
            errno(&error)
        })?;
        if let Some(bpf) = self.below.get() {
            bpf.watch(key, &device);
        }
        let name = device.name().to_owned();
        Ok((device, name))
    }

    fn destroy_device(&mut self, _: SessionKey, device: Self::Device) {
        if let Some(bpf) = self.below.get() {
            bpf.forget(&device);
        }
        self.numbers.give_back(device.name());
        self.remove_device(device);
    }

    fn session_ended(&mut self, key: SessionKey) {
        self.ended.push(key);
    }

    fn take_carried(&mut self, key: SessionKey) -> Carried {
        self.below.get().map(|bpf| bpf.take_carried(key)).unwrap_or_default()
    }

    fn stop_carrying(&mut self, key: SessionKey) -> Carried {
        let Some(bpf) = self.below.get() else { return Carried::default() };
        let (carried, packets) = bpf.remove(key);
        self.uncounted.extend(packets.map(|packets| (key, packets)));
        carried
    }

    fn set_path(&mut self, key: Option<SessionKey>, path: Path) -> Result<(), Errno> {
        match self.below.load() {
            Some(bpf) => bpf.set_wanted(key, path),
            None if path == Path::Bpf => return Err(Errno::EOPNOTSUPP),
            // There is but one path.
            None => {}
        }
        Ok(())
    }

    fn placement(&self, key: SessionKey) -> Placement {
        match self.below.found() {
            Ok(bpf) => bpf.placement(key),
            Err(why) => Placement { wanted: Path::User, carried_by: Path::User, reason: why.to_owned() },
        }
    }

    fn ppp_holder(&self, key: SessionKey) -> Option<PppHolder> {
        self.ppp_holder_of(key)
    }

    fn socket_call(
        &mut self,
        engine: &mut NetEngine,
        caller: &Caller,
        request: &SocketRequest<'_>,
        descriptor: Option<OwnedFd>,
    ) -> Result<(SocketAnswer, Option<OwnedFd>), Errno> {
        match request.call {
            SocketCall::Open(AF_PPPOX) => return self.open_pppol2tp(caller),
            SocketCall::OpenPpp => return self.open_dev_ppp(caller),
            SocketCall::PppStats(name) => return self.ppp_stats(name),
            _ => {}
        }
        match self.find_ppp(request.socket, descriptor.as_ref()) {
            Some(number) => {
                self.call_ppp(engine, caller, (number, request.socket.is_some()), request.call, descriptor)
            }
            None => {
                // A tunnel goes where its socket goes.
                if let Some(bpf) = self.below.get() {
                    bpf.follow();
                }
                self.call_l2tpip(caller, request, descriptor.as_ref())
            }
        }
    }
}

/// Makes the TAP below a device that is seen.
fn create_lower(number: &mut u32, spread: Option<&Spread>) -> io::Result<Tap> {
    loop {
        *number = number.wrapping_add(1);
        match Tap::create_spread(&format!("{LOWER}{number}"), spread) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            created => return created,
        }
    }
}

/// Makes a device of that name, which may still be held by the device of a session that was deleted a moment ago.
fn create_named<T>(
    numbers: &mut Numbers,
    reaper: &Reaper,
    name: &str,
    mut create: impl FnMut(&str) -> io::Result<T>,
) -> io::Result<T> {
    match numbers.create(name, &mut create) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && reaper.pending() > 0 => {
            reaper.settle();
            numbers.create(name, create)
        }
        result => result,
    }
}

/// No other descriptor is an L2TPIP socket; a raw socket of that protocol is none either.
fn refuse_for_ip(descriptor: &OwnedFd) -> io::Result<Arc<TunnelSocket>> {
    ProgramSocket::examine(descriptor.as_fd())?;
    Err(io::Error::from_raw_os_error(Errno::EPROTONOSUPPORT.0))
}

/// The system's answer; EIO where an error carries none.
pub(crate) fn errno(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno)
}
