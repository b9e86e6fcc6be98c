//! The life of the daemon: one a namespace, and nothing of it is left behind.

use std::net::UdpSocket;

use rustix::process::Signal;

use crate::daemon::{Daemon, FERROWIRE};
use crate::form::Form;
use crate::host::Host;
use crate::named::Named;
use crate::pair::{Pair, WAN, inner4, ports, session_words, tunnel_words};
use crate::require;
use crate::variant::Variant;
use crate::wait;

/// Tunnels of all forms, each with a session.
fn busy_pair() -> Pair {
    let pair = Pair::new();
    for (n, form) in (1..).zip(Form::ALL) {
        pair.add_tunnel(form, n.into(), "");
        pair.add_session(n.into(), n, Variant::PLAIN);
    }
    pair.configure(1..=4);
    pair
}

#[test]
fn there_is_one_daemon_a_namespace() {
    if !require::met(&[]) {
        return;
    }
    let mut pair = Pair::simple(Form::Udp4);
    let second = pair.a.run(FERROWIRE, &["daemon"]);
    assert_eq!(second.status.code(), Some(1));
    assert_eq!(
        String::from_utf8_lossy(&second.stderr),
        "ferrowire: another ferrowire daemon serves this network namespace already\n"
    );
    assert!(pair.a.daemon().is_running());
    pair.a.ping(&inner4(1, 2), 56);
}

#[test]
fn without_a_daemon_the_command_says_so() {
    if !require::met(&[]) {
        return;
    }
    let host = Host::new();
    let output = host.run(FERROWIRE, &["l2tp", "show", "tunnel"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("Start it with \"ferrowire daemon\""), "{said}");
}

#[test]
fn sigterm_leaves_nothing_behind() {
    ending_leaves_nothing_behind(Signal::TERM);
}

#[test]
fn sigint_leaves_nothing_behind() {
    ending_leaves_nothing_behind(Signal::INT);
}

fn ending_leaves_nothing_behind(signal: Signal) {
    if !require::met(&[]) {
        return;
    }
    let (mut pair, third) = (busy_pair(), Host::new());
    pair.a.hand_over("pw1", &third);
    pair.a.daemon().signal(signal);
    assert!(pair.a.daemon().ended().success());
    assert_eq!(names(&pair.a), ["lo", WAN]);
    assert_eq!(names(&third), ["lo"]);
    assert_sockets_are_free(&pair.a);
    let Pair { a, b } = pair;
    assert_namespace_goes(a, &b);
}

/// A namespace lives for as long as anything refers to it; with it goes its end of the link, and with that the other.
fn assert_namespace_goes(a: Host, b: &Host) {
    drop(a);
    wait::until("the namespace is gone", || b.link(WAN).is_none());
}

fn names(host: &Host) -> Vec<String> {
    host.links().into_iter().map(|link| link.name).collect()
}

/// The tunnels' ports can be bound again, and nobody takes packets of protocol 115.
fn assert_sockets_are_free(host: &Host) {
    for (n, form) in (1..).zip(Form::ALL) {
        if form.is_udp() {
            let address = (form.address(1), ports(n).0);
            host.here(|| UdpSocket::bind((address.0.as_str(), address.1)).unwrap());
        }
    }
    for table in ["raw", "raw6"] {
        let open = host.here(|| std::fs::read_to_string(format!("/proc/thread-self/net/{table}")).unwrap());
        assert_eq!(open.lines().count(), 1, "{open}");
    }
}

/// No device, socket or door outlives the process: a new daemon has the same names and ports at once.
#[test]
fn after_a_kill_the_next_daemon_starts_at_once() {
    if !require::met(&[]) {
        return;
    }
    let mut pair = busy_pair();
    for _ in 0..3 {
        pair.a.kill_daemon();
        pair.a.start_daemon();
        for (n, form) in (1..).zip(Form::ALL) {
            pair.a.l2tp(&tunnel_words(form, n.into(), 1));
            pair.a.l2tp(&session_words(n.into(), n, 1));
            pair.a.ip(&format!("addr add {}/24 dev pw{n}", inner4(n, 1)));
            pair.a.ip(&format!("link set pw{n} up"));
        }
        (1..=4).for_each(|k| pair.a.reach(&inner4(k, 2)));
    }
}

/// Deleting a tunnel takes its sessions and devices with it; ids, ports and names are free at once.
#[test]
fn a_deleted_tunnel_can_be_made_again_at_once() {
    if !require::met(&[]) {
        return;
    }
    let mut pair = busy_pair();
    let descriptors = pair.a.daemon().descriptors();
    for _ in 0..5 {
        for (n, form) in (1..).zip(Form::ALL) {
            pair.a.l2tp(&format!("del tunnel tunnel_id {}", 1000 + u32::from(n)));
            pair.a.l2tp(&tunnel_words(form, n.into(), 1));
            pair.a.l2tp(&session_words(n.into(), n, 1));
        }
    }
    assert_eq!(pair.a.l2tp("show session").matches("interface name: pw").count(), 4);
    wait::until("the descriptors of the old ones are closed", || {
        pair.a.daemon().descriptors() == descriptors
    });
}

/// A daemon for a namespace with a name, started from outside of it.
#[test]
fn a_namespace_can_be_named() {
    if !require::met(&[]) {
        return;
    }
    let outside = Host::new();
    let Some(named) = Named::new() else { return };
    let daemon = outside.here(|| Daemon::start(&["--netns", named.name()]));
    let inside = named.host();
    assert_eq!(inside.l2tp("show tunnel"), "");
    drop(daemon);
    let output = outside.run(FERROWIRE, &["daemon", "--netns", "no-such-namespace"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("ip netns add no-such-namespace"), "{said}");
}
