//! Tunnels over a program's L2TPIP socket (`L2TP_ATTR_FD`).

use std::os::fd::{AsFd, BorrowedFd};

use l2tp_abi::Errno;
use l2tp_abi::genl::ferrowire::socket::SocketCall;
use l2tp_abi::genl::l2tp::{Request, TunnelCreate, TunnelMessage, TunnelSocket};

use crate::form::Form;
use crate::host::Host;
use crate::l2tpip_socket::{L2tpipSocket, control};
use crate::pair::{Pair, inner4, session_ids, tunnel_ids};
use crate::require;
use crate::variant::Variant;
use crate::wait;

/// `L2TP_ENCAPTYPE_UDP`, `L2TP_ENCAPTYPE_IP`.
const UDP: u16 = 0;
const IP: u16 = 1;

fn create(conn_id: u32, peer_conn_id: u32, encap_type: u16) -> Request {
    Request::TunnelCreate(TunnelCreate {
        conn_id,
        peer_conn_id,
        proto_version: 3,
        encap_type,
        socket: TunnelSocket::Fd(3),
        udp_csum: false,
        udp_zero_csum6_tx: false,
        udp_zero_csum6_rx: false,
    })
}

/// The answer to a tunnel over `descriptor`, and whether tunnel 1 is there afterwards.
fn attempt(host: &Host, encap_type: u16, descriptor: BorrowedFd<'_>) -> (Option<Errno>, bool) {
    let mut door = host.door();
    let answer = door.ask_with(&create(1, 1, encap_type), descriptor).err();
    let there = door.ask(&Request::TunnelDelete(1), |_| {}).is_ok();
    (answer, there)
}

fn tunnel(host: &Host, conn_id: u32) -> Option<TunnelMessage> {
    let mut found = None;
    let asked =
        host.door().ask(&Request::TunnelGet(conn_id), |message| found = TunnelMessage::parse(message));
    asked.ok().and(found).map(|(_, message)| message)
}

#[test]
fn which_descriptors_as_recorded_of_the_kernel() {
    if !require::met(&[]) {
        return;
    }
    let mut host = Host::new();
    host.ip("link set lo up");
    host.start_daemon();
    let (taken, refused) = ((None, true), (Some(Errno::EPROTONOSUPPORT), false));
    let local4 = |conn_id| L2tpipSocket::bound(&host, "127.0.0.1", conn_id);
    let connected = || L2tpipSocket::connected(&host, ("127.0.0.1", 77), ("127.0.0.1", 78));
    let raw = host.here(|| l2tp_io::rawip::RawSocket::open(l2tp_io::rawip::Family::V4).unwrap());
    let file = std::fs::File::open("/").unwrap();
    // fd.encap-udp.l2tpip4, -bound, -connected
    assert_eq!(attempt(&host, UDP, L2tpipSocket::open(&host, 2).as_fd()), refused);
    assert_eq!(attempt(&host, UDP, local4(50).as_fd()), refused);
    assert_eq!(attempt(&host, UDP, connected().as_fd()), refused);
    // fd.encap-ip.l2tpip4-bound, -connected, l2tpip6-bound; not bound at all is as good.
    assert_eq!(attempt(&host, IP, local4(51).as_fd()), taken);
    assert_eq!(attempt(&host, IP, connected().as_fd()), taken);
    assert_eq!(attempt(&host, IP, L2tpipSocket::bound(&host, "::1", 52).as_fd()), taken);
    assert_eq!(attempt(&host, IP, L2tpipSocket::open(&host, 10).as_fd()), taken);
    // fd.encap-ip.raw4, file
    assert_eq!(attempt(&host, IP, raw.as_fd()), refused);
    assert_eq!(attempt(&host, IP, file.as_fd()), (Some(Errno::ENOTSOCK), false));
}

#[test]
fn a_socket_carries_one_tunnel_at_a_time() {
    if !require::met(&[]) {
        return;
    }
    let mut host = Host::new();
    host.start_daemon();
    let (socket, mut door) = (L2tpipSocket::bound(&host, "0.0.0.0", 5), host.door());
    assert_eq!(door.ask_with(&create(1, 2, IP), socket.as_fd()), Ok(()));
    assert_eq!(door.ask_with(&create(2, 2, IP), socket.as_fd()), Err(Errno::EBUSY));
    assert_eq!(door.ask(&Request::TunnelDelete(1), |_| {}), Ok(()));
    assert_eq!(door.ask_with(&create(2, 2, IP), socket.as_fd()), Ok(()));
    assert!(tunnel(&host, 1).is_none() && tunnel(&host, 2).is_some());
}

