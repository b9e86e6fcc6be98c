//! Calls beside sending and receiving: group membership, connect(2), copies of the descriptor.

use std::io;

use l2tp_abi::nl::{NETLINK_ADD_MEMBERSHIP, NETLINK_DROP_MEMBERSHIP, SOL_NETLINK};

use super::{ADDRESS_SIZE, is_kernel};
use crate::notify::Answer;
use crate::supervisor::Supervisor;
use crate::transfer::Use;

impl Supervisor {
    /// setsockopt(2): joins or leaves the group "l2tp"; other groups and options are the kernel's.
    pub(crate) fn set_option(&mut self, at: &Use<'_>) -> io::Result<Answer> {
        let (level, option) = (at.call.int(1), at.call.int(2));
        let joins = match option {
            NETLINK_ADD_MEMBERSHIP => true,
            NETLINK_DROP_MEMBERSHIP => false,
            _ => return Ok(Answer::Continue),
        };
        if level != SOL_NETLINK || at.call.word(4) < 4 {
            return Ok(Answer::Continue);
        }
        let group = u32::from_ne_bytes(at.memory.read_array(at.call.address(3))?);
        let Some(socket) = self.sockets.get_mut(at.cookie) else { return Ok(Answer::Continue) };
        if group != self.seen.group {
            return Ok(Answer::Continue);
        }
        socket.is_member = joins;
        let namespace = socket.namespace;
        if joins {
            self.port(at)?;
            self.listen_in(namespace);
        }
        Ok(Answer::Return(0))
    }

    /// connect(2) to the kernel changes nothing; done, it would make the socket refuse all other senders, us too.
    pub(crate) fn connect(&mut self, at: &Use<'_>) -> io::Result<Answer> {
        let length = at.call.size(2);
        if length < ADDRESS_SIZE {
            return Ok(Answer::Continue);
        }
        let address: [u8; ADDRESS_SIZE] = at.memory.read_array(at.call.address(1))?;
        let family = u16::from_ne_bytes([address[0], address[1]]);
        let is_netlink = family == rustix::net::AddressFamily::NETLINK.as_raw();
        if !is_netlink || is_kernel(&address) != Some(true) {
            return Ok(Answer::Continue);
        }
        self.port(at)?;
        Ok(Answer::Return(0))
    }
}
