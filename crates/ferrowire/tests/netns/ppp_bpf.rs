//! PPP sessions that BPF programs carry, at both ends or at one.

use std::net::UdpSocket;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use l2tp_abi::genl::ferrowire::socket::{SocketAnswer, SocketCall, SocketRequest};
use l2tp_abi::genl::l2tp::{Request, SessionKey, Stats};
use l2tp_abi::ppp::ioctl::{
    PPPIOCBRIDGECHAN, PPPIOCCONNECT, PPPIOCDISCONN, PPPIOCGIDLE, PPPIOCGL2TPSTATS, PPPIOCSNPMODE,
    PPPIOCUNBRIDGECHAN,
};
use l2tp_abi::ppp::{NpMode, NpModeRequest};
use l2tp_abi::sockaddr::Pppol2tpForm;
use l2tp_io::sockopt;
use serde_json::Value;

use crate::form::Form;
use crate::host::Host;
use crate::pair::Pair;
use crate::ppp_call::{Call, Object, address, ids, udp};
use crate::{require, tcp, wait};

/// Levels and options of a UDP socket that sends and takes no checksums (include/uapi/asm-generic/socket.h, include/uapi/linux/udp.h).
const NO_CHECKSUMS: [(i32, i32); 3] = [(1, 11), (17, 101), (17, 102)];

/// Whether these tests can run.
fn met() -> bool {
    require::fast_path()
}

/// Two hosts whose daemons were told nothing.
fn hosts() -> Pair {
    let mut pair = Pair::without_daemons();
    pair.a.start_daemon_with(&["--path", "auto"]);
    pair.b.start_daemon_with(&["--path", "auto"]);
    pair
}

fn is_v6(form: Pppol2tpForm) -> bool {
    matches!(form, Pppol2tpForm::V2In6 | Pppol2tpForm::V3In6)
}

/// One end of a call over a socket without checksums.
fn end(host: &Host, form: Pppol2tpForm, number: u8) -> Call {
    let outer = if is_v6(form) { Form::Udp6 } else { Form::Udp4 };
    let socket = udp(host, &outer.address(number), &outer.address(3 - number));
    let options = if is_v6(form) { &NO_CHECKSUMS[1..] } else { &NO_CHECKSUMS[..1] };
    options.iter().for_each(|(level, option)| sockopt::set(socket.as_fd(), *level, *option, 1).unwrap());
    Call::on(host, form, number.into(), socket)
}

/// Both ends, up.
fn call(pair: &Pair, form: Pppol2tpForm) -> (Call, Call) {
    let ends = (end(&pair.a, form, 1), end(&pair.b, form, 2));
    Call::configure(&pair.a, 1);
    Call::configure(&pair.b, 2);
    ends
}

/// What carries the call at a host, and why it is not BPF.
fn carried_by(host: &Host) -> (String, String) {
    let told: Value = serde_json::from_str(&host.path("--json")).unwrap();
    let is_of_call = |report: &&Value| [201, 202].contains(&report["session_id"].as_u64().unwrap());
    let report = told.as_array().unwrap().iter().find(is_of_call).unwrap();
    let text = |key: &str| report[key].as_str().unwrap().to_owned();
    (text("carried_by"), text("reason"))
}

fn is_on_bpf(host: &Host) -> bool {
    carried_by(host).0 == "bpf"
}

/// The reason why it is not BPF.
fn why_not(host: &Host) -> String {
    let (path, reason) = carried_by(host);
    assert_eq!(path, "user");
    reason
}

fn session_stats(host: &Host, number: u32) -> Stats {
    host.door().session_stats(ids(number).0, ids(number).1)
}

/// `PPPIOCGL2TPSTATS`: packets and bytes sent, then those received.
fn socket_stats(end: &mut Call) -> [u64; 4] {
    let call = SocketCall::Ioctl { request: PPPIOCGL2TPSTATS, argument: &[0; 72] };
    let SocketAnswer::Value(bytes) = end.session.call(&mut end.door, call, &[]).unwrap() else {
        panic!("no value")
    };
    let at = |place: usize| u64::from_ne_bytes(bytes[place..place + 8].try_into().unwrap());
    [at(8), at(16), at(32), at(40)]
}

