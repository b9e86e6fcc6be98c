//! rtnetlink(7): links, addresses and routes of a namespace, one acknowledged request at a time.

mod address;
mod link;

pub use link::Link;

use netlink_packet_core::{
    NLM_F_ACK, NLM_F_DUMP, NLM_F_REQUEST, NetlinkBuffer, NetlinkMessage, NetlinkPayload,
};
use netlink_packet_route::RouteNetlinkMessage;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recvfrom, send, socket_with,
};
use std::io;
use std::os::fd::OwnedFd;

/// Larger than any message of the kernel, which fills at most 32 KiB of a dump at once.
const REPLY_BYTES: usize = 64 << 10;

/// A blocking rtnetlink socket of the namespace in which it was opened.
pub struct Rtnl {
    socket: OwnedFd,
    sequence: u32,
    reply: Vec<u8>,
}

impl Rtnl {
    /// Opens a socket in the namespace of the calling thread; it stays with that namespace.
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`, `ENOMEM` of socket(2).
    pub fn open() -> io::Result<Self> {
        // NETLINK_ROUTE is protocol 0, which is what none stands for.
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, None)?;
        Ok(Self { socket, sequence: 0, reply: vec![0; REPLY_BYTES] })
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
        mut answer: impl FnMut(RouteNetlinkMessage),
    ) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut request = NetlinkMessage::from(message);
        request.header.flags = flags | NLM_F_REQUEST;
        request.header.sequence_number = self.sequence;
        request.finalize();
        let mut bytes = vec![0; request.buffer_len()];
        request.serialize(&mut bytes);
        send(&self.socket, &bytes, SendFlags::empty())?;
        while !self.read_answers(&mut answer)? {}
        Ok(())
    }

    fn dump(
        &mut self,
        message: RouteNetlinkMessage,
        answer: impl FnMut(RouteNetlinkMessage),
    ) -> io::Result<()> {
        self.exchange(message, NLM_F_DUMP, answer)
    }

    /// Reads one datagram of answers; true when it was the last.
    fn read_answers(&mut self, answer: &mut impl FnMut(RouteNetlinkMessage)) -> io::Result<bool> {
        let receive = || recvfrom(&self.socket, self.reply.as_mut_slice(), RecvFlags::empty());
        let (filled, _, from) = rustix::io::retry_on_intr(receive)?;
        // Another process may write to this socket too; only the kernel has port 0.
        let kernel =
            from.and_then(|from| SocketAddrNetlink::try_from(from).ok()).is_some_and(|from| from.pid() == 0);
        let mut rest = self.reply.get(..filled).filter(|_| kernel).unwrap_or_default();
        while let Ok(header) = NetlinkBuffer::new_checked(rest) {
            let size = usize::try_from(header.length()).unwrap_or(usize::MAX).next_multiple_of(4);
            if header.sequence_number() == self.sequence {
                match NetlinkMessage::deserialize(rest).map_err(io::Error::other)?.payload {
                    NetlinkPayload::InnerMessage(message) => answer(message),
                    NetlinkPayload::Error(verdict) if verdict.raw_code() != 0 => return Err(verdict.to_io()),
                    NetlinkPayload::Error(_) | NetlinkPayload::Done(_) => return Ok(true),
                    _ => {}
                }
            }
            rest = rest.get(size..).unwrap_or_default();
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests;
