//! `cargo xtask interop programs`: the BPF programs in the lab, whose kernel has no compiler for them and whose verifier takes aligned loads only.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Parser;
use serde_json::Value;

use super::lab::HOST;
use super::{say, start_lab};
use crate::cargo::cargo;

/// Longer than all tests take.
const PATIENCE: Duration = Duration::from_secs(600);

/// The tests of the BPF programs in the lab's kernel, whose verifier is stricter than most
#[derive(clap::Parser)]
#[command(name = "cargo xtask interop programs")]
struct ProgramsArgs {
    /// Folder with uml/linux, user-mode-linux with L2TP [default: $FERROWIRE_LAB, or /var/cache/l2tp-lab]
    #[arg(long, value_name = "DIR")]
    lab: Option<PathBuf>,
    /// Only the tests with this in their names
    #[arg(long, value_name = "WORD", default_value = "")]
    only: String,
}

/// Loads the programs in the lab and runs their tests there.
///
/// # Errors
/// When the lab's kernel does not take the programs, or a test failed.
pub(crate) fn programs(words: &[&str]) -> anyhow::Result<()> {
    let name = "cargo xtask interop programs";
    let args = ProgramsArgs::try_parse_from([&[name], words].concat()).unwrap_or_else(|usage| usage.exit());
    ensure!(
        args.only.chars().all(|letter| letter.is_alphanumeric() || "_:".contains(letter)),
        "--only takes a word"
    );
    let tests = tests()?;
    let mut lab = start_lab(args.lab.as_ref())?;
    say(&format!("in the lab: {}", lab.sh("uname -sr", PATIENCE)?.1.trim()));
    // What cannot load is not to be skipped.
    let line = format!("FERROWIRE_REQUIRE_ALL=1 {HOST}{} --test-threads 1 {}", tests.display(), args.only);
    let (status, text) = lab.sh(&line, PATIENCE)?;
    say(text.trim());
    ensure!(status == 0, "in the lab the tests ended with status {status}");
    say("OK: the lab's kernel takes the programs");
    Ok(())
}

/// Builds the tests of the programs; where they lie.
fn tests() -> anyhow::Result<PathBuf> {
    let words = [
        "test",
        "--package",
        "l2tp-ebpf",
        "--test",
        "programs",
        "--no-run",
        "--locked",
        "--message-format",
        "json",
    ];
    let output = cargo(&words).stderr(std::process::Stdio::inherit()).output().context("cannot run cargo")?;
    ensure!(output.status.success(), "the tests of l2tp-ebpf do not build");
    let text = String::from_utf8_lossy(&output.stdout);
    let executable = text.lines().find_map(|line| {
        let message: Value = serde_json::from_str(line).ok()?;
        message["executable"].as_str().map(PathBuf::from)
    });
    executable.context("cargo does not say where the tests lie")
}
