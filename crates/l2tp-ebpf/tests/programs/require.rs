//! What a test needs of the host it runs on.

use std::path::Path;
use std::process::{Command, Stdio};

use l2tp_ebpf::FastPath;
use l2tp_io::netns::NetNs;

/// Whether a test can run that calls `programs`. Says why, where it cannot.
pub(crate) fn met(programs: &[&str]) -> bool {
    if let Err(error) = std::thread::scope(|scope| scope.spawn(NetNs::unshare).join()).unwrap() {
        return skip(&format!("a network namespace (run as root): {error}"));
    }
    if !Path::new("/dev/net/tun").exists() {
        return skip("/dev/net/tun");
    }
    if let Err(error) = FastPath::load() {
        return skip(&error.to_string());
    }
    let missing = programs.iter().find(|program| !is_installed(program));
    missing.is_none_or(|program| skip(program))
}

fn is_installed(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok()
}

/// An error where everything is required; always false.
fn skip(missing: &str) -> bool {
    assert!(std::env::var_os("FERROWIRE_REQUIRE_ALL").is_none_or(|value| value != "1"), "missing: {missing}");
    println!("SKIP: {missing}");
    false
}
