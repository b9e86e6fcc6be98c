//! A network namespace that has only `lo`, as the recorded cases had: what the kernel's sockets answer there.

use l2tp_abi::Errno;
use l2tp_abi::genl::ferrowire::socket::{SocketAnswer, SocketCall, SocketRequest};
use l2tp_core::host::{Caller, DeviceRequest};
use l2tp_core::{Encap, Endpoints, Engine, Host, SessionKey, SocketConfig, TunnelConfig, TunnelKey};
use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

/// The descriptor number of the program's connected UDP socket.
pub(crate) const CONNECTED_UDP_FD: i32 = 3;

#[derive(Debug)]
pub(crate) struct LoopbackHost {
    ports: BTreeSet<u16>,
    devices: BTreeSet<String>,
    /// Who called sockets, call by call.
    pub(crate) socket_callers: Vec<Caller>,
}

impl Default for LoopbackHost {
    fn default() -> Self {
        let devices = BTreeSet::from(["lo".to_owned()]);
        Self { ports: BTreeSet::new(), devices, socket_callers: Vec::new() }
    }
}

impl LoopbackHost {
    /// Whether everything that was opened was closed again.
    pub(crate) fn is_clean(&self) -> bool {
        self.ports.is_empty() && self.devices.len() == 1
    }

    fn bind(&mut self, encap: Encap, local: IpAddr, port: u16) -> Result<u16, Errno> {
        if !(local.is_loopback() || local.is_unspecified()) {
            return Err(Errno::EADDRNOTAVAIL);
        }
        if encap == Encap::Ip {
            return Ok(0);
        }
        let port = if port == 0 { (40_000..).find(|port| !self.ports.contains(port)).unwrap() } else { port };
        if self.ports.insert(port) { Ok(port) } else { Err(Errno::EADDRINUSE) }
    }
}

/// What `connect` answers.
fn connect(encap: Encap, peer: IpAddr) -> Result<(), Errno> {
    match peer {
        _ if peer.is_loopback() || peer.is_unspecified() => Ok(()),
        IpAddr::V4(Ipv4Addr::BROADCAST) => Err(Errno::EACCES),
        IpAddr::V4(ip) if ip.is_multicast() && encap == Encap::Ip => Err(Errno::EINVAL),
        IpAddr::V6(ip) if ip.is_multicast() || ip.is_unicast_link_local() => Err(Errno::EINVAL),
        _ => Err(Errno::ENETUNREACH),
    }
}

impl Host for LoopbackHost {
    type Socket = Endpoints;
    type Device = String;
    /// What a number stands for is known by the number.
    type Descriptor = u64;

    fn open_socket(
        &mut self,
        _: TunnelKey,
        config: &TunnelConfig,
        _: Option<u64>,
    ) -> Result<Endpoints, Errno> {
        let localhost = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        match config.socket {
            SocketConfig::Descriptor { fd: CONNECTED_UDP_FD } if config.encap == Encap::Ip => {
                Err(Errno::EPROTONOSUPPORT)
            }
            SocketConfig::Descriptor { fd: CONNECTED_UDP_FD } => Ok(Endpoints {
                local: localhost(5001),
                peer: localhost(5002),
                udp_csum: true,
                zero_csum6_tx: false,
                zero_csum6_rx: false,
            }),
            SocketConfig::Descriptor { fd: 0..=2 } => Err(Errno::ENOTSOCK),
            SocketConfig::Descriptor { .. } => Err(Errno::EBADF),
            SocketConfig::Addresses { local, peer, sport, dport, udp_csum, zero_csum6_tx, zero_csum6_rx } => {
                let connects = config.encap == Encap::Ip || dport != 0;
                if connects {
                    // Checked first, so that a refused connect leaves no port behind.
                    self.bind(Encap::Ip, local, 0)?;
                    connect(config.encap, peer)?;
                }
                let sport = self.bind(config.encap, local, sport)?;
                let dport = if config.encap == Encap::Ip { 0 } else { dport };
                let local = SocketAddr::from((local, sport));
                Ok(Endpoints {
                    local,
                    peer: SocketAddr::from((peer, dport)),
                    udp_csum,
                    zero_csum6_tx,
                    zero_csum6_rx,
                })
            }
        }
    }

    fn close_socket(&mut self, _: TunnelKey, socket: Endpoints) {
        self.ports.remove(&socket.local.port());
    }

    fn endpoints(&self, socket: &Endpoints) -> Endpoints {
        *socket
    }

    fn route_mtu(&self, _: &Endpoints) -> u32 {
        65_536
    }

    fn create_device(
        &mut self,
        _: SessionKey,
        request: &DeviceRequest<'_>,
    ) -> Result<(String, String), Errno> {
        let name = if request.name.contains("%d") {
            let names = (0..).map(|number: u32| request.name.replace("%d", &number.to_string()));
            names.into_iter().find(|name| !self.devices.contains(name)).unwrap()
        } else {
            request.name.to_owned()
        };
        if self.devices.insert(name.clone()) { Ok((name.clone(), name)) } else { Err(Errno::EEXIST) }
    }

    fn destroy_device(&mut self, _: SessionKey, device: String) {
        self.devices.remove(&device);
    }

    /// Has one socket, number 5, which descriptor 55 stands for.
    fn socket_call(
        &mut self,
        _: &mut Engine<Endpoints, String>,
        caller: &Caller,
        request: &SocketRequest<'_>,
        descriptor: Option<u64>,
    ) -> Result<(SocketAnswer, Option<u64>), Errno> {
        self.socket_callers.push(*caller);
        let named = request.socket == Some(5) || descriptor == Some(55);
        match request.call {
            SocketCall::Open(2) => Ok((SocketAnswer::Opened(5), Some(55))),
            SocketCall::Open(_) => Err(Errno::EAFNOSUPPORT),
            _ if !named => Err(Errno::EBADF),
            SocketCall::Name => Ok((SocketAnswer::Address(vec![2, 0]), None)),
            _ => Ok((SocketAnswer::Done, None)),
        }
    }
}
