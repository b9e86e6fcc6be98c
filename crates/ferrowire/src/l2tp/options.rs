//! The options that stand before the command.

/// What `ip`'s own options change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Options {
    /// `-j`, `-json`: JSON instead of text.
    pub(crate) json: bool,
    /// `-p`, `-pretty`: JSON in lines with indents; no difference to text.
    pub(crate) pretty: bool,
    /// `-o`, `-oneline`: a backslash where a record's lines end.
    pub(crate) oneline: bool,
    /// `-n NAME`, `-netns NAME`: the network namespace to speak to.
    pub(crate) netns: Option<String>,
    /// `--kernel` (or `-kernel`), which `ip` does not have: speak to the kernel's own L2TP, not to the daemon.
    pub(crate) kernel: bool,
}

/// What an option of `ip` does here.
#[derive(Clone, Copy)]
enum Effect {
    Nothing,
    /// Nothing, and it has a value.
    NothingOfValue,
    Json,
    Pretty,
    Oneline,
    Netns,
    Kernel,
}

/// In the order in which `ip` looks for them: of several that a short form fits, it takes the first.
const OPTIONS: &[(&str, Effect)] = &[
    ("loops", Effect::NothingOfValue),
    ("family", Effect::NothingOfValue),
    ("4", Effect::Nothing),
    ("6", Effect::Nothing),
    ("0", Effect::Nothing),
    ("human-readable", Effect::Nothing),
    ("iec", Effect::Nothing),
    ("statistics", Effect::Nothing),
    ("details", Effect::Nothing),
    ("resolve", Effect::Nothing),
    ("oneline", Effect::Oneline),
    ("timestamp", Effect::Nothing),
    ("tshort", Effect::Nothing),
    ("force", Effect::Nothing),
    ("brief", Effect::Nothing),
    ("json", Effect::Json),
    ("pretty", Effect::Pretty),
    ("rcvbuf", Effect::NothingOfValue),
    ("netns", Effect::Netns),
    ("Numeric", Effect::Nothing),
    ("all", Effect::Nothing),
    ("kernel", Effect::Kernel),
];

impl Options {
    /// Takes the options at the start of `words`, shortened or not, with one or two dashes as `ip` does, and
    /// returns the words after them.
    pub(crate) fn take<'a>(&mut self, mut words: &'a [String]) -> &'a [String] {
        while let [first, rest @ ..] = words {
            let Some(effect) = effect(first) else { break };
            let (value, behind) =
                rest.split_first().map_or((None, rest), |(value, rest)| (Some(value), rest));
            words = match effect {
                Effect::NothingOfValue | Effect::Netns => behind,
                _ => rest,
            };
            self.apply(effect, value);
        }
        words
    }

    fn apply(&mut self, effect: Effect, value: Option<&String>) {
        match effect {
            Effect::Nothing | Effect::NothingOfValue => {}
            Effect::Json => self.json = true,
            Effect::Pretty => self.pretty = true,
            Effect::Oneline => self.oneline = true,
            Effect::Netns => self.netns = value.cloned(),
            Effect::Kernel => self.kernel = true,
        }
    }
}

fn effect(word: &str) -> Option<Effect> {
    let option = word.strip_prefix("--").or_else(|| word.strip_prefix('-'))?;
    if option.starts_with("c") {
        // -c, -color, -color=always …: there is nothing to colour in text that programs read.
        return Some(Effect::Nothing);
    }
    OPTIONS.iter().find(|(whole, _)| shortens(option, whole)).map(|(_, effect)| *effect)
}

/// Whether `word` is `whole` or its beginning.
pub(super) fn shortens(word: &str, whole: &str) -> bool {
    !word.is_empty() && whole.starts_with(word)
}