/// `SIOCGPPPSTATS`: packets and bytes sent, then those received.
fn unit_stats(end: &mut Call) -> [u32; 4] {
    let request = SocketRequest { socket: None, call: SocketCall::PppStats(b"ppp0") };
    let SocketAnswer::Value(bytes) = end.door.call(request, &[]).unwrap().0 else { panic!("no value") };
    let at = |index: usize| u32::from_ne_bytes(bytes[4 * index..4 * index + 4].try_into().unwrap());
    [at(8), at(6), at(3), at(1)]
}

fn turned([a, b, c, d]: [u64; 4]) -> [u64; 4] {
    [c, d, a, b]
}

/// The unit of an end that was on BPF all the time has counted all packets, and not the one frame of link control each way.
fn check_unit(end: &mut Call, form: Pppol2tpForm, carried: [u64; 4]) {
    let header = if matches!(form, Pppol2tpForm::V2In | Pppol2tpForm::V2In6) { 6 } else { 8 };
    let [sent, sent_bytes, received, received_bytes] = carried;
    let packets = |count: u64, bytes: u64| [count - 1, bytes - count * (header + 4) - 4];
    let want = [packets(sent, sent_bytes), packets(received, received_bytes)].concat();
    assert_eq!(unit_stats(end).map(u64::from).to_vec(), want);
}

/// The counters of both ends agree, whoever is asked.
fn check_counters(pair: &Pair, near: &mut Call, far: &mut Call) -> [u64; 4] {
    let mut sent = [0; 4];
    wait::until("all counters agree", || {
        let Stats { tx_packets, tx_bytes, rx_packets, rx_bytes, .. } = session_stats(&pair.a, 1);
        sent = [tx_packets, tx_bytes, rx_packets, rx_bytes];
        socket_stats(near) == sent && socket_stats(far) == turned(sent)
    });
    for (host, number) in [(&pair.a, 1), (&pair.b, 2)] {
        let stats = session_stats(host, number);
        assert_eq!((stats.tx_errors, stats.rx_errors), (0, 0));
    }
    sent
}

/// Packets that the network saw leave by ppp0: not those of programs.
fn seen_by_device(host: &Host) -> u64 {
    let told: Value = serde_json::from_str(&host.ip("-s -j link show ppp0")).unwrap();
    told[0]["stats64"]["tx"]["packets"].as_u64().unwrap()
}

/// Pings and streams, both ways.
fn use_call(pair: &Pair) {
    for (near, far) in [("10.64.0.1", "10.64.0.2"), ("fd64::1", "fd64::2")] {
        pair.a.reach(far);
        pair.a.ping(far, 56);
        pair.b.ping(near, 1300);
        tcp::transfer(&pair.a, &pair.b, far, 4 << 20);
        tcp::transfer(&pair.b, &pair.a, near, 4 << 20);
    }
}

/// Packets too long for the wire, which leave as fragments.
fn overfill(pair: &Pair) {
    for host in [&pair.a, &pair.b] {
        host.ip("link set ppp0 mtu 1500");
    }
    pair.a.ping("10.64.0.2", 1472);
    pair.b.ping("fd64::1", 1452);
}

/// Link control between the channels.
fn negotiate(near: &Call, far: &Call) {
    let lcp = [0xc0, 0x21, 1, 1, 0, 4];
    near.channel.write(&lcp);
    assert_eq!(far.channel.read().unwrap(), lcp);
    far.channel.write(&lcp);
    assert_eq!(near.channel.read().unwrap(), lcp);
}