/// Tunnel 1 and session 1 over L2TPIP sockets that programs hold.
fn up(pair: &Pair, form: Form) -> (L2tpipSocket, L2tpipSocket) {
    let (a, b) = (form.address(1), form.address(2));
    let (near, far) = tunnel_ids(1);
    let sockets = [
        L2tpipSocket::connected(&pair.a, (&a, near), (&b, far)),
        L2tpipSocket::connected(&pair.b, (&b, far), (&a, near)),
    ];
    for (host, socket, ids) in [(&pair.a, &sockets[0], (near, far)), (&pair.b, &sockets[1], (far, near))] {
        assert_eq!(host.door().ask_with(&create(ids.0, ids.1, IP), socket.as_fd()), Ok(()));
    }
    pair.add_session(1, 1, Variant::PLAIN);
    pair.configure([1]);
    sockets.into()
}

#[test]
fn data_and_control_side_by_side_until_the_last_copy_is_closed() {
    if !require::met(&[]) {
        return;
    }
    for form in [Form::Ip4, Form::Ip6] {
        let pair = Pair::new();
        let (near, far) = up(&pair, form);
        pair.a.ping(&inner4(1, 2), 1000);
        near.write(None, &control(tunnel_ids(1).1, "hello"));
        assert_eq!(far.read().unwrap().1, control(tunnel_ids(1).1, "hello"));
        assert!(!far.waits(0), "data does not come here");
        let shown = tunnel(&pair.a, tunnel_ids(1).0).unwrap();
        assert_eq!(
            (shown.local, shown.peer),
            (form.address(1).parse().unwrap(), form.address(2).parse().unwrap())
        );
        assert_eq!(shown.ports, None);

        let copy = near.descriptor.try_clone().unwrap();
        drop(near);
        pair.a.ping(&inner4(1, 2), 1000);
        drop(copy);
        wait::until("the tunnel dies with its socket", || tunnel(&pair.a, tunnel_ids(1).0).is_none());
        wait::until("and its device with it", || pair.a.link("pw1").is_none());
        assert!(tunnel(&pair.b, tunnel_ids(1).1).is_some());
    }
}

#[test]
fn the_tunnel_goes_where_the_socket_goes() {
    if !require::met(&[]) {
        return;
    }
    let pair = Pair::new();
    let (mut near, _far) = up(&pair, Form::Ip4);
    // Away, where nobody answers, and to nobody at all: there frames fail. And back.
    near.connect(&Form::Ip4.address(9), 1);
    pair.a.ping_in_vain(&inner4(1, 2));
    let shown = tunnel(&pair.a, tunnel_ids(1).0).unwrap();
    assert_eq!(shown.peer.to_string(), Form::Ip4.address(9));
    near.call(SocketCall::Connect(&[0; 16])).unwrap();
    let shown = tunnel(&pair.a, tunnel_ids(1).0).unwrap();
    assert_eq!((shown.local.to_string(), shown.peer.to_string()), ("0.0.0.0".into(), "0.0.0.0".into()));
    let errors = || pair.a.door().session_stats(tunnel_ids(1).0, session_ids(1).0).tx_errors;
    let before = errors();
    pair.a.ping_in_vain(&inner4(1, 2));
    assert!(errors() > before);
    near.connect(&Form::Ip4.address(2), tunnel_ids(1).1);
    pair.a.reach(&inner4(1, 2));
}

#[test]
fn a_deleted_tunnel_leaves_the_socket() {
    if !require::met(&[]) {
        return;
    }
    let pair = Pair::new();
    let (near, far) = up(&pair, Form::Ip4);
    assert_eq!(pair.a.door().ask(&Request::TunnelDelete(tunnel_ids(1).0), |_| {}), Ok(()));
    near.write(None, &control(tunnel_ids(1).1, "the end"));
    assert_eq!(far.read().unwrap().1, control(tunnel_ids(1).1, "the end"));
    // A daemon that ends with sockets open ends.
    drop(pair);
    assert!(near.waits(2), "hang-up");
}
