//! What the subsystem asks of the operating system. The daemon answers with sockets and devices, a test with values.

use core::net::SocketAddr;

use l2tp_abi::errno::Errno;
use l2tp_abi::genl::ferrowire::path::Path;
use l2tp_abi::genl::ferrowire::socket::{SocketAnswer, SocketRequest};

use crate::carriage::Carried;
use crate::config::{TunnelConfig, VlanId};
use crate::{Engine, SessionKey, TunnelKey};

/// Opens and closes what tunnels and sessions stand on.
///
/// A method that fails leaves nothing behind. Handles are cheap to clone: every packet's sender holds one.
pub trait Host {
    /// A tunnel's socket.
    type Socket: Clone;
    /// A session's network device.
    type Device: Clone;
    /// A program's socket, handed over with its request.
    type Descriptor;

    /// Opens the socket of a new tunnel, or adopts the `descriptor` of [`crate::SocketConfig::Descriptor`]: what the
    /// program has open at that number, if anything.
    ///
    /// # Errors
    /// What `bind` or `connect` answered. For a descriptor: `EBADF` where there is none, `ENOTSOCK`, `EINVAL` for a socket
    /// of another network namespace, `EPROTONOSUPPORT` for one of another kind, `EBUSY` for one that carries a tunnel.
    fn open_socket(
        &mut self,
        key: TunnelKey,
        config: &TunnelConfig,
        descriptor: Option<Self::Descriptor>,
    ) -> Result<Self::Socket, Errno>;

    /// Takes data packets of a new session away from the program whose socket carries the tunnel: over UDP, all that match
    /// `pattern` are the subsystem's from now on. Nothing to do for a socket that no program reads.
    fn divert(&mut self, _socket: &Self::Socket, _pattern: &DataPattern) {}

    /// Leaves packets of a session that is gone to the program.
    fn undivert(&mut self, _socket: &Self::Socket, _pattern: &DataPattern) {}

    /// Gives up the socket of a tunnel that is gone.
    fn close_socket(&mut self, key: TunnelKey, socket: Self::Socket);

    /// The socket's addresses and checksum settings as they are now.
    fn endpoints(&self, socket: &Self::Socket) -> Endpoints;

    /// MTU of the route to the peer in bytes; 0 if there is none.
    fn route_mtu(&self, socket: &Self::Socket) -> u32;

    /// Makes the device of a new Ethernet session, down, and returns it with its name.
    ///
    /// # Errors
    /// EEXIST for a name in use, or what the system answered.
    fn create_device(
        &mut self,
        key: SessionKey,
        request: &DeviceRequest<'_>,
    ) -> Result<(Self::Device, alloc::string::String), Errno>;

    /// Removes the device of a session that is gone; may finish later.
    fn destroy_device(&mut self, key: SessionKey, device: Self::Device);

    /// What was carried of a session below the engine since this was last asked. Nothing where there is no such path.
    fn take_carried(&mut self, _key: SessionKey) -> Carried {
        Carried::default()
    }

    /// Carries no more packets of a session that is about to end below the engine, and returns what was carried since
    /// [`Self::take_carried`].
    fn stop_carrying(&mut self, key: SessionKey) -> Carried {
        self.take_carried(key)
    }

    /// A session is gone, by a command or by itself: whatever else knew it by its key lets go.
    fn session_ended(&mut self, _key: SessionKey) {}

    /// Who holds a PPP session: its PPPoL2TP socket. `None` while there is none.
    fn ppp_holder(&self, _key: SessionKey) -> Option<PppHolder> {
        None
    }

    /// Says which path is to carry a session, or (`None`) all and those to come.
    ///
    /// # Errors
    /// `EOPNOTSUPP` from a host that has but one path, as this default has.
    fn set_path(&mut self, _key: Option<SessionKey>, _path: Path) -> Result<(), Errno> {
        Err(Errno::EOPNOTSUPP)
    }

    /// What carries a session.
    fn placement(&self, _key: SessionKey) -> Placement {
        Placement { wanted: Path::User, carried_by: Path::User, reason: alloc::string::String::new() }
    }

    /// Does a program's call on one of the subsystem's own sockets, which the request names by its number, or else by the
    /// `descriptor` that came with it. A new socket is answered with the descriptor that stands for it. The `engine` is the one
    /// that this host serves.
    ///
    /// # Errors
    /// Those of the system call; `EBADF` where the request names no socket that `caller` may use; `EMFILE`, `ENFILE` when there
    /// are too many. `EOPNOTSUPP` from a host without such sockets, as this default is.
    fn socket_call(
        &mut self,
        engine: &mut Engine<Self::Socket, Self::Device>,
        caller: &Caller,
        request: &SocketRequest<'_>,
        descriptor: Option<Self::Descriptor>,
    ) -> Result<(SocketAnswer, Option<Self::Descriptor>), Errno> {
        let _ = (engine, caller, request, descriptor);
        Err(Errno::EOPNOTSUPP)
    }
}

/// What carries a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Placement {
    /// What was asked for.
    pub wanted: Path,
    /// What carries it: never [`Path::Auto`].
    pub carried_by: Path,
    /// Why it is not BPF, for the operator to read; empty if it is.
    pub reason: alloc::string::String,
}

/// The socket that holds a PPP session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PppHolder {
    /// Its program has asked for the channel.
    pub bound: bool,
    /// The name of the unit's device at creation, while the channel has joined one.
    pub interface: Option<alloc::string::String>,
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Caller {
    /// The connection at the door.
    pub connection: u32,
    /// The user at its other end.
    pub user: u32,
    /// Whether it may administer the network namespace.
    pub privileged: bool,
    /// The port id by which it is known: that of the process, where a launcher asks for one.
    pub port: u32,
}

/// What data packets of a session over UDP look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DataPattern {
    /// Their version.
    pub version: u8,
    /// Our tunnel id, which those of version 2 carry.
    pub tunnel_id: Option<u16>,
    /// Our session id; of 16 bits in version 2.
    pub session_id: u32,
    /// Bytes of the header; shorter packets are the program's.
    pub header_len: usize,
}

/// A device that is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceRequest<'a> {
    /// Name, or template with one `%d` for the lowest free number.
    pub name: &'a str,
    /// MTU in bytes, 0 to 65535.
    pub mtu: u32,
    /// The one VLAN that the session carries: the device has its frames without the tag. It puts the tag into what it sends,
    /// and takes it off what is delivered to it ([`l2tp_wire::vlan`]).
    pub vlan: Option<VlanId>,
}

/// Addresses and checksum settings of a tunnel's socket. Both addresses are of one family.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoints {
    /// Local address and port (port 0 over IP).
    pub local: SocketAddr,
    /// The peer's; unspecified while the socket is not connected.
    pub peer: SocketAddr,
    /// Over IPv4: UDP checksums are sent.
    pub udp_csum: bool,
    /// Over IPv6: no UDP checksums are sent.
    pub zero_csum6_tx: bool,
    /// Over IPv6: packets without UDP checksum are taken.
    pub zero_csum6_rx: bool,
}