#[test]
fn a_call_in_every_form_at_both_ends() {
    if !met() {
        return;
    }
    for form in Pppol2tpForm::ALL {
        let pair = hosts();
        let (mut near, mut far) = call(&pair, form);
        pair.a.path("bpf");
        pair.b.path("bpf --dev ppp0");
        assert!(is_on_bpf(&pair.a) && is_on_bpf(&pair.b), "{form:?}: {}", pair.a.path(""));
        use_call(&pair);
        overfill(&pair);
        negotiate(&near, &far);
        assert!(!near.channel.waits() && !near.unit.waits(), "packets are not the programs'");
        let carried = check_counters(&pair, &mut near, &mut far);
        check_unit(&mut near, form, carried);
        check_unit(&mut far, form, turned(carried));
        let [sent, _, received, _] = carried;
        assert!(sent > 5000 && received > 5000, "{form:?}: {sent} {received}");
        assert!(seen_by_device(&pair.a) < 100, "the programs took what it sent");
    }
}

#[test]
fn one_end_only() {
    if !met() {
        return;
    }
    for (form, on_bpf) in [(Pppol2tpForm::V2In, 1), (Pppol2tpForm::V2In6, 2)] {
        let pair = hosts();
        let (mut near, mut far) = call(&pair, form);
        // Uncut, a super-frame is one packet to the end that receives it on the user path.
        pair.set_offloads(false);
        [&pair.a, &pair.b][on_bpf - 1].path("bpf");
        assert_eq!([is_on_bpf(&pair.a), is_on_bpf(&pair.b)], [on_bpf == 1, on_bpf == 2]);
        use_call(&pair);
        negotiate(&near, &far);
        let carried = check_counters(&pair, &mut near, &mut far);
        match on_bpf {
            1 => check_unit(&mut near, form, carried),
            _ => check_unit(&mut far, form, turned(carried)),
        }
    }
}

#[test]
fn only_where_it_is_asked_for_and_possible() {
    if !met() {
        return;
    }
    let pair = hosts();
    let _near = end(&pair.a, Pppol2tpForm::V2In, 1);
    assert!(why_not(&pair.a).contains("tcpdump"), "auto");
    // One that sends checksums, as the socket of a program that does not care does.
    let _far = Call::new(&pair.b, Pppol2tpForm::V2In, 2, &Form::Udp4.address(2), &Form::Udp4.address(1));
    pair.b.path("bpf");
    assert!(why_not(&pair.b).contains("checksums"));
    pair.a.path("bpf");
    assert!(is_on_bpf(&pair.a));
    pair.a.path("user");
    assert!(why_not(&pair.a).contains("asked for"));
}

#[test]
fn what_programs_say_counts_at_once() {
    if !met() {
        return;
    }
    let pair = hosts();
    let (mut near, _far) = call(&pair, Pppol2tpForm::V2In);
    pair.a.path("bpf");
    pair.b.path("bpf");
    pair.a.reach("10.64.0.2");
    for _ in 0..3 {
        set_mode(&mut near, NpMode::Drop);
        pair.a.ping_in_vain("10.64.0.2");
        assert!(why_not(&pair.a).contains("IPv4"));
        pair.a.ping("fd64::2", 56);
        set_mode(&mut near, NpMode::Pass);
        assert!(is_on_bpf(&pair.a));
        pair.a.ping("10.64.0.2", 56);

        near.channel.ioctl(&mut near.door, PPPIOCDISCONN, 0).unwrap();
        assert!(why_not(&pair.a).contains("no unit"));
        near.channel.ioctl(&mut near.door, PPPIOCCONNECT, 0).unwrap();
        assert!(is_on_bpf(&pair.a));
        pair.a.ping("10.64.0.2", 56);
    }
}

fn set_mode(end: &mut Call, mode: NpMode) {
    let argument = NpModeRequest { protocol: 0x21, mode }.emit();
    let call = SocketCall::Ioctl { request: PPPIOCSNPMODE, argument: &argument };
    end.unit.call(&mut end.door, call, &[]).unwrap();
}

