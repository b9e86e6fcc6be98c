//! The operating system, a link and a clock made of values, so that the subsystem runs on virtual time.
//!
//! * [`SimHost`]: a [`l2tp_core::Host`] whose sockets and devices are entries of tables
//! * [`Link`]: loses, delays, doubles and reorders packets, and cuts off those above its MTU, as its seed says
//! * [`Pair`]: two engines with such a link between them

mod host;
mod link;
mod pair;

pub use host::{SimDevice, SimHost, SimSocket};
pub use link::{Link, LinkConfig};
pub use pair::{Arrived, Inbox, Pair, Side};
