//! Which crate may depend on which: the arrows of the design, and no other.

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::cargo::metadata;
use crate::tree::read;

/// The arrows. Whoever adds one has changed the design; ARCHITECTURE.md says why each is there.
const ALLOWED: &[(&str, &[&str])] = &[
    ("l2tp-wire", &[]),
    ("l2tp-abi", &[]),
    ("l2tp-core", &["l2tp-wire", "l2tp-abi"]),
    ("l2tp-sockets", &["l2tp-core", "l2tp-abi", "l2tp-wire"]),
    ("l2tp-mgmt", &["l2tp-core", "l2tp-abi"]),
    ("l2tp-io", &["l2tp-abi"]),
    ("l2tp-client", &["l2tp-abi", "l2tp-io"]),
    ("l2tp-launch", &["l2tp-abi", "l2tp-io"]),
    ("l2tp-ebpf", &["l2tp-io"]),
    ("l2tp-datapath", &["l2tp-core", "l2tp-sockets", "l2tp-io", "l2tp-ebpf", "l2tp-abi", "l2tp-wire"]),
    (
        "ferrowire",
        &[
            "l2tp-wire",
            "l2tp-abi",
            "l2tp-core",
            "l2tp-sockets",
            "l2tp-mgmt",
            "l2tp-io",
            "l2tp-launch",
            "l2tp-ebpf",
            "l2tp-datapath",
            "l2tp-client",
        ],
    ),
    ("xtask", &["l2tp-core", "l2tp-abi", "l2tp-io", "l2tp-client", "l2tp-model"]),
];

/// Crates that open nothing, read no clock and draw no randomness.
const SANS_IO: &[&str] = &["l2tp-wire", "l2tp-abi", "l2tp-core", "l2tp-sockets", "l2tp-mgmt"];

/// What every sans-IO crate begins with.
const SANS_IO_ATTRIBUTES: &[&str] = &["#![no_std]", "#![forbid(unsafe_code)]"];

/// A crate of the workspace.
#[derive(Debug)]
struct Package {
    name: String,
    /// Whether it lies outside `crates` and `xtask`: it tests, and may depend on all.
    is_test: bool,
    dependencies: Vec<Dependency>,
}

#[derive(Debug)]
struct Dependency {
    name: String,
    is_dev: bool,
}

/// Fails on a dependency that the design does not have, and on a sans-IO crate that could do I/O.
pub(crate) fn check() -> Result<()> {
    let packages = packages(&metadata()?)?;
    let mut faults = forbidden_arrows(&packages);
    for name in SANS_IO.iter().filter(|name| packages.iter().any(|package| package.name == **name)) {
        let path = format!("crates/{name}/src/lib.rs");
        faults.extend(missing_attributes(&path, &read(&path)?));
    }
    if faults.is_empty() {
        println!("{} crates, every dependency between them is in the design", packages.len());
        return Ok(());
    }
    bail!("{}\nThe arrows are in xtask/src/deps.rs.", faults.join("\n"))
}

fn packages(metadata: &Value) -> Result<Vec<Package>> {
    let root = metadata["workspace_root"].as_str().context("workspace_root")?;
    let packages = metadata["packages"].as_array().context("packages")?;
    packages.iter().map(|package| read_package(root, package)).collect()
}

fn read_package(root: &str, package: &Value) -> Result<Package> {
    let manifest = package["manifest_path"].as_str().context("manifest_path")?;
    let folder = manifest.strip_prefix(root).unwrap_or(manifest).trim_start_matches('/');
    let dependencies = package["dependencies"].as_array().context("dependencies")?;
    Ok(Package {
        name: package["name"].as_str().context("name")?.to_owned(),
        is_test: !folder.starts_with("crates/") && !folder.starts_with("xtask/"),
        dependencies: dependencies.iter().map(read_dependency).collect::<Result<_>>()?,
    })
}

fn read_dependency(dependency: &Value) -> Result<Dependency> {
    let name = dependency["name"].as_str().context("dependency name")?.to_owned();
    Ok(Dependency { name, is_dev: dependency["kind"] == "dev" })
}

