//! The options that stand before the command.

/// How `show` writes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// `-j`, `-json`: JSON instead of text.
    pub(crate) json: bool,
    /// `-p`, `-pretty`: JSON in lines with indents; no difference to text.
    pub(crate) pretty: bool,
}

impl Options {
    /// Takes the options at the start of `words`, shortened or not, with one or two dashes as `ip` does, and
    /// returns the words after them.
    pub(super) fn take<'a>(&mut self, mut words: &'a [String]) -> &'a [String] {
        while let [first, rest @ ..] = words {
            match first.strip_prefix("--").or_else(|| first.strip_prefix('-')) {
                Some(option) if shortens(option, "json") => self.json = true,
                Some(option) if shortens(option, "pretty") => self.pretty = true,
                _ => break,
            }
            words = rest;
        }
        words
    }
}

/// Whether `word` is `whole` or its beginning.
pub(super) fn shortens(word: &str, whole: &str) -> bool {
    !word.is_empty() && whole.starts_with(word)
}
