//! The operating system as the engine sees it.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::sync::Arc;

use l2tp_abi::errno::Errno;
use l2tp_core::host::DeviceRequest;
use l2tp_core::{Encap, Endpoints, Host, SessionKey, SocketConfig, TunnelConfig, TunnelKey};
use l2tp_io::rawip::{Family, RawRoute, RawSocket, probe};
use l2tp_io::tap::Tap;
use l2tp_io::udp::{UdpConfig, UdpSocket};

use crate::device::Device;
use crate::names::Numbers;
use crate::reaper::Reaper;
use crate::shared::{Shared, Source, Watch};
use crate::socket::TunnelSocket;

/// Limits of a TAP device's MTU, in bytes; the kernel's `l2tpeth` has 0 and 65535.
const TAP_MTU: std::ops::RangeInclusive<u32> = 68..=65521;

/// Opens sockets and devices in the namespace of the calling thread and gives them to the workers.
pub struct SystemHost {
    shared: Arc<Shared>,
    reaper: Reaper,
    numbers: Numbers,
    sockets: HashMap<TunnelKey, Watch>,
    raw: [Option<RawShare>; 2],
}

/// The raw socket of a family, open while a tunnel needs it.
struct RawShare {
    socket: Arc<RawSocket>,
    watch: Watch,
    users: usize,
}

impl SystemHost {
    pub(crate) fn new(shared: Arc<Shared>) -> io::Result<Self> {
        let reaper = Reaper::start()?;
        Ok(Self { shared, reaper, numbers: Numbers::default(), sockets: HashMap::new(), raw: [None, None] })
    }

    /// Waits until every device of a deleted session is gone.
    pub fn settle(&self) {
        self.reaper.settle();
    }

    fn open_udp(&mut self, key: TunnelKey, config: UdpConfig) -> io::Result<Arc<TunnelSocket>> {
        let tunnel = Arc::new(TunnelSocket::Udp { socket: UdpSocket::open(&config)?, config });
        if let TunnelSocket::Udp { socket, .. } = &*tunnel {
            let watch = self.shared.watch(socket, Source::Udp(Arc::clone(&tunnel), key))?;
            self.sockets.insert(key, watch);
        }
        Ok(tunnel)
    }

    fn open_ip(&mut self, local: IpAddr, peer: IpAddr) -> io::Result<Arc<TunnelSocket>> {
        let source = probe(local, peer)?.local;
        let socket = self.share_raw(if local.is_ipv4() { Family::V4 } else { Family::V6 })?;
        Ok(Arc::new(TunnelSocket::Ip { socket, route: RawRoute { source, destination: peer } }))
    }

    fn share_raw(&mut self, family: Family) -> io::Result<Arc<RawSocket>> {
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

    fn release_raw(&mut self, socket: &Arc<RawSocket>) {
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

    /// A name may still be held by the device of a session that was deleted a moment ago.
    fn create_tap(&mut self, name: &str) -> io::Result<Tap> {
        match self.numbers.create(name, Tap::create) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && self.reaper.is_busy() => {
                self.reaper.settle();
                self.numbers.create(name, Tap::create)
            }
            result => result,
        }
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
        _descriptor: Option<OwnedFd>,
    ) -> Result<Self::Socket, Errno> {
        let SocketConfig::Addresses { local, peer, sport, dport, udp_csum, zero_csum6_tx, zero_csum6_rx } =
            config.socket
        else {
            // The door does not carry a program's descriptors yet.
            return Err(Errno::EOPNOTSUPP);
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
            TunnelSocket::Ip { socket, .. } => self.release_raw(socket),
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
        let tap = self.create_tap(request.name).map_err(|error| errno(&error))?;
        let mtu = request.mtu.clamp(*TAP_MTU.start(), *TAP_MTU.end());
        tap.set_mtu(mtu).map_err(|error| errno(&error))?;
        let device = Arc::new(Device::new(tap));
        let watch = self.shared.watch(&device.tap, Source::Device(Arc::clone(&device), key));
        let watch = watch.map_err(|error| errno(&error))?;
        // Empty until now: nobody else has seen the device.
        let _: Result<(), Watch> = device.watch.set(watch);
        let name = device.name().to_owned();
        Ok((device, name))
    }

    fn destroy_device(&mut self, _: SessionKey, device: Self::Device) {
        if let Some(watch) = device.watch.get() {
            self.shared.forget(&device.tap, *watch);
        }
        self.numbers.give_back(device.name());
        self.reaper.take(device);
    }
}

/// The system's answer; EIO where an error carries none.
fn errno(error: &io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno)
}
