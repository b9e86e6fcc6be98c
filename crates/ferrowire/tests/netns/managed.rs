//! Tunnels on a program's own UDP socket (`L2TP_ATTR_FD`).

use std::fs::File;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

use l2tp_abi::Errno;
use l2tp_abi::genl::l2tp::{
    L2TP_ENCAPTYPE_IP, L2TP_ENCAPTYPE_UDP, L2TP_PWTYPE_PPP, Request, SessionCreate, TunnelCreate,
    TunnelSocket,
};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, socket_with, sockopt};

use crate::crafted::{NO_NUMBER, UDP_DATA, frame, packet};
use crate::door::Door;
use crate::form::Form;
use crate::host::Host;
use crate::pair::{Pair, device, inner4, session_ids, session_words, tunnel_ids};
use crate::require;
use crate::tcp::transfer;
use crate::variant::Variant;
use crate::wait;

const FORMS: [Form; 2] = [Form::Udp4, Form::Udp6];

/// A control message, which is nobody's but the program's.
const CONTROL: [u8; 20] = [0xc8, 3, 0, 20, 0, 0, 0, 1, 0, 0, 0, 0, 0x80, 8, 0, 0, 0, 0, 0, 6];

/// A program's socket at host `number`, port 1701, shared with whoever asks; connected to the other host's.
fn socket(host: &Host, form: Form, number: u8) -> UdpSocket {
    let [local, peer] = [number, 3 - number].map(|number| form.address(number).parse::<IpAddr>().unwrap());
    let socket = unbound(host, form);
    bind(&socket, &SocketAddr::new(local, 1701)).unwrap();
    socket.connect(SocketAddr::new(peer, 1701)).unwrap();
    socket
}

fn unbound(host: &Host, form: Form) -> UdpSocket {
    let family = if form.is_v4() { AddressFamily::INET } else { AddressFamily::INET6 };
    let socket = host.here(|| socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None).unwrap());
    sockopt::set_socket_reuseaddr(&socket, true).unwrap();
    let socket = UdpSocket::from(socket);
    socket.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    socket
}

/// The request for tunnel `n` at host `number`.
fn create(n: u16, number: u8, version: u8) -> Request {
    let (a, b) = tunnel_ids(n);
    let (conn_id, peer_conn_id) = if number == 1 { (a, b) } else { (b, a) };
    Request::TunnelCreate(TunnelCreate {
        conn_id,
        peer_conn_id,
        proto_version: version,
        encap_type: L2TP_ENCAPTYPE_UDP,
        // The number is the program's own affair.
        socket: TunnelSocket::Fd(77),
        udp_csum: false,
        udp_zero_csum6_tx: false,
        udp_zero_csum6_rx: false,
    })
}

/// Tunnel `n` at both hosts on sockets of programs; both programs' sockets.
pub(crate) fn add_tunnel(pair: &Pair, form: Form, n: u16) -> [UdpSocket; 2] {
    [(&pair.a, 1), (&pair.b, 2)].map(|(host, number)| {
        let socket = socket(host, form, number);
        host.door().ask_with(&create(n, number, 3), &socket).unwrap();
        socket
    })
}

/// The same with session `k`.
fn add(pair: &Pair, form: Form, n: u16, k: u8) -> [UdpSocket; 2] {
    let sockets = add_tunnel(pair, form, n);
    pair.add_session(n, k, Variant::PLAIN);
    sockets
}

/// What a program receives next.
fn next(socket: &UdpSocket) -> Vec<u8> {
    let mut buffer = [0; 2000];
    let length = wait::undisturbed(|| socket.recv(&mut buffer)).unwrap();
    buffer[..length].to_vec()
}

fn is_gone(door: &mut Door, conn_id: u32) -> bool {
    door.tunnel(conn_id) == Err(Errno::ENODEV)
}

#[test]
fn data_goes_through_the_tunnel() {
    if !require::met(&[]) {
        return;
    }
    for form in FORMS {
        let pair = Pair::new();
        let [a, b] = add(&pair, form, 1, 1);
        pair.configure([1]);
        transfer(&pair.a, &pair.b, &inner4(1, 2), 4 << 20);
        transfer(&pair.b, &pair.a, &inner4(1, 1), 4 << 20);
        // Larger than the link: outer fragments.
        pair.a.ip("link set pw1 mtu 3000");
        pair.b.ip("link set pw1 mtu 3000");
        pair.a.ping(&inner4(1, 2), 2900);
        pair.settle(1, 1);
        // Nothing of all that has come to the programs.
        for (from, to) in [(&a, &b), (&b, &a)] {
            from.send(&CONTROL).unwrap();
            assert_eq!(next(to), CONTROL);
        }
        let told = pair.a.door().tunnel(tunnel_ids(1).0).unwrap();
        assert_eq!(told.ports, Some((1701, 1701)));
        assert_eq!((told.local, told.peer), (a.local_addr().unwrap().ip(), b.local_addr().unwrap().ip()));
        assert_eq!(told.udp_csum, form.is_v4().then_some(true));
    }
}

