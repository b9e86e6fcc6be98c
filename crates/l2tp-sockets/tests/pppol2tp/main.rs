//! PPPoL2TP sockets: `connect` step by step, every option and request in every state, frames, and every way to end.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

mod connect;
mod ends;
mod frames;
mod ioctls;
mod lab;
mod names;
mod options;
mod properties;
