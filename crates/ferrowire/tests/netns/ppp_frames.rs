//! PPP sessions: frames of programs and packets of the network, both ways.

use l2tp_abi::Errno;
use l2tp_abi::genl::ferrowire::socket::{SocketAnswer, SocketCall, SocketRequest};
use l2tp_abi::genl::l2tp::{Request, SessionCreate};
use l2tp_abi::ppp::ioctl::{PPPIOCBRIDGECHAN, PPPIOCDISCONN, PPPIOCGCHAN, PPPIOCGL2TPSTATS, PPPIOCSNPMODE};
use l2tp_abi::ppp::{NpMode, NpModeRequest, SOL_PPPOL2TP, UnitStats};
use l2tp_abi::sockaddr::{AF_PPPOX, Pppol2tpForm, SockaddrPppol2tp};

use crate::form::Form;
use crate::pair::{Pair, tunnel_ids};
use crate::ppp_call::{Call, Object, address, ids, udp};
use crate::require;
use crate::tcp;

/// A call between both hosts, in all forms of an address.
fn calls(pair: &Pair, form: Pppol2tpForm) -> (Call, Call) {
    let outer = if matches!(form, Pppol2tpForm::V2In | Pppol2tpForm::V3In) { Form::Udp4 } else { Form::Udp6 };
    let (a, b) = (outer.address(1), outer.address(2));
    (Call::new(&pair.a, form, 1, &a, &b), Call::new(&pair.b, form, 2, &b, &a))
}

#[test]
fn a_call_in_every_form_carries_frames_and_packets() {
    if !require::met(&[]) {
        return;
    }
    for form in Pppol2tpForm::ALL {
        let pair = Pair::new();
        let (mut near, mut far) = calls(&pair, form);
        // Link control between the channels, network control between the units.
        let (lcp, ipcp) = ([0xc0, 0x21, 1, 1, 0, 4], [0x80, 0x21, 1, 1, 0, 4]);
        near.channel.write(&lcp);
        near.unit.write(&ipcp);
        assert_eq!(far.channel.read().unwrap(), lcp);
        assert_eq!(far.unit.read().unwrap(), ipcp);
        far.channel.write(&lcp);
        assert_eq!(near.channel.read().unwrap(), lcp);

        Call::configure(&pair.a, 1);
        Call::configure(&pair.b, 2);
        for address in ["10.64.0.2", "fd64::2"] {
            pair.a.reach(address);
            pair.a.ping(address, 1300);
        }
        assert!(!near.channel.waits() && !near.unit.waits(), "packets are not the programs'");

        let mtu = pair.a.mtu("ppp0");
        assert_eq!(mtu, 1400);
        let shown = pair.a.ip("-d link show ppp0");
        assert!(shown.contains("link/ppp") && shown.contains("POINTOPOINT"), "{shown}");
        counters(&mut near);
        named(&mut far, form);
    }
}

/// What `pppstats` and the plugin of pppd read.
fn counters(near: &mut Call) {
    let request = SocketRequest { socket: None, call: SocketCall::PppStats(b"ppp0") };
    let SocketAnswer::Value(stats) = near.door.call(request, &[]).unwrap().0 else { panic!("no value") };
    let packets = u32::from_ne_bytes(stats[12..16].try_into().unwrap());
    assert!(stats.len() == UnitStats::SIZE && packets >= 3, "{packets}");
    let call = SocketCall::Ioctl { request: PPPIOCGL2TPSTATS, argument: &[0; 72] };
    let answer = near.session.call(&mut near.door, call, &[]).unwrap();
    let SocketAnswer::Value(stats) = answer else { panic!("no value") };
    assert!(u64::from_ne_bytes(stats[8..16].try_into().unwrap()) > 4, "sent");
    assert_eq!(u64::from_ne_bytes(stats[24..32].try_into().unwrap()), 0, "failed");
}

