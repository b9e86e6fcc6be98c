//! What a test needs of the host it runs on.

use std::path::Path;
use std::process::{Command, Stdio};

use l2tp_io::netns::NetNs;

/// Programs that every test calls.
const PROGRAMS: [&str; 2] = ["ip", "ping"];

/// Whether a test can run that calls `programs` too. Says why, where it cannot.
pub(crate) fn met(programs: &[&str]) -> bool {
    if let Err(error) = std::thread::scope(|scope| scope.spawn(NetNs::unshare).join()).unwrap() {
        return skip(&format!("a network namespace (run as root): {error}"));
    }
    if !Path::new("/dev/net/tun").exists() {
        return skip("/dev/net/tun");
    }
    // As root it gives up its supplementary groups before it does anything.
    if programs.contains(&"tcpdump") && !other_users() {
        return false;
    }
    let missing = PROGRAMS.iter().chain(programs).find(|program| !is_installed(program));
    missing.is_none_or(|program| skip(program))
}

/// Whether there are users besides root to become: not in a user namespace that has but the one.
pub(crate) fn other_users() -> bool {
    let setgroups = std::fs::read_to_string("/proc/self/setgroups").unwrap_or_default();
    setgroups.trim() != "deny" || skip("users besides root (run as root of the host)")
}

/// Whether a filter may be loaded that leaves a program its packets to the last one.
pub(crate) fn bpf() -> bool {
    l2tp_io::divert::Divert::load().is_exact() || skip("leave to load BPF (run as root of the host)")
}

/// Whether a test can run that has BPF programs carry sessions.
pub(crate) fn fast_path() -> bool {
    met(&[])
        && match l2tp_ebpf::FastPath::load() {
            Ok(_) => true,
            Err(missing) => skip(&missing.to_string()),
        }
}

fn is_installed(program: &str) -> bool {
    let version = if program == "tshark" { "--version" } else { "-V" };
    let mut command = Command::new(program);
    command.arg(version).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok()
}

/// An error where everything is required; always false.
pub(crate) fn skip(missing: &str) -> bool {
    assert!(std::env::var_os("FERROWIRE_REQUIRE_ALL").is_none_or(|value| value != "1"), "missing: {missing}");
    println!("SKIP: {missing}");
    false
}