#[test]
fn what_is_no_sessions_goes_to_the_program() {
    if !require::met(&[]) || !require::bpf() {
        return;
    }
    for form in FORMS {
        let pair = Pair::new();
        let [a, b] = add(&pair, form, 1, 1);
        let unknown = [&UDP_DATA[..], &packet(77, &[], NO_NUMBER, &frame(1))].concat();
        let wrong_version =
            [&[0, 2, 0, 0][..], &packet(session_ids(1).1, &[], NO_NUMBER, &frame(1))].concat();
        for message in [&CONTROL[..], &unknown, &wrong_version, &CONTROL[..5], &UDP_DATA] {
            a.send(message).unwrap();
            assert_eq!(next(&b), message);
        }
    }
}

#[test]
fn the_tunnel_dies_with_the_last_descriptor_and_not_before() {
    if !require::met(&[]) {
        return;
    }
    for form in FORMS {
        let pair = Pair::new();
        let [a, _b] = add(&pair, form, 1, 1);
        let mut door = pair.a.door();
        let copy = a.try_clone().unwrap();
        drop(a);
        std::thread::sleep(Duration::from_millis(300));
        assert!(!is_gone(&mut door, tunnel_ids(1).0));
        drop(copy);
        wait::until("the tunnel is gone", || is_gone(&mut door, tunnel_ids(1).0));
        wait::until("its device is gone", || pair.a.link(&device(1)).is_none());
        assert_eq!(door.session(tunnel_ids(1).0, session_ids(1).0), Err(Errno::ENODEV));
        // The port is free at once for one who shares it with nobody.
        let address = SocketAddr::new(form.address(1).parse().unwrap(), 1701);
        let again = pair.a.here(|| UdpSocket::bind(address).unwrap());
        door.ask_with(&create(1, 1, 3), &again).unwrap();
    }
}

#[test]
fn a_deleted_tunnel_leaves_the_socket_to_its_program() {
    if !require::met(&[]) || !require::bpf() {
        return;
    }
    let pair = Pair::new();
    let [a, b] = add(&pair, Form::Udp4, 1, 1);
    let mut door = pair.b.door();
    assert_eq!(door.ask_with(&create(2, 2, 3), &b), Err(Errno::EBUSY));
    let data = [&UDP_DATA[..], &packet(session_ids(1).1, &[], NO_NUMBER, &frame(1))].concat();
    a.send(&data).unwrap();
    a.send(&CONTROL).unwrap();
    assert_eq!(next(&b), CONTROL, "data is the session's");
    door.ask(&Request::TunnelDelete(tunnel_ids(1).1), |_| {}).unwrap();
    a.send(&data).unwrap();
    assert_eq!(next(&b), data);
    // And it can carry another.
    door.ask_with(&create(2, 2, 3), &b).unwrap();
    pair.b.l2tp(&session_words(2, 1, 2));
    a.send(&data).unwrap();
    a.send(&CONTROL).unwrap();
    assert_eq!(next(&b), CONTROL);
    drop(b);
    wait::until("the second tunnel is gone", || is_gone(&mut door, tunnel_ids(2).1));
}

/// Data follows the program's socket: while it is not bound, not connected, and connected elsewhere.
#[test]
fn the_tunnel_goes_where_its_socket_goes() {
    if !require::met(&[]) {
        return;
    }
    for form in FORMS {
        let pair = Pair::new();
        let (a, b) = (unbound(&pair.a, form), socket(&pair.b, form, 2));
        for (host, socket, number) in [(&pair.a, &a, 1), (&pair.b, &b, 2)] {
            host.door().ask_with(&create(1, number, 3), socket).unwrap();
            host.l2tp(&session_words(1, 1, number));
        }
        let mut door = pair.a.door();
        let told = door.tunnel(tunnel_ids(1).0).unwrap();
        assert_eq!((told.ports, told.local.is_unspecified()), (Some((0, 0)), true));
        let local: IpAddr = form.address(1).parse().unwrap();
        bind(&a, &SocketAddr::new(local, 1701)).unwrap();
        assert_eq!(door.tunnel(tunnel_ids(1).0).unwrap().ports, Some((1701, 0)));
        // To nowhere in particular: an error, as in the kernel.
        pair.a.set_up_quietly("pw1");
        pair.a.ip(&format!("addr add {}/24 dev pw1", inner4(1, 1)));
        pair.a.ping_in_vain(&inner4(1, 2));
        let stats = door.session_stats(tunnel_ids(1).0, session_ids(1).0);
        assert!(stats.tx_errors > 0 && stats.tx_packets == 0, "{stats:?}");

        a.connect(SocketAddr::new(form.address(2).parse().unwrap(), 1701)).unwrap();
        pair.b.ip(&format!("addr add {}/24 dev pw1", inner4(1, 2)));
        pair.b.ip("link set pw1 up");
        pair.a.reach(&inner4(1, 2));
        assert_eq!(door.tunnel(tunnel_ids(1).0).unwrap().ports, Some((1701, 1701)));

        // b moves to another port, and a follows.
        let moved = unbound(&pair.b, form);
        bind(&moved, &SocketAddr::new(form.address(2).parse().unwrap(), 1702)).unwrap();
        moved.connect(SocketAddr::new(local, 1701)).unwrap();
        drop(b);
        let mut other = pair.b.door();
        wait::until("b's tunnel is gone", || is_gone(&mut other, tunnel_ids(1).1));
        wait::until("its device is gone", || pair.b.link(&device(1)).is_none());
        other.ask_with(&create(1, 2, 3), &moved).unwrap();
        pair.b.l2tp(&session_words(1, 1, 2));
        pair.b.ip(&format!("addr add {}/24 dev pw1", inner4(1, 2)));
        pair.b.ip("link set pw1 up");
        a.connect(SocketAddr::new(form.address(2).parse().unwrap(), 1702)).unwrap();
        // The new device has another hardware address.
        pair.a.ip("neigh flush dev pw1");
        pair.a.reach(&inner4(1, 2));
    }
}

