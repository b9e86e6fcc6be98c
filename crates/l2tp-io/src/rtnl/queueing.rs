//! Queueing disciplines (net/sched/sch_api.c).

use super::Rtnl;
use netlink_packet_core::{NLM_F_CREATE, NLM_F_REPLACE};
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::tc::{TcAttribute, TcHandle, TcMessage};
use rustix::io::Errno;
use std::io;

/// The discipline that keeps nothing: what a device cannot take at once is lost.
const NOQUEUE: &str = "noqueue";

impl Rtnl {
    /// Has a device send without a queueing discipline before it. One that is down gets none when it comes up, where the kernel would make one for
    /// each of its transmit queues, of which a TAP with several has 256.
    ///
    /// # Errors
    /// `ENODEV`, `EPERM`; `EOPNOTSUPP` on a kernel without traffic control.
    pub fn set_noqueue(&mut self, index: u32) -> io::Result<()> {
        let mut message = TcMessage::default();
        message.header.index = i32::try_from(index).map_err(|_| Errno::NODEV)?;
        message.header.parent = TcHandle::ROOT;
        message.attributes.push(TcAttribute::Kind(NOQUEUE.to_owned()));
        let message = RouteNetlinkMessage::NewQueueDiscipline(message);
        self.execute(message, NLM_F_CREATE | NLM_F_REPLACE)
    }
}
