//! Every check and every test, in the order of what they cost; the first that fails ends the run.

mod outcome;

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result, bail};

use crate::cargo::cargo;
use crate::{deps, docs, sizes};
use outcome::{Line, Outcome};

/// Runs everything. The last line says how many tests passed, failed and were skipped.
pub(crate) fn run() -> Result<()> {
    let start = Instant::now();
    step("format", || succeed(&mut cargo(&["fmt", "--all", "--check"])))?;
    step("dependencies", deps::check)?;
    step("sizes", sizes::check)?;
    step("lints", || {
        succeed(&mut cargo(&[
            "clippy",
            "--workspace",
            "--all-targets",
            "--locked",
            "--quiet",
            "--",
            "-D",
            "warnings",
        ]))
    })?;
    step("rustdoc", || {
        let mut doc = cargo(&["doc", "--workspace", "--no-deps", "--locked", "--quiet"]);
        succeed(doc.env("RUSTDOCFLAGS", "-D warnings"))
    })?;
    step("documentation", docs::check)?;
    if succeed(cargo(&["deny", "--version"]).stdout(Stdio::null()).stderr(Stdio::null())).is_ok() {
        // Advisories would need the network.
        step("licences", || succeed(&mut cargo(&["deny", "check", "bans", "licenses", "sources"])))?;
    }
    let mut outcome = Outcome::default();
    let everything = ["test", "--workspace", "--locked", "--no-fail-fast", "--", "--show-output"];
    let tested = step("tests", || test(&mut cargo(&everything), &mut outcome));
    // By default BPF carries what it can.
    let by_workers = step("tests on the user path", || test(&mut on_path("user"), &mut outcome));
    let mut changing = on_path("changing");
    // A frame on its way may be overtaken by one on the new path, and the first want an order; the second change paths themselves; the
    // third count descriptors, of which the first session on BPF takes one for the device towards its peer.
    changing.args([
        "--skip",
        "ethernet::frames_pass_untouched",
        "--skip",
        "ppp_bpf::",
        "--skip",
        "ppp_ends::",
    ]);
    let changing = step("tests while paths change", || test(&mut changing, &mut outcome));
    println!("\n{:.0} s in all", start.elapsed().as_secs_f32());
    println!("{outcome}");
    tested.and(by_workers).and(changing)
}

/// The tests between namespaces, but for those that say themselves what is to carry sessions, or have another who says it.
fn on_path(path: &str) -> Command {
    let mut tests =
        cargo(&["test", "--package", "ferrowire", "--test", "netns", "--locked", "--no-fail-fast"]);
    tests.args(["--", "--show-output", "--skip", "exec::", "--skip", "path::"]);
    tests.env("FERROWIRE_TEST_PATH", path);
    tests
}

fn step(name: &str, work: impl FnOnce() -> Result<()>) -> Result<()> {
    println!("== {name}");
    let start = Instant::now();
    let result = work().with_context(|| format!("{name} failed"));
    println!("   {:.1} s", start.elapsed().as_secs_f32());
    result
}

fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("{command:?}"))?;
    if status.success() {
        return Ok(());
    }
    let words: Vec<_> = command.get_args().map(|word| word.to_string_lossy()).collect();
    bail!("cargo {} ({status})", words.join(" "))
}

/// Runs the tests and reads what they print: passing ones print too, for a skipped test passes. With
/// `FERROWIRE_REQUIRE_ALL=1`, which `.ci/run` sets, a test that lacks something fails instead.
fn test(command: &mut Command, outcome: &mut Outcome) -> Result<()> {
    let mut child = command.stdout(Stdio::piped()).spawn().context("cargo test")?;
    let output = child.stdout.take().context("cargo test")?;
    for line in BufReader::new(output).split(b'\n') {
        let line = line.context("cargo test")?;
        let line = String::from_utf8_lossy(&line);
        if outcome.read(&line) == Line::Shown {
            println!("{line}");
        }
    }
    let status = child.wait().context("cargo test")?;
    outcome.verdict(status.success())
}
