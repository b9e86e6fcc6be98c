//! What a program receives.
//!
//! Only when the head of the receive queue came from us is there anything to do: the sender must read as the kernel,
//! port id 0. Otherwise the call goes on, and blocks, fails and times out as the kernel wants.

use std::io;

use rustix::io::Errno;
use rustix::net::netlink::SocketAddrNetlink;
use rustix::net::{RecvFlags, recvfrom};

use super::kernel_address;
use crate::notify::Answer;
use crate::supervisor::Supervisor;
use crate::task::has_siblings;
use crate::transfer::{Incoming, Use};

impl Supervisor {
    /// The calls that receive.
    pub(crate) fn receive(&mut self, at: &Use<'_>) -> io::Result<Answer> {
        let Some(socket) = self.sockets.get_mut(at.cookie) else { return Ok(Answer::Continue) };
        let Some(namespace) = self.namespaces.get(socket.namespace) else { return Ok(Answer::Continue) };
        let Some(target) = Incoming::read(at)? else { return Ok(Answer::Continue) };
        socket.pump(namespace.injector());
        if socket.take_overrun() {
            return Ok(Answer::Fail(Errno::NOBUFS));
        }
        let (size, sender) = match peek(at) {
            Ok(head) => head,
            Err(Errno::AGAIN) if socket.must_wait_here(at) && !target.is_nonblocking(at) => {
                return Ok(Answer::Wait(at.deadline()));
            }
            Err(Errno::AGAIN) => return Ok(Answer::Continue),
            // Told once, and that was to us.
            Err(error) => return Ok(Answer::Fail(error)),
        };
        if sender != namespace.injector().port || target.flags.contains(RecvFlags::ERRQUEUE) {
            return Ok(Answer::Continue);
        }
        let mut bytes = vec![0; size.min(target.room())];
        let flags = (target.flags & RecvFlags::PEEK) | RecvFlags::DONTWAIT | RecvFlags::TRUNC;
        // Taken before the answer: a program that is faster than we would find it twice.
        let taken = recvfrom(&at.socket, bytes.as_mut_slice(), flags);
        socket.pump(namespace.injector());
        let Ok((_, size, _)) = taken else { return Ok(Answer::Continue) };
        if !self.listener.is_valid(at.call) {
            return Err(Errno::SRCH.into());
        }
        Ok(target
            .write(at.memory, &kernel_address(), &bytes, size)
            .map_or(Answer::Fail(Errno::FAULT), Answer::length))
    }
}

impl super::Socket {
    /// Whether an empty socket's reader waits with us: it may be woken by a datagram of ours, whose sender must then be
    /// put right.
    fn must_wait_here(&self, at: &Use<'_>) -> bool {
        self.is_member || self.is_shared || has_siblings(at.call.thread)
    }
}

/// Size and sender of the datagram at the head of the queue.
fn peek(at: &Use<'_>) -> Result<(usize, u32), Errno> {
    let mut nothing = [0_u8; 1];
    let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT | RecvFlags::TRUNC;
    let (_, size, sender) = recvfrom(&at.socket, &mut nothing, flags)?;
    let sender = sender.and_then(|sender| SocketAddrNetlink::try_from(sender).ok());
    Ok((size, sender.map_or(0, |sender| sender.pid())))
}
