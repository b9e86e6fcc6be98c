//! The book's contents: every page is in it, and it names no page that is not there.

use std::collections::BTreeSet;

use crate::tree::SourceFile;

/// Pages that the contents lack, and links that lead nowhere.
pub(crate) fn faults(summary: &str, pages: &[SourceFile]) -> Vec<String> {
    let pages = pages.iter().filter_map(|page| page.path.strip_prefix("docs/"));
    let pages: BTreeSet<&str> = pages.filter(|page| *page != "SUMMARY.md").collect();
    let listed: BTreeSet<&str> = links(summary).collect();
    let missing = pages.difference(&listed).map(|page| format!("docs/SUMMARY.md does not list {page}"));
    let dangling =
        listed.difference(&pages).map(|page| format!("docs/SUMMARY.md lists {page}, which is not there"));
    missing.chain(dangling).collect()
}

/// The targets of the links, without the anchor.
fn links(summary: &str) -> impl Iterator<Item = &str> {
    let targets = summary.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next());
    targets
        .map(|target| target.trim_start_matches("./"))
        .filter(|target| !target.is_empty() && !target.contains("://"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_and_dangling() {
        let page = |path: &str| SourceFile { path: path.to_owned(), text: String::new() };
        let pages = [page("docs/SUMMARY.md"), page("docs/a.md"), page("docs/reference/b.md")];
        let summary =
            "# Contents\n- [A](./a.md)\n- [C](c.md#there)\n- [kernel](https://kernel.org)\n- [draft]()\n";
        assert_eq!(
            faults(summary, &pages),
            [
                "docs/SUMMARY.md does not list reference/b.md",
                "docs/SUMMARY.md lists c.md, which is not there"
            ]
        );
        assert!(faults("[A](a.md) [B](reference/b.md)", &pages).is_empty());
    }
}
