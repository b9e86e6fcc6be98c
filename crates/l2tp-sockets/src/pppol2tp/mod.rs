//! PPPoL2TP sockets (`net/l2tp/l2tp_ppp.c`, `drivers/net/ppp/pppox.c`): a program's hold on a PPP session, or on a tunnel.
//!
//! | room | what |
//! |---|---|
//! | [`Pppol2tp`] | all of a namespace: opening, closing, frames to and from programs |
//! | `connect` | `connect`, step by step |
//! | `options` | `setsockopt` and `getsockopt` |
//! | `ioctl` | `ioctl`, and the channel that a session has |
//!
//! A session lives as long as its socket. When it goes first, deleted by a command or with its tunnel, the socket stays, and its
//! channel hangs up: where the kernel leaves a program waiting for ever, it learns of the end.

mod connect;
mod ioctl;
mod options;

pub use connect::Connect;

use crate::ppp::{ChannelKey, Ppp, Received};
use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use l2tp_abi::Errno;
use l2tp_abi::sockaddr::{Pppol2tpForm, SockaddrPppol2tp};
use l2tp_core::host::Caller;
use l2tp_core::slots::{Key, Slots};
use l2tp_core::{Engine, Host, Instant, SessionKey, SocketConfig, TunnelKey};

/// Sockets that may be open.
pub const SOCKETS_MAX: usize = 1 << 17;
/// Bytes that may wait on one socket: the default of `net.core.rmem_default`.
pub const RECEIVE_BUFFER: usize = 212_992;
/// Bytes that may wait on all.
pub const RECEIVE_BUFFERS_MAX: usize = 64 << 20;

/// Names a socket.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SocketKey(pub Key);

/// What sockets stand on.
pub struct Subsystem<'a, H: Host> {
    /// Tunnels and sessions.
    pub engine: &'a mut Engine<H::Socket, H::Device>,
    /// What those stand on.
    pub host: &'a mut H,
    /// The generic PPP layer.
    pub ppp: &'a mut Ppp,
}

/// The sockets of a namespace.
#[derive(Debug, Default)]
pub struct Pppol2tp {
    sockets: Slots<Socket>,
    /// The socket that holds a session.
    by_session: BTreeMap<SessionKey, SocketKey>,
    /// Bytes that wait on all sockets.
    queued_bytes: usize,
    /// Who without privilege made a tunnel; of those that are gone too, until another is made.
    makers: BTreeMap<TunnelKey, Caller>,
}

/// A socket.
#[derive(Debug, Default)]
struct Socket {
    connection: Option<Connection>,
    /// The program has asked for the channel: frames go there.
    bound: bool,
    queue: VecDeque<Vec<u8>>,
    queued_bytes: usize,
}

/// What a socket was connected to; it may be gone by now.
#[derive(Clone, Copy, Debug)]
struct Connection {
    session: SessionKey,
    tunnel: TunnelKey,
    /// For the tunnel, not for a session of its own: both session ids are 0.
    management: bool,
    /// The process that connected it.
    pid: i32,
    channel: Option<ChannelKey>,
}

/// What became of a frame of a session.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivered {
    /// It is PPP's, which says where it goes.
    Ppp(Received),
    /// It waits on the socket.
    Queued(SocketKey),
    /// The socket is full: [`Engine::count_overrun`] is to count it.
    Full,
    /// Nobody has connected a socket to the session, or what was connected takes no frames.
    NoReader,
}

/// A frame that `recv` gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// As much as the buffer had room for.
    pub bytes: Vec<u8>,
    /// There was more (`MSG_TRUNC`).
    pub truncated: bool,
}

impl Pppol2tp {
    /// `socket(AF_PPPOX, any type, PX_PROTO_OL2TP)`. It asks for no privilege.
    ///
    /// # Errors
    /// `ENFILE` when there are too many.
    pub fn open(&mut self) -> Result<SocketKey, Errno> {
        if self.sockets.len() >= SOCKETS_MAX {
            return Err(Errno::ENFILE);
        }
        Ok(SocketKey(self.sockets.insert(Socket::default())))
    }

