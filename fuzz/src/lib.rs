//! Fuzz targets: functions that take any bytes and stop with a panic when a promise is broken.
//!
//! | target | what is fed | promises |
//! |---|---|---|
//! | [`wire`] | a packet | every header parser is total; what is parsed can be emitted and read again |
//! | [`netlink`] | a datagram of netlink messages | the walks are total and stay inside; messages survive emit and parse |
//! | [`engine`] | a session's configuration, then packets, waits, changes | every packet is in one counter; queues are bounded and empty in the end |
//! | [`server`] | datagrams of three programs | answers are well-formed and bounded; tables, sockets and devices agree; nothing outlives its tunnel |
//! | [`commands`] | commands of three programs | answers, and what is there after each, are those of the reference model |
//! | [`split`] | a vnet header and a frame | segments are the frame's payload, whole and in order |
//! | [`coalesce`] | received frames | super-frames, cut again, are the same frames |
//!
//! `tests/replay.rs` runs the corpus and mutations of it on stable Rust, as part of the plain tests; `libfuzzer/` holds
//! the same targets for `cargo fuzz`.

mod commands;
mod engine;
mod input;
mod netlink;
mod offload;
mod server;
mod wire;

pub use commands::commands;
pub use engine::engine;
pub use input::Input;
pub use netlink::netlink;
pub use offload::{coalesce, split};
pub use server::server;
pub use wire::wire;

/// A fuzz target.
pub type Target = fn(&[u8]);

/// Every target with its name, which is also that of its corpus folder.
pub const TARGETS: &[(&str, Target)] = &[
    ("wire", wire),
    ("netlink", netlink),
    ("engine", engine),
    ("server", server),
    ("commands", commands),
    ("split", split),
    ("coalesce", coalesce),
];
