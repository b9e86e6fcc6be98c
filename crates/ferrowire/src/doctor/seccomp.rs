//! Whether unmodified programs can be run: `ferrowire exec`.

use super::check::Check;
use super::procfs;

/// The kernel that came with calls which only a fatal signal ends once the supervisor has them.
const OLDEST: (u32, u32) = (5, 19);

/// Notifications of seccomp(2).
pub(super) fn check() -> Check {
    let actions = procfs::text("/proc/sys/kernel/seccomp/actions_avail").unwrap_or_default();
    seccomp_of(&actions, procfs::version(&procfs::kernel_release()))
}

fn seccomp_of(actions: &str, version: Option<(u32, u32)>) -> Check {
    const NAME: &str = "seccomp";
    if !actions.split_whitespace().any(|action| action == "user_notif") {
        return Check::note(NAME, "no user notification: \"ferrowire exec\" cannot run (the rest can)");
    }
    if version.is_some_and(|version| version < OLDEST) {
        return Check::note(NAME, "\"ferrowire exec\" needs Linux 5.19 or later (the rest does not)");
    }
    Check::ok(NAME, "user notification, for \"ferrowire exec\"")
}

#[cfg(test)]
mod tests {
    use super::seccomp_of;

    #[test]
    fn what_lacks_is_told() {
        let told = |actions, version| seccomp_of(actions, Some(version)).detail;
        assert!(told("kill_process trap user_notif allow", (6, 1)).starts_with("user notification"));
        assert!(told("kill_process trap user_notif allow", (5, 18)).contains("needs Linux 5.19"));
        assert!(told("kill_process trap user_notification", (6, 1)).starts_with("no user"));
    }
}
