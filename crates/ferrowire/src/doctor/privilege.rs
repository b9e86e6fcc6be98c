//! What this process may do, here and in a user namespace.

use std::io;
use std::os::fd::AsFd;
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use l2tp_io::creds::caller_may_administer;
use l2tp_io::netns::NetNs;
use l2tp_io::rawip::{Family, RawSocket};
use l2tp_io::tap::Tap;
use rustix::io::Errno;

use super::check::Check;
use super::procfs;
use crate::l2tp::os_error_text;

/// The option that makes `ferrowire doctor` try what a user namespace allows, and tell the doctor that started it.
pub(super) const PROBE: &str = "--probe-user-namespace";

/// What a user namespace allows.
pub(super) struct Inside {
    pub(super) namespace: io::Result<()>,
    pub(super) tap: io::Result<()>,
}

impl Inside {
    /// Tries it in a process of its own: only a process with one thread may leave its user namespace.
    pub(super) fn find_out() -> Self {
        let program = std::env::current_exe();
        let output = program.and_then(|program| {
            Command::new(program).args(["doctor", PROBE]).stdin(Stdio::null()).stderr(Stdio::null()).output()
        });
        match output {
            Ok(output) => Self::parse(&String::from_utf8_lossy(&output.stdout)),
            Err(error) => Self { namespace: Err(error), tap: Err(Errno::PERM.into()) },
        }
    }

    /// The other side of [`Inside::find_out`]: the process that tries.
    pub(super) fn probe() -> String {
        let namespace = NetNs::unshare_user().map(drop);
        let tap = if namespace.is_ok() { Tap::create("doctor%d").map(drop) } else { Err(Errno::PERM.into()) };
        Self { namespace, tap }.text()
    }

    /// The two error numbers, 0 for none.
    fn text(&self) -> String {
        let number = |result: &io::Result<()>| match result {
            Ok(()) => 0,
            Err(error) => error.raw_os_error().unwrap_or(Errno::IO.raw_os_error()),
        };
        format!("{} {}\n", number(&self.namespace), number(&self.tap))
    }

    fn parse(text: &str) -> Self {
        let mut results = text.split_whitespace().map(|word| match word.parse() {
            Ok(0) => Ok(()),
            Ok(number) => Err(io::Error::from_raw_os_error(number)),
            Err(_) => Err(io::ErrorKind::InvalidData.into()),
        });
        let mut next = || results.next().unwrap_or_else(|| Err(io::ErrorKind::UnexpectedEof.into()));
        Self { namespace: next(), tap: next() }
    }

    /// Whether tunnels could be carried there.
    pub(super) fn suffices(&self) -> bool {
        self.namespace.is_ok() && self.tap.is_ok()
    }
}

/// CAP_NET_ADMIN over this network namespace, which the daemon and those who give it orders need.
pub(super) fn net_admin() -> Check {
    const NAME: &str = "CAP_NET_ADMIN";
    if may_administer().unwrap_or(false) {
        Check::ok(NAME, "held for this network namespace")
    } else {
        Check::note(NAME, "not held for this network namespace: no daemon here").with_fix("run it as root")
    }
}

/// The question that the daemon asks about its callers, asked about ourselves.
pub(super) fn may_administer() -> io::Result<bool> {
    let (near, _far) = UnixStream::pair()?;
    caller_may_administer(near.as_fd(), &NetNs::current()?)
}

/// CAP_NET_RAW, and raw sockets of protocol 115.
pub(super) fn net_raw() -> Check {
    const NAME: &str = "CAP_NET_RAW";
    match RawSocket::open(Family::V4) {
        Ok(_) => Check::ok(NAME, "raw sockets of protocol 115 open: L2TP over IP"),
        Err(error) => {
            let error = os_error_text(&error);
            let detail = format!("no raw socket of protocol 115: {error}; L2TP over UDP works without");
            Check::note(NAME, detail)
                .with_fix("run it as root (in a container: start it with --cap-add NET_RAW)")
        }
    }
}

/// User namespaces: `ferrowire demo` without root.
pub(super) fn user_namespaces(inside: &Inside) -> Check {
    const NAME: &str = "user namespaces";
    match &inside.namespace {
        Ok(()) => Check::ok(NAME, "allowed: \"ferrowire demo\" needs no root"),
        Err(error) => Check::note(NAME, format!("{}: \"ferrowire demo\" needs root", os_error_text(error)))
            .with_fix(remedy(setting)),
    }
}

/// The one setting that keeps users from user namespaces.
pub(crate) fn user_namespace_remedy() -> &'static str {
    remedy(setting)
}

fn setting(name: &str) -> Option<u64> {
    procfs::number(format!("/proc/sys/{}", name.replace('.', "/")))
}

fn remedy(setting: impl Fn(&str) -> Option<u64>) -> &'static str {
    if setting("kernel.unprivileged_userns_clone") == Some(0) {
        "sysctl -w kernel.unprivileged_userns_clone=1"
    } else if setting("user.max_user_namespaces") == Some(0) {
        "sysctl -w user.max_user_namespaces=10000"
    } else if setting("user.max_net_namespaces") == Some(0) {
        "sysctl -w user.max_net_namespaces=10000"
    } else if setting("kernel.apparmor_restrict_unprivileged_userns") == Some(1) {
        "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
    } else {
        "run it as root (in a container: start it with --cap-add SYS_ADMIN)"
    }
}

#[cfg(test)]
mod tests {
    use super::{Errno, Inside, remedy};

    #[test]
    fn what_the_probe_tells_is_understood() {
        for (text, namespace, tap) in
            [("0 0\n", None, None), ("0 13\n", None, Some(13)), ("1 1\n", Some(1), Some(1))]
        {
            let inside = Inside::parse(text);
            let errno = |result: &std::io::Result<()>| result.as_ref().err().and_then(|e| e.raw_os_error());
            assert_eq!((errno(&inside.namespace), errno(&inside.tap)), (namespace, tap));
            assert_eq!(inside.text(), text);
            assert_eq!(inside.suffices(), namespace.is_none() && tap.is_none());
        }
        for odd in ["", "0", "x y", "panicked"] {
            assert!(!Inside::parse(odd).suffices(), "{odd}");
        }
        let lost = Inside { namespace: Ok(()), tap: Err(std::io::ErrorKind::Other.into()) };
        assert_eq!(lost.text(), format!("0 {}\n", Errno::IO.raw_os_error()));
    }

    #[test]
    fn the_setting_that_is_in_the_way_is_named() {
        for (name, value) in [
            ("kernel.unprivileged_userns_clone", 0),
            ("user.max_user_namespaces", 0),
            ("user.max_net_namespaces", 0),
            ("kernel.apparmor_restrict_unprivileged_userns", 1),
        ] {
            assert!(remedy(|asked| (asked == name).then_some(value)).contains(name));
            assert!(remedy(|asked| (asked == name).then_some(1 - value)).contains("root"));
        }
    }
}
