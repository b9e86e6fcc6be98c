//! The documentation that can drift from the code: pages made from it, names in ARCHITECTURE.md, the book's contents.

mod book;
mod cli;
mod counters;
mod errors;
mod names;
mod netlink;
mod source;

use std::fs;

use anyhow::{Context, Result, bail};

use crate::tree::{pages, read, root, rust_files};

/// Where the pages made from the code are.
const FOLDER: &str = "docs/reference";

/// A page made from the code.
struct Page {
    /// Its name in [`FOLDER`].
    name: &'static str,
    text: String,
}

impl Page {
    /// A page with its title, an introduction and what follows.
    fn new(name: &'static str, title: &str, introduction: &str, body: &str) -> Self {
        let text = format!(
            "<!-- Written by `cargo xtask docs`. Change the code, not this page. -->\n\n# {title}\n\n{introduction}\n\n{}\n",
            body.trim_end()
        );
        Self { name, text }
    }

    fn path(&self) -> String {
        format!("{FOLDER}/{}", self.name)
    }
}

fn generated() -> Result<Vec<Page>> {
    Ok(vec![
        counters::drop_reasons()?,
        counters::counters()?,
        errors::errors(),
        netlink::netlink()?,
        cli::command_line()?,
    ])
}

/// Writes the pages that are made from the code.
pub(crate) fn write() -> Result<()> {
    fs::create_dir_all(root().join(FOLDER)).context(FOLDER)?;
    for page in generated()? {
        fs::write(root().join(page.path()), &page.text).with_context(|| page.path())?;
        println!("wrote {}", page.path());
    }
    Ok(())
}

/// Fails where the documentation no longer fits the code.
pub(crate) fn check() -> Result<()> {
    let mut faults = Vec::new();
    for page in generated()? {
        if read(&page.path()).ok().as_ref() != Some(&page.text) {
            faults.push(format!("{} is not what the code says: run `cargo xtask docs`", page.path()));
        }
    }
    let files = rust_files()?;
    let architecture = read("ARCHITECTURE.md")?;
    faults.extend(names::unknown("ARCHITECTURE.md", &architecture, &names::Code::new(&files)));
    faults.extend(book::faults(&read("docs/SUMMARY.md")?, &pages()?));
    if !faults.is_empty() {
        bail!("{}", faults.join("\n"));
    }
    println!("the documentation fits the code");
    Ok(())
}

/// A table with these columns.
fn table(head: &[&str], rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let line = |cells: Vec<String>| format!("| {} |\n", cells.join(" | "));
    let rule = format!("|{}\n", "---|".repeat(head.len()));
    let head = line(head.iter().map(|cell| (*cell).to_owned()).collect());
    let rows =
        rows.into_iter().map(|cells| line(cells.iter().map(|cell| cell.replace('|', "\\|")).collect()));
    [head, rule].into_iter().chain(rows).collect()
}

/// `text` as code.
fn code(text: impl std::fmt::Display) -> String {
    format!("`{text}`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables() {
        let rows = [vec!["1".to_owned(), "x|y".to_owned()]];
        assert_eq!(table(&["a", "b"], rows), "| a | b |\n|---|---|\n| 1 | x\\|y |\n");
    }
}
