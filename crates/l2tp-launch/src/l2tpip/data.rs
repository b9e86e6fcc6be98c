//! Control messages out and in.

use std::io;
use std::net::IpAddr;

use l2tp_abi::envelope::{ENVELOPE_LEN, Envelope};
use l2tp_abi::genl::ferrowire::socket::SocketCall;
use l2tp_abi::sockaddr::{SockaddrL2tpip, SockaddrL2tpip6};
use rustix::io::Errno;
use rustix::net::{AddressFamily, RecvFlags, recv};

use crate::endpoint::{Endpoint, Kind};
use crate::notify::Answer;
use crate::supervisor::Supervisor;
use crate::transfer::{Incoming, Outgoing, Use};

/// Bytes of the longest message in its envelope.
const DATAGRAM_MAX: usize = ENVELOPE_LEN + 65_535;

impl Supervisor {
    /// The calls that send.
    pub(super) fn send_control(&mut self, at: &Use<'_>, endpoint: Endpoint) -> io::Result<Answer> {
        let Some(sent) = Outgoing::read(at)? else { return Ok(Answer::Return(0)) };
        let call = SocketCall::Send { to: sent.name.as_deref(), message: &sent.bytes };
        match self.carry_out(at, endpoint, call, None) {
            Ok(_) => sent.done(at),
            Err(errno) => Ok(Answer::Fail(errno)),
        }
    }

    /// The calls that receive.
    pub(super) fn receive_control(&self, at: &Use<'_>, endpoint: Endpoint) -> io::Result<Answer> {
        let Some(target) = Incoming::read(at)? else { return Ok(Answer::Return(0)) };
        if target.flags.contains(RecvFlags::OOB) {
            return Ok(Answer::Fail(Errno::OPNOTSUPP));
        }
        let mut datagram = vec![0; DATAGRAM_MAX];
        let flags = (target.flags & RecvFlags::PEEK) | RecvFlags::DONTWAIT;
        let size = match recv(&at.socket, datagram.as_mut_slice(), flags) {
            // The error queue is always empty.
            Ok(_) if target.flags.contains(RecvFlags::ERRQUEUE) => return Ok(Answer::Fail(Errno::AGAIN)),
            // Hung up: the daemon is gone.
            Ok((0, _)) => return Ok(Answer::Fail(Errno::CONNREFUSED)),
            Ok((size, _)) => size,
            Err(Errno::AGAIN) if !target.is_nonblocking(at) => return Ok(Answer::Wait(at.deadline())),
            Err(errno) => return Ok(Answer::Fail(errno)),
        };
        let datagram = datagram.get(..size).unwrap_or_default();
        let Some((envelope, message)) = Envelope::split(datagram) else {
            return Ok(Answer::Fail(Errno::PROTO));
        };
        if !self.listener.is_valid(at.call) {
            return Err(Errno::SRCH.into());
        }
        let taken = message.get(..target.room()).unwrap_or(message);
        let written = target.write(at.memory, &sender(&envelope, endpoint), taken, message.len());
        Ok(written.map_or(Answer::Fail(Errno::FAULT), Answer::length))
    }

    /// ioctl(2) with `SIOCINQ`: bytes of the next message.
    pub(super) fn count_bytes(&self, at: &Use<'_>) -> io::Result<Answer> {
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT | RecvFlags::TRUNC;
        let waiting = recv(&at.socket, &mut [0_u8; 1], flags).map_or(0, |(_, size)| size);
        let bytes = i32::try_from(waiting.saturating_sub(ENVELOPE_LEN)).unwrap_or(i32::MAX);
        at.memory.write(at.call.address(2), &bytes.to_ne_bytes())?;
        Ok(Answer::Return(0))
    }
}

/// The address of a message's sender as the kernel writes it.
fn sender(envelope: &Envelope, endpoint: Endpoint) -> Vec<u8> {
    let conn_id = envelope.conn_id;
    match envelope.address {
        Some(IpAddr::V4(address)) => SockaddrL2tpip { address, conn_id }.emit(),
        Some(IpAddr::V6(address)) => {
            SockaddrL2tpip6 { flowinfo: [0; 4], address, scope_id: envelope.scope_id, conn_id }.emit()
        }
        None if endpoint.kind == Kind::L2tpip(AddressFamily::INET) => {
            SockaddrL2tpip { address: [0; 4].into(), conn_id }.emit()
        }
        None => SockaddrL2tpip6 { flowinfo: [0; 4], address: [0; 16].into(), scope_id: 0, conn_id }.emit(),
    }
}
