//! What a real kernel did (`tests/vectors/kernel`), for all who replay it.
//!
//! - what it answered to requests of the l2tp family: [`oracle`] has the cases as they were recorded, [`build`] makes the bytes of their requests, [`answer`]
//!   tells what answers say
//! - what it put on the wire: [`captures()`]
//! - what it did with packets from the wire: [`crafted()`]

#![allow(clippy::unwrap_used, reason = "a recording that cannot be read stops the test")]

mod answer;
pub mod captures;
pub mod crafted;
mod request;

use serde_json::Value;

pub use answer::{Answer, answer};
pub use captures::captures;
pub use crafted::crafted;
pub use request::{Descriptors, FAMILY, attribute_kind, build, kind_at, unhex};

const RECORDING: &str = include_str!("../../vectors/kernel/errno-oracle.json");

/// The recording.
///
/// # Panics
/// If it is not JSON.
#[must_use]
pub fn oracle() -> Value {
    serde_json::from_str(RECORDING).unwrap()
}

/// The recorded datagrams of a list of replies or notifications.
#[must_use]
pub fn hex_list(list: &Value) -> Vec<Vec<u8>> {
    list.as_array()
        .into_iter()
        .flatten()
        .map(|reply| unhex(reply["hex"].as_str().unwrap_or_default()))
        .collect()
}
