//! Calls of cargo.

use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::tree::root;

/// A call of the cargo that runs us, from the root of the project.
pub(crate) fn cargo(words: &[&str]) -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(words).current_dir(root());
    command
}

/// `cargo metadata`: the packages of the workspace with their dependencies.
pub(crate) fn metadata() -> Result<Value> {
    let output =
        cargo(&["metadata", "--no-deps", "--format-version", "1"]).output().context("cargo metadata")?;
    if !output.status.success() {
        bail!("cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    }
    serde_json::from_slice(&output.stdout).context("cargo metadata")
}
