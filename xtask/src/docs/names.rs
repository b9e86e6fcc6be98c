//! Names of code in a text: what stands in backticks and looks like a path of a file, `Type::method` or `function()`
//! must exist.

use std::collections::BTreeSet;

use crate::tree::SourceFile;

/// The project's code, as far as names go.
pub(crate) struct Code<'a> {
    files: Vec<Names<'a>>,
}

/// The names in one file.
struct Names<'a> {
    path: &'a str,
    /// Folders and the file's own name, `-` as `_`; of crates also the name without `l2tp_`.
    rooms: BTreeSet<String>,
    words: BTreeSet<&'a str>,
    functions: BTreeSet<&'a str>,
    /// Modules, types, traits, constants and macros.
    items: BTreeSet<&'a str>,
}

/// Words after which a name is defined, functions apart.
const DEFINITIONS: &[&str] =
    &["mod", "struct", "enum", "trait", "type", "const", "static", "union", "macro_rules"];

impl<'a> Code<'a> {
    /// Reads the names of all files.
    pub(crate) fn new(files: &'a [SourceFile]) -> Self {
        Self { files: files.iter().map(Names::new).collect() }
    }

    fn has_file(&self, path: &str) -> bool {
        self.files.iter().any(|file| file.path == path || file.path.ends_with(&format!("/{path}")))
    }

    fn has_function(&self, name: &str) -> bool {
        self.files.iter().any(|file| file.functions.contains(name))
    }

    /// `owner::name`: a file that knows the owner (a word in it, or a room that it is in) and defines the name. Of a
    /// variant or associated constant it is enough that both words are in one file.
    fn has_member(&self, owner: &str, name: &str) -> bool {
        let is_type = |word: &str| word.starts_with(char::is_uppercase);
        self.files.iter().any(|file| {
            let at_home =
                if is_type(owner) { file.words.contains(owner) } else { file.rooms.contains(owner) };
            let defined =
                file.functions.contains(name) || file.items.contains(name) || file.rooms.contains(name);
            at_home && (defined || (is_type(owner) && is_type(name) && file.words.contains(name)))
        })
    }

    fn knows(&self, name: &Name<'_>) -> bool {
        match *name {
            Name::File(path) => self.has_file(path),
            Name::Function(function) => self.has_function(function),
            Name::Member { owner, name } => self.has_member(owner, name),
        }
    }
}

impl<'a> Names<'a> {
    fn new(file: &'a SourceFile) -> Self {
        let words = |text: &'a str| text.split(|c: char| !is_word(c)).filter(|word| !word.is_empty());
        let (mut functions, mut items) = (BTreeSet::new(), BTreeSet::new());
        let code = file.text.lines().filter(|line| !line.trim_start().starts_with("//"));
        for line in code {
            let mut line = words(line).peekable();
            while let Some(word) = line.next() {
                let defined = line.peek().copied();
                if word == "fn" {
                    functions.extend(defined);
                } else if DEFINITIONS.contains(&word) {
                    items.extend(defined);
                }
            }
        }
        let words = words(&file.text).collect();
        Self { path: &file.path, rooms: rooms(&file.path), words, functions, items }
    }
}

fn rooms(path: &str) -> BTreeSet<String> {
    let parts = path.trim_end_matches(".rs").split('/').map(|part| part.replace('-', "_"));
    parts.flat_map(|part| [part.trim_start_matches("l2tp_").to_owned(), part]).collect()
}

fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// A name of code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Name<'a> {
    File(&'a str),
    Function(&'a str),
    Member { owner: &'a str, name: &'a str },
}

impl<'a> Name<'a> {
    /// What the text between two backticks names; `None` if it is no name of code.
    fn of(text: &'a str) -> Option<Self> {
        if text.contains('/') && text.ends_with(".rs") {
            return Some(Self::File(text));
        }
        let called = text.split_once('(').filter(|(_, rest)| rest.ends_with(')')).map(|(name, _)| name);
        let path = called.unwrap_or(text);
        if path.is_empty() || !path.chars().all(|c| is_word(c) || c == ':') {
            return None;
        }
        match path.rsplit_once("::") {
            Some((owner, name)) => {
                let owner = owner.rsplit_once("::").map_or(owner, |(_, owner)| owner);
                (!owner.is_empty() && !name.is_empty()).then_some(Self::Member { owner, name })
            }
            None => called.map(Self::Function),
        }
    }
}

/// Names in `text` that the code does not have. Fenced blocks are no names.
pub(crate) fn unknown(path: &str, text: &str, code: &Code<'_>) -> Vec<String> {
    let mut faults = Vec::new();
    let mut fenced = false;
    for (number, line) in (1..).zip(text.lines()) {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        } else if !fenced {
            let quoted = line.split('`').skip(1).step_by(2);
            let missing = quoted.filter(|text| Name::of(text).is_some_and(|name| !code.knows(&name)));
            faults.extend(missing.map(|text| format!("{path}:{number}: the code has no `{text}`")));
        }
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;

    const ENGINE: &str = "\
use crate::Verdict;
/// Speaks of fn imaginary.
pub struct Engine;
pub enum DropReason { Cookie }
impl Engine {
    pub fn handle_udp(&self) {}
    pub(crate) async fn hold<T>(&self) {}
}
";

    fn unknown_in(text: &str) -> Vec<String> {
        let file = |path: &str, text: &str| SourceFile { path: path.to_owned(), text: text.to_owned() };
        let files = [
            file("crates/l2tp-core/src/engine/mod.rs", ENGINE),
            file("crates/l2tp-wire/src/classify.rs", "pub fn udp() {}\n"),
        ];
        unknown("A.md", text, &Code::new(&files))
    }

    #[test]
    fn what_exists() {
        let text = "`Engine::handle_udp` → `hold()` → `engine/mod.rs`, `crates/l2tp-wire/src/classify.rs`, `classify::udp`,\n\
            `wire::classify::udp(bytes)` `wire::classify` `l2tp_core::Engine` `DropReason::Cookie` `Engine::hold(now, …)`\n\
            `plain` `two words` `a-b` `--netns NAME` `Vec<u8>` `@ferrowire`\n```\n`No::thing`\n```\n";
        assert_eq!(unknown_in(text), Vec::<String>::new());
    }

    #[test]
    fn what_does_not() {
        for name in [
            "Engine::handle_ip",
            "imaginary()",
            "engine/other.rs",
            "Enginee::hold",
            "classify::tcp",
            "wire::nothing::udp",
            "DropReason::Truncated",
            "udp::Engine",
        ] {
            assert_eq!(unknown_in(&format!("x\n`{name}`")), [format!("A.md:2: the code has no `{name}`")]);
        }
    }
}
