//! Programs of our own, in C and in Python, that do at the system call what L2TP programs do.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::host::Host;
use crate::require;

use super::{exec, text};

/// A compiled program, gone with this value.
pub(super) struct Program {
    _folder: tempfile::TempDir,
    pub(super) path: PathBuf,
}

impl Program {
    /// Compiles `name`.c.
    pub(super) fn compile(name: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        let source = source(&format!("{name}.c"));
        let mut cc = Command::new("cc");
        cc.args(["-O1", "-pthread", "-o"]).arg(&path).arg(source);
        let output = cc.output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        Self { _folder: folder, path }
    }
}

pub(super) fn source(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/netns/exec/programs").join(name)
}

/// A host on whose loopback interface tunnels can end.
pub(super) fn host() -> Host {
    let host = Host::new();
    host.ip("link set lo up");
    host
}

/// Compiles and runs a program, which must find all as it should be.
pub(super) fn run(name: &str, words: &str) {
    if !require::met(&["cc"]) {
        return;
    }
    let program = Program::compile(name);
    let output = exec(&host(), &["--private"], &format!("{} {words}", program.path.display()));
    let told = text(&output.stdout);
    assert!(
        output.status.success() && told.contains("all as it should be"),
        "{told}{}",
        text(&output.stderr)
    );
}

#[test]
fn queries_errors_batches_and_long_dumps() {
    run("queries", "2000");
}

#[test]
fn waiting_for_answers_with_and_without_signals() {
    run("waiting", "");
}

#[test]
fn sockets_shared_by_threads_children_and_strangers() {
    run("sharing", "");
}

/// Tunnels on sockets of its own, several on one port; and files that are opened with `O_CLOEXEC`.
#[test]
fn a_broker_in_python() {
    if !require::met(&["python3"]) {
        return;
    }
    let script = format!("python3 {} files", source("broker.py").display());
    let output = exec(&host(), &["--private", "--all-opens"], &script);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success() && out == "all as it should be\n", "{out}{err}");
}

#[test]
fn l2tpip_sockets() {
    run("l2tpip", "");
}
