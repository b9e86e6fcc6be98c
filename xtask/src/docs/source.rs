//! Items of a source file with what their docstrings say.

/// An item and its docstring, as one line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Item {
    pub(crate) name: String,
    pub(crate) doc: String,
}

/// The documented items of `text` for whose line `name` gives a name, in the order of the file.
pub(crate) fn items(text: &str, name: impl Fn(&str) -> Option<&str>) -> Vec<Item> {
    let mut items = Vec::new();
    let mut doc: Vec<&str> = Vec::new();
    for line in text.lines().map(str::trim) {
        if let Some(part) = line.strip_prefix("///") {
            doc.push(part.trim());
        } else if !line.starts_with("#[") {
            if let Some(name) = name(line).filter(|_| !doc.is_empty()) {
                items.push(Item { name: name.to_owned(), doc: plain(&doc.join(" ")) });
            }
            doc.clear();
        }
    }
    items
}

/// A docstring without the brackets of its links, which mean nothing outside rustdoc.
fn plain(doc: &str) -> String {
    doc.replace("[`", "`").replace("`]", "`")
}

/// The public fields of the struct `name`.
pub(crate) fn fields(text: &str, name: &str) -> Vec<Item> {
    let head = format!("pub struct {name} {{");
    let body: Vec<&str> =
        text.lines().skip_while(|line| !line.starts_with(&head)).take_while(|line| *line != "}").collect();
    items(&body.join("\n"), |line| line.strip_prefix("pub ")?.split_once(':').map(|(name, _)| name))
}

/// The constants whose names begin with `prefix`, and their values as they are written.
pub(crate) fn constants(text: &str, prefix: &str) -> Vec<(Item, String)> {
    let lines = items(text, |line| line.strip_prefix("pub const ").filter(|rest| rest.starts_with(prefix)));
    lines.into_iter().filter_map(|line| constant(&line)).collect()
}

/// Reads `NAME: type = value;`.
fn constant(line: &Item) -> Option<(Item, String)> {
    let (name, rest) = line.name.split_once(':')?;
    let (_, value) = rest.trim_end_matches(';').split_once('=')?;
    Some((Item { name: name.to_owned(), doc: line.doc.clone() }, value.trim().to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: &str = "\
/// What it counts.
/// In [`Bytes`].
#[derive(Debug)]
pub struct Stats {
    /// Packets sent.
    pub tx: u64,
    hidden: u64,
    /// Packets
    /// received.
    pub rx: u64,
}

/// Not documented there.

/// u16: a port.
pub const A_PORT: u16 = 26;
pub const A_BARE: u16 = 27;
";

    #[test]
    fn fields_and_constants() {
        let named = |items: Vec<Item>| items.into_iter().map(|i| (i.name, i.doc)).collect::<Vec<_>>();
        let pair = |name: &str, doc: &str| (name.to_owned(), doc.to_owned());
        assert_eq!(
            named(fields(SOURCE, "Stats")),
            [pair("tx", "Packets sent."), pair("rx", "Packets received.")]
        );
        let found: Vec<_> =
            constants(SOURCE, "A_").into_iter().map(|(item, value)| (item.name, item.doc, value)).collect();
        assert_eq!(found, [("A_PORT".to_owned(), "u16: a port.".to_owned(), "26".to_owned())]);
        let types = items(SOURCE, |line| line.strip_prefix("pub struct ")?.split_whitespace().next());
        assert_eq!(named(types), [pair("Stats", "What it counts. In `Bytes`.")]);
    }
}
