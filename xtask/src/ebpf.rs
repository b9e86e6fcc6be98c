//! `cargo xtask ebpf`: makes the object of the BPF programs, which is committed so that nobody else needs the tools for it.

mod record;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::tree::root;

/// The crate of the programs.
const PROGRAMS: &str = "ebpf";
/// Where the loader includes it from.
const OBJECT: &str = "crates/l2tp-ebpf/object/l2tp.o";
/// Debian's compiler, which can make programs for BPF; the rustup one has no `core` for it.
const RUSTC: &str = "/usr/bin/rustc";
const TARGET: &str = "bpfel-unknown-none";
/// Debian's LLVM, with which bpf-linker is built.
const LLVM: &str = "/usr/lib/llvm-22";
/// The instructions of Linux 5.1. Not loads and stores at any address: the verifiers of some machines take only aligned ones.
const FLAGS: &str = "-C target-cpu=v3";

/// Builds the programs and puts the object, and what it was made of, into its place.
pub(crate) fn build() -> Result<()> {
    check_compiler()?;
    let linker = linker()?;
    let mut cargo = crate::cargo::cargo(&["build", "--release", "--locked", "--target", TARGET]);
    cargo
        .current_dir(root().join(PROGRAMS))
        .env_remove("CARGO_TARGET_DIR")
        // aya-ebpf uses assembler of a target that is not stable yet.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTC", RUSTC)
        .env("RUSTUP_TOOLCHAIN", "")
        .env("LD_LIBRARY_PATH", format!("{LLVM}/lib"))
        .env("CARGO_TARGET_BPFEL_UNKNOWN_NONE_LINKER", linker)
        .env("CARGO_TARGET_BPFEL_UNKNOWN_NONE_RUSTFLAGS", FLAGS);
    let status = cargo.status().context("cargo build")?;
    if !status.success() {
        bail!("the programs could not be built ({status})");
    }
    let built = root().join(PROGRAMS).join("target").join(TARGET).join("release/l2tp");
    let object = root().join(OBJECT);
    fs::copy(&built, &object).with_context(|| format!("cannot copy {} to {OBJECT}", built.display()))?;
    record::write()?;
    println!("{OBJECT}: {} bytes", fs::metadata(&object)?.len());
    Ok(())
}

fn check_compiler() -> Result<()> {
    let output = Command::new(RUSTC).args(["--print", "target-libdir", "--target", TARGET]).output();
    let libraries = output.ok().filter(|output| output.status.success()).map(|output| output.stdout);
    let folder = libraries.map(|path| PathBuf::from(String::from_utf8_lossy(&path).trim()));
    if !folder.is_some_and(|folder| folder.is_dir()) {
        bail!(
            "{RUSTC} cannot make programs for {TARGET}. On Debian 12: apt install rustc-web libstd-rust-web-dev-bpf"
        );
    }
    Ok(())
}

/// bpf-linker, from the path or from where `cargo install` is told to put it.
fn linker() -> Result<PathBuf> {
    let tools = root().join("target/tools/bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&path).chain([tools]);
    let found = folders.find(|folder| folder.join("bpf-linker").is_file());
    if let Some(folder) = found {
        return Ok(folder.join("bpf-linker"));
    }
    let llvm = if Path::new(LLVM).is_dir() { "" } else { "apt install llvm-22-dev\n" };
    bail!(
        "no bpf-linker. It takes some minutes:\n{llvm}\
         LLVM_PREFIX={LLVM} LIBRARY_PATH={LLVM}/lib LD_LIBRARY_PATH={LLVM}/lib RUSTFLAGS=\"-L {LLVM}/lib\" \\\n  \
         cargo install bpf-linker --version ^0.13 --no-default-features --features llvm-22 --root target/tools"
    )
}