    /// The last `close`: its session ends, whoever made it. A tunnel outlives its management socket.
    pub fn close<H: Host>(&mut self, on: &mut Subsystem<'_, H>, key: SocketKey)
    where
        H::Device: Clone,
    {
        let Some(socket) = self.sockets.remove(key.0) else { return };
        self.queued_bytes -= socket.queued_bytes;
        let Some(connection) = socket.connection else { return };
        if let Some(channel) = connection.channel {
            on.ppp.unregister_channel(channel);
        }
        if self.by_session.remove(&connection.session).is_some() {
            on.engine.remove_session(on.host, connection.session);
        }
    }

    /// A session has ended before its socket: its channel hangs up. Nothing to do for one without socket.
    pub fn session_ended(&mut self, ppp: &mut Ppp, session: SessionKey) {
        let Some(key) = self.by_session.remove(&session) else { return };
        let connection = self.sockets.get_mut(key.0).and_then(|socket| socket.connection.as_mut());
        if let Some(channel) = connection.and_then(|connection| connection.channel.take()) {
            ppp.unregister_channel(channel);
        }
    }

    /// The socket that holds a session, and whether its program has asked for the channel.
    #[must_use]
    pub fn holder(&self, session: SessionKey) -> Option<(SocketKey, bool)> {
        let key = self.by_session.get(&session)?;
        self.sockets.get(key.0).map(|socket| (*key, socket.bound))
    }

    /// The channel of a session, while it lives.
    #[must_use]
    pub fn channel(&self, session: SessionKey) -> Option<ChannelKey> {
        self.sockets.get(self.by_session.get(&session)?.0)?.connection?.channel
    }

    /// The channel of a socket, while it lives.
    #[must_use]
    pub fn channel_of(&self, key: SocketKey) -> Option<ChannelKey> {
        self.sockets.get(key.0)?.connection?.channel
    }

    /// Number of sockets.
    #[must_use]
    pub fn len(&self) -> usize {
        self.sockets.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.sockets.is_empty()
    }

    /// Takes a frame of a session from the peer, with or without `FF 03` in front.
    pub fn deliver(&mut self, ppp: &mut Ppp, session: SessionKey, frame: &[u8], now: Instant) -> Delivered {
        let frame = l2tp_wire::ppp::strip_address_control(frame);
        let Some(key) = self.by_session.get(&session).copied() else { return Delivered::NoReader };
        let Some(socket) = self.sockets.get_mut(key.0) else { return Delivered::NoReader };
        if socket.bound {
            let channel = socket.connection.and_then(|connection| connection.channel);
            return channel
                .map_or(Delivered::NoReader, |channel| Delivered::Ppp(ppp.receive(channel, frame, now)));
        }
        let (alone, all) = (socket.queued_bytes + frame.len(), self.queued_bytes + frame.len());
        if alone > RECEIVE_BUFFER || all > RECEIVE_BUFFERS_MAX {
            return Delivered::Full;
        }
        (socket.queued_bytes, self.queued_bytes) = (alone, all);
        socket.queue.push_back(frame.to_vec());
        Delivered::Queued(key)
    }

    /// `recv` into a buffer of `room` bytes: `None` while there is nothing, which the program waits for or takes as `EAGAIN`.
    ///
    /// # Errors
    /// `EIO` once its program has asked for the channel.
    pub fn recv(&mut self, key: SocketKey, room: usize) -> Result<Option<Frame>, Errno> {
        let socket = self.sockets.get_mut(key.0).ok_or(Errno::EBADF)?;
        if socket.bound {
            return Err(Errno::EIO);
        }
        let Some(mut bytes) = socket.queue.pop_front() else { return Ok(None) };
        socket.queued_bytes -= bytes.len();
        self.queued_bytes -= bytes.len();
        let truncated = bytes.len() > room;
        bytes.truncate(room);
        Ok(Some(Frame { bytes, truncated }))
    }

    /// Whether `poll` finds a frame to read.
    #[must_use]
    pub fn is_readable(&self, key: SocketKey) -> bool {
        self.sockets.get(key.0).is_some_and(|socket| !socket.queue.is_empty())
    }

    /// `send`: the session that the frame, from its protocol on, is for. It may be lost from there on.
    ///
    /// # Errors
    /// `ENOTCONN`; `EBADF` when the session is gone.
    pub fn send<H: Host>(&self, on: &Subsystem<'_, H>, key: SocketKey) -> Result<SessionKey, Errno>
    where
        H::Device: Clone,
    {
        let session = self.connection(key)?.session;
        on.engine.session(session).map(|_| session).ok_or(Errno::EBADF)
    }

    /// `getsockname` and `getpeername`, which are the same: ids, the tunnel's descriptor and the peer of its socket.
    ///
    /// # Errors
    /// `ENOTCONN`; `EBADF` when the session is gone.
    pub fn name<H: Host>(&self, on: &Subsystem<'_, H>, key: SocketKey) -> Result<Vec<u8>, Errno>
    where
        H::Device: Clone,
    {
        let Connection { session, tunnel, pid, .. } = self.connection(key)?;
        let session = on.engine.session(session).ok_or(Errno::EBADF)?;
        let tunnel = on.engine.tunnel(tunnel).ok_or(Errno::EBADF)?;
        let endpoints = on.host.endpoints(&tunnel.socket);
        let fd = if let SocketConfig::Descriptor { fd } = tunnel.config.socket { fd } else { -1 };
        let address = SockaddrPppol2tp {
            form: Pppol2tpForm::of(tunnel.is_v2(), endpoints.local.is_ipv4()),
            pid,
            fd,
            peer: endpoints.peer,
            s_tunnel: tunnel.id(),
            s_session: session.config.session_id,
            d_tunnel: tunnel.config.peer_tunnel_id,
            d_session: session.config.peer_session_id,
        };
        Ok(address.emit())
    }

    fn socket_mut(&mut self, key: SocketKey) -> Result<&mut Socket, Errno> {
        self.sockets.get_mut(key.0).ok_or(Errno::EBADF)
    }

    fn connection(&self, key: SocketKey) -> Result<Connection, Errno> {
        self.sockets.get(key.0).ok_or(Errno::EBADF)?.connection.ok_or(Errno::ENOTCONN)
    }
}
