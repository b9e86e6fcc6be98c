//! The whole command against recordings of the real `ip l2tp`, and against the one that is installed.

mod client;
mod differential;
mod model;
mod options;
mod requests;
mod transcript;

use std::path::PathBuf;

use l2tp_client::{Connection, Transport};

use super::{Options, run};

/// A recording of the real thing.
fn vector(name: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/vectors/kernel").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The words of a recorded command; `''` is a word without letters.
fn words(command: &str) -> Vec<String> {
    command.split_ascii_whitespace().map(|word| word.replace("''", "")).collect()
}

/// Runs a recorded command, `ip [OPTIONS] l2tp …`: what it printed, stderr first, and its exit code.
fn ip(door: &mut impl Transport, command: &str) -> (String, u8) {
    let (before, after) = command.split_once("l2tp").expect("l2tp in the command");
    let mut options = Options::default();
    assert!(options.take(&words(before.trim_start_matches("ip"))).is_empty(), "options of {command}");
    let after = words(after);
    let after = options.take(&after);
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let code = run(after, &options, || Connection::over(door), &mut out, &mut err);
    err.extend(out);
    (String::from_utf8(err).expect("text"), code)
}

/// One command of a recording.
struct Recorded {
    command: String,
    output: String,
    code: u8,
}

/// The commands of a recording: a `$` line, output, an `[exit N]` line. The first lines say where it comes from.
fn recording(name: &str) -> Vec<Recorded> {
    let text = vector(name);
    let mut found = Vec::new();
    for part in text.split("\n$ ").skip(1) {
        let (command, rest) = part.split_once('\n').expect("a command line");
        let at = rest.rfind("[exit ").expect("an exit line");
        let code = rest[at..].trim_end().trim_start_matches("[exit ").trim_end_matches(']');
        found.push(Recorded {
            command: command.to_owned(),
            output: rest[..at].to_owned(),
            code: code.parse().expect("an exit code"),
        });
    }
    assert!(found.len() > 10, "{name} holds {} commands", found.len());
    found
}

/// Recorded words as ours: the program has another name, the help other words.
fn in_our_name(output: &str) -> String {
    output
        .replace("\"ip l2tp help\"", "\"ferrowire l2tp help\"")
        .replace("(usage text)\n", super::usage::TEXT)
}
