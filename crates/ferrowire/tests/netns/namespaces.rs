//! A daemon in several namespaces: each has tunnels and ids of its own, they end with it, and it ends when nobody uses it.

use std::os::fd::AsFd;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use l2tp_abi::Errno;
use l2tp_abi::control::Control;
use l2tp_abi::genl::l2tp::{L2TP_CMD_TUNNEL_CREATE, L2TP_CMD_TUNNEL_DELETE};
use rustix::process::Signal;

use crate::control::Controlled;
use crate::daemon::Daemon;
use crate::form::Form;
use crate::host::Host;
use crate::named::{Named, ip};
use crate::pair::{Pair, WAN, device, inner4, session_ids, tunnel_ids};
use crate::require;
use crate::variant::Variant;
use crate::wait;

/// Two named namespaces with a link between them, tunnels of all forms over it, each with a session, served by one daemon in a
/// third.
fn busy() -> Option<(Named, Named, Pair, Daemon)> {
    let (first, second) = (Named::new()?, Named::new()?);
    let pair = Pair::between(first.host(), second.host());
    let daemon = Host::new().here(|| Daemon::start(&["--netns", first.name(), "--netns", second.name()]));
    for (n, form) in (1..).zip(Form::ALL) {
        pair.add_tunnel(form, n.into(), "");
        pair.add_session(n.into(), n, Variant::PLAIN);
    }
    pair.configure(1..=4);
    Some((first, second, pair, daemon))
}

/// A program that has been started.
struct Running(Child);

