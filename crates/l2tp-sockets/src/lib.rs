//! The sockets that the subsystem gives to programs, as values: what each call answers in each state, and whose a message
//! is. It opens nothing: what it needs of the network it asks of a trait.
//!
//! | room | what |
//! |---|---|
//! | [`l2tpip`] | `socket(AF_INET or AF_INET6, SOCK_DGRAM, IPPROTO_L2TP)` |
//! | [`pppol2tp`] | `socket(AF_PPPOX, …, PX_PROTO_OL2TP)` |
//! | [`ppp`] | `/dev/ppp`: channels, units, and frames between them |
//! | [`quota`] | how much callers without privilege may have |
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod l2tpip;
pub mod ppp;
pub mod pppol2tp;
pub mod quota;
