//! `open("/dev/ppp")`.

use std::io;

use l2tp_abi::genl::ferrowire::socket::SocketCall;

use crate::endpoint::Kind;
use crate::notify::{Answer, Call};
use crate::supervisor::Supervisor;

/// Its path. The node need not be there.
pub(crate) const DEV_PPP: &[u8] = b"/dev/ppp";

impl Supervisor {
    /// open(2) with these flags; without a daemon the kernel says whether there is such a file.
    pub(crate) fn open_dev_ppp(&mut self, call: &Call, flags: i32) -> io::Result<Answer> {
        let end = match self.open_endpoint(call, Kind::DevPpp, SocketCall::OpenPpp)? {
            Ok(end) => end,
            Err(answer) => return Ok(answer),
        };
        rustix::io::ioctl_fionbio(&end, flags & libc::O_NONBLOCK != 0)?;
        self.give_lowest(call, &end, flags & libc::O_CLOEXEC != 0)
    }
}
