//! Runs every file of the corpus through its target, then some thousand mutations of them: the same ones every time.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a test may stop, and says why"
)]

use std::path::PathBuf;

use ferrowire_fuzz::TARGETS;

/// Mutations of each target's corpus.
const MUTATIONS: usize = 6_000;

/// The longest input that a mutation makes, in bytes.
const LEN_MAX: usize = 8_192;

/// xorshift64*: the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        usize::try_from(self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33).unwrap()
    }

    fn below(&mut self, end: usize) -> usize {
        self.next() % end.max(1)
    }

    fn byte(&mut self) -> u8 {
        const EDGES: [u8; 8] = [0, 1, 2, 0x7f, 0x80, 0xc0, 0xfe, 0xff];
        if self.below(2) == 0 { EDGES[self.below(EDGES.len())] } else { self.next().to_le_bytes()[0] }
    }

    /// Changes `bytes` in one place.
    fn mutate(&mut self, bytes: &mut Vec<u8>, others: &[Vec<u8>]) {
        let at = self.below(bytes.len());
        match self.below(9) {
            0..=2 if !bytes.is_empty() => bytes[at] = self.byte(),
            3 if !bytes.is_empty() => bytes[at] ^= 1 << self.below(8),
            4 => bytes.insert(at, self.byte()),
            5 if !bytes.is_empty() => {
                bytes.remove(at);
            }
            6 => bytes.truncate(at),
            7 => {
                let again = bytes[at..(at + self.below(64)).min(bytes.len())].to_vec();
                bytes.splice(at..at, again);
            }
            _ => {
                let other = &others[self.below(others.len())];
                let from = self.below(other.len());
                bytes.truncate(at);
                bytes.extend_from_slice(&other[from..]);
            }
        }
        bytes.truncate(LEN_MAX);
    }
}

fn corpus(target: &str) -> Vec<(PathBuf, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus").join(target);
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&folder).expect("corpus folder").map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 10, "{} has {} files", folder.display(), files.len());
    files.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

/// Says which input it was when a target panics.
struct Culprit<'a>(String, &'a [u8]);

impl Drop for Culprit<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let hex: String = self.1.iter().map(|byte| format!("{byte:02x}")).collect();
            println!("{}: {hex}", self.0);
        }
    }
}

fn replay(target: &str) {
    let (_, run) = TARGETS.iter().find(|(name, _)| *name == target).expect("target");
    let corpus = corpus(target);
    for (path, bytes) in &corpus {
        let _culprit = Culprit(path.display().to_string(), bytes);
        run(bytes);
    }
    let files: Vec<Vec<u8>> = corpus.into_iter().map(|(_, bytes)| bytes).collect();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for round in 0..MUTATIONS {
        let mut bytes = files[round % files.len()].clone();
        for _ in 0..=random.below(6) {
            random.mutate(&mut bytes, &files);
        }
        let _culprit = Culprit(format!("{target}, mutation {round}"), &bytes);
        run(&bytes);
    }
}

#[test]
fn wire() {
    replay("wire");
}

#[test]
fn netlink() {
    replay("netlink");
}

#[test]
fn engine() {
    replay("engine");
}

#[test]
fn server() {
    replay("server");
}

#[test]
fn commands() {
    replay("commands");
}

#[test]
fn split() {
    replay("split");
}

#[test]
fn coalesce() {
    replay("coalesce");
}

/// No target without a test above, no corpus folder without a target.
#[test]
fn every_target_is_replayed() {
    let names: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["wire", "netlink", "engine", "server", "commands", "split", "coalesce"]);
    let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for folder in std::fs::read_dir(corpus).unwrap() {
        let folder = folder.unwrap().file_name().into_string().unwrap();
        assert!(names.contains(&folder.as_str()), "{folder}");
    }
}
