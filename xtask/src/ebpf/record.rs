//! What the object was made of: a digest of each source, beside the object.

use std::fs;

use anyhow::{Context, Result};

use super::{OBJECT, PROGRAMS};
use crate::tree::{self, root};

const RECORD: &str = "crates/l2tp-ebpf/object/sources.txt";

/// Writes it for the sources and the object as they are.
pub(crate) fn write() -> Result<()> {
    fs::write(root().join(RECORD), of_now()?).with_context(|| format!("cannot write {RECORD}"))
}

/// A line for each file: digest and path.
fn of_now() -> Result<String> {
    let mut paths =
        vec![format!("{PROGRAMS}/Cargo.lock"), format!("{PROGRAMS}/Cargo.toml"), OBJECT.to_owned()];
    paths.extend(
        tree::rust_files()?.into_iter().map(|file| file.path).filter(|path| path.starts_with("ebpf/")),
    );
    paths.sort();
    let lines = paths.iter().map(|path| {
        let bytes = fs::read(root().join(path)).with_context(|| format!("cannot read {path}"))?;
        Ok(format!("{:016x} {path}\n", digest(&bytes)))
    });
    lines.collect()
}

/// FNV-1a of 64 bits: this is about forgetting, not about forging.
fn digest(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_object_is_made_of_these_sources() {
        let recorded = tree::read(RECORD).unwrap();
        assert_eq!(
            of_now().unwrap(),
            recorded,
            "run `cargo xtask ebpf`: sources of the BPF programs have changed"
        );
    }

    #[test]
    fn a_digest() {
        // Those of the authors of FNV.
        assert_eq!(
            [digest(b""), digest(b"a"), digest(b"foobar")],
            [0xcbf2_9ce4_8422_2325, 0xaf63_dc4c_8601_ec8c, 0x8594_4171_f739_67e8]
        );
    }
}
