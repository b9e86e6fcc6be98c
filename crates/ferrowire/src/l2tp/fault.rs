//! Why a command ends early: what goes to stderr and the exit code, in iproute2's words.

use super::usage;

/// A command that ends early.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// The text for stderr, with its line ends.
    pub(crate) stderr: String,
    /// The exit code, as `ip` uses them: 255 grammar, 2 refused request, 1 anything else.
    pub(crate) code: u8,
}

impl Fault {
    fn grammar(stderr: String) -> Self {
        Self { stderr, code: 255 }
    }

    /// The help text.
    pub(super) fn usage() -> Self {
        Self::grammar(usage::TEXT.to_owned())
    }

    /// A verb that does not exist.
    pub(super) fn unknown_verb(verb: &str) -> Self {
        Self::grammar(format!("Command \"{verb}\" is unknown, try \"ferrowire l2tp help\".\n"))
    }

    /// An option that does not exist.
    pub(super) fn unknown_word(word: &str) -> Self {
        Self::grammar(format!("Unknown command: {word}\n{}", usage::TEXT))
    }

    /// An option at the end of the command lacks its value.
    pub(super) fn incomplete() -> Self {
        Self::grammar("Command line is not complete. Try option \"help\"\n".to_owned())
    }

    /// An option that the command cannot do without.
    pub(super) fn missing(option: &str) -> Self {
        Self::grammar(format!("Error: argument \"{option}\" is required\n"))
    }

    /// A value that the option cannot take.
    pub(super) fn wrong(value: &str, why: &str) -> Self {
        Self::grammar(format!("Error: argument \"{value}\" is wrong: {why}\n"))
    }

    /// A value that is none of the option's words.
    pub(super) fn unknown_value(what: &str, value: &str) -> Self {
        Self::grammar(format!("Unknown {what} \"{value}\"\n"))
    }

    /// A value that is no address. Unlike the other grammar faults, `ip` ends this one with 1.
    pub(super) fn not_an_address(value: &str) -> Self {
        Self { stderr: format!("Error: any valid address is expected rather than \"{value}\".\n"), code: 1 }
    }
}
