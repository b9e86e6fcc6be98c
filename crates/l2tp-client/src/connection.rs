//! A program's connection, and what it can ask.

use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use l2tp_abi::genl::ctrl::{FamilyMessage, get_family};
use l2tp_abi::genl::l2tp::{
    L2TP_GENL_NAME, Request, SessionCreate, SessionKey, SessionMessage, SessionModify, TunnelCreate,
    TunnelMessage, TunnelSocket,
};
use l2tp_abi::nl::Message;

use crate::answers::Answers;
use crate::conversation::{Conversation, Transport, Warning};
use crate::error::{Error, unreadable};
use crate::socket::Socket;

/// A connection to whoever serves the l2tp family in a network namespace: one request at a time.
#[derive(Debug)]
pub struct Connection<T = Socket> {
    pub(crate) conversation: Conversation<T>,
    pub(crate) l2tp: FamilyMessage,
}

impl Connection {
    /// Connects to Ferrowire's daemon in the network namespace of the calling thread.
    ///
    /// # Errors
    /// [`Error::Io`] of kind `ConnectionRefused` when there is none.
    pub fn door() -> Result<Self, Error> {
        Self::over(Socket::door()?)
    }

    /// Connects to the kernel's own L2TP, in the network namespace of the calling thread.
    ///
    /// # Errors
    /// [`Error::Refused`] with `ENOENT` when the kernel has none, or its modules are not loaded.
    pub fn kernel() -> Result<Self, Error> {
        Self::over(Socket::kernel()?)
    }

    /// Sets how long a request waits for each datagram of its answer; `None`: as long as it takes.
    ///
    /// # Errors
    /// `InvalidInput` for no time at all.
    pub fn set_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        self.conversation.transport().set_timeout(timeout)
    }
}

impl<T: Transport> Connection<T> {
    /// Begins over a transport that is connected.
    ///
    /// # Errors
    /// As [`Connection::door`] and [`Connection::kernel`].
    pub fn over(transport: T) -> Result<Self, Error> {
        let mut conversation = Conversation::new(transport);
        let l2tp = find_family(&mut conversation, L2TP_GENL_NAME)?;
        Ok(Self { conversation, l2tp })
    }

    /// Asks for nothing (`L2TP_CMD_NOOP`): whether somebody answers.
    ///
    /// # Errors
    /// [`Error::Io`].
    pub fn noop(&mut self) -> Result<(), Error> {
        self.carry_out(&Request::Noop)
    }

    /// Makes a tunnel whose socket the server opens.
    ///
    /// # Errors
    /// `EEXIST`: there is a tunnel with this id; `EADDRINUSE`, `EADDRNOTAVAIL`, `ENETUNREACH` and others of bind(2) and connect(2);
    /// `EPERM`, `EINVAL`.
    pub fn create_tunnel(&mut self, tunnel: &TunnelCreate) -> Result<(), Error> {
        self.carry_out(&Request::TunnelCreate(tunnel.clone()))
    }

    /// Makes a tunnel on the program's own `socket`, UDP or L2TPIP, in place of what `tunnel.socket` says. The tunnel ends with
    /// the socket's last descriptor, in whatever process.
    ///
    /// # Errors
    /// As [`Self::create_tunnel`]; `EBUSY`: it has a tunnel already; `EINVAL`, `EPROTONOSUPPORT`, `ESOCKTNOSUPPORT`: it is not of the
    /// kind that `tunnel.encap_type` asks for; `ENOTSOCK`.
    pub fn create_tunnel_on(&mut self, socket: impl AsFd, tunnel: &TunnelCreate) -> Result<(), Error> {
        let socket = socket.as_fd();
        let Ok(number) = u32::try_from(socket.as_raw_fd()) else {
            return Err(io::Error::from(io::ErrorKind::InvalidInput).into());
        };
        let tunnel = TunnelCreate { socket: TunnelSocket::Fd(number), ..tunnel.clone() };
        let request = Request::TunnelCreate(tunnel);
        let family = self.l2tp.id;
        self.conversation.ask(|seq| request.emit(family, seq), Some(socket))?;
        Answers::new(&mut self.conversation, |_| Some(())).finish()
    }

    /// Tells listeners of the tunnel, and changes nothing (`L2TP_CMD_TUNNEL_MODIFY` has nothing left to change).
    ///
    /// # Errors
    /// `ENODEV`: there is no such tunnel.
    pub fn modify_tunnel(&mut self, tunnel_id: u32) -> Result<(), Error> {
        self.carry_out(&Request::TunnelModify(tunnel_id))
    }

