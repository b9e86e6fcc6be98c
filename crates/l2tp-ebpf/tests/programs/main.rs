//! The programs in the kernel: two namespaces joined by a veth, programs at each end, and no daemon.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may stop, and says why it did not run"
)]

mod crafted;
mod cut;
mod decode;
mod form;
mod frames;
mod host;
mod hub;
mod judged;
mod life;
mod packet;
mod recorded;
mod refusals;
mod require;
mod stage;
mod tagged;
mod tcp;
mod tunnel;
mod up;

mod streams;