fn named(far: &mut Call, form: Pppol2tpForm) {
    let SocketAnswer::Address(name) = far.session.call(&mut far.door, SocketCall::Name, &[]).unwrap() else {
        panic!("no address")
    };
    let name = SockaddrPppol2tp::parse(&name).unwrap();
    assert_eq!((name.form, name.fd, name.peer.port()), (form, 3, 1701));
    assert_eq!((name.s_tunnel, name.s_session, name.d_tunnel, name.d_session), (102, 202, 101, 201));
    let lns = SocketCall::Set { level: SOL_PPPOL2TP, option: 4, value: &1_i32.to_ne_bytes() };
    assert_eq!(far.session.call(&mut far.door, lns, &[]), Ok(SocketAnswer::Done));
}

#[test]
fn tcp_crosses_both_ways() {
    if !require::met(&[]) {
        return;
    }
    let pair = Pair::new();
    let _calls = calls(&pair, Pppol2tpForm::V2In);
    Call::configure(&pair.a, 1);
    Call::configure(&pair.b, 2);
    for address in ["10.64.0.2", "fd64::2"] {
        pair.a.reach(address);
        let back = if address.contains(':') { "fd64::1" } else { "10.64.0.1" };
        tcp::transfer(&pair.b, &pair.a, back, 8 << 20);
        tcp::transfer(&pair.a, &pair.b, address, 8 << 20);
    }
}

#[test]
fn a_mode_stops_a_network() {
    if !require::met(&[]) {
        return;
    }
    let pair = Pair::new();
    let (mut near, _far) = calls(&pair, Pppol2tpForm::V2In);
    Call::configure(&pair.a, 1);
    Call::configure(&pair.b, 2);
    pair.a.reach("10.64.0.2");
    let mut set = |mode| {
        let argument = NpModeRequest { protocol: 0x21, mode }.emit();
        let call = SocketCall::Ioctl { request: PPPIOCSNPMODE, argument: &argument };
        near.unit.call(&mut near.door, call, &[]).unwrap();
    };
    set(NpMode::Drop);
    pair.a.ping_in_vain("10.64.0.2");
    pair.a.ping("fd64::2", 56);
    set(NpMode::Pass);
    pair.a.ping("10.64.0.2", 56);
}

#[test]
fn unbound_sockets_read_and_write_frames_and_keep_what_comes_before_the_channel() {
    if !require::met(&[]) {
        return;
    }
    let pair = Pair::new();
    let (a, b) = (Form::Udp4.address(1), Form::Udp4.address(2));
    let mut ends = [(&pair.a, 1, &a, &b), (&pair.b, 2, &b, &a)].map(|(host, number, local, peer)| {
        let (mut door, socket) = (host.door(), udp(host, local, peer));
        let (own, other) = (ids(number), ids(3 - number));
        let management = Object::open(&mut door, SocketCall::Open(AF_PPPOX));
        let tunnel = address(Pppol2tpForm::V2In, (own.0, other.0), (0, 0));
        let beside = [std::os::fd::AsFd::as_fd(&socket)];
        management.call(&mut door, SocketCall::Connect(&tunnel), &beside).unwrap();
        let session = Object::open(&mut door, SocketCall::Open(AF_PPPOX));
        let ids = address(Pppol2tpForm::V2In, (own.0, other.0), (own.1, other.1));
        session.call(&mut door, SocketCall::Connect(&ids), &[]).unwrap();
        (door, socket, management, session)
    });
    let frames = [1, 2, 3].map(|number| vec![0xc0, 0x21, 1, number, 0, 4, 0, 0]);
    let [(_, _, _, near), (far_door, _, _, far)] = &mut ends;
    frames.iter().for_each(|frame| near.write(frame));
    assert_eq!(far.read().unwrap(), frames[0]);
    // The rest waits at the program's end of the pair; with the descriptor beside the request it becomes the channel's.
    crate::wait::until("another has come", || far.waits());
    std::thread::sleep(std::time::Duration::from_millis(200));
    let beside = [std::os::fd::AsFd::as_fd(&far.descriptor)];
    let call = SocketCall::Ioctl { request: PPPIOCGCHAN, argument: &[] };
    let SocketAnswer::Value(index) = far.call(far_door, call, &beside).unwrap() else { panic!("no index") };
    assert!(!far.waits());
    let channel = Object::open(far_door, SocketCall::OpenPpp);
    let attach = SocketCall::Ioctl { request: l2tp_abi::ppp::ioctl::PPPIOCATTCHAN, argument: &index };
    channel.call(far_door, attach, &[]).unwrap();
    assert_eq!([channel.read().unwrap(), channel.read().unwrap()], [frames[1].clone(), frames[2].clone()]);
}

