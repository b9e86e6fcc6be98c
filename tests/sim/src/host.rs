//! A host of values.

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use l2tp_abi::errno::Errno;
use l2tp_core::config::SocketConfig;
use l2tp_core::host::DeviceRequest;
use l2tp_core::{Encap, Endpoints, Host, SessionKey, TunnelConfig, TunnelKey};

/// A host with one link: every address is local and every peer is on that link.
#[derive(Debug)]
pub struct SimHost {
    /// MTU of the route to every peer.
    pub route_mtu: u32,
    /// Local UDP ports in use.
    pub ports: BTreeSet<u16>,
    /// Names of the devices that exist.
    pub devices: BTreeSet<String>,
    /// Sockets that are open.
    pub sockets: usize,
}

impl Default for SimHost {
    fn default() -> Self {
        let devices = BTreeSet::from(["lo".to_owned()]);
        Self { route_mtu: 1500, ports: BTreeSet::new(), devices, sockets: 0 }
    }
}

/// A socket: the addresses that it was opened with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimSocket(pub Endpoints);

/// A device: its name and MTU.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SimDevice {
    /// The name that it got.
    pub name: String,
    /// Its MTU in bytes.
    pub mtu: u32,
}

impl SimHost {
    fn free_name(&self, template: &str) -> Option<String> {
        let Some((before, after)) = template.split_once("%d") else {
            return (!self.devices.contains(template)).then(|| template.to_owned());
        };
        (0..).map(|n: u32| format!("{before}{n}{after}")).find(|name| !self.devices.contains(name))
    }
}

impl Host for SimHost {
    type Socket = SimSocket;
    type Device = SimDevice;
    type Descriptor = Infallible;

    fn open_socket(
        &mut self,
        _: TunnelKey,
        config: &TunnelConfig,
        _: Option<Infallible>,
    ) -> Result<SimSocket, Errno> {
        let endpoints = endpoints(&config.socket);
        let port = endpoints.local.port();
        if config.encap == Encap::Udp && port != 0 && !self.ports.insert(port) {
            return Err(Errno::EADDRINUSE);
        }
        self.sockets += 1;
        Ok(SimSocket(endpoints))
    }

    fn close_socket(&mut self, _: TunnelKey, socket: SimSocket) {
        self.ports.remove(&socket.0.local.port());
        self.sockets -= 1;
    }

    fn endpoints(&self, socket: &SimSocket) -> Endpoints {
        socket.0
    }

    fn route_mtu(&self, _: &SimSocket) -> u32 {
        self.route_mtu
    }

    fn create_device(
        &mut self,
        _: SessionKey,
        request: &DeviceRequest<'_>,
    ) -> Result<(SimDevice, String), Errno> {
        let name = self.free_name(request.name).ok_or(Errno::EEXIST)?;
        self.devices.insert(name.clone());
        Ok((SimDevice { name: name.clone(), mtu: request.mtu }, name))
    }

    fn destroy_device(&mut self, _: SessionKey, device: SimDevice) {
        self.devices.remove(&device.name);
    }
}

fn endpoints(config: &SocketConfig) -> Endpoints {
    let any = (IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0);
    let (local, peer, csum, tx, rx) = match *config {
        SocketConfig::Addresses { local, peer, sport, dport, udp_csum, zero_csum6_tx, zero_csum6_rx } => {
            ((local, sport), (peer, dport), udp_csum, zero_csum6_tx, zero_csum6_rx)
        }
        SocketConfig::Descriptor { .. } => (any, any, true, false, false),
    };
    Endpoints {
        local: SocketAddr::from(local),
        peer: SocketAddr::from(peer),
        udp_csum: csum,
        zero_csum6_tx: tx,
        zero_csum6_rx: rx,
    }
}
