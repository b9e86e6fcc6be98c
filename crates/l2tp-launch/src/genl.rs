//! Generic netlink sockets: real ones, whose traffic for the family "l2tp" is ours.
//!
//! The program's socket is the kernel's, made in the program's namespace. What it sends to "l2tp" is taken out of its
//! memory and answered by the daemon; the answers are put into the socket's own receive queue by an [`Injector`], so that
//! poll, select, epoll, peeking, timeouts and port ids are the kernel's. All other families are native.
//!
//! [`Injector`]: crate::namespace::Injector

mod open;
mod option;
mod receive;
mod send;
mod socket;

pub(crate) use socket::{SOCKETS_MAX, Socket, Sockets};

/// Bytes of `struct sockaddr_nl`. Layout: family u16, padding u16, port id u32, groups u32.
const ADDRESS_SIZE: usize = 12;

/// Whether an address is the kernel's: port id and groups 0. `None` if it is too short to tell.
fn is_kernel(address: &[u8]) -> Option<bool> {
    Some(address.get(4..ADDRESS_SIZE)?.iter().all(|byte| *byte == 0))
}

/// The kernel's address.
fn kernel_address() -> [u8; ADDRESS_SIZE] {
    let mut address = [0; ADDRESS_SIZE];
    let family = rustix::net::AddressFamily::NETLINK.as_raw().to_ne_bytes();
    address.iter_mut().zip(family).for_each(|(to, byte)| *to = byte);
    address
}
