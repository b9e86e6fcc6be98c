//! Requests in, replies out: how programs manage the subsystem, sans-IO.
//!
//! [`netlink`] answers datagrams of generic netlink as the kernel's `l2tp` family and the controller `nlctrl` do, and a
//! family of our own; [`text`] writes the kernel's debug texts.

#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod netlink;
pub mod text;
