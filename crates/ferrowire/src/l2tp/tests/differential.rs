//! The installed `ip` and ours, asked the same.
//!
//! `ip` looks the l2tp family up before it reads its arguments, and ends there on a kernel without L2TP. A preloaded
//! library makes it ask for a family that every kernel has; as only commands that fail before any other request are
//! compared, nothing reaches that family.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::model::Model;
use super::{in_our_name, ip, recording, words};

/// Says what is missing, or fails where nothing may be.
fn skip(missing: &str) {
    assert!(std::env::var_os("FERROWIRE_REQUIRE_ALL").is_none(), "missing: {missing}");
    println!("SKIP: {missing}");
}

/// The preloaded library, removed when dropped.
struct Preload(PathBuf);

impl Preload {
    fn build() -> Option<Self> {
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/src/l2tp/tests/family.c");
        let path = std::env::temp_dir().join(format!("ferrowire-family-{}.so", std::process::id()));
        let built =
            Command::new("cc").args(["-shared", "-fPIC", "-o"]).arg(&path).args([source, "-ldl"]).status();
        built.is_ok_and(|status| status.success()).then_some(Self(path))
    }
}

impl Drop for Preload {
    fn drop(&mut self) {
        _ = std::fs::remove_file(&self.0);
    }
}

/// What the installed `ip` prints for the words of a recorded command, and its exit code.
fn installed(preload: &Path, command: &str) -> (String, u8) {
    let output = Command::new("ip")
        .args(words(command.trim_start_matches("ip ")))
        .env("LD_PRELOAD", preload)
        .env("LC_ALL", "C")
        .output()
        .expect("ip runs");
    let printed = String::from_utf8([output.stderr, output.stdout].concat()).expect("text");
    let printed = match printed.split_once("Usage: ip l2tp") {
        Some((before, _)) => format!("{before}(usage text)\n"),
        None => printed,
    };
    (printed, output.status.code().and_then(|code| u8::try_from(code).ok()).expect("an exit code"))
}

#[test]
fn the_installed_ip_says_the_same() {
    let version = Command::new("ip").arg("-V").output().map(|output| output.stdout).unwrap_or_default();
    if !String::from_utf8_lossy(&version).contains("iproute2-6.1.") {
        return skip("ip of iproute2 6.1, the version of the recordings");
    }
    let Some(preload) = Preload::build() else { return skip("a C compiler called cc") };
    if installed(&preload.0, "ip l2tp add tunnel").0.contains("Error talking to the kernel") {
        return skip("an ip that loads a preloaded library");
    }
    let mut compared = 0;
    for recorded in recording("ip-l2tp-words.txt") {
        if recorded.code == 0 || recorded.output.contains("RTNETLINK") {
            continue;
        }
        let (printed, code) = installed(&preload.0, &recorded.command);
        let ours = ip(&mut Model::default(), &recorded.command);
        assert_eq!(ours, (in_our_name(&printed), code), "{}", recorded.command);
        compared += 1;
    }
    assert!(compared > 150, "only {compared} commands compared");
}
