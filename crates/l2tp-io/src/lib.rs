//! The door to the operating system: everything of Ferrowire that opens, reads or writes a descriptor.
//!
//! - [`udp`], [`rawip`], [`batch`]: tunnel sockets, many datagrams per system call, with UDP GSO and GRO
//! - [`tap`], [`spread`], [`offload`]: the pseudowire's network device, its queues, its super-frames
//! - [`rawudp`], [`divert`], [`inet_diag`], [`last_close`]: a program's own UDP socket: its data packets, what is left to the program, where
//!   it is by now, and its end
//! - [`alive`]: which of the files that were given away are still open
//! - [`rtnl`], [`netns`]: links, addresses, routes, network namespaces; [`genl`]: the kernel's generic netlink
//! - [`door`], [`creds`]: the management socket, and who may use it; [`pair`]: descriptors that stand for sockets of ours
//! - [`poller`], [`signals`], [`clock`]: what a worker waits for; [`linger`]: a moment without sleep before that
//! - [`sockopt`]: socket options by number; [`limits`]: how many descriptors this process may have
//!
//! Every function passes the kernel's errno through unchanged in [`std::io::Error::raw_os_error`], because the
//! management API answers with it. Nothing here knows a tunnel or a session.
#![allow(
    unsafe_code,
    reason = "system calls that rustix does not cover; unsafe code lives in this crate only"
)]

pub mod alive;
pub mod batch;
mod bpf;
pub mod clock;
mod cmsg;
pub mod creds;
pub mod divert;
pub mod door;
pub mod genl;
pub mod inet_diag;
pub mod last_close;
pub mod limits;
pub mod linger;
mod mmsg;
mod netlink;
pub mod netns;
pub mod offload;
pub mod pair;
pub mod poller;
pub mod rawip;
pub mod rawudp;
pub mod rtnl;
pub mod signals;
mod sockaddr;
pub mod sockopt;
pub mod spread;
pub mod tap;
#[cfg(test)]
mod testns;
pub mod udp;