impl Running {
    fn start(host: &Host, program: &str, words: &str) -> Self {
        let mut command = Command::new(program);
        command.args(words.split_whitespace()).stdin(Stdio::null()).stdout(Stdio::null());
        Self(host.here(|| command.spawn().unwrap()))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
fn one_daemon_serves_several() {
    if !require::met(&[]) {
        return;
    }
    let Some((first, _second, pair, mut daemon)) = busy() else { return };
    for k in 1..=4 {
        pair.b.ping(&inner4(k, 1), 1000);
    }
    // Both ends have a device of this name.
    assert!(pair.a.link("pw1").is_some() && pair.b.link("pw1").is_some());
    let again = Host::new().run(crate::daemon::FERROWIRE, &["daemon", "--netns", first.name()]);
    let said = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(said.contains(first.name()) && said.contains("another ferrowire daemon serves this"), "{said}");
    daemon.signal(Signal::TERM);
    assert!(daemon.ended().success());
    for host in [&pair.a, &pair.b] {
        assert_eq!(host.links().into_iter().map(|link| link.name).collect::<Vec<_>>(), ["lo", WAN]);
    }
}

#[test]
fn ids_are_per_namespace() {
    if !require::met(&[]) {
        return;
    }
    let (first, second, controlled) = (Host::new(), Host::new(), Controlled::start());
    for host in [&first, &second] {
        assert_eq!(controlled.serve(host), Ok(host.netns.inode().unwrap()));
    }
    let tunnel = "add tunnel tunnel_id 1 peer_tunnel_id 2 encap udp local 127.0.0.1 remote 127.0.0.1 udp_sport 1 udp_dport 2";
    for host in [&first, &second] {
        host.l2tp(tunnel);
        host.l2tp("add session tunnel_id 1 session_id 3 peer_session_id 4");
        assert_eq!(host.link("l2tpeth0").map(|link| link.up), Some(false));
        assert_eq!(host.l2tp_refused(tunnel), "RTNETLINK answers: File exists\n");
    }
    first.l2tp("del tunnel tunnel_id 1");
    assert_eq!(first.l2tp("show tunnel"), "");
    assert_eq!(first.door().session(1, 3), Err(Errno::ENODEV));
    assert!(second.door().session(1, 3).is_ok());
}

/// As the kernel: the group "l2tp" hears of all namespaces.
#[test]
fn listeners_hear_of_every_namespace() {
    if !require::met(&[]) {
        return;
    }
    let (first, second, controlled) = (Host::new(), Host::new(), Controlled::start());
    for host in [&first, &second] {
        controlled.serve(host).unwrap();
    }
    let mut door = second.door();
    door.join();
    for (host, id) in [(&first, 1), (&second, 2)] {
        host.l2tp(&format!(
            "add tunnel tunnel_id {id} peer_tunnel_id 9 encap ip local 127.0.0.1 remote 127.0.0.1"
        ));
        assert_eq!(door.hear_of_tunnel(), (L2TP_CMD_TUNNEL_CREATE, id));
    }
    first.l2tp("del tunnel tunnel_id 1");
    assert_eq!(door.hear_of_tunnel(), (L2TP_CMD_TUNNEL_DELETE, 1));
}

/// Everything of a namespace that is deleted goes while traffic flows: with it the other end of its link.
#[test]
fn deleted_with_live_tunnels() {
    if !require::met(&[]) {
        return;
    }
    let Some((first, second, Pair { a, b }, mut daemon)) = busy() else { return };
    let _traffic = Running::start(&b, "ping", &format!("-q -i 0.01 {}", inner4(1, 1)));
    let third = Host::new();
    a.hand_over("pw2", &third);
    drop(a);
    let name = first.delete();
    wait::until("the namespace is gone", || b.link(WAN).is_none());
    assert!(third.link("pw2").is_none(), "a device that was moved away goes too");
    assert_eq!(b.l2tp("show session").matches("interface name: pw").count(), 4, "the other end lives on");
    // The name is free, and the new namespace is another one.
    assert!(ip(&["netns", "add", &name]).status.success());
    assert!(ip(&["netns", "del", &name]).status.success());
    assert!(daemon.is_running());
    drop((b, _traffic, second));
    assert!(daemon.ended().success(), "nothing is left to serve");
    assert_eq!(daemon.said(), "");
}

#[test]
fn a_process_inside_keeps_it() {
    if !require::met(&[]) {
        return;
    }
    let Some(named) = Named::new() else { return };
    let mut daemon = Daemon::start(&["--netns", named.name()]);
    let (here, peer) = (named.host(), Host::new());
    crate::pair::connect((&here, WAN), (&peer, WAN));
    let inside = Running::start(&here, "sleep", "1000");
    drop((here, named));
    // Some looks later.
    assert!(!wait::within(Duration::from_secs(2), || peer.link(WAN).is_none()));
    assert!(daemon.is_running());
    drop(inside);
    wait::until("the namespace is gone", || peer.link(WAN).is_none());
    assert!(daemon.ended().success());
}

#[test]
fn a_descriptor_keeps_it() {
    if !require::met(&[]) {
        return;
    }
    let Some(named) = Named::new() else { return };
    let mut daemon = Daemon::start(&["--netns", named.name()]);
    let here = named.host();
    drop(named);
    std::thread::sleep(Duration::from_secs(1));
    here.l2tp("add tunnel tunnel_id 1 peer_tunnel_id 2 encap ip local 127.0.0.1 remote 127.0.0.1");
    drop(here);
    assert!(daemon.ended().success());
}

/// A daemon that does not see who uses a namespace keeps it, and says so.
#[test]
fn who_cannot_look_keeps_it() {
    if !require::met(&["setpriv"]) {
        return;
    }
    let Some(named) = Named::new() else { return };
    let peer = Host::new();
    crate::pair::connect((&named.host(), WAN), (&peer, WAN));
    let mut command = Command::new("setpriv");
    command.args(["--bounding-set", "-sys_ptrace", crate::daemon::FERROWIRE]);
    let mut daemon = Daemon::start_by(command, &["--netns", named.name()]);
    assert!(daemon.said().contains("is kept alive until the daemon ends"), "{}", daemon.said());
    drop(named);
    assert!(!wait::within(Duration::from_secs(2), || peer.link(WAN).is_none()));
    daemon.signal(Signal::TERM);
    assert!(daemon.ended().success());
    wait::until("the namespace is gone", || peer.link(WAN).is_none());
}

/// The daemon's own namespace is nobody's to delete.
#[test]
fn its_own_is_never_given_up() {
    if !require::met(&[]) {
        return;
    }
    let Some(named) = Named::new() else { return };
    let mut daemon = named.host().here(|| Daemon::start(&["--netns", named.name()]));
    let peer = Host::new();
    crate::pair::connect((&named.host(), WAN), (&peer, WAN));
    drop(named);
    std::thread::sleep(Duration::from_secs(1));
    assert!(daemon.is_running() && peer.link(WAN).is_some());
    daemon.signal(Signal::TERM);
    assert!(daemon.ended().success());
    wait::until("the namespace is gone", || peer.link(WAN).is_none());
}

/// A device moved away is still controlled from where its session is.
#[test]
fn a_device_moved_away() {
    if !require::met(&[]) {
        return;
    }
    let Some((_first, _second, pair, _daemon)) = busy() else { return };
    let third = Host::new();
    pair.a.hand_over(&device(1), &third);
    third.ip(&format!("addr add {}/24 dev pw1", inner4(1, 1)));
    third.ip("link set pw1 up");
    third.reach(&inner4(1, 2));
    let ids = format!("tunnel_id {} session_id {}", tunnel_ids(1).0, session_ids(1).0);
    pair.a.l2tp(&format!("set session {ids} seq both"));
    pair.b.l2tp(&format!(
        "set session tunnel_id {} session_id {} seq both",
        tunnel_ids(1).1,
        session_ids(1).1
    ));
    third.ping(&inner4(1, 2), 56);
    assert!(pair.a.door().session(tunnel_ids(1).0, session_ids(1).0).unwrap().send_seq);
    pair.a.l2tp(&format!("del session {ids}"));
    wait::until("the device is gone", || third.link("pw1").is_none());
    // And the namespace that another is moved to may die first.
    pair.a.hand_over(&device(2), &third);
    drop(third);
    let mut door = pair.a.door();
    wait::until("its session is gone", || {
        door.session(tunnel_ids(2).0, session_ids(2).0) == Err(Errno::ENODEV)
    });
    pair.a.ping(&inner4(3, 2), 56);
}

#[test]
fn handed_in_and_given_up_and_handed_in_again() {
    if !require::met(&[]) {
        return;
    }
    let (mut controlled, host, peer) = (Controlled::start(), Host::new(), Host::new());
    let netns = host.netns.inode().unwrap();
    assert_eq!(controlled.serve(&host), Ok(netns));
    assert_eq!(controlled.serve(&host), Ok(netns), "twice is once");
    crate::pair::connect((&host, WAN), (&peer, WAN));
    // This process made the control socket, so what it holds does not count. A child of it does.
    let inside = Running::start(&host, "sleep", "1000");
    std::thread::sleep(Duration::from_secs(1));
    host.l2tp("add tunnel tunnel_id 1 peer_tunnel_id 2 encap ip local 127.0.0.1 remote 127.0.0.1");
    drop(inside);
    assert_eq!(controlled.hear(), Control::Gone { netns });
    // It is still alive, because we hold it: the door is closed, and may be opened again.
    assert!(!host.run(crate::daemon::FERROWIRE, &["l2tp", "show", "tunnel"]).status.success());
    let inside = Running::start(&host, "sleep", "1000");
    assert_eq!(controlled.serve(&host), Ok(netns));
    assert_eq!(host.l2tp("show tunnel"), "");
    drop((inside, host));
    assert_eq!(controlled.hear(), Control::Gone { netns });
    wait::until("the namespace is gone", || peer.link(WAN).is_none());
    assert!(controlled.daemon.is_running());
    assert!(controlled.hang_up().ended().success());
}

#[test]
fn what_cannot_be_served_is_refused() {
    if !require::met(&[]) {
        return;
    }
    let (mut controlled, mut host) = (Controlled::start(), Host::new());
    host.start_daemon();
    assert_eq!(controlled.serve(&host), Err(Errno::EADDRINUSE));
    let (serve, file) = (Control::Serve.emit(), tempfile::tempfile().unwrap());
    let netns = host.netns.as_fd();
    assert_eq!(controlled.ask(&serve, &[file.as_fd()]), Err(Errno::EINVAL));
    assert_eq!(controlled.ask(&serve, &[]), Err(Errno::EINVAL));
    assert_eq!(controlled.ask(&serve, &[netns, netns]), Err(Errno::EINVAL));
    assert_eq!(controlled.ask(&[1], &[netns]), Err(Errno::EINVAL));
    assert_eq!(controlled.ask(&[0; 17], &[netns]), Err(Errno::EINVAL));
    assert_eq!(controlled.ask(&Control::Gone { netns: 1 }.emit(), &[]), Err(Errno::EINVAL));
    host.kill_daemon();
    assert!(controlled.serve(&host).is_ok());
    assert!(controlled.daemon.is_running());
}

/// Fifty namespaces come and go, each with a tunnel and a session.
#[test]
fn nothing_is_left_of_those_that_went() {
    if !require::met(&[]) {
        return;
    }
    let controlled = Controlled::start();
    let before = (controlled.daemon.descriptors(), controlled.daemon.threads());
    for _ in 0..5 {
        let hosts: Vec<_> = (0..10).map(|_| Host::new()).collect();
        let mut inside = Vec::new();
        for host in &hosts {
            inside.push(Running::start(host, "sleep", "1000"));
            controlled.serve(host).unwrap();
            host.l2tp("add tunnel tunnel_id 1 peer_tunnel_id 2 encap ip local 127.0.0.1 remote 127.0.0.1");
            host.l2tp("add session tunnel_id 1 session_id 3 peer_session_id 4");
        }
        drop(inside);
        for _ in hosts {
            assert!(matches!(controlled.hear(), Control::Gone { .. }));
        }
    }
    wait::until("descriptors and threads are as before", || {
        (controlled.daemon.descriptors(), controlled.daemon.threads()) == before
    });
}
