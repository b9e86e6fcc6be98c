//! `cargo xtask bench instructions`: operations of the data path, counted in instructions, which no neighbour can disturb.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::cargo::cargo;

/// Crates with a benchmark of this name: operations by name, done as often as they are told.
const CRATES: [&str; 2] = ["l2tp-wire", "l2tp-core"];
const BENCHMARK: &str = "instructions";
/// How often an operation is done in either of two runs. The difference has nothing of what comes before and after.
const COUNTS: [u32; 2] = [1_000, 11_000];

/// Prints instructions an operation.
///
/// # Errors
/// When valgrind is not installed, or a benchmark does not run.
pub(crate) fn instructions() -> Result<()> {
    let valgrind = Command::new("valgrind").arg("--version").stdout(Stdio::null()).status();
    ensure!(valgrind.is_ok_and(|status| status.success()), "valgrind is not installed: apt install valgrind");
    for name in CRATES {
        let program = build(name)?;
        for operation in operations(&program)? {
            let [few, many] = COUNTS.map(|count| run(&program, &operation, count));
            let each = (many? - few?) / f64::from(COUNTS[1] - COUNTS[0]);
            println!("{name:<10} {operation:<34} {each:>8.1}");
        }
    }
    Ok(())
}

/// Builds a crate's benchmark, optimised, and says where it is.
fn build(name: &str) -> Result<PathBuf> {
    let words = ["bench", "--no-run", "--quiet", "--message-format=json", "-p", name, "--bench", BENCHMARK];
    let output = cargo(&words).stderr(Stdio::inherit()).output().context("cargo bench")?;
    ensure!(output.status.success(), "{name} does not build");
    let messages = String::from_utf8_lossy(&output.stdout);
    let messages = messages.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let mut programs = messages.filter_map(|message| Some(PathBuf::from(message["executable"].as_str()?)));
    programs.next().with_context(|| format!("cargo does not say where the benchmark of {name} is"))
}

fn operations(program: &Path) -> Result<Vec<String>> {
    let output = Command::new(program).output().with_context(|| program.display().to_string())?;
    Ok(String::from_utf8(output.stdout)?.lines().map(str::to_owned).collect())
}

/// Instructions of one run.
fn run(program: &Path, operation: &str, count: u32) -> Result<f64> {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args([operation, &count.to_string()])
        .output()
        .context("valgrind")?;
    let told = String::from_utf8_lossy(&output.stderr);
    match collected(&told) {
        Some(instructions) if output.status.success() => Ok(instructions),
        _ => bail!("{operation}: {told}"),
    }
}

/// callgrind's last word: "==7== Collected : 123".
fn collected(told: &str) -> Option<f64> {
    told.lines().find_map(|line| line.split_once("Collected : ")?.1.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use super::collected;

    #[test]
    fn the_count_is_found() {
        assert_eq!(collected("==7== \n==7== Collected : 2135\n==7== I refs: 9\n"), Some(2135.0));
        assert_eq!(collected("valgrind: no"), None);
    }
}
