//! What the host has for what is not built yet.

use std::fs;

use rustix::thread::{CapabilitySet, capabilities};

use super::check::Check;
use super::procfs;

/// BPF, for the fast path.
pub(super) fn bpf() -> Check {
    let held = capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective);
    let types = fs::exists("/sys/kernel/btf/vmlinux").unwrap_or(false);
    let unprivileged = procfs::number("/proc/sys/kernel/unprivileged_bpf_disabled") == Some(0);
    bpf_of(held.intersects(CapabilitySet::BPF | CapabilitySet::SYS_ADMIN), types, unprivileged)
}

fn bpf_of(held: bool, types: bool, unprivileged: bool) -> Check {
    let yes_no = |is| if is { "yes" } else { "no" };
    let detail = format!(
        "CAP_BPF {}, BTF {}, unprivileged {} (for the fast path, which is not built yet)",
        yes_no(held),
        yes_no(types),
        yes_no(unprivileged),
    );
    Check::note("BPF", detail)
}

#[cfg(test)]
mod tests {
    use super::bpf_of;

    #[test]
    fn what_is_there_is_told_and_what_is_not_built_too() {
        assert!(bpf_of(true, false, false).detail.starts_with("CAP_BPF yes, BTF no, unprivileged no"));
        assert!(bpf_of(true, true, true).detail.contains("not built"));
    }
}
