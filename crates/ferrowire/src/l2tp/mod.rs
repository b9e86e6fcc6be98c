//! `ferrowire l2tp …`: the grammar and the output of `ip l2tp`.
//!
//! A script that calls or reads `ip l2tp` works with the name exchanged. Three faults of iproute2 6.1 are mended:
//! `show` with ids lists what they name and not everything; a session shows neither the cookies nor the reorder timeout
//! of the one before it. Nothing here does input or output but through the [`Connection`](l2tp_client::Connection) and the writers given to [`run()`].

mod address;
mod args;
mod command;
mod fault;
mod json;
mod number;
mod options;
mod run;
mod session;
mod show;
#[cfg(test)]
mod tests;
mod tunnel;
mod usage;

pub(crate) use options::Options;
pub(crate) use run::run;

/// What the C library says of an error, as `ip` prints it: without the number that Rust adds.
pub(crate) fn os_error_text(error: &std::io::Error) -> String {
    error.raw_os_error().map_or_else(|| error.to_string(), |number| l2tp_abi::Errno(number).to_string())
}
