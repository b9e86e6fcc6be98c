//! The generic PPP layer: every request in every state, frames every way, and any sequence of calls beside a simple model.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

mod carriage;
mod frames;
mod ioctls;
mod lab;
mod lives;
mod model;
mod properties;
mod waiting;
