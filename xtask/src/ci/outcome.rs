//! What the tests printed, in numbers.

use std::fmt;

use anyhow::{Result, bail};

/// Tests passed, failed and skipped, read from the lines of `cargo test -- --show-output`.
///
/// A skipped test prints `SKIP:` and what it lacks, and passes; to libtest it is one of those that passed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Outcome {
    /// Test programs that ran to their end.
    programs: usize,
    succeeded: usize,
    failed: usize,
    ignored: usize,
    skips: usize,
    /// Whether the lines are what passing tests printed.
    in_successes: bool,
}

/// What to do with a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    /// To be shown.
    Shown,
    /// The chatter of a passing test.
    Hidden,
}

impl Outcome {
    /// Takes a line of the tests' output.
    pub(crate) fn read(&mut self, line: &str) -> Line {
        let skip = line.trim_start().starts_with("SKIP:");
        self.skips += usize::from(skip);
        match line {
            "successes:" => self.in_successes = true,
            "failures:" => self.in_successes = false,
            _ if line.starts_with("test result:") => {
                self.in_successes = false;
                self.programs += 1;
                self.succeeded += number_before(line, "passed");
                self.failed += number_before(line, "failed");
                self.ignored += number_before(line, "ignored");
            }
            _ => {}
        }
        let chatter = self.in_successes || line.ends_with(" ... ok") || line.is_empty();
        if chatter && !skip { Line::Hidden } else { Line::Shown }
    }

    /// Whether all is well; `success` is what the test run itself says.
    ///
    /// # Errors
    /// A failed test, a test program that did not end, or none at all.
    pub(crate) fn verdict(&self, success: bool) -> Result<()> {
        if self.failed > 0 {
            bail!("{} tests failed; what they said is above", self.failed);
        }
        if !success || self.programs == 0 {
            bail!("the tests did not run to their end: see above");
        }
        Ok(())
    }

    fn skipped(&self) -> usize {
        self.ignored + self.skips
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let passed = self.succeeded.saturating_sub(self.skips);
        write!(f, "{passed} passed, {} failed, {} skipped", self.failed, self.skipped())
    }
}

/// The number in front of `word`.
fn number_before(line: &str, word: &str) -> usize {
    let words: Vec<&str> = line.split([' ', ';']).filter(|word| !word.is_empty()).collect();
    let at = words.iter().position(|found| *found == word);
    at.and_then(|at| words.get(at.checked_sub(1)?)?.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const OUTPUT: &str = "
running 4 tests
test a ... ok
test b ... ok
test c ... FAILED
test d ... ignored

successes:

---- a stdout ----
SKIP: no /dev/net/tun
chatter

successes:
    a
    b

failures:

---- c stdout ----
panicked

failures:
    c

test result: FAILED. 2 passed; 1 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s

running 1 test
test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

    #[test]
    fn counts_and_shows() {
        let mut outcome = Outcome::default();
        let shown: Vec<&str> = OUTPUT.lines().filter(|line| outcome.read(line) == Line::Shown).collect();
        assert_eq!(outcome.to_string(), "2 passed, 1 failed, 2 skipped");
        assert!(shown.contains(&"SKIP: no /dev/net/tun") && shown.contains(&"panicked"));
        assert!(!shown.contains(&"chatter") && !shown.contains(&"test a ... ok"));
        assert!(outcome.verdict(false).unwrap_err().to_string().starts_with("1 tests failed"));
    }

    #[test]
    fn a_run_that_ends_early_is_no_success() {
        assert!(Outcome::default().verdict(true).is_err());
        let mut outcome = Outcome::default();
        outcome.read("test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out");
        assert!(outcome.verdict(true).is_ok());
        assert!(outcome.verdict(false).is_err(), "another program crashed");
    }
}
