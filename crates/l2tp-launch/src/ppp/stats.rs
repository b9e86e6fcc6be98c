//! ioctl(2) of a socket with the name of a PPP unit's device: `SIOCGPPPSTATS` and its companions, which a TUN does not know.

use std::io;

use l2tp_abi::genl::ferrowire::socket::{SocketAnswer, SocketCall, SocketRequest};
use l2tp_abi::ppp::ioctl::{SIOCGPPPCSTATS, SIOCGPPPSTATS, SIOCGPPPVER};
use rustix::io::Errno;

use crate::endpoint::{Kind, actor};
use crate::filter::Syscall;
use crate::notify::{Answer, Call};
use crate::remote::Memory;
use crate::supervisor::Supervisor;

/// Bytes of a device's name in a `struct ifreq`, its NUL included; behind it here a pointer.
const IFNAMSIZ: usize = 16;
/// What the kernel calls itself (`PPP_VERSION`).
const PPP_VERSION: &[u8] = b"2.4.2\0";
/// Bytes of `struct ppp_comp_stats`: nothing is ever compressed.
const COMP_STATS_SIZE: usize = 80;

/// Whether a call asks something about a unit.
pub(crate) fn is_about_a_unit(call: &Call) -> bool {
    call.syscall == Syscall::Ioctl && (SIOCGPPPSTATS..=SIOCGPPPCSTATS).contains(&call.word(1))
}

impl Supervisor {
    /// Tells of a unit; of other devices the kernel does.
    pub(crate) fn tell_unit(&mut self, call: &Call) -> io::Result<Answer> {
        let memory = Memory::of(call.thread);
        // Of a socket only, and a file of ours is none to the program.
        let asked = self.tasks.process(call.thread)?.descriptor(call.int(0))?;
        let known = self.endpoints.get(rustix::net::sockopt::socket_cookie(&asked)?);
        if known.is_some_and(|endpoint| endpoint.kind == Kind::DevPpp) {
            return Ok(Answer::Fail(Errno::NOTTY));
        }
        let request: [u8; IFNAMSIZ + 8] = memory.read_array(call.address(2))?;
        let Some((name, place)) = parse(&request) else { return Ok(Answer::Continue) };
        let Some(counters) = self.unit_counters(call, name)? else { return Ok(Answer::Continue) };
        let told = match call.word(1) {
            SIOCGPPPVER => PPP_VERSION.to_vec(),
            SIOCGPPPSTATS => counters,
            _ => vec![0; COMP_STATS_SIZE],
        };
        if !self.listener.is_valid(call) {
            return Err(Errno::SRCH.into());
        }
        Ok(memory.write(place, &told).map_or(Answer::Fail(Errno::FAULT), |()| Answer::Return(0)))
    }

    /// The counters of the unit with this device in the caller's namespace; `None` if it is none.
    fn unit_counters(&mut self, call: &Call, name: &[u8]) -> io::Result<Option<Vec<u8>>> {
        let identity = self.namespaces.of_thread(call.thread)?;
        self.sweep_soon();
        let Some(namespace) = self.namespaces.get_mut(identity) else { return Ok(None) };
        let Some(door) = namespace.door(&mut self.starter) else { return Ok(None) };
        let request = SocketRequest { socket: None, call: SocketCall::PppStats(name) };
        match door.call(actor(call), &request, None) {
            Ok(Ok((SocketAnswer::Value(counters), _))) => Ok(Some(counters)),
            Ok(_) => Ok(None),
            Err(error) => {
                namespace.lose_door();
                Err(error)
            }
        }
    }
}

/// The name, and where the answer goes.
fn parse(request: &[u8; IFNAMSIZ + 8]) -> Option<(&[u8], u64)> {
    let (name, place) = request.split_first_chunk::<IFNAMSIZ>()?;
    let end = name.iter().position(|byte| *byte == 0)?;
    Some((name.get(..end)?, u64::from_ne_bytes(*place.first_chunk()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_a_device_and_a_place() {
        let mut request = [0; IFNAMSIZ + 8];
        request[..4].copy_from_slice(b"ppp7");
        request[IFNAMSIZ..].copy_from_slice(&0x7f00_1234_u64.to_ne_bytes());
        assert_eq!(parse(&request), Some((&b"ppp7"[..], 0x7f00_1234)));
        request[..IFNAMSIZ].fill(b'x');
        assert_eq!(parse(&request), None);
    }
}
