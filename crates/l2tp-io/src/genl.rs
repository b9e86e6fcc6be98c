//! A generic netlink socket to the kernel (netlink(7), genetlink): whole datagrams out and in, not looked at.

use crate::sockopt;
use rustix::net::netlink::{self, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, recvfrom, send, socket_with,
};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// A dump's datagram has 32 KiB at most.
const REPLY_BYTES: usize = 64 << 10;

/// A blocking socket to the kernel's generic netlink families, those of the namespace in which it was opened.
#[derive(Debug)]
pub struct GenericNetlink {
    socket: OwnedFd,
}

impl GenericNetlink {
    /// Opens a socket that asks for reasons with its errors (`NETLINK_EXT_ACK`).
    ///
    /// # Errors
    /// `EMFILE`, `ENFILE`, `ENOMEM` of socket(2); `EPROTONOSUPPORT` on a kernel without generic netlink.
    pub fn open() -> io::Result<Self> {
        let protocol = Some(netlink::GENERIC);
        let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, SocketFlags::CLOEXEC, protocol)?;
        // Kernels before 4.12 give no reasons.
        let _: io::Result<()> = sockopt::set(&socket, libc::SOL_NETLINK, libc::NETLINK_EXT_ACK, 1);
        Ok(Self { socket })
    }

    /// Joins a multicast group, by its id (`NETLINK_ADD_MEMBERSHIP`).
    ///
    /// # Errors
    /// `EINVAL`: there is no such group; `EPERM`: it is not for everybody.
    pub fn join(&self, group: u32) -> io::Result<()> {
        let group = i32::try_from(group).map_err(|_| io::ErrorKind::InvalidInput)?;
        sockopt::set(&self.socket, libc::SOL_NETLINK, libc::NETLINK_ADD_MEMBERSHIP, group)
    }

    /// Sets how long [`Self::send`] and [`Self::recv`] wait at most; `None`: as long as it takes.
    ///
    /// # Errors
    /// `InvalidInput` for no time at all.
    pub fn set_timeout(&self, timeout: Option<Duration>) -> io::Result<()> {
        sockopt::set_timeout(&self.socket, timeout)
    }

    /// Sends one datagram of messages to the kernel.
    ///
    /// # Errors
    /// Those of send(2).
    pub fn send(&self, bytes: &[u8]) -> io::Result<()> {
        send(&self.socket, bytes, SendFlags::empty())?;
        Ok(())
    }

    /// Waits for one datagram of the kernel's.
    ///
    /// # Errors
    /// `ENOBUFS` when answers were lost; `WouldBlock` when none came in time; those of recvfrom(2).
    pub fn recv(&self) -> io::Result<Vec<u8>> {
        loop {
            let mut buffer = vec![0; REPLY_BYTES];
            let receive = || recvfrom(&self.socket, buffer.as_mut_slice(), RecvFlags::empty());
            let (filled, _, from) = rustix::io::retry_on_intr(receive)?;
            // Another process may write to this socket too; only the kernel has port 0.
            let port = from.and_then(|from| SocketAddrNetlink::try_from(from).ok()).map(|from| from.pid());
            if port == Some(0) {
                buffer.truncate(filled);
                return Ok(buffer);
            }
        }
    }
}

impl AsFd for GenericNetlink {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::GenericNetlink;
    use std::io::ErrorKind;
    use std::time::Duration;

    /// The controller's own group has the same id on every kernel (`GENL_ID_CTRL`).
    #[test]
    fn groups_and_time() {
        let socket = GenericNetlink::open().unwrap();
        socket.join(0x10).unwrap();
        assert_eq!(socket.join(u32::MAX).unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(socket.set_timeout(Some(Duration::ZERO)).unwrap_err().kind(), ErrorKind::InvalidInput);
        socket.set_timeout(Some(Duration::from_millis(1))).unwrap();
        assert_eq!(socket.recv().unwrap_err().kind(), ErrorKind::WouldBlock);
    }

    /// CTRL_CMD_GETFAMILY for "nlctrl", which every kernel with generic netlink has.
    #[test]
    fn the_controller_describes_itself() {
        let mut request = Vec::new();
        request.extend(32_u32.to_ne_bytes()); // nlmsg_len
        request.extend(16_u16.to_ne_bytes()); // GENL_ID_CTRL
        request.extend(1_u16.to_ne_bytes()); // NLM_F_REQUEST
        request.extend([0; 8]); // sequence, port
        request.extend([3, 1, 0, 0]); // CTRL_CMD_GETFAMILY, version 1
        request.extend(11_u16.to_ne_bytes()); // nla_len
        request.extend(2_u16.to_ne_bytes()); // CTRL_ATTR_FAMILY_NAME
        request.extend(*b"nlctrl\0\0");
        assert_eq!(request.len(), 32);
        let socket = GenericNetlink::open().unwrap();
        socket.send(&request).unwrap();
        let reply = socket.recv().unwrap();
        assert!(reply.windows(6).any(|bytes| bytes == b"nlctrl"), "{reply:?}");
    }
}
