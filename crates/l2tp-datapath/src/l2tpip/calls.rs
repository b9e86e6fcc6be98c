//! What programs do with their L2TPIP sockets.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, Weak};

use l2tp_abi::envelope::{ENVELOPE_LEN, Envelope};
use l2tp_abi::errno::Errno;
use l2tp_abi::genl::ferrowire::socket::{MESSAGE_MAX, SocketAnswer, SocketCall, SocketRequest};
use l2tp_core::host::Caller;
use l2tp_core::{Encap, TunnelKey};
use l2tp_io::pair::PairEnd;
use l2tp_io::poller::{Events, Interest, Poller};
use l2tp_io::rawip::Family;
use l2tp_io::rawip::control::{ControlSender, check_local, find_path};
use l2tp_io::sockopt::cookie;
use l2tp_sockets::l2tpip::{Domain, Network, Path, Route};

use super::{End, L2tpip, LivePath, raw_route};
use crate::host::{SystemHost, errno};
use crate::loss::Loss;
use crate::shared::lock;
use crate::socket::TunnelSocket;

/// Sockets served at once. Level-triggered: the others come with the next event.
const EVENTS: usize = 64;
/// Messages taken from one socket before the others have their turn.
const MESSAGES: usize = 16;

/// The daemon's side of all pairs.
pub(crate) struct Pairs {
    pub(crate) poller: Poller,
    senders: [Weak<ControlSender>; 2],
    buffer: Vec<u8>,
}

impl Pairs {
    pub(crate) fn new() -> io::Result<Self> {
        let buffer = vec![0; ENVELOPE_LEN + usize::from(MESSAGE_MAX)];
        Ok(Self { poller: Poller::new()?, senders: [Weak::new(), Weak::new()], buffer })
    }

    /// The sender of a family, open while a socket has it.
    fn sender(&mut self, family: Family) -> io::Result<Arc<ControlSender>> {
        let place = &mut self.senders[family as usize];
        if let Some(sender) = place.upgrade() {
            return Ok(sender);
        }
        let sender = Arc::new(ControlSender::open(family)?);
        *place = Arc::downgrade(&sender);
        Ok(sender)
    }
}

impl SystemHost {
    /// Becomes readable when [`Self::serve_sockets`] has something to do.
    #[must_use]
    pub fn socket_events(&self) -> BorrowedFd<'_> {
        self.pairs.poller.as_fd()
    }

    /// Sends what programs wrote to their sockets, and buries sockets whose last descriptor was closed. Returns the tunnels that
    /// those carried: [`l2tp_core::Engine::remove_tunnel`] is to end them.
    pub fn serve_sockets(&mut self) -> Vec<TunnelKey> {
        let mut events = Events::with_capacity(EVENTS);
        if self.pairs.poller.wait(&mut events, Some(std::time::Duration::ZERO)).is_err() {
            return Vec::new();
        }
        events.iter().filter_map(|event| self.serve_socket(event.token)).collect()
    }

    /// Returns the tunnel of a socket that ended.
    fn serve_socket(&mut self, number: u64) -> Option<TunnelKey> {
        let mut buffer = std::mem::take(&mut self.pairs.buffer);
        if self.serve_ppp(number, &mut buffer) {
            self.pairs.buffer = buffer;
            return None;
        }
        let mut goes_on = true;
        for _ in 0..MESSAGES {
            let sockets = lock(&self.shared.l2tpip);
            let Some(end) = sockets.ends.get(&number) else { break };
            match end.pair.recv(&mut buffer) {
                Ok(Some(length)) => {
                    let sent = sockets.send_datagram(number, buffer.get(..length).unwrap_or_default());
                    self.shared.losses.note(Loss::ControlUnsent, sent.is_err());
                }
                Ok(None) => goes_on = false,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
                Err(error) if errno(&error) == Errno::EMSGSIZE => {
                    self.shared.losses.add(Loss::ControlUnsent, 1);
                }
                // The program closed its end with messages unread.
                Err(_) => goes_on = false,
            }
            if !goes_on {
                break;
            }
        }
        self.pairs.buffer = buffer;
        if goes_on { None } else { self.close_l2tpip(number) }
    }

    fn close_l2tpip(&mut self, number: u64) -> Option<TunnelKey> {
        let end = {
            let mut sockets = lock(&self.shared.l2tpip);
            sockets.table.close(number);
            sockets.ends.remove(&number)?
        };
        // It is closed in a moment anyway.
        let _: io::Result<()> = self.pairs.poller.remove(&end.pair);
        self.release_raw(&end.raw);
        end.tunnel
    }

    pub(crate) fn call_l2tpip(
        &mut self,
        caller: &Caller,
        request: &SocketRequest<'_>,
        descriptor: Option<&OwnedFd>,
    ) -> Result<(SocketAnswer, Option<OwnedFd>), Errno> {
        if let SocketCall::Open(domain) = request.call {
            let domain = Domain::from_number(domain).ok_or(Errno::EAFNOSUPPORT)?;
            return self.open_l2tpip(caller, domain);
        }
        let mut sockets = lock(&self.shared.l2tpip);
        let number = match (request.socket, descriptor) {
            (Some(number), _) if sockets.table.may_name(number, caller) => number,
            (None, Some(descriptor)) => cookie(descriptor).map_err(|error| errno(&error))?,
            _ => return Err(Errno::EBADF),
        };
        Ok((sockets.call(number, request.call)?, None))
    }

    fn open_l2tpip(
        &mut self,
        caller: &Caller,
        domain: Domain,
    ) -> Result<(SocketAnswer, Option<OwnedFd>), Errno> {
        lock(&self.shared.l2tpip).table.admit(caller)?;
        let system = |error: io::Error| errno(&error);
        let family = if domain == Domain::V4 { Family::V4 } else { Family::V6 };
        let (pair, theirs) = PairEnd::pair().map_err(system)?;
        let number = cookie(&theirs).map_err(system)?;
        let sender = self.pairs.sender(family).map_err(system)?;
        self.pairs.poller.add(&pair, number, Interest::Read).map_err(system)?;
        let raw = self.share_raw(family).map_err(system)?;
        let path = Arc::new(LivePath::new());
        let mut sockets = lock(&self.shared.l2tpip);
        sockets.table.open(number, *caller, domain);
        sockets.ends.insert(number, End { pair, raw, sender, path, tunnel: None });
        sockets.follow(number)?;
        Ok((SocketAnswer::Opened(number), Some(theirs)))
    }

    /// The socket of a new tunnel over the L2TPIP socket that `descriptor` stands for; its addresses are that socket's at any
    /// time. `None`: the descriptor is something else.
    ///
    /// # Errors
    /// `EPROTONOSUPPORT` for encapsulation in UDP, `EBUSY` when the socket carries a tunnel already.
    pub(crate) fn adopt_l2tpip(
        &self,
        key: TunnelKey,
        encap: Encap,
        descriptor: &OwnedFd,
    ) -> Option<Result<Arc<TunnelSocket>, Errno>> {
        let number = cookie(descriptor).ok()?;
        let mut sockets = lock(&self.shared.l2tpip);
        let end = sockets.ends.get_mut(&number)?;
        Some(match (encap, end.tunnel) {
            (Encap::Udp, _) => Err(Errno::EPROTONOSUPPORT),
            (Encap::Ip, Some(_)) => Err(Errno::EBUSY),
            (Encap::Ip, None) => {
                end.tunnel = Some(key);
                let (socket, path) = (Arc::clone(&end.raw), Arc::clone(&end.path));
                Ok(Arc::new(TunnelSocket::L2tpip { socket, path }))
            }
        })
    }
}

