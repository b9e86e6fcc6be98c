//! A namespace whose program has descriptors of every kind.

use l2tp_abi::Errno;
use l2tp_abi::sockaddr::{Pppol2tpForm, SockaddrPppol2tp};
use l2tp_core::host::{Caller, DeviceRequest};
use l2tp_core::{
    Encap, Endpoints, Engine, Host, Instant, PwType, SessionConfig, SessionKey, SessionSelector,
    SocketConfig, TunnelConfig, TunnelKey,
};
use l2tp_sockets::ppp::{Devices, Ppp, UnitKey};
use l2tp_sockets::pppol2tp::{Connect, Pppol2tp, SocketKey, Subsystem};
use std::net::SocketAddr;

/// What a program has open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Descriptor {
    /// A UDP socket from port 1701 to port 1702 of the loopback address.
    Udp4,
    Udp6,
    File,
    Tcp,
    /// A UDP socket that carries a tunnel.
    Tunnel,
}

#[derive(Default)]
pub(crate) struct TestHost {
    /// Tunnels whose socket is open.
    pub(crate) sockets: usize,
    pub(crate) devices: usize,
    /// Sessions that ended and that nobody has been told of.
    pub(crate) ended: Vec<SessionKey>,
}

pub(crate) fn endpoints(address: &str) -> Endpoints {
    let at = |port: u16| SocketAddr::new(address.parse().unwrap(), port);
    let (local, peer) = (at(1701), at(1702));
    Endpoints { local, peer, udp_csum: false, zero_csum6_tx: false, zero_csum6_rx: false }
}

impl Host for TestHost {
    type Socket = Endpoints;
    type Device = ();
    type Descriptor = Descriptor;

    fn open_socket(
        &mut self,
        _: TunnelKey,
        config: &TunnelConfig,
        descriptor: Option<Descriptor>,
    ) -> Result<Endpoints, Errno> {
        let socket = match (&config.socket, descriptor) {
            (SocketConfig::Addresses { local, .. }, _) => endpoints(&local.to_string()),
            (_, None) => return Err(Errno::EBADF),
            (_, Some(Descriptor::File)) => return Err(Errno::ENOTSOCK),
            (_, Some(Descriptor::Tcp)) => return Err(Errno::EPROTONOSUPPORT),
            (_, Some(Descriptor::Tunnel)) => return Err(Errno::EBUSY),
            (_, Some(Descriptor::Udp4)) => endpoints("127.0.0.1"),
            (_, Some(Descriptor::Udp6)) => endpoints("::1"),
        };
        self.sockets += 1;
        Ok(socket)
    }

    fn close_socket(&mut self, _: TunnelKey, _: Endpoints) {
        self.sockets -= 1;
    }

    fn endpoints(&self, socket: &Endpoints) -> Endpoints {
        *socket
    }

    fn route_mtu(&self, _: &Endpoints) -> u32 {
        1500
    }

    fn create_device(&mut self, _: SessionKey, request: &DeviceRequest<'_>) -> Result<((), String), Errno> {
        self.devices += 1;
        Ok(((), request.name.to_owned()))
    }

    fn destroy_device(&mut self, _: SessionKey, (): ()) {
        self.devices -= 1;
    }

    fn session_ended(&mut self, key: SessionKey) {
        self.ended.push(key);
    }
}

/// Nobody makes units here.
pub(crate) struct NoDevices;

impl Devices for NoDevices {
    fn create(&mut self, _: UnitKey, _: u32) -> Result<(), Errno> {
        Ok(())
    }

    fn destroy(&mut self, _: UnitKey) {}
}

#[derive(Default)]
pub(crate) struct Lab {
    pub(crate) engine: Engine<Endpoints, ()>,
    pub(crate) host: TestHost,
    pub(crate) ppp: Ppp,
    pub(crate) sockets: Pppol2tp,
    pub(crate) now: Instant,
}

pub(crate) const PID: i32 = 4711;
pub(crate) const ROOT: Caller = Caller { connection: 16, user: 0, privileged: true, port: 4711 };

/// The address of an L2TPv2 session, tunnel descriptor 3.
pub(crate) fn v2(s_tunnel: u32, s_session: u32, d_tunnel: u32, d_session: u32) -> SockaddrPppol2tp {
    SockaddrPppol2tp {
        form: Pppol2tpForm::V2In,
        pid: 0,
        fd: 3,
        peer: "0.0.0.0:0".parse().unwrap(),
        s_tunnel,
        s_session,
        d_tunnel,
        d_session,
    }
}

pub(crate) fn of_form(form: Pppol2tpForm, address: SockaddrPppol2tp) -> SockaddrPppol2tp {
    let peer = match form {
        Pppol2tpForm::V2In | Pppol2tpForm::V3In => "0.0.0.0:0",
        _ => "[::]:0",
    };
    SockaddrPppol2tp { form, peer: peer.parse().unwrap(), ..address }
}

