//! Our codec against bytes recorded from real kernels and against an independent codec.
#![cfg(target_endian = "little")]
#![expect(
    clippy::unwrap_used,
    reason = "tests; the exemption for test functions does not reach their shared parts"
)]

mod arbitrary;
mod controller;
mod recorded;
mod replies;
mod requests;