impl L2tpip {
    fn call(&mut self, number: u64, call: SocketCall<'_>) -> Result<SocketAnswer, Errno> {
        match call {
            SocketCall::Open(_) | SocketCall::OpenPpp => return Err(Errno::EINVAL),
            // Of no use to a control protocol.
            SocketCall::Ioctl { .. } | SocketCall::PppStats(_) => return Err(Errno::ENOTTY),
            SocketCall::Bind(address) => self.table.bind(number, address, &Here)?,
            SocketCall::Connect(address) => self.table.connect(number, address, &Here)?,
            SocketCall::Name => return Ok(SocketAnswer::Address(self.table.get(number)?.name())),
            SocketCall::Peer => return Ok(SocketAnswer::Address(self.table.get(number)?.peer_name()?)),
            SocketCall::Set { level, option, value } => {
                self.table.get_mut(number)?.set_option(level, option, value)?;
            }
            SocketCall::Get { level, option } => {
                return self.table.get(number)?.option(level, option).map(SocketAnswer::Value);
            }
            SocketCall::Send { to, message } => {
                let route = self.table.get(number)?.route(to)?;
                self.send(number, &route, message)?;
                return Ok(SocketAnswer::Done);
            }
        }
        self.follow(number)?;
        Ok(SocketAnswer::Done)
    }

    /// Tells what stands on a socket of its addresses and options.
    fn follow(&self, number: u64) -> Result<(), Errno> {
        let (socket, end) = (self.table.get(number)?, self.ends.get(&number).ok_or(Errno::EBADF)?);
        end.path.follow(socket);
        let room = usize::try_from(socket.options().rcvbuf).unwrap_or(usize::MAX);
        end.pair.set_room(room).map_err(|error| errno(&error))
    }

    /// A datagram that a program wrote.
    fn send_datagram(&self, number: u64, datagram: &[u8]) -> Result<(), Errno> {
        let (envelope, message) = Envelope::split(datagram).ok_or(Errno::EINVAL)?;
        let to = envelope.address.map(|address| (address, envelope.scope_id));
        self.send(number, &self.table.get(number)?.route_to(to)?, message)
    }

    fn send(&self, number: u64, route: &Route, message: &[u8]) -> Result<(), Errno> {
        let end = self.ends.get(&number).ok_or(Errno::EBADF)?;
        let sent = end.sender.send(&raw_route(route), route.whole, message);
        sent.map_err(|error| route.refusal(errno(&error)))
    }
}

/// The network of the calling thread's namespace.
struct Here;

impl Network for Here {
    fn check_local(&self, address: SocketAddr) -> Result<(), Errno> {
        check_local(address).map_err(|error| errno(&error))
    }

    fn connect(&self, local: SocketAddr, peer: SocketAddr) -> Result<Path, Errno> {
        let (local, peer) = find_path(local, peer).map_err(|error| errno(&error))?;
        Ok(Path { local, peer })
    }
}
