//! The doctor, run for real.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may stop, and says why it did not run"
)]

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::process::{Command, Output};

use serde_json::Value;

fn doctor(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_ferrowire")).arg("doctor").args(arguments).output().unwrap()
}

fn skip(missing: &str) {
    assert!(std::env::var_os("FERROWIRE_REQUIRE_ALL").is_none_or(|value| value != "1"), "missing: {missing}");
    println!("SKIP: {missing}");
}

/// What a check could leave behind, or pull in.
fn host() -> (BTreeSet<String>, BTreeSet<String>) {
    let names = |folder| {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect::<BTreeSet<_>>()
    };
    let modules = names("/sys/module").into_iter().filter(|name| name.starts_with("l2tp")).collect();
    (names("/sys/class/net"), modules)
}

#[test]
fn a_machine_with_tap_devices_can_carry_tunnels() {
    let root = rustix::process::geteuid().is_root();
    if OpenOptions::new().read(true).write(true).open("/dev/net/tun").is_err() || !root {
        return skip("root, and /dev/net/tun that may be opened");
    }
    let before = host();
    let output = doctor(&["--json"]);
    assert_eq!(host(), before);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output.status.success(), "{report:#}");
    assert!(["user", "bpf"].contains(&report["datapath"]["chosen"].as_str().unwrap()));
    assert!(report["datapath"]["why"].as_str().unwrap().contains("BPF"));
}

#[test]
fn text_and_json_say_the_same() {
    let (text, json) = (doctor(&[]), doctor(&["--json"]));
    assert_eq!(text.status, json.status);
    let text = String::from_utf8(text.stdout).unwrap();
    let report: Value = serde_json::from_slice(&json.stdout).unwrap();
    let checks = report["checks"].as_array().unwrap();
    let mut lines = text.lines();
    for check in checks {
        let line = lines.next().unwrap();
        let verdict = line.split_whitespace().next().unwrap().to_lowercase();
        assert_eq!(verdict, check["verdict"].as_str().unwrap());
        assert!(line.contains(check["name"].as_str().unwrap()), "{line}");
        assert!(line.ends_with(check["detail"].as_str().unwrap()), "{line}");
        if let Some(fix) = check["fix"].as_str() {
            assert!(lines.next().unwrap().ends_with(&format!("-> {fix}")));
        }
        assert!(verdict != "missing" || check["fix"].is_string(), "{check:#}");
    }
    let names: BTreeSet<_> = checks.iter().map(|check| check["name"].as_str().unwrap()).collect();
    assert_eq!(names.len(), checks.len());
    assert!(text.is_ascii(), "{text}");
}

#[test]
fn the_exit_code_is_the_verdict() {
    let output = doctor(&["--json"]);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let nowhere = report["reach"] == "nowhere";
    assert_eq!(output.status.code(), Some(i32::from(nowhere)));
    assert_eq!(report["datapath"]["chosen"].is_null(), nowhere);
}
