//! TAP devices: each session has one.

use std::io::{self, ErrorKind};
use std::path::Path;

use l2tp_io::netns::NetNs;
use l2tp_io::tap::Tap;

use super::check::Check;
use super::procfs;
use crate::l2tp::os_error_text;

const NAME: &str = "TAP devices";

/// Makes a TAP device in a namespace that lives as long as the call; where none can be made, in this one.
pub(super) fn attempt() -> io::Result<()> {
    std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            // Without the privilege to leave, the device is made here, for a moment.
            let _: io::Result<NetNs> = NetNs::unshare();
            Tap::create("doctor%d").map(drop)
        });
        thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    })
}

/// What came of making a TAP device here, and of making one in a user namespace.
pub(super) fn check(here: &io::Result<()>, in_user_namespace: &io::Result<()>) -> Check {
    match (here, in_user_namespace) {
        (Ok(()), _) => Check::ok(NAME, format!("/dev/net/tun works, with {}", offloads())),
        (Err(_), Ok(())) => Check::ok(NAME, format!("in a user namespace only; with {}", offloads())),
        (Err(_), Err(error)) => {
            Check::missing(NAME, format!("/dev/net/tun: {}", os_error_text(error)), remedy(error))
        }
    }
}

/// The offloads that a TAP takes with its vnet header, by the kernel's version: which of them were taken is not told.
fn offloads() -> &'static str {
    match procfs::version(&procfs::kernel_release()) {
        Some(version) if version >= (6, 2) => "super-frames of TCP and UDP",
        _ => "super-frames of TCP (of UDP too since Linux 6.2)",
    }
}

/// The one command that mends what kept a TAP device from being made.
pub(crate) fn remedy(error: &io::Error) -> &'static str {
    match error.kind() {
        // The driver is there, the node is not: so in many containers.
        ErrorKind::NotFound if Path::new("/sys/class/misc/tun").exists() => {
            "mkdir -p /dev/net && mknod /dev/net/tun c 10 200 (in a container: start it with --device /dev/net/tun)"
        }
        ErrorKind::PermissionDenied
            if error.raw_os_error() == Some(rustix::io::Errno::ACCESS.raw_os_error()) =>
        {
            "chmod 0666 /dev/net/tun"
        }
        ErrorKind::PermissionDenied => {
            "run it as root (in a container: start it with --cap-add NET_ADMIN --device /dev/net/tun)"
        }
        _ => "modprobe tun",
    }
}

#[cfg(test)]
mod tests {
    use super::{check, remedy};
    use crate::doctor::check::Verdict;
    use rustix::io::Errno;
    use std::io;

    fn failed(errno: Errno) -> io::Result<()> {
        Err(errno.into())
    }

    #[test]
    fn each_error_has_its_remedy() {
        assert!(remedy(&Errno::ACCESS.into()).starts_with("chmod"));
        assert!(remedy(&Errno::PERM.into()).contains("root"));
        assert_eq!(remedy(&Errno::NODEV.into()), "modprobe tun");
    }

    #[test]
    fn one_of_the_two_places_will_do() {
        assert_eq!(check(&Ok(()), &failed(Errno::PERM)).verdict, Verdict::Ok);
        assert!(check(&failed(Errno::PERM), &Ok(())).detail.contains("user namespace"));
        let lacking = check(&failed(Errno::PERM), &failed(Errno::ACCESS));
        assert_eq!(
            (lacking.verdict, lacking.fix.as_deref()),
            (Verdict::Missing, Some("chmod 0666 /dev/net/tun"))
        );
    }
}
