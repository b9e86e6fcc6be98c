//! Bytes between a program and the kernel: netlink, the l2tp family, socket addresses, errno.
//!
//! Every parser here is total: any bytes give a value or an error. Nothing here does input or output.
//! Integers of netlink are in the byte order of the machine, as a program and its kernel share one.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod control;
pub mod envelope;
pub mod errno;
pub mod genl;
pub mod nl;
pub mod ppp;
pub mod sockaddr;
pub mod sockopt;

pub use errno::Errno;
