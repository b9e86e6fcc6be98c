//! The page of the command line, in the program's own words.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::Page;
use crate::cargo::{cargo, metadata};

/// The help of the program and of each of its verbs.
pub(crate) fn command_line() -> Result<Page> {
    let program = build()?;
    let main = help(&program, &[])?;
    let verbs: Vec<String> = verbs(&main).map(str::to_owned).collect();
    if verbs.is_empty() {
        bail!("`ferrowire --help` names no commands");
    }
    let mut body = fenced(&main);
    for verb in verbs {
        body += &format!("\n## ferrowire {verb}\n\n{}", fenced(&help(&program, &[&verb])?));
    }
    let introduction = "What `ferrowire --help` says, and `--help` after each of its verbs.";
    Ok(Page::new("command-line.md", "Command line", introduction, &body))
}

/// Builds the program and says where it is.
fn build() -> Result<PathBuf> {
    let built = cargo(&["build", "--quiet", "--package", "ferrowire"]).status().context("cargo build")?;
    if !built.success() {
        bail!("ferrowire does not build");
    }
    let target = metadata()?["target_directory"].as_str().context("target_directory")?.to_owned();
    Ok(PathBuf::from(target).join("debug/ferrowire"))
}

fn help(program: &PathBuf, words: &[&str]) -> Result<String> {
    let output = Command::new(program).args(words).arg("--help").output().context("ferrowire")?;
    let text = if output.stdout.is_empty() { output.stderr } else { output.stdout };
    let text = String::from_utf8(text).context("help")?;
    if text.trim().is_empty() {
        bail!("`ferrowire {} --help` says nothing", words.join(" "));
    }
    Ok(text)
}

/// The first words of the lines below "Commands:".
fn verbs(help: &str) -> impl Iterator<Item = &str> {
    let lines = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let verbs = lines.take_while(|line| line.starts_with("  "));
    // A verb stands two columns in; further in, its description goes on.
    let verbs = verbs.filter(|line| !line.starts_with("   "));
    verbs.filter_map(|line| line.split_whitespace().next()).filter(|verb| *verb != "help")
}

fn fenced(text: &str) -> String {
    let lines: String = text.trim_end().lines().map(|line| format!("{}\n", line.trim_end())).collect();
    format!("```text\n{lines}```\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verbs_of_a_help_text() {
        let help = "X\n\nUsage: x\n\nCommands:\n  demo    Two hosts\n          and more\n  l2tp    As ip\n  help    Help\n\nOptions:\n  -h\n";
        assert_eq!(verbs(help).collect::<Vec<_>>(), ["demo", "l2tp"]);
        assert_eq!(fenced("a  \nb\n\n"), "```text\na\nb\n```\n");
    }
}