#[test]
fn channels_meet_other_channels_and_units() {
    if !met() {
        return;
    }
    let pair = hosts();
    let (mut near, _far) = call(&pair, Pppol2tpForm::V2In);
    let other = near.another();
    pair.a.path("bpf");
    let index = other.session.ioctl(&mut near.door, l2tp_abi::ppp::ioctl::PPPIOCGCHAN, 0).unwrap();
    for _ in 0..2 {
        near.channel.ioctl(&mut near.door, PPPIOCDISCONN, 0).unwrap();
        near.channel.ioctl(&mut near.door, PPPIOCBRIDGECHAN, index).unwrap();
        assert!(why_not(&pair.a).contains("bridged"));
        near.channel.ioctl(&mut near.door, PPPIOCUNBRIDGECHAN, 0).unwrap();
        // The unit's device goes from one session to the other, and back.
        other.channel.ioctl(&mut near.door, PPPIOCCONNECT, 0).unwrap();
        assert!(why_not(&pair.a).contains("no unit"));
        assert!(pair.a.path("").matches(": bpf").count() == 1);
        other.channel.ioctl(&mut near.door, PPPIOCDISCONN, 0).unwrap();
        near.channel.ioctl(&mut near.door, PPPIOCCONNECT, 0).unwrap();
        assert!(is_on_bpf(&pair.a));
        pair.a.reach("10.64.0.2");
        // Two channels in one unit.
        other.channel.ioctl(&mut near.door, PPPIOCCONNECT, 0).unwrap();
        assert!(why_not(&pair.a).contains("more than one"));
        pair.a.ping("10.64.0.2", 56);
        other.channel.ioctl(&mut near.door, PPPIOCDISCONN, 0).unwrap();
        assert!(is_on_bpf(&pair.a));
    }
}

/// Another session of a call's tunnel, and its channel.
struct Another {
    session: Object,
    channel: Object,
}

impl Call {
    fn another(&mut self) -> Another {
        let tunnel = (ids(1).0, ids(2).0);
        let session = Object::open(&mut self.door, SocketCall::Open(l2tp_abi::sockaddr::AF_PPPOX));
        let name = address(Pppol2tpForm::V2In, tunnel, (900, 900));
        session.call(&mut self.door, SocketCall::Connect(&name), &[]).unwrap();
        let channel = Object::open(&mut self.door, SocketCall::OpenPpp);
        let index = session.ioctl(&mut self.door, l2tp_abi::ppp::ioctl::PPPIOCGCHAN, 0).unwrap();
        channel.ioctl(&mut self.door, l2tp_abi::ppp::ioctl::PPPIOCATTCHAN, index).unwrap();
        Another { session, channel }
    }
}

#[test]
fn nothing_is_lost_when_the_path_changes() {
    if !met() {
        return;
    }
    const PACKETS: u32 = 1500;
    let pair = hosts();
    let (mut near, mut far) = call(&pair, Pppol2tpForm::V2In);
    pair.a.reach("10.64.0.2");
    let bind = |address: &str| UdpSocket::bind((address, 7000)).unwrap();
    let (from, to) = (pair.a.here(|| bind("10.64.0.1")), pair.b.here(|| bind("10.64.0.2")));
    to.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
    let done = AtomicBool::new(false);
    let changes = std::thread::scope(|scope| {
        let sender = scope.spawn(|| {
            for number in 0..PACKETS {
                from.send_to(&number.to_be_bytes(), "10.64.0.2:7000").unwrap();
                std::thread::sleep(Duration::from_millis(1));
            }
        });
        let receiver = scope.spawn(|| {
            let numbers: Vec<u32> = std::iter::from_fn(|| receive(&to)).take(PACKETS as usize).collect();
            done.store(true, Ordering::Relaxed);
            numbers
        });
        let mut changes = 0;
        for path in ["bpf", "user"].iter().cycle() {
            pair.a.path(path);
            pair.b.path(path);
            assert_eq!(is_on_bpf(&pair.a), *path == "bpf");
            changes += 1;
            if done.load(Ordering::Relaxed) {
                break;
            }
        }
        sender.join().unwrap();
        let mut numbers = receiver.join().unwrap();
        numbers.sort_unstable();
        let lost: Vec<u32> = (0..PACKETS).filter(|number| numbers.binary_search(number).is_err()).collect();
        assert!(lost.is_empty() && numbers.len() == PACKETS as usize, "lost: {lost:?}");
        changes
    });
    assert!(changes > 10, "{changes}");
    let [sent, ..] = check_counters(&pair, &mut near, &mut far);
    assert!(sent >= PACKETS.into());
}