impl Lab {
    pub(crate) fn on(&mut self) -> (&mut Pppol2tp, Subsystem<'_, TestHost>) {
        let on = Subsystem { engine: &mut self.engine, host: &mut self.host, ppp: &mut self.ppp };
        (&mut self.sockets, on)
    }

    pub(crate) fn open(&mut self) -> SocketKey {
        self.sockets.open().unwrap()
    }

    pub(crate) fn connect_bytes(
        &mut self,
        key: SocketKey,
        address: &[u8],
        descriptor: Option<Descriptor>,
    ) -> Result<(), Errno> {
        self.connect_of(ROOT, key, address, descriptor)
    }

    /// On a socket that `owner` opened.
    pub(crate) fn connect_of(
        &mut self,
        owner: Caller,
        key: SocketKey,
        address: &[u8],
        descriptor: Option<Descriptor>,
    ) -> Result<(), Errno> {
        let (sockets, mut on) = self.on();
        let answer = sockets.connect(&mut on, key, Connect { address, pid: PID, owner, descriptor });
        self.tell_ends();
        answer
    }

    pub(crate) fn connect(&mut self, key: SocketKey, address: SockaddrPppol2tp) -> Result<(), Errno> {
        self.connect_bytes(key, &address.emit(), Some(Descriptor::Udp4))
    }

    /// A socket that is connected to it.
    pub(crate) fn connected(&mut self, address: SockaddrPppol2tp) -> SocketKey {
        let key = self.open();
        self.connect(key, address).unwrap();
        key
    }

    /// Tunnel 1 to 2 by its management socket, and session 10 to 20 in it: both sockets.
    pub(crate) fn call(&mut self) -> (SocketKey, SocketKey) {
        (self.connected(v2(1, 0, 2, 0)), self.connected(v2(1, 10, 2, 20)))
    }

    pub(crate) fn close(&mut self, key: SocketKey) {
        let (sockets, mut on) = self.on();
        sockets.close(&mut on, key);
        self.tell_ends();
    }

    /// Does what the daemon does after every command.
    pub(crate) fn tell_ends(&mut self) {
        for session in std::mem::take(&mut self.host.ended) {
            self.sockets.session_ended(&mut self.ppp, session);
        }
    }

    /// A tunnel by netlink.
    pub(crate) fn tunnel(&mut self, version: u8, tunnel_id: u32, peer_tunnel_id: u32, encap: Encap) {
        let socket = SocketConfig::Addresses {
            local: "127.0.0.1".parse().unwrap(),
            peer: "127.0.0.1".parse().unwrap(),
            sport: 1701,
            dport: 1702,
            udp_csum: false,
            zero_csum6_tx: false,
            zero_csum6_rx: false,
        };
        let config = TunnelConfig { version, tunnel_id, peer_tunnel_id, encap, socket };
        self.engine.create_tunnel(&mut self.host, config, None).unwrap();
    }

    /// A session by netlink.
    pub(crate) fn session(&mut self, tunnel_id: u32, session_id: u32, pw_type: PwType) -> SessionKey {
        let config = SessionConfig { pw_type, ..SessionConfig::ethernet(session_id, session_id + 100) };
        self.engine.create_session(&mut self.host, tunnel_id, config).unwrap()
    }

    pub(crate) fn find(&self, tunnel_id: u32, session_id: u32) -> Option<SessionKey> {
        self.engine.find_session(SessionSelector::Ids { tunnel_id, session_id }).ok()
    }

    pub(crate) fn delete_session(&mut self, tunnel_id: u32, session_id: u32) {
        let ids = SessionSelector::Ids { tunnel_id, session_id };
        self.engine.delete_session(&mut self.host, ids).unwrap();
        self.tell_ends();
    }

    pub(crate) fn delete_tunnel(&mut self, tunnel_id: u32) {
        self.engine.delete_tunnel(&mut self.host, tunnel_id).unwrap();
        self.tell_ends();
    }

    pub(crate) fn ioctl(&mut self, key: SocketKey, cmd: u32, argument: &[u8]) -> Result<Vec<u8>, Errno> {
        let now = self.now;
        let (sockets, mut on) = self.on();
        sockets.ioctl(&mut on, key, (cmd, argument), now)
    }

    pub(crate) fn set(&mut self, key: SocketKey, option: (u32, u32), value: &[u8]) -> Result<(), Errno> {
        let (sockets, mut on) = self.on();
        sockets.set_option(&mut on, key, option, value)
    }

    pub(crate) fn get(&mut self, key: SocketKey, option: (u32, u32), room: i32) -> Result<Vec<u8>, Errno> {
        let (sockets, on) = self.on();
        sockets.option(&on, key, option, room)
    }

    pub(crate) fn send(&mut self, key: SocketKey) -> Result<SessionKey, Errno> {
        let (sockets, on) = self.on();
        sockets.send(&on, key)
    }

    pub(crate) fn name(&mut self, key: SocketKey) -> Result<SockaddrPppol2tp, Errno> {
        let (sockets, on) = self.on();
        sockets.name(&on, key).map(|bytes| SockaddrPppol2tp::parse(&bytes).unwrap())
    }
}
