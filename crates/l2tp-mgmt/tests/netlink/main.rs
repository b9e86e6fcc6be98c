//! The netlink server, bytes in and bytes out, against what real kernels answered.
#![cfg(target_endian = "little")]
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "tests; the exemption for test functions does not reach their shared parts"
)]

mod ctrl;
mod deaths;
mod dump;
mod ferrowire;
mod host;
mod independent;
mod kernel_answers;
mod lab;
mod rules;
mod sockets;
mod vlan;
