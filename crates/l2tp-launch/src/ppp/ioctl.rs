//! ioctl(2) with PPP's requests: their arguments in and out.

use std::io;

use l2tp_abi::genl::ferrowire::socket::{SocketAnswer, SocketCall};
use l2tp_abi::ppp::ioctl::{
    PPPIOCATTACH, PPPIOCATTCHAN, PPPIOCGCHAN, PPPIOCGL2TPSTATS, PPPIOCNEWUNIT, argument_size, takes,
};
use rustix::io::Errno;

use crate::endpoint::{Endpoint, Kind};
use crate::notify::Answer;
use crate::supervisor::Supervisor;
use crate::transfer::Use;

impl Supervisor {
    /// Has a request carried out.
    pub(super) fn control(&mut self, at: &Use<'_>, endpoint: Endpoint) -> io::Result<Answer> {
        let (request, place) = (at.call.word(1), at.call.address(2));
        if endpoint.kind == Kind::DevPpp && attaches(request) && !self.may_administer(at, endpoint)? {
            return Ok(Answer::Fail(Errno::PERM));
        }
        let argument = argument(at, request)?;
        let call = SocketCall::Ioctl { request, argument: &argument };
        // What it has not read yet goes to the channel.
        let beside = (request == PPPIOCGCHAN && endpoint.kind == Kind::Pppol2tp).then_some(&at.socket);
        let value = match self.carry_out(at, endpoint, call, beside) {
            Ok(SocketAnswer::Value(value)) => value,
            Ok(_) => Vec::new(),
            Err(errno) => return Ok(Answer::Fail(errno)),
        };
        if !self.listener.is_valid(at.call) {
            return Err(Errno::SRCH.into());
        }
        at.memory.write(place, value.get(..size(request)).unwrap_or(&value))?;
        Ok(Answer::Return(0))
    }

    /// Whether the caller may administer the namespace.
    fn may_administer(&self, at: &Use<'_>, endpoint: Endpoint) -> io::Result<bool> {
        let namespace = self.namespaces.get(endpoint.namespace).ok_or(Errno::CONNREFUSED)?;
        namespace.owners.admit(at.call.thread)
    }
}

/// The requests that make something of a fresh file.
fn attaches(request: u32) -> bool {
    [PPPIOCNEWUNIT, PPPIOCATTACH, PPPIOCATTCHAN].contains(&request)
}

/// What the argument points at, where the request reads it; nothing where it cannot be read. What that means depends on the
/// request and on the state of the descriptor.
fn argument(at: &Use<'_>, request: u32) -> io::Result<Vec<u8>> {
    // Counters are of the session that the argument names, though the request's number does not say that it is read.
    if !takes(request) && request != PPPIOCGL2TPSTATS {
        return Ok(Vec::new());
    }
    match at.memory.read(at.call.address(2), size(request)) {
        Err(error) if Errno::from_io_error(&error) == Some(Errno::FAULT) => Ok(Vec::new()),
        argument => argument,
    }
}

fn size(request: u32) -> usize {
    usize::try_from(argument_size(request)).unwrap_or_default()
}
