//! Socket options that rustix does not know, and buffer sizes.

use rustix::net::sockopt;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

/// Bytes a tunnel socket may queue in each direction: some 120 super-frames, which a few TCP streams may together have on
/// the way (a device holds no sender back once a frame is given to a program). The kernel doubles it, for its own
/// bookkeeping.
const BUFFER_BYTES: usize = 8 << 20;

/// Sets an integer option by number.
///
/// # Errors
/// Those of setsockopt(2).
pub fn set(fd: impl AsFd, level: i32, option: i32, value: i32) -> io::Result<()> {
    let size = libc::socklen_t::try_from(size_of::<i32>()).unwrap_or_default();
    let raw = fd.as_fd().as_raw_fd();
    // SAFETY: `value` is readable for its own size, and the kernel keeps no reference to it.
    let status = unsafe { libc::setsockopt(raw, level, option, (&raw const value).cast(), size) };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Reads an integer option (or a descriptor, which is one) by number.
///
/// # Errors
/// Those of getsockopt(2).
pub fn get(fd: impl AsFd, level: i32, option: i32) -> io::Result<i32> {
    let mut value = 0_i32;
    let mut size = libc::socklen_t::try_from(size_of::<i32>()).unwrap_or_default();
    let raw = fd.as_fd().as_raw_fd();
    // SAFETY: `value` is writable for `size` bytes, its own size, and `size` is writable too.
    let status = unsafe { libc::getsockopt(raw, level, option, (&raw mut value).cast(), &raw mut size) };
    if status == 0 { Ok(value) } else { Err(io::Error::last_os_error()) }
}

/// Reads an option of 64 bits by number.
pub(crate) fn get_u64(fd: impl AsFd, level: i32, option: i32) -> io::Result<u64> {
    let mut value = 0_u64;
    let mut size = libc::socklen_t::try_from(size_of::<u64>()).unwrap_or_default();
    let raw = fd.as_fd().as_raw_fd();
    // SAFETY: `value` is writable for `size` bytes, its own size, and `size` is writable too.
    let status = unsafe { libc::getsockopt(raw, level, option, (&raw mut value).cast(), &raw mut size) };
    if status == 0 { Ok(value) } else { Err(io::Error::last_os_error()) }
}

/// The number by which the kernel knows this socket and no other, whatever descriptor it is behind (SO_COOKIE).
///
/// # Errors
/// `ENOTSOCK` for what is no socket.
pub fn cookie(socket: impl AsFd) -> io::Result<u64> {
    get_u64(socket, libc::SOL_SOCKET, libc::SO_COOKIE)
}

/// Sets how long sending and receiving wait at most; `None`: as long as it takes. No time at all is `InvalidInput`.
pub(crate) fn set_timeout(fd: impl AsFd, timeout: Option<Duration>) -> io::Result<()> {
    let fd = fd.as_fd();
    sockopt::set_socket_timeout(fd, sockopt::Timeout::Send, timeout)?;
    Ok(sockopt::set_socket_timeout(fd, sockopt::Timeout::Recv, timeout)?)
}

/// Gives the socket large queues: beyond the host's limit with CAP_NET_ADMIN, else up to it
/// (net.core.rmem_max, net.core.wmem_max). Never fails; small queues only drop sooner.
pub(crate) fn enlarge_buffers(fd: impl AsFd) {
    let fd = fd.as_fd();
    let _smaller_is_no_error = sockopt::set_socket_recv_buffer_size_force(fd, BUFFER_BYTES)
        .or_else(|_| sockopt::set_socket_recv_buffer_size(fd, BUFFER_BYTES));
    let _smaller_is_no_error = sockopt::set_socket_send_buffer_size_force(fd, BUFFER_BYTES)
        .or_else(|_| sockopt::set_socket_send_buffer_size(fd, BUFFER_BYTES));
}

#[cfg(test)]
mod tests {
    use super::{enlarge_buffers, get, set};
    use std::net::UdpSocket;

    #[test]
    fn options_are_set_and_read_by_number() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        assert_eq!(get(&socket, libc::SOL_SOCKET, libc::SO_NO_CHECK).unwrap(), 0);
        set(&socket, libc::SOL_SOCKET, libc::SO_NO_CHECK, 1).unwrap();
        assert_eq!(get(&socket, libc::SOL_SOCKET, libc::SO_NO_CHECK).unwrap(), 1);
        let unknown = set(&socket, libc::SOL_SOCKET, 9999, 1).unwrap_err();
        assert_eq!(unknown.raw_os_error(), Some(libc::ENOPROTOOPT));
    }

    #[test]
    fn buffers_grow() {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        let receive = get(&socket, libc::SOL_SOCKET, libc::SO_RCVBUF).unwrap();
        enlarge_buffers(&socket);
        assert!(get(&socket, libc::SOL_SOCKET, libc::SO_RCVBUF).unwrap() > receive);
    }
}