/// The kernel's document calls it a limit: sockets of several tunnels at one address and port, with one peer.
#[test]
fn several_tunnels_share_a_5_tuple() {
    if !require::met(&[]) {
        return;
    }
    for form in FORMS {
        let pair = Pair::new();
        let sockets: Vec<_> = (1..=6).map(|n| add(&pair, form, n.into(), n)).collect();
        pair.configure(1..=6);
        for k in 1..=6 {
            transfer(&pair.a, &pair.b, &inner4(k, 2), 1 << 18);
            pair.settle(k.into(), k);
        }
        // One leaves, and the others go on.
        let mut sockets = sockets;
        drop(sockets.remove(2));
        let mut door = pair.a.door();
        wait::until("its tunnel is gone", || is_gone(&mut door, tunnel_ids(3).0));
        for k in [1, 2, 4, 5, 6] {
            pair.a.reach(&inner4(k, 2));
        }
    }
}

/// Version 2 tells tunnels apart by its header.
#[test]
fn tunnels_of_version_2_share_a_5_tuple() {
    if !require::met(&[]) || !require::bpf() {
        return;
    }
    let mut pair = Pair::without_daemons();
    pair.a.start_daemon();
    let mut door = pair.a.door();
    let sockets: Vec<_> = (1..=3)
        .map(|n| {
            let socket = socket(&pair.a, Form::Udp4, 1);
            door.ask_with(&create(n, 1, 2), &socket).unwrap();
            let session = SessionCreate {
                conn_id: tunnel_ids(n).0,
                session_id: 5,
                peer_session_id: 5,
                pw_type: L2TP_PWTYPE_PPP,
                ..SessionCreate::default()
            };
            door.ask(&Request::SessionCreate(session), |_| {}).unwrap();
            socket
        })
        .collect();
    let peer = socket(&pair.b, Form::Udp4, 2);
    let data = |tunnel: u32, session: u16| {
        let tunnel = u16::try_from(tunnel).unwrap();
        [
            &[0, 2][..],
            &tunnel.to_be_bytes(),
            &session.to_be_bytes(),
            &[0xff, 3, 0xc0, 0x21, 9, 1, 0, 8, 0, 0, 0, 0],
        ]
        .concat()
    };
    for n in 1..=3 {
        for _ in 0..n {
            peer.send(&data(tunnel_ids(n).0, 5)).unwrap();
        }
    }
    for n in 1..=3 {
        wait::until("each has its own", || door.session_stats(tunnel_ids(n).0, 5).rx_packets == u64::from(n));
    }
    // Of a session or tunnel that is not there: the kernel's choice of sockets.
    peer.send(&data(tunnel_ids(1).0, 6)).unwrap();
    peer.send(&data(77, 5)).unwrap();
    let reader = sockets.last().unwrap();
    assert_eq!([next(reader), next(reader)], [data(tunnel_ids(1).0, 6), data(77, 5)]);
}

#[test]
fn descriptors_that_are_no_tunnel_sockets() {
    if !require::met(&[]) {
        return;
    }
    let pair = Pair::new();
    let mut door = pair.a.door();
    let request = create(1, 1, 3);
    assert_eq!(door.ask(&request, |_| {}), Err(Errno::EBADF));
    assert_eq!(door.ask_with(&request, File::open("/dev/null").unwrap()), Err(Errno::ENOTSOCK));
    let elsewhere = socket(&pair.b, Form::Udp4, 2);
    assert_eq!(door.ask_with(&request, &elsewhere), Err(Errno::EINVAL));
    let tcp = pair.a.here(|| std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    assert_eq!(door.ask_with(&request, &tcp), Err(Errno::EPROTONOSUPPORT));
    let udp = socket(&pair.a, Form::Udp4, 1);
    let Request::TunnelCreate(create) = request.clone() else { unreachable!() };
    let over_ip = Request::TunnelCreate(TunnelCreate { encap_type: L2TP_ENCAPTYPE_IP, ..create });
    assert_eq!(door.ask_with(&over_ip, udp.as_fd()), Err(Errno::EPROTONOSUPPORT));
    // A descriptor goes with one request: it is closed, whatever became of that.
    door.ask_with(&request, &udp).unwrap();
    let before = pair.a.door();
    drop((udp, before));
    wait::until("the tunnel is gone", || is_gone(&mut door, tunnel_ids(1).0));
}
