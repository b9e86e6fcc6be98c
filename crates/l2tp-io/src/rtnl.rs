//! rtnetlink(7): links, addresses, routes and neighbours of a namespace, one acknowledged request at a time, and the news of them.

mod address;
mod changes;
mod link;
mod macvlan;
mod neighbour;
mod queueing;
mod route;

pub use changes::{Changes, Seen};
pub use link::Link;
pub use route::Route;

use crate::netlink::NetlinkSocket;
use netlink_packet_core::{NLM_F_ACK, NLM_F_DUMP};
use netlink_packet_route::RouteNetlinkMessage;
use std::io;

/// A blocking rtnetlink socket of the namespace in which it was opened.
pub struct Rtnl {
    socket: NetlinkSocket,
}

impl Rtnl {
    /// Opens a socket in the namespace of the calling thread; it stays with that namespace.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`, `ENOMEM` of socket(2).
    pub fn open() -> io::Result<Self> {
        Ok(Self { socket: NetlinkSocket::open(None)? })
    }

    /// Sends a request that changes something and waits for the verdict.
    fn execute(&mut self, message: RouteNetlinkMessage, flags: u16) -> io::Result<()> {
        self.exchange(message, flags | NLM_F_ACK, |_| {})
    }

    /// Sends a request and hands every answer to `answer`, until the acknowledgement or the end of the dump.
    fn exchange(
        &mut self,
        message: RouteNetlinkMessage,
        flags: u16,
        answer: impl FnMut(RouteNetlinkMessage),
    ) -> io::Result<()> {
        self.socket.exchange(message, flags, answer)
    }

    fn dump(
        &mut self,
        message: RouteNetlinkMessage,
        answer: impl FnMut(RouteNetlinkMessage),
    ) -> io::Result<()> {
        self.exchange(message, NLM_F_DUMP, answer)
    }
}

#[cfg(test)]
mod tests;
