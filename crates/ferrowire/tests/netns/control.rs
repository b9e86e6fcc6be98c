//! The other end of a daemon's control socket: `ferrowire daemon --control-fd N`.

use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Duration;

use l2tp_abi::Errno;
use l2tp_abi::control::{CONTROL_BYTES, Control};
use l2tp_io::door::DoorStream;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};
use rustix::io::{FdFlags, fcntl_setfd};
use rustix::net::sockopt::{Timeout, set_socket_timeout};

use crate::daemon::Daemon;
use crate::host::Host;

/// A daemon that serves what it is given.
pub(crate) struct Controlled {
    pub(crate) daemon: Daemon,
    control: DoorStream,
}

impl Controlled {
    /// One in a namespace of its own.
    pub(crate) fn start() -> Self {
        let kind = (AddressFamily::Unix, SockType::SeqPacket);
        let (near, far) = socketpair(kind.0, kind.1, None, SockFlag::SOCK_CLOEXEC).unwrap();
        set_socket_timeout(&near, Timeout::Recv, Some(Duration::from_secs(60))).unwrap();
        fcntl_setfd(&far, FdFlags::empty()).unwrap();
        let number = far.as_raw_fd().to_string();
        let daemon = Host::new().here(|| Daemon::start(&["--control-fd", &number]));
        Self { daemon, control: DoorStream::from(near) }
    }

    /// Hands in a namespace; its inode, or why it is not served.
    pub(crate) fn serve(&self, host: &Host) -> Result<u64, Errno> {
        self.ask(&Control::Serve.emit(), &[host.netns.as_fd()])
    }

    pub(crate) fn ask(&self, message: &[u8], descriptors: &[BorrowedFd<'_>]) -> Result<u64, Errno> {
        self.control.send(message, descriptors).unwrap();
        match self.hear() {
            Control::Serving { netns } => Ok(netns),
            Control::Refused { errno } => Err(errno),
            other => panic!("{other:?}"),
        }
    }

    /// The next message.
    pub(crate) fn hear(&self) -> Control {
        let mut buffer = [0; CONTROL_BYTES];
        let length = self.control.recv(&mut buffer, &mut Vec::new()).unwrap();
        Control::parse(&buffer[..length]).unwrap()
    }

    /// Closes the control socket.
    pub(crate) fn hang_up(self) -> Daemon {
        self.daemon
    }
}
