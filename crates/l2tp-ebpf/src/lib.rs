//! The fast path: two BPF programs that put L2TP headers in front of frames and take them off in the kernel's own network stack, with super-frames
//! kept whole.
//!
//! The programs carry what is plain, exactly as the user path would. Whatever they cannot or must not carry they leave untouched, and it reaches the
//! user path by the device's descriptor or the tunnel's socket; so they drop nothing, and errors are not counted here.
//!
//! - [`FastPath`] loads and attaches them; [`Session`] is what they are told of a session
//! - the programs are in `ebpf/` at the root, in Rust; `cargo xtask ebpf` makes the object that is included here

mod above;
mod attach;
mod counters;
mod entry;
mod errors;
mod fastpath;
mod grace;
#[path = "../../../ebpf/src/layout.rs"]
#[expect(unreachable_pub, reason = "the programs include this file, too")]
mod layout;
mod maps;
mod session;

pub use above::Above;
pub use counters::Counters;
pub use errors::{Refused, Unavailable};
pub use fastpath::{FastPath, Handle, Hook, SESSIONS_MAX};
pub use session::{Carrier, Deliver, Link, Pattern, Payload, Route, Rx, Session, Tx};
