//! L2TPIP sockets: every row of the kernel's answers, in every state.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod bind;
mod bounds;
mod connect;
mod demux;
mod lab;
mod names;
mod send;
