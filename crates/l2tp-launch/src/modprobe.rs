//! A `modprobe` in front of the host's, for scripts that load the kernel's modules first: what Ferrowire stands in for is
//! loaded already.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;

use tempfile::TempDir;

/// The wrapper. `$0` is its own path, which is taken out of PATH before the host's program is looked for.
const SCRIPT: &str = r#"#!/bin/sh
# Made by "ferrowire exec": L2TP and PPP are there without a module.
for word; do
    case "$word" in
    -*) ;;
    l2tp[_-]* | ppp[_-]* | pppox | net-pf-24*) exit 0 ;;
    esac
done
PATH=${PATH#"${0%/*}:"}
exec modprobe "$@"
"#;

/// A directory with the wrapper, for as long as this lives.
pub(crate) struct Wrapper {
    directory: TempDir,
}

impl Wrapper {
    /// Writes it.
    pub(crate) fn new() -> io::Result<Self> {
        let directory = tempfile::Builder::new().prefix("ferrowire-exec-").tempdir()?;
        // Programs that run as other users find it too.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755))?;
        let path = directory.path().join("modprobe");
        fs::write(&path, SCRIPT)?;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
        Ok(Self { directory })
    }

    /// `path` with the directory in front.
    pub(crate) fn in_front_of(&self, path: Option<OsString>) -> OsString {
        let mut front = self.directory.path().as_os_str().to_owned();
        front.push(":");
        front.push(
            path.unwrap_or_else(|| "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".into()),
        );
        front
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    #[test]
    fn our_modules_are_there_and_others_are_the_hosts() {
        let host = tempfile::tempdir().unwrap();
        let theirs = host.path().join("modprobe");
        fs::write(&theirs, "#!/bin/sh\necho host \"$@\"\nexit 3\n").unwrap();
        fs::set_permissions(&theirs, fs::Permissions::from_mode(0o755)).unwrap();
        let wrapper = Wrapper::new().unwrap();
        let mut path = host.path().as_os_str().to_owned();
        path.push(":/usr/bin:/bin");
        let run = |words: &[&str]| {
            let mut command = Command::new("sh");
            command.args(["-c", "modprobe \"$@\"", "sh"]).args(words);
            let output = command.env("PATH", wrapper.in_front_of(Some(path.clone()))).output().unwrap();
            (output.status.code(), String::from_utf8(output.stdout).unwrap())
        };
        for words in [&["l2tp_eth"][..], &["-q", "l2tp-ip6"], &["-r", "ppp_generic"], &["pppox"]] {
            assert_eq!(run(words), (Some(0), String::new()), "{words:?}");
        }
        for words in [&["dummy"][..], &["-v", "veth"]] {
            assert_eq!(run(words), (Some(3), format!("host {}\n", words.join(" "))), "{words:?}");
        }
    }
}
