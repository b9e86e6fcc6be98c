//! The project's files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Where Rust code of the project is.
const SOURCE_FOLDERS: &[&str] = &["crates", "ebpf", "fuzz", "tests", "xtask"];

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here).to_owned()
}

/// A file of the project.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SourceFile {
    /// Path from the root, with `/`.
    pub(crate) path: String,
    /// Its text.
    pub(crate) text: String,
}

/// Every Rust file of the project, by path.
pub(crate) fn rust_files() -> Result<Vec<SourceFile>> {
    let mut files = Vec::new();
    for folder in SOURCE_FOLDERS {
        collect(&root(), Path::new(folder), "rs", &mut files)?;
    }
    Ok(files)
}

/// Every page below `docs`, by path.
pub(crate) fn pages() -> Result<Vec<SourceFile>> {
    let mut files = Vec::new();
    collect(&root(), Path::new("docs"), "md", &mut files)?;
    Ok(files)
}

/// The text of a file, named from the root.
pub(crate) fn read(path: &str) -> Result<String> {
    fs::read_to_string(root().join(path)).with_context(|| format!("cannot read {path}"))
}

/// Adds the files with `extension` below `folder`; build folders and hidden ones are left out.
fn collect(root: &Path, folder: &Path, extension: &str, files: &mut Vec<SourceFile>) -> Result<()> {
    let absolute = root.join(folder);
    let entries = fs::read_dir(&absolute).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut names = entries.map(|entry| Ok(entry?.file_name())).collect::<Result<Vec<_>>>()?;
    names.sort();
    for name in names {
        let path = folder.join(&name);
        let hidden = name.to_string_lossy().starts_with('.');
        if root.join(&path).is_dir() {
            if !hidden && name != "target" && name != "corpus" {
                collect(root, &path, extension, files)?;
            }
        } else if path.extension().is_some_and(|found| found == extension) {
            let path = path.to_string_lossy().replace('\\', "/");
            files.push(SourceFile { text: read(&path)?, path });
        }
    }
    Ok(())
}
