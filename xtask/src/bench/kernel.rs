//! `cargo xtask bench kernel`: `ferrowire bench` in the lab, whose kernel has L2TP of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, ensure};
use clap::Parser;

use crate::interop::lab::{HOST, Lab};
use crate::interop::{binary, say, start_lab};

/// Longer than any run that somebody waits for.
const PATIENCE: Duration = Duration::from_secs(4 * 3600);
/// Where files lie in the lab, until they are fetched: its other folders are the host's, read-only.
const JSON: &str = "/tmp/bench.json";
const SVG: &str = "/tmp/bench.svg";
const TOLD: &str = "/tmp/bench.told";

/// "ferrowire bench" beside a kernel's own L2TP, all in the lab
#[derive(clap::Parser)]
#[command(name = "cargo xtask bench kernel")]
struct KernelArgs {
    /// Folder with uml/linux, user-mode-linux with L2TP [default: $FERROWIRE_LAB, or /var/cache/l2tp-lab]
    #[arg(long, value_name = "DIR")]
    lab: Option<PathBuf>,
    /// The binary to measure, instead of the release build of this workspace
    #[arg(long, value_name = "PATH")]
    ferrowire: Option<PathBuf>,
    /// Write everything that was measured to a file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Draw the ratios to a file
    #[arg(long, value_name = "FILE")]
    svg: Option<PathBuf>,
    /// Options of "ferrowire bench"
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<String>,
}

/// Runs the bench in the lab and shows what it says.
///
/// # Errors
/// When the lab does not start, a run failed, or a file cannot be written.
pub(crate) fn kernel(words: &[&str]) -> anyhow::Result<()> {
    let name = "cargo xtask bench kernel";
    let args = KernelArgs::try_parse_from([&[name], words].concat()).unwrap_or_else(|usage| usage.exit());
    let binary = binary(args.ferrowire.as_deref())?;
    let mut lab = start_lab(args.lab.as_ref())?;
    let words: Vec<String> = args.words.iter().map(|word| quoted(word)).collect();
    let program = quoted(&format!("{HOST}{}", binary.display()));
    // What it tells while it runs is for a terminal, which the lab's console is not.
    let line = format!(
        "{program} bench --json {JSON} --svg {SVG} {} 2>{TOLD}; status=$?; cat {TOLD}; exit $status",
        words.join(" ")
    );
    let (status, text) = lab.sh(&line, PATIENCE)?;
    say(text.trim_end());
    for (from, to) in [(JSON, &args.json), (SVG, &args.svg)] {
        if let Some(to) = to {
            fetch(&mut lab, from, to)?;
        }
    }
    ensure!(status == 0, "in the lab it ended with status {status}");
    Ok(())
}

fn fetch(lab: &mut Lab, from: &str, to: &Path) -> anyhow::Result<()> {
    let (status, text) = lab.sh(&format!("cat {from}"), PATIENCE)?;
    ensure!(status == 0, "{text}");
    fs::write(to, text).with_context(|| format!("cannot write {}", to.display()))
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    format!("\"{}\"", word.replace(['\\', '"', '$', '`'], "?"))
}