fn forbidden_arrows(packages: &[Package]) -> Vec<String> {
    let mut faults = Vec::new();
    for package in packages.iter().filter(|package| !package.is_test) {
        let Some((_, allowed)) = ALLOWED.iter().find(|(name, _)| *name == package.name) else {
            faults.push(format!("{} is not in the design", package.name));
            continue;
        };
        for dependency in &package.dependencies {
            let Some(target) = packages.iter().find(|p| p.name == dependency.name) else { continue };
            let fine = allowed.contains(&target.name.as_str()) || (dependency.is_dev && target.is_test);
            if !fine {
                let kind = if dependency.is_dev { " as dev-dependency" } else { "" };
                faults.push(format!("{} depends on {}{kind}", package.name, target.name));
            }
        }
    }
    faults
}

fn missing_attributes(path: &str, text: &str) -> Vec<String> {
    let missing = SANS_IO_ATTRIBUTES.iter().filter(|line| !text.lines().any(|found| found == **line));
    missing.map(|line| format!("{path} lacks {line}: the crate is sans-IO")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn workspace(dependent: &str, folder: &str, dependency: &str, kind: Option<&str>) -> Vec<String> {
        let package = |name: &str, folder: &str, dependencies: Value| json!({"name": name, "manifest_path": format!("/w/{folder}/Cargo.toml"), "dependencies": dependencies});
        let mut all =
            vec![package(dependent, folder, json!([{"name": dependency, "kind": kind}, {"name": "libc"}]))];
        for name in ["l2tp-wire", "l2tp-abi", "l2tp-core", "l2tp-io", "l2tp-mgmt"] {
            if name != dependent {
                all.push(package(name, &format!("crates/{name}"), json!([])));
            }
        }
        all.push(package("l2tp-sim", "tests/sim", json!([])));
        forbidden_arrows(&packages(&json!({"workspace_root": "/w", "packages": all})).unwrap())
    }

    #[test]
    fn the_arrows_of_the_design() {
        let none: [&str; 0] = [];
        assert_eq!(workspace("l2tp-core", "crates/l2tp-core", "l2tp-wire", None), none);
        assert_eq!(
            workspace("l2tp-core", "crates/l2tp-core", "l2tp-io", None),
            ["l2tp-core depends on l2tp-io"]
        );
        assert_eq!(
            workspace("l2tp-wire", "crates/l2tp-wire", "l2tp-abi", None),
            ["l2tp-wire depends on l2tp-abi"]
        );
        assert_eq!(
            workspace("l2tp-core", "crates/l2tp-core", "l2tp-mgmt", Some("build")),
            ["l2tp-core depends on l2tp-mgmt"]
        );
        assert_eq!(
            workspace("l2tp-new", "crates/l2tp-new", "l2tp-abi", None),
            ["l2tp-new is not in the design"]
        );
    }

    #[test]
    fn test_crates_only_for_tests() {
        let none: [&str; 0] = [];
        assert_eq!(workspace("l2tp-core", "crates/l2tp-core", "l2tp-sim", Some("dev")), none);
        assert_eq!(
            workspace("l2tp-core", "crates/l2tp-core", "l2tp-sim", None),
            ["l2tp-core depends on l2tp-sim"]
        );
        assert_eq!(
            workspace("l2tp-core", "crates/l2tp-core", "l2tp-io", Some("dev")),
            ["l2tp-core depends on l2tp-io as dev-dependency"]
        );
        assert_eq!(workspace("ferrowire-fuzz", "fuzz", "l2tp-io", None), none);
        assert_eq!(workspace("l2tp-interop", "tests/interop", "l2tp-sim", None), none);
    }

    #[test]
    fn a_sans_io_crate_says_so() {
        let good = "//! Doc.\n#![no_std]\n#![forbid(unsafe_code)]\n";
        assert!(missing_attributes("lib.rs", good).is_empty());
        assert_eq!(missing_attributes("lib.rs", "//! #![no_std]\n#![deny(unsafe_code)]\n").len(), 2);
    }
}
