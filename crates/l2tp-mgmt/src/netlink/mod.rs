//! The netlink server: bytes of a program in, bytes for it and for listeners out.
//!
//! ```text
//! Server::handle_datagram → dispatch: header, family, command, privilege, policy
//!     → tunnel, session, ctrl: one request done      → reply, notify
//!     → ferrowire: groups to join                     → reply
//!     → dump: all objects, one datagram at a time    → Server::continue_dump
//! → acknowledgement
//! announce_deaths: what died without a command      → notify
//! ```
//!
//! Source: `net/netlink/af_netlink.c`, `net/netlink/genetlink.c`, `net/l2tp/l2tp_netlink.c`.

mod client;
mod ctrl;
mod deaths;
mod dispatch;
mod dump;
mod ferrowire;
mod notify;
mod server;
mod session;
mod tunnel;

pub use client::{Client, DUMP_PAGE};
pub use deaths::announce_deaths;
pub use server::{ReplySink, Server};

/// The id of the family "l2tp": the `nlmsg_type` of its messages. Programs ask the controller for it.
pub const L2TP_FAMILY_ID: u16 = 0x23;
/// The id of the multicast group "l2tp" of that family.
pub const L2TP_GROUP_ID: u32 = 8;
/// The id of the family "ferrowire".
pub const FERROWIRE_FAMILY_ID: u16 = 0x24;
/// The id of the multicast group "deaths" of that family.
pub const DEATHS_GROUP_ID: u32 = 9;
