//! Tunnels that one thread makes, another deletes or asks for, and whose sockets are closed meanwhile (l2tp-ktest's
//! `race_delete` and `race_query`): nothing hangs, and nothing is left.

use std::net::UdpSocket;
use std::os::fd::{AsFd, OwnedFd};

use l2tp_abi::Errno;
use l2tp_abi::genl::l2tp::{
    L2TP_ENCAPTYPE_IP, L2TP_ENCAPTYPE_UDP, L2TP_PWTYPE_ETH, L2TP_PWTYPE_PPP, Request, SessionCreate,
    SessionKey, TunnelCreate, TunnelSocket,
};

use crate::form::Form;
use crate::host::Host;
use crate::l2tpip_socket::L2tpipSocket;
use crate::require;
use crate::wait;

const TUNNELS: u32 = 150;
const ROUNDS: u32 = 6;

/// What the other thread does meanwhile.
#[derive(Clone, Copy, Debug)]
enum Meanwhile {
    Delete,
    Query,
    DeleteSessions,
}

/// A program's socket, which closing this closes.
fn socket(host: &Host, form: Form, number: u32) -> OwnedFd {
    let local = if form.is_v4() { "127.0.0.1" } else { "::1" };
    if form.is_udp() {
        return host.here(|| UdpSocket::bind((local, 0)).unwrap()).into();
    }
    let bound = L2tpipSocket::connected(host, (local, number), (local, number + 1000));
    bound.descriptor
}

fn create(form: Form, conn_id: u32) -> Request {
    Request::TunnelCreate(TunnelCreate {
        conn_id,
        peer_conn_id: conn_id,
        proto_version: 3,
        encap_type: if form.is_udp() { L2TP_ENCAPTYPE_UDP } else { L2TP_ENCAPTYPE_IP },
        socket: TunnelSocket::Fd(3),
        udp_csum: false,
        udp_zero_csum6_tx: false,
        udp_zero_csum6_rx: false,
    })
}

/// Devices take the kernel long, so few sessions have one.
fn session(conn_id: u32) -> Request {
    let pw_type = if conn_id.is_multiple_of(15) { L2TP_PWTYPE_ETH } else { L2TP_PWTYPE_PPP };
    let (session_id, peer_session_id) = (conn_id, conn_id);
    Request::SessionCreate(SessionCreate {
        conn_id,
        session_id,
        peer_session_id,
        pw_type,
        ..Default::default()
    })
}

/// What is asked for may be gone, or not be there yet.
fn may_be_gone(result: Result<(), Errno>) {
    assert!(matches!(result, Ok(()) | Err(Errno::ENODEV)), "{result:?}");
}

fn round(host: &Host, form: Form, meanwhile: Meanwhile) {
    let sockets: Vec<_> = (1..=TUNNELS).map(|id| (id, socket(host, form, id))).collect();
    let (mut maker, mut other) = (host.door(), host.door());
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let mut kept = Vec::new();
            for (id, socket) in sockets {
                maker.ask_with(&create(form, id), socket.as_fd()).unwrap();
                may_be_gone(maker.ask(&session(id), |_| {}));
                // Every second one is closed at once, the others all together.
                if id % 2 == 0 {
                    kept.push(socket);
                }
            }
        });
        scope.spawn(move || {
            for id in 1..=TUNNELS {
                let key = SessionKey::Ids { conn_id: id, session_id: id };
                may_be_gone(match meanwhile {
                    Meanwhile::Delete => other.ask(&Request::TunnelDelete(id), |_| {}),
                    Meanwhile::Query => other.ask(&Request::TunnelGet(id), |_| {}),
                    Meanwhile::DeleteSessions => other.ask(&Request::SessionDelete(key), |_| {}),
                });
                if id % 30 == 0 {
                    other.ask(&Request::TunnelDump, |_| {}).unwrap();
                    other.ask(&Request::SessionDump, |_| {}).unwrap();
                }
            }
        });
    });
}

fn race(form: Form) {
    if !require::met(&[]) {
        return;
    }
    let mut host = Host::new();
    host.start_daemon();
    // Opens what all tunnels share.
    round(&host, form, Meanwhile::Query);
    let is_empty = |host: &Host| {
        let mut tunnels = 0;
        host.door().ask(&Request::TunnelDump, |_| tunnels += 1).unwrap();
        tunnels == 0 && host.links().len() == 1
    };
    wait::until("the first round leaves nothing", || is_empty(&host));
    let before = host.daemon().descriptors();
    for number in 0..ROUNDS {
        let meanwhile =
            [Meanwhile::Delete, Meanwhile::Query, Meanwhile::DeleteSessions][(number % 3) as usize];
        round(&host, form, meanwhile);
        wait::until(&format!("{meanwhile:?} leaves nothing"), || is_empty(&host));
    }
    assert!(host.daemon().is_running());
    wait::until("every descriptor is closed", || host.daemon().descriptors() <= before);
}

#[test]
fn over_udp_and_ipv4() {
    race(Form::Udp4);
}

#[test]
fn over_udp_and_ipv6() {
    race(Form::Udp6);
}

#[test]
fn over_ip_and_ipv4() {
    race(Form::Ip4);
}

#[test]
fn over_ip_and_ipv6() {
    race(Form::Ip6);
}
