//! The life of a session's device: what a program or a person does to a network device works on this one.

use l2tp_abi::Errno;

use crate::form::Form;
use crate::host::Host;
use crate::pair::{Pair, connect, inner4, session_ids, tunnel_ids};
use crate::require;
use crate::tcp::transfer;
use crate::variant::Variant;
use crate::wait;

#[test]
fn a_port_of_a_bridge() {
    if !require::met(&["bridge"]) {
        return;
    }
    let (pair, third) = (Pair::simple(Form::Udp4), Host::new());
    connect((&pair.b, "lan"), (&third, "eth0"));
    pair.b.ip("addr flush dev pw1");
    pair.b.ip("link add br0 type bridge");
    pair.b.ip("link set br0 up");
    pair.b.ip("link set pw1 master br0");
    pair.b.ip("link set lan master br0");
    assert!(pair.b.bridge("link show").contains("pw1"));
    third.ip("addr add 10.1.1.3/24 dev eth0");
    pair.a.reach("10.1.1.3");
    pair.a.ping("10.1.1.3", 1446 - 28);
    transfer(&third, &pair.a, &inner4(1, 1), 2 << 20);
    transfer(&pair.a, &third, "10.1.1.3", 2 << 20);
}

#[test]
fn renamed_while_it_is_up() {
    if !require::met(&[]) {
        return;
    }
    let pair = Pair::simple(Form::Udp4);
    pair.a.ip("link set pw1 name office");
    pair.a.ping(&inner4(1, 2), 56);
    assert!(pair.a.l2tp("show session").contains("interface name: pw1"));
    // The name is free again.
    pair.a.l2tp("add session name pw1 tunnel_id 1001 session_id 7 peer_session_id 7");
    delete_session(&pair.a);
    gone(&pair.a, "office");
    assert!(pair.a.link("pw1").is_some());
}

#[test]
fn moved_to_another_namespace() {
    if !require::met(&[]) {
        return;
    }
    let (pair, third) = (Pair::simple(Form::Udp6), Host::new());
    pair.a.hand_over("pw1", &third);
    third.ip("addr add 10.1.1.1/24 dev pw1");
    third.ip("link set pw1 up");
    third.reach(&inner4(1, 2));
    transfer(&pair.b, &third, &inner4(1, 1), 1 << 20);
    assert!(pair.a.l2tp("show session").contains("interface name: pw1"));
    pair.settle(1, 1);
    delete_session(&pair.a);
    gone(&third, "pw1");
}

/// The session dies with the namespace that its device was moved to.
#[test]
fn gone_with_the_namespace_it_was_moved_to() {
    if !require::met(&[]) {
        return;
    }
    let (mut pair, third) = (Pair::simple(Form::Udp4), Host::new());
    pair.a.hand_over("pw1", &third);
    third.ip("link set pw1 up");
    drop(third);
    session_gone(&pair.a);
    is_idle(&mut pair.a);
}

#[test]
fn deleted_by_somebody_else() {
    if !require::met(&[]) {
        return;
    }
    let mut pair = Pair::simple(Form::Udp4);
    pair.add_session(1, 2, Variant::PLAIN);
    pair.configure([2]);
    pair.a.ip("link del pw1");
    session_gone(&pair.a);
    is_idle(&mut pair.a);
    pair.a.ping(&inner4(2, 2), 56);
    pair.a.l2tp("add session name pw1 tunnel_id 1001 session_id 7 peer_session_id 7");
}

#[test]
fn deleted_while_it_is_down() {
    if !require::met(&[]) {
        return;
    }
    let mut pair = Pair::simple(Form::Ip4);
    pair.a.ip("link set pw1 down");
    is_idle(&mut pair.a);
    pair.a.ip("link del pw1");
    session_gone(&pair.a);
    is_idle(&mut pair.a);
}

