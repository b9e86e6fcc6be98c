//! The L2TP subsystem of one network namespace as values: tunnels, sessions, id rules, the receive and the transmit
//! path, counters. It opens nothing, reads no clock and draws no randomness: what it needs of the operating system it
//! asks of a [`Host`], and every entry that depends on time takes `now`.
//!
//! | room | what |
//! |---|---|
//! | [`engine`] | [`Engine`]: the tables, and the commands that change them |
//! | [`config`] | what a tunnel and a session are asked to be |
//! | [`rx`] | a packet's way in: whose is it, cookie, sequence, reorder, delivery |
//! | [`tx`] | a frame's way out: sequence number and header |
//! | [`carriage`] | what a path below has to know to carry a session's plain packets |
//! | [`host`] | what the subsystem asks of the operating system |
//! | [`stats`], [`drop_reason`] | what is counted |
//! | [`trace`] | the kernel's tracepoints |
//! | [`error`] | why a command is refused, and its errno |
//!
//! The reference is the kernel's `net/l2tp`; where this differs on purpose, `docs/differences.md` says so.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;
#[cfg(test)]
extern crate self as l2tp_core;

pub mod carriage;
pub mod config;
pub mod drop_reason;
pub mod engine;
pub mod error;
pub mod host;
pub mod mtu;
#[cfg(test)]
mod nowhere;
pub mod rx;
pub mod session;
pub mod slots;
pub mod stats;
pub mod time;
pub mod trace;
pub mod tunnel;
pub mod tx;

pub use carriage::{Carriage, Carried};
pub use config::{
    Cookie, Encap, L2specType, PwType, SessionConfig, SessionSelector, SocketConfig, TunnelConfig,
};
pub use drop_reason::DropReason;
pub use engine::Engine;
pub use error::Error;
pub use host::{Endpoints, Host};
pub use rx::{Deliver, Frame, Verdict};
pub use session::{Session, SessionKey};
pub use time::Instant;
pub use tunnel::{Tunnel, TunnelKey};
pub use tx::Transmit;
