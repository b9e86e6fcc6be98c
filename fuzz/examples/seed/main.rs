//! Writes the corpus anew: recorded packets and requests from `tests/vectors`, and super-frames. Files whose names begin
//! with `found-` are what fuzzing found; they stay.
//!
//! ```sh
//! cargo run -p ferrowire-fuzz --example seed
//! ```
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a tool for developers that may stop")]

mod frames;
mod packets;
mod requests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// The longest seed in bytes; what is longer only takes longer.
const LEN_MAX: usize = 2_048;

/// One target's corpus folder.
pub(crate) struct Corpus {
    folder: PathBuf,
    known: BTreeSet<Vec<u8>>,
}

impl Corpus {
    /// A folder for the seeds of `target`, emptied of all but what fuzzing found.
    pub(crate) fn new(target: &str) -> Self {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
        std::fs::create_dir_all(&folder).expect("corpus folder");
        for entry in std::fs::read_dir(&folder).expect("corpus folder") {
            let entry = entry.expect("corpus folder");
            if !entry.file_name().to_string_lossy().starts_with("found-") {
                std::fs::remove_file(entry.path()).expect("old seed");
            }
        }
        Self { folder, known: BTreeSet::new() }
    }

    /// Writes a seed, unless there is one of the same content.
    pub(crate) fn add(&mut self, name: &str, bytes: &[u8]) {
        if bytes.len() <= LEN_MAX && self.known.insert(bytes.to_vec()) {
            let name = name.replace(|c: char| !c.is_ascii_alphanumeric() && c != '-', "-");
            let path = self.folder.join(name);
            assert!(!path.exists(), "{}", path.display());
            std::fs::write(path, bytes).expect("seed");
        }
    }
}

/// The folder of the recorded packets and requests.
pub(crate) fn vectors() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/vectors/kernel")
}

pub(crate) fn json(name: &str) -> serde_json::Value {
    let text = std::fs::read(vectors().join(name)).expect(name);
    serde_json::from_slice(&text).expect(name)
}

pub(crate) fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|i| u8::from_str_radix(&text[2 * i..2 * i + 2], 16).expect("hex")).collect()
}

fn main() {
    packets::wire();
    packets::engine();
    requests::netlink();
    requests::server();
    requests::commands();
    frames::split();
    frames::coalesce();
}
