//! Whether the daemon may load its filter for programs' own sockets.

use l2tp_io::divert::Divert;

use super::check::Check;

/// bpf(2), tried as the daemon does.
pub(super) fn check() -> Check {
    check_of(Divert::load().is_exact())
}

fn check_of(may_load: bool) -> Check {
    const NAME: &str = "BPF";
    if may_load {
        return Check::ok(
            NAME,
            "filters load: a managed tunnel's program gets the packets of unknown sessions",
        );
    }
    Check::note(
        NAME,
        "no filter can be loaded: data packets of unknown sessions do not reach the program of a managed tunnel (the rest works)",
    )
    .with_fix("run it as root of the host (in a container: start it with --cap-add BPF)")
}

#[cfg(test)]
mod tests {
    use super::check_of;
    use crate::doctor::check::Verdict;

    #[test]
    fn what_is_lost_without_it_is_told() {
        assert_eq!((check_of(true).verdict, check_of(true).fix), (Verdict::Ok, None));
        let without = check_of(false);
        assert_eq!(without.verdict, Verdict::Note);
        assert!(without.detail.contains("unknown sessions"));
        assert!(without.fix.is_some_and(|fix| fix.contains("--cap-add BPF")));
    }
}
