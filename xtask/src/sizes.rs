//! Files that one can read in one sitting, with names that say what is in them.

use anyhow::{Result, bail};

use crate::tree::{SourceFile, rust_files};

/// Lines of a file.
const LINES_MAX: usize = 500;

/// Lines of a file of tests.
const TEST_LINES_MAX: usize = 600;

/// Names under which anything could be found, and so nothing is.
const EMPTY_NAMES: &[&str] = &["utils", "util", "common", "manager", "helpers", "helper", "types", "misc"];

/// Fails on files that are too long or have an empty name.
pub(crate) fn check() -> Result<()> {
    let files = rust_files()?;
    let faults: Vec<String> = files.iter().flat_map(faults).collect();
    if faults.is_empty() {
        println!(
            "{} files, the longest of {} lines",
            files.len(),
            files.iter().map(lines).max().unwrap_or(0)
        );
        return Ok(());
    }
    bail!("{}\nSplit the file by its nouns, or give it the name of what it holds.", faults.join("\n"))
}

fn lines(file: &SourceFile) -> usize {
    file.text.lines().count()
}

fn faults(file: &SourceFile) -> Vec<String> {
    let mut faults = Vec::new();
    let max = if is_test(&file.path) { TEST_LINES_MAX } else { LINES_MAX };
    if lines(file) > max {
        faults.push(format!("{} has {} lines, more than {max}", file.path, lines(file)));
    }
    let names = file.path.trim_end_matches(".rs").split('/');
    for name in names.filter(|name| EMPTY_NAMES.contains(name)) {
        faults.push(format!("{}: \"{name}\" says nothing", file.path));
    }
    faults
}

/// Files called tests.rs, and those in a folder called tests. The folder at the root holds crates: those are code.
fn is_test(path: &str) -> bool {
    path.ends_with("/tests.rs") || path.split('/').skip(1).any(|part| part == "tests")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(path: &str, lines: usize) -> Vec<String> {
        faults(&SourceFile { path: path.to_owned(), text: "\n".repeat(lines) })
    }

    #[test]
    fn long_files() {
        assert!(of("crates/a/src/b.rs", 500).is_empty());
        assert_eq!(of("crates/a/src/b.rs", 501), ["crates/a/src/b.rs has 501 lines, more than 500"]);
        assert!(of("crates/a/src/b/tests.rs", 600).is_empty());
        assert!(of("tests/sim/tests/b.rs", 600).is_empty());
        assert_eq!(of("tests/sim/src/b.rs", 501).len(), 1);
        assert_eq!(of("crates/a/tests/b.rs", 601).len(), 1);
    }

    #[test]
    fn empty_names() {
        assert_eq!(of("crates/a/src/utils.rs", 1), ["crates/a/src/utils.rs: \"utils\" says nothing"]);
        assert_eq!(of("crates/a/src/common/mod.rs", 1).len(), 1);
        assert!(of("crates/a/src/type_name.rs", 1).is_empty());
    }
}
