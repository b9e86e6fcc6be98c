//! Project chores: checks that need more than cargo, and the pages of the documentation that are made from the code.
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a command-line tool")]

mod bench;
mod cargo;
mod ci;
mod deps;
mod docs;
mod ebpf;
mod interop;
mod sizes;
mod tree;

use std::process::ExitCode;

use anyhow::{Result, bail};

const USAGE: &str = "\
Usage: cargo xtask <chore>

  ci             every check and every test, as continuous integration runs them
  deps           no dependency between the crates that the design does not have
  sizes          no file too long, none with a name that says nothing
  docs           writes the pages of docs/reference that are made from the code
  docs --check   these pages are up to date, ARCHITECTURE.md names what exists, the book lists every page
  ebpf           makes the object of the BPF programs anew; says what to install for that
  interop kernel every form of tunnel and session against a kernel's own L2TP; --help says what it needs
  interop requests the same random requests to the daemon and to a kernel's own L2TP, every answer compared
  interop pairs  what a create and a delete cost, through the door and by a kernel's netlink
  interop programs  the BPF programs in that kernel, whose verifier is strict
  bench kernel   what carrying frames costs, beside a kernel's own L2TP; --help says what it needs
  bench instructions  operations of the data path in instructions, by valgrind";

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match run(&words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(words: &[&str]) -> Result<()> {
    match words {
        ["ci"] => ci::run(),
        ["deps"] => deps::check(),
        ["sizes"] => sizes::check(),
        ["docs"] => docs::write(),
        ["docs", "--check"] => docs::check(),
        ["ebpf"] => ebpf::build(),
        ["interop", "kernel", words @ ..] => interop::kernel(words),
        ["interop", "requests", words @ ..] => interop::requests(words),
        ["interop", "programs", words @ ..] => interop::programs(words),
        ["interop", "pairs", words @ ..] => interop::pairs(words),
        ["bench", "kernel", words @ ..] => bench::kernel(words),
        ["bench", "instructions"] => bench::instructions(),
        // Both sides of "interop requests" and of "interop pairs" are this program, too.
        ["play", words @ ..] => interop::play(words),
        ["measure", words @ ..] => interop::measure(words),
        ["help" | "-h" | "--help"] => {
            println!("{USAGE}");
            Ok(())
        }
        [] => bail!("no chore given\n\n{USAGE}"),
        _ => bail!("no such chore: {}\n\n{USAGE}", words.join(" ")),
    }
}
