//! Super-frames of sessions over IP on BPF, which a pair of devices cuts: whatever becomes of it, nothing is lost.

use rustix::process::Signal;

use crate::form::Form;
use crate::host::Host;
use crate::pair::{Pair, WAN, inner4, inner6, session_words, tunnel_words};
use crate::path::{is_carried, lower, pair, sent_by, up};
use crate::require;
use crate::tcp::transfer;
use crate::variant::Variant;

const CUTTER: &str = "l2tpcut";

fn over_ip() -> Pair {
    let pair = up(pair("bpf", "bpf"), Form::Ip4, Variant { cookies: (8, 0), ..Variant::PLAIN });
    assert!(is_carried(&pair.a) && is_carried(&pair.b));
    pair
}

fn streams(pair: &Pair) {
    transfer(&pair.a, &pair.b, &inner4(1, 2), 2 << 20);
    transfer(&pair.b, &pair.a, &inner6(1, 1), 2 << 20);
    pair.settle(1, 1);
}

fn cutters(host: &Host) -> usize {
    host.links().iter().filter(|link| link.name.starts_with(CUTTER)).count()
}

/// Super-frames come to it whole; its pieces do not come to the workers.
#[test]
fn it_cuts() {
    if !require::fast_path() {
        return;
    }
    let pair = over_ip();
    let workers = sent_by(&pair.a, &lower(&pair.a));
    streams(&pair);
    let (pieces, device) = (sent_by(&pair.a, CUTTER), sent_by(&pair.a, "pw1"));
    assert!(pieces > 1000 && device < pieces, "{device} frames became {pieces}");
    assert!(sent_by(&pair.a, &lower(&pair.a)) - workers < 100);
}

/// A piece that is too long for the way is the workers', who may fragment it.
#[test]
fn pieces_that_are_too_long() {
    if !require::fast_path() {
        return;
    }
    let pair = over_ip();
    for host in [&pair.a, &pair.b] {
        host.ip(&format!("link set {WAN} mtu 1300"));
    }
    let workers = sent_by(&pair.a, &lower(&pair.a));
    streams(&pair);
    assert!(sent_by(&pair.a, &lower(&pair.a)) - workers > 1000);
}

/// Another is made when somebody deletes it.
#[test]
fn it_is_deleted() {
    if !require::fast_path() {
        return;
    }
    let pair = over_ip();
    pair.a.ip(&format!("link del {CUTTER}"));
    streams(&pair);
    assert_eq!(cutters(&pair.a), 2);
    assert!(is_carried(&pair.a));
}

/// A daemon that is killed leaves it to the next one; one that ends does not.
#[test]
fn the_daemon_ends() {
    if !require::fast_path() {
        return;
    }
    let mut pair = Pair::without_daemons();
    for is_killed in [true, true, false] {
        pair.a.start_daemon_with(&["--path", "bpf"]);
        pair.a.l2tp(&tunnel_words(Form::Ip4, 1, 1));
        pair.a.l2tp(&session_words(1, 1, 1));
        assert!(is_carried(&pair.a), "{}", pair.a.path(""));
        assert_eq!(cutters(&pair.a), 2);
        if is_killed {
            pair.a.kill_daemon();
            assert_eq!(cutters(&pair.a), 2);
        }
    }
    pair.a.daemon().signal(Signal::TERM);
    assert!(pair.a.daemon().ended().success());
    assert_eq!(cutters(&pair.a), 0);
}
