//! `cargo xtask bench`: what is measured by command because it needs a lab, or takes its time.

mod instructions;
mod kernel;

pub(crate) use instructions::instructions;
pub(crate) use kernel::kernel;