#[test]
fn a_bridge_joins_two_tunnels() {
    if !require::met(&[]) {
        return;
    }
    // Two calls between the same hosts, joined at a.
    let pair = Pair::new();
    let (mut first_a, first_b) = calls(&pair, Pppol2tpForm::V2In);
    let (second_a, second_b) = {
        let (a, b) = (Form::Udp6.address(1), Form::Udp6.address(2));
        let make = |host, number: u32, local: &str, peer: &str| second(host, number, local, peer);
        (make(&pair.a, 1, &a, &b), make(&pair.b, 2, &b, &a))
    };
    let mut far_door = pair.b.door();
    for channel in [&first_a.channel, &second_a.channel] {
        channel.ioctl(&mut first_a.door, PPPIOCDISCONN, 0).unwrap();
    }
    second_b.channel.ioctl(&mut far_door, PPPIOCDISCONN, 0).unwrap();
    let index = second_a.session.ioctl(&mut first_a.door, PPPIOCGCHAN, 0).unwrap();
    assert_eq!(first_a.channel.ioctl(&mut first_a.door, PPPIOCBRIDGECHAN, index), Ok(0));
    assert_eq!(second_a.channel.ioctl(&mut first_a.door, PPPIOCBRIDGECHAN, index), Err(Errno::EALREADY));
    let lcp = [0xc0, 0x21, 9, 9, 0, 8, 1, 2, 3, 4];
    first_b.channel.write(&lcp);
    assert_eq!(second_b.channel.read().unwrap(), lcp);
    second_b.channel.write(&lcp);
    assert_eq!(first_b.channel.read().unwrap(), lcp);
}

/// Another call, ids 1000 above.
fn second(host: &crate::host::Host, number: u32, local: &str, peer: &str) -> Call {
    let (mut door, udp) = (host.door(), udp(host, local, peer));
    let shifted = |number| (1000 + ids(number).0, 1000 + ids(number).1);
    let (own, other) = (shifted(number), shifted(3 - number));
    let form = Pppol2tpForm::V2In6;
    let management = Object::open(&mut door, SocketCall::Open(AF_PPPOX));
    let tunnel = address(form, (own.0, other.0), (0, 0));
    management.call(&mut door, SocketCall::Connect(&tunnel), &[std::os::fd::AsFd::as_fd(&udp)]).unwrap();
    Call::over(door, &address(form, (own.0, other.0), (own.1, other.1)), Some((udp, management)))
}

#[test]
fn sessions_that_a_command_made_over_ip_and_udp() {
    if !require::met(&[]) {
        return;
    }
    for form in Form::ALL {
        let pair = Pair::new();
        pair.add_tunnel(form, 1, "");
        let tunnel = tunnel_ids(1);
        let _ends =
            [(&pair.a, tunnel), (&pair.b, (tunnel.1, tunnel.0))].map(|(host, (conn_id, peer_conn_id))| {
                let mut door = host.door();
                let session = SessionCreate {
                    conn_id,
                    peer_conn_id,
                    session_id: 7,
                    peer_session_id: 7,
                    pw_type: 7,
                    cookie: vec![1, 2, 3, 4],
                    peer_cookie: vec![1, 2, 3, 4],
                    send_seq: true,
                    recv_seq: true,
                    ..SessionCreate::default()
                };
                door.ask(&Request::SessionCreate(session), |_| {}).unwrap();
                Call::over(door, &address(Pppol2tpForm::V3In, (conn_id, peer_conn_id), (7, 7)), None)
            });
        Call::configure(&pair.a, 1);
        Call::configure(&pair.b, 2);
        for address in ["10.64.0.2", "fd64::2"] {
            pair.a.reach(address);
            tcp::transfer(&pair.a, &pair.b, address, 1 << 20);
        }
        let stats = pair.b.door().session_stats(tunnel.1, 7);
        assert!(stats.rx_packets > 700 && stats.rx_seq_discards == 0 && stats.rx_errors == 0, "{stats:?}");
    }
}