/// The next number; `None` when nothing comes.
fn receive(socket: &UdpSocket) -> Option<u32> {
    let mut number = [0; 4];
    wait::undisturbed(|| socket.recv(&mut number)).ok().map(|_| u32::from_be_bytes(number))
}

/// The programs are of one namespace.
#[test]
fn a_unit_in_another_namespace_is_the_workers() {
    if !met() {
        return;
    }
    let (pair, inner) = (hosts(), Host::new());
    let _ends = call(&pair, Pppol2tpForm::V2In);
    pair.a.path("bpf");
    pair.b.path("bpf");
    pair.a.hand_over("ppp0", &inner);
    Call::configure(&inner, 1);
    inner.reach("10.64.0.2");
    assert!(why_not(&pair.a).contains("takes no program"));
    inner.reach("fd64::2");
    tcp::transfer(&pair.b, &inner, "10.64.0.1", 1 << 20);
}

#[test]
fn what_is_carried_is_not_idle() {
    if !met() {
        return;
    }
    let pair = hosts();
    let (mut near, _far) = call(&pair, Pppol2tpForm::V2In);
    pair.a.path("bpf");
    pair.a.reach("10.64.0.2");
    wait::until("it is idle", || idle(&mut near).iter().all(|seconds| *seconds >= 2));
    pair.a.ping("10.64.0.2", 56);
    let [sent, received] = idle(&mut near);
    assert!(sent < 2 && received < 2, "{sent} {received}");
}

/// Seconds since something was sent, and received.
fn idle(end: &mut Call) -> [i64; 2] {
    let call = SocketCall::Ioctl { request: PPPIOCGIDLE, argument: &[] };
    let SocketAnswer::Value(bytes) = end.unit.call(&mut end.door, call, &[]).unwrap() else {
        panic!("no value")
    };
    [0, 8].map(|place| i64::from_ne_bytes(bytes[place..place + 8].try_into().unwrap()))
}

#[test]
fn calls_end_and_leave_nothing() {
    if !met() {
        return;
    }
    let mut pair = hosts();
    pair.a.path("bpf");
    pair.b.path("bpf");
    let mut before = None;
    let ends: [fn(&Pair, &mut Call); 3] = [
        |_, _| {},
        |pair, near| {
            let key = SessionKey::Ids { conn_id: ids(1).0, session_id: ids(1).1 };
            pair.a.door().ask(&Request::SessionDelete(key), |_| {}).unwrap();
            assert_eq!(near.channel.read(), Some(vec![]), "the end");
            let counted = unit_stats(near);
            assert!(counted[0] > 0 && counted[2] > 0, "its unit has counted the last: {counted:?}");
        },
        |pair, near| {
            pair.a.ip("link del ppp0");
            assert_eq!(near.unit.read(), Some(vec![]), "the end");
        },
    ];
    for end in ends {
        let (mut near, far) = call(&pair, Pppol2tpForm::V2In);
        assert!(is_on_bpf(&pair.a) && is_on_bpf(&pair.b));
        pair.a.reach("10.64.0.2");
        end(&pair, &mut near);
        drop((near, far));
        wait::until("the devices are gone", || {
            [&pair.a, &pair.b].iter().all(|host| host.link("ppp0").is_none())
        });
        wait::until("the tunnel is gone", || {
            pair.a.door().ask(&Request::TunnelGet(ids(1).0), |_| {}).is_err()
        });
        // What the first call has opened for all stays.
        let before = *before.get_or_insert_with(|| pair.a.daemon().descriptors());
        wait::until("nothing is open", || pair.a.daemon().descriptors() <= before);
    }
}