    /// Deletes a tunnel with its sessions.
    ///
    /// # Errors
    /// `ENODEV`: there is no such tunnel.
    pub fn delete_tunnel(&mut self, tunnel_id: u32) -> Result<(), Error> {
        self.carry_out(&Request::TunnelDelete(tunnel_id))
    }

    /// What a tunnel is, and what it has carried.
    ///
    /// # Errors
    /// `ENODEV`: there is no such tunnel.
    pub fn tunnel(&mut self, tunnel_id: u32) -> Result<TunnelMessage, Error> {
        one(self.ask(&Request::TunnelGet(tunnel_id), read_tunnel)?)
    }

    /// All tunnels, by rising id.
    ///
    /// # Errors
    /// Of the request; those of its answer come from the iterator.
    pub fn tunnels(&mut self) -> Result<Answers<'_, T, TunnelMessage>, Error> {
        self.ask(&Request::TunnelDump, read_tunnel)
    }

    /// Makes a session in a tunnel.
    ///
    /// # Errors
    /// `ENODEV`: there is no such tunnel; `EEXIST`: there is a session with this id, or a device of this name;
    /// `EPROTONOSUPPORT`: no such kind of pseudowire; `EINVAL`, `EPERM`, `ENOSPC`.
    pub fn create_session(&mut self, session: &SessionCreate) -> Result<(), Error> {
        self.carry_out(&Request::SessionCreate(session.clone()))
    }

    /// Changes a session, under traffic if need be.
    ///
    /// # Errors
    /// `ENODEV`: there is no such session.
    pub fn modify_session(&mut self, change: &SessionModify) -> Result<(), Error> {
        self.carry_out(&Request::SessionModify(change.clone()))
    }

    /// Deletes a session, and its device.
    ///
    /// # Errors
    /// `ENODEV`: there is no such session.
    pub fn delete_session(&mut self, key: &SessionKey) -> Result<(), Error> {
        self.carry_out(&Request::SessionDelete(key.clone()))
    }

    /// What a session is, and what it has carried.
    ///
    /// # Errors
    /// `ENODEV`: there is no such session.
    pub fn session(&mut self, key: &SessionKey) -> Result<SessionMessage, Error> {
        one(self.ask(&Request::SessionGet(key.clone()), read_session)?)
    }

    /// All sessions: by rising tunnel id, and by rising session id within a tunnel. (A kernel has an order of its own.)
    ///
    /// # Errors
    /// Of the request; those of its answer come from the iterator.
    pub fn sessions(&mut self) -> Result<Answers<'_, T, SessionMessage>, Error> {
        self.ask(&Request::SessionDump, read_session)
    }

    /// Makes any request of which nothing is wanted but that it is carried out.
    ///
    /// # Errors
    /// Those of the command.
    pub fn carry_out(&mut self, request: &Request) -> Result<(), Error> {
        self.ask(request, |_| Some(()))?.finish()
    }

    /// Makes any request, and gives what `read` makes of the messages that answer it.
    ///
    /// # Errors
    /// Of the request; those of its answer come from the iterator.
    pub fn ask<M>(
        &mut self,
        request: &Request,
        read: fn(&Message<'_>) -> Option<M>,
    ) -> Result<Answers<'_, T, M>, Error> {
        let family = self.l2tp.id;
        self.conversation.ask(|seq| request.emit(family, seq), None)?;
        Ok(Answers::new(&mut self.conversation, read))
    }

    /// What the answers since the last call gave to think about.
    pub fn take_warnings(&mut self) -> Vec<Warning> {
        std::mem::take(&mut self.conversation.warnings)
    }
}

/// Looks a family of generic netlink up.
pub(crate) fn find_family<T: Transport>(
    conversation: &mut Conversation<T>,
    name: &str,
) -> Result<FamilyMessage, Error> {
    conversation.ask(|seq| get_family(name, seq), None)?;
    one(Answers::new(conversation, FamilyMessage::parse))
}

/// The one object of an answer.
fn one<M>(answers: Answers<'_, impl Transport, M>) -> Result<M, Error> {
    let mut found = None;
    for object in answers {
        found = Some(object?);
    }
    found.ok_or_else(|| unreadable("what was asked for is not in it"))
}

fn read_tunnel(message: &Message<'_>) -> Option<TunnelMessage> {
    TunnelMessage::parse(message).map(|(_, tunnel)| tunnel)
}

fn read_session(message: &Message<'_>) -> Option<SessionMessage> {
    SessionMessage::parse(message).map(|(_, session)| session)
}

#[cfg(test)]
mod tests;
