//! A netlink socket to the kernel (netlink(7)): one request at a time, each read to its end.

use netlink_packet_core::{
    NLM_F_REQUEST, NetlinkBuffer, NetlinkDeserializable, NetlinkMessage, NetlinkPayload, NetlinkSerializable,
};
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, recvfrom, send, socket_with,
};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// Larger than any message of the kernel, which fills at most 32 KiB of a dump at once.
const REPLY_BYTES: usize = 64 << 10;

/// A blocking socket of the namespace in which it was opened.
pub(crate) struct NetlinkSocket {
    socket: OwnedFd,
    sequence: u32,
    reply: Vec<u8>,
}

impl NetlinkSocket {
    /// Opens a socket of `protocol` (NETLINK_ROUTE is 0, which is what none stands for).
    pub(crate) fn open(protocol: Option<Protocol>) -> io::Result<Self> {
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
        Ok(Self { socket, sequence: 0, reply: vec![0; REPLY_BYTES] })
    }

    /// Sends a request and hands every answer to `answer`, until the acknowledgement, the end of the dump, or, where
    /// `flags` ask for neither, the first answer.
    pub(crate) fn exchange<M: NetlinkSerializable + NetlinkDeserializable>(
        &mut self,
        message: M,
        flags: u16,
        mut answer: impl FnMut(M),
    ) -> io::Result<()> {
        self.sequence = self.sequence.wrapping_add(1);
        let mut request = NetlinkMessage::new(
            netlink_packet_core::NetlinkHeader::default(),
            NetlinkPayload::InnerMessage(message),
        );
        request.header.flags = flags | NLM_F_REQUEST;
        request.header.sequence_number = self.sequence;
        request.finalize();
        let mut bytes = vec![0; request.buffer_len()];
        request.serialize(&mut bytes);
        send(&self.socket, &bytes, SendFlags::empty())?;
        while !self.read_answers(flags == 0, &mut answer)? {}
        Ok(())
    }

    /// Reads one datagram of answers; true when it was the last.
    fn read_answers<M: NetlinkDeserializable>(
        &mut self,
        single: bool,
        answer: &mut impl FnMut(M),
    ) -> io::Result<bool> {
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
                if single {
                    return Ok(true);
                }
            }
            rest = rest.get(size..).unwrap_or_default();
        }
        Ok(false)
    }
}

impl AsFd for NetlinkSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