#[test]
fn down_and_up_again_with_another_mtu() {
    if !require::met(&[]) {
        return;
    }
    let mut pair = Pair::simple(Form::Ip4);
    pair.a.ip("link set pw1 down");
    // What comes in now has nowhere to go.
    pair.b.ping_in_vain(&inner4(1, 1));
    is_idle(&mut pair.a);
    for host in [&pair.a, &pair.b] {
        host.ip("link set pw1 up mtu 9000");
    }
    pair.b.reach(&inner4(1, 1));
    pair.b.ping(&inner4(1, 1), 9000 - 28);
    transfer(&pair.a, &pair.b, &inner4(1, 2), 2 << 20);
}

#[test]
fn names_taken_and_made() {
    if !require::met(&[]) {
        return;
    }
    let pair = Pair::simple(Form::Udp4);
    let add = |name: &str, id: u32| {
        format!("add session {name} tunnel_id 1001 session_id {id} peer_session_id {id}")
    };
    assert_eq!(pair.a.l2tp_refused(&add("name pw1", 7)), "RTNETLINK answers: File exists\n");
    assert_eq!(pair.a.l2tp_refused(&add("name wan", 7)), "RTNETLINK answers: File exists\n");
    assert_eq!(pair.a.door().session(1001, 7), Err(Errno::ENODEV));
    pair.a.l2tp(&add("", 7));
    pair.a.l2tp(&add("", 8));
    pair.a.l2tp(&add("name office%d", 9));
    let name = |id| pair.a.door().session(1001, id).unwrap().ifname;
    assert_eq!(name(7).as_deref(), Some("l2tpeth0"));
    assert_eq!(name(8).as_deref(), Some("l2tpeth1"));
    assert_eq!(name(9).as_deref(), Some("office0"));
    for device in ["l2tpeth0", "l2tpeth1", "office0"] {
        assert!(!pair.a.link(device).unwrap().up, "{device} is born down");
    }
    pair.a.ping(&inner4(1, 2), 56);
}

/// The route's MTU at the time of creation counts, and nothing that comes later.
#[test]
fn the_mtu_is_that_of_the_route_at_creation() {
    if !require::met(&[]) {
        return;
    }
    let pair = Pair::new();
    pair.add_tunnel(Form::Udp4, 1, "");
    pair.add_tunnel(Form::Ip6, 2, "");
    for (k, mtu) in [(1, 9000), (3, 1280), (5, 1500)] {
        pair.a.ip(&format!("link set wan mtu {mtu}"));
        pair.b.ip(&format!("link set wan mtu {mtu}"));
        pair.add_session(1, k, Variant::PLAIN);
        pair.add_session(2, k + 1, Variant::PLAIN);
        assert_eq!(pair.a.mtu(&format!("pw{k}")), mtu - 54);
        assert_eq!(pair.a.mtu(&format!("pw{}", k + 1)), mtu - 62);
    }
    pair.a.l2tp(&format!("set session tunnel_id 1001 session_id {} seq both", session_ids(1).0));
    assert_eq!(pair.a.mtu("pw1"), 9000 - 54);
}

fn delete_session(host: &Host) {
    host.l2tp(&format!("del session tunnel_id {} session_id {}", tunnel_ids(1).0, session_ids(1).0));
    assert_eq!(host.door().session(tunnel_ids(1).0, session_ids(1).0), Err(Errno::ENODEV));
}

fn session_gone(host: &Host) {
    let mut door = host.door();
    wait::until("the session is gone", || {
        door.session(tunnel_ids(1).0, session_ids(1).0) == Err(Errno::ENODEV)
    });
}

fn gone(host: &Host, device: &str) {
    wait::until(&format!("{device} is gone"), || host.link(device).is_none());
}

/// A daemon that spins would take half a second of every half second.
fn is_idle(host: &mut Host) {
    let before = host.daemon().processor_ticks();
    std::thread::sleep(std::time::Duration::from_millis(500));
    let used = host.daemon().processor_ticks() - before;
    assert!(used <= 10, "{used} of 50 ticks");
}
