//! What carries sessions: BPF programs where they can, the workers where they cannot, and one in place of the other at any moment.

use std::io::ErrorKind;
use std::net::{IpAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::capture::Capture;
use crate::daemon::FERROWIRE;
use crate::form::Form;
use crate::host::Host;
use crate::packet_socket::PacketSocket;
use crate::pair::{Pair, WAN, device, inner4, inner6, session_ids, session_words, tunnel_ids, tunnel_words};
use crate::require;
use crate::tcp::transfer;
use crate::variant::Variant;
use crate::wait;

/// What has to be said of a tunnel over IPv6 that BPF is to carry.
const NO_CHECKSUMS: &str = "udp6_csum_tx off udp6_csum_rx off";

/// Two hosts whose daemons were told these paths.
pub(crate) fn pair(a: &str, b: &str) -> Pair {
    let mut pair = Pair::without_daemons();
    pair.a.start_daemon_with(&["--path", a]);
    pair.b.start_daemon_with(&["--path", b]);
    pair
}

/// With tunnel 1 and session 1.
pub(crate) fn up(pair: Pair, form: Form, variant: Variant) -> Pair {
    pair.add_tunnel(form, 1, if form == Form::Udp6 { NO_CHECKSUMS } else { "" });
    pair.add_session(1, 1, variant);
    pair.configure([1]);
    pair
}

/// `ferrowire path`, which must succeed.
fn path(host: &Host, words: &str) -> String {
    let words: Vec<_> = ["path"].into_iter().chain(words.split_whitespace()).collect();
    let output = host.run(FERROWIRE, &words);
    assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// What carries the session of that device, and why.
fn told(host: &Host, device: &str) -> String {
    let all = path(host, "");
    let line = all.lines().find(|line| line.starts_with(&format!("{device}: ")));
    line.unwrap_or_else(|| panic!("no {device} in {all:?}")).to_owned()
}

pub(crate) fn is_carried(host: &Host) -> bool {
    told(host, "pw1").contains(": bpf (")
}

/// Frames that a device has sent, by its own count.
pub(crate) fn sent_by(host: &Host, device: &str) -> u64 {
    host.sent(device).packets
}

/// The TAP below the first session's device, which only the user path reads.
pub(crate) fn lower(host: &Host) -> String {
    host.links().into_iter().find(|link| link.name.starts_with("l2tplow")).unwrap().name
}

fn traffic(form: Form, variant: Variant) {
    let pair = up(pair("bpf", "bpf"), form, variant);
    assert!(is_carried(&pair.a) && is_carried(&pair.b), "{} {}", path(&pair.a, ""), path(&pair.b, ""));
    let below = lower(&pair.a);
    let before = sent_by(&pair.a, &below);
    for bytes in [1, 56, 1000] {
        pair.a.ping(&inner4(1, 2), bytes);
        pair.b.ping(&inner6(1, 1), bytes);
    }
    let mtu = pair.a.mtu("pw1");
    pair.a.ping(&inner4(1, 2), mtu - 28);
    pair.b.ping(&inner6(1, 1), mtu - 48);
    transfer(&pair.a, &pair.b, &inner4(1, 2), 8 << 20);
    transfer(&pair.b, &pair.a, &inner6(1, 1), 8 << 20);
    let by_workers = sent_by(&pair.a, &below) - before;
    assert!(by_workers < 300, "{by_workers} frames were not carried");
    let (a, b) = pair.settle(1, 1);
    assert!(a.tx_packets > 5000 && b.tx_packets > 5000, "{a:?} {b:?}");
    let tunnel = pair.a.door().tunnel_stats(tunnel_ids(1).0);
    assert_eq!(
        (tunnel.tx_packets, tunnel.tx_bytes, tunnel.rx_packets),
        (a.tx_packets, a.tx_bytes, a.rx_packets)
    );
    assert!(sent_by(&pair.a, "pw1") > 0);
}

#[test]
fn traffic_over_udp() {
    if require::fast_path() {
        traffic(Form::Udp4, Variant { cookies: (8, 4), ..Variant::PLAIN });
    }
}

#[test]
fn traffic_over_udp_and_ipv6() {
    if require::fast_path() {
        traffic(Form::Udp6, Variant { cookies: (4, 0), sublayer: false, ..Variant::PLAIN });
    }
}

/// No card and no kernel completes or cuts anything on the way: what is on the wire is what is received.
#[test]
fn traffic_on_a_wire() {
    if !require::fast_path() {
        return;
    }
    for form in [Form::Udp4, Form::Udp6] {
        let pair = up(pair("bpf", "bpf"), form, Variant::PLAIN);
        pair.set_offloads(false);
        transfer(&pair.a, &pair.b, &inner4(1, 2), 2 << 20);
        transfer(&pair.b, &pair.a, &inner6(1, 1), 2 << 20);
        pair.settle(1, 1);
    }
}

#[test]
fn traffic_over_ip() {
    if !require::fast_path() {
        return;
    }
    for form in [Form::Ip4, Form::Ip6] {
        let pair = up(pair("bpf", "bpf"), form, Variant { cookies: (8, 8), ..Variant::PLAIN });
        assert!(is_carried(&pair.a) && is_carried(&pair.b), "{}", path(&pair.a, ""));
        pair.a.ping(&inner4(1, 2), 1000);
        transfer(&pair.a, &pair.b, &inner4(1, 2), 2 << 20);
        transfer(&pair.b, &pair.a, &inner6(1, 1), 2 << 20);
        pair.settle(1, 1);
    }
}

/// One end by BPF, the other by workers.
#[test]
fn each_path_understands_the_other() {
    if !require::fast_path() {
        return;
    }
    for form in Form::ALL {
        let pair = up(pair("bpf", "user"), form, Variant { cookies: (4, 8), ..Variant::PLAIN });
        assert!(is_carried(&pair.a) && !is_carried(&pair.b), "{form:?}");
        pair.a.ping(&inner4(1, 2), 1000);
        transfer(&pair.a, &pair.b, &inner4(1, 2), 2 << 20);
        transfer(&pair.b, &pair.a, &inner6(1, 1), 2 << 20);
        // From here on the kernel cuts what it sends; before, a super-frame was one packet to the workers, as it is to the kernel's L2TP.
        pair.set_offloads(false);
        let before = pair.lag(1, 1);
        transfer(&pair.a, &pair.b, &inner4(1, 2), 2 << 20);
        transfer(&pair.b, &pair.a, &inner6(1, 1), 2 << 20);
        wait::until("the ends count the same", || pair.lag(1, 1) == before);
    }
}

/// What a person or a program sees of a device: frames both ways, counters, a queue that shapes.
#[test]
fn the_device_looks_like_any_other() {
    if !require::met(&["tcpdump", "tc", "ethtool"]) || !require::fast_path() {
        return;
    }
    let pair = up(pair("bpf", "bpf"), Form::Udp4, Variant::PLAIN);
    let capture = Capture::start(&pair.a, "pw1", "icmp");
    let before = pair.a.ip("-s -j link show dev pw1");
    pair.a.ping(&inner4(1, 2), 100);
    assert_eq!(capture.stop().frames().len(), 2, "request and answer");
    let stats = |told: &str, way: &str| {
        let told: serde_json::Value = serde_json::from_str(told).unwrap();
        told[0]["stats64"][way]["packets"].as_u64().unwrap()
    };
    let after = pair.a.ip("-s -j link show dev pw1");
    for way in ["rx", "tx"] {
        assert!(stats(&after, way) > stats(&before, way), "{way}");
    }
    let shaped = pair.a.run(
        "tc",
        &["qdisc", "add", "dev", "pw1", "root", "tbf", "rate", "8mbit", "burst", "10kb", "latency", "1s"],
    );
    assert!(shaped.status.success(), "{}", String::from_utf8_lossy(&shaped.stderr));
    let begun = std::time::Instant::now();
    transfer(&pair.a, &pair.b, &inner4(1, 2), 1 << 20);
    assert!(begun.elapsed() > Duration::from_millis(700), "8 Mbit in {:?} at 8 Mbit/s", begun.elapsed());
    assert!(pair.a.ethtool("-k pw1").contains("tcp-segmentation-offload: on"));
}

/// A session whose rules need the engine stays there, and it is said why. A change moves it at once, there and back.
#[test]
fn why_not() {
    if !require::fast_path() {
        return;
    }
    let pair = pair("auto", "auto");
    pair.add_tunnel(Form::Udp4, 1, "");
    let a = |k: u8, words: &str| pair.a.l2tp(&format!("{} {words}", session_words(1, k, 1)));
    a(1, "seq send");
    a(2, "seq recv");
    a(3, "reorder_timeout 100");
    a(4, "");
    pair.a.l2tp(&format!("{} udp_csum on", tunnel_words(Form::Udp4, 2, 1)));
    pair.a.l2tp(&session_words(2, 5, 1));
    pair.a.l2tp(&tunnel_words(Form::Udp6, 3, 1));
    pair.a.l2tp(&session_words(3, 6, 1));
    for (device, why) in [
        ("pw1", "user (auto), not bpf: it sends sequence numbers"),
        ("pw2", "user (auto), not bpf: it demands sequence numbers"),
        ("pw3", "user (auto), not bpf: it puts packets back in order"),
        ("pw4", "bpf (auto)"),
        ("pw5", "user (auto), not bpf: its tunnel sends UDP checksums"),
        ("pw6", "user (auto), not bpf: its tunnel sends UDP checksums"),
    ] {
        let line = told(&pair.a, device);
        assert!(line.ends_with(why), "{line}");
    }
    pair.a.l2tp(&format!(
        "set session tunnel_id {} session_id {} seq none",
        tunnel_ids(1).0,
        session_ids(1).0
    ));
    assert!(told(&pair.a, "pw1").ends_with(": bpf (auto)"));
    pair.a.l2tp(&format!(
        "set session tunnel_id {} session_id {} seq send",
        tunnel_ids(1).0,
        session_ids(1).0
    ));
    assert!(told(&pair.a, "pw1").ends_with("it sends sequence numbers"));
    path(&pair.a, "user --dev pw4");
    assert!(told(&pair.a, "pw4").ends_with("user (user), not bpf: the user path was asked for"));
    path(&pair.a, "bpf --dev pw4");
    let refused = pair.a.run(FERROWIRE, &["path", "bpf", "--dev", "pw5"]);
    assert!(!refused.status.success());
    let said = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(said, "ferrowire: BPF cannot carry it: its tunnel sends UDP checksums\n");
    let unknown = pair.a.run(FERROWIRE, &["path", "user", "--dev", "pw9"]);
    assert!(!unknown.status.success());
}

/// Numbered datagrams, while both ends change their paths all the time: each arrives, once.
fn switch_under_traffic(form: Form) {
    const COUNT: usize = 6000;
    let pair = up(pair("auto", "auto"), form, Variant { cookies: (8, 8), ..Variant::PLAIN });
    let receiver = pair.b.here(|| UdpSocket::bind((inner4(1, 2), 7000)).unwrap());
    receiver.set_read_timeout(Some(wait::PATIENCE)).unwrap();
    // Whoever has no processor for a while is not to lose anything.
    rustix::net::sockopt::set_socket_recv_buffer_size_force(&receiver, 64 << 20).unwrap();
    let sender = pair.a.here(|| UdpSocket::bind((inner4(1, 1), 0)).unwrap());
    sender.connect((inner4(1, 2), 7000)).unwrap();
    let (mut seen, sending) = (vec![0; COUNT], AtomicBool::new(true));
    std::thread::scope(|scope| {
        for host in [&pair.a, &pair.b] {
            scope.spawn(|| {
                while sending.load(Ordering::Relaxed) {
                    for word in ["user", "auto"] {
                        path(host, word);
                    }
                }
            });
        }
        scope.spawn(|| {
            for number in 0..COUNT {
                sender.send(&[&number.to_be_bytes()[..], &[7; 200]].concat()).unwrap();
                std::thread::sleep(Duration::from_micros(200));
            }
        });
        while let Some(number) = receive_number(&receiver) {
            seen[number] += 1;
            if !seen.contains(&0) {
                break;
            }
        }
        sending.store(false, Ordering::Relaxed);
    });
    let missed: Vec<_> = (0..COUNT).filter(|number| seen[*number] != 1).collect();
    assert!(missed.is_empty(), "not once: {missed:?}; {}", path(&pair.a, ""));
    pair.settle(1, 1);
}

/// The number of the next datagram; `None` if there comes no other.
fn receive_number(socket: &UdpSocket) -> Option<usize> {
    let mut buffer = [0; 300];
    match wait::undisturbed(|| socket.recv(&mut buffer)) {
        Ok(208) => Some(usize::from_be_bytes(*buffer.first_chunk().unwrap())),
        Err(error) if error.kind() == ErrorKind::WouldBlock => None,
        other => panic!("{other:?}"),
    }
}

#[test]
fn nothing_is_lost_when_the_path_changes() {
    if !require::fast_path() {
        return;
    }
    for form in [Form::Udp4, Form::Ip6] {
        switch_under_traffic(form);
    }
}

/// Streams go on while both ends change their paths all the time.
#[test]
fn a_stream_survives_changes_of_path() {
    if !require::fast_path() {
        return;
    }
    let pair = up(pair("auto", "auto"), Form::Udp4, Variant::PLAIN);
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                for (host, word) in
                    [(&pair.a, "user"), (&pair.b, "user"), (&pair.a, "auto"), (&pair.b, "auto")]
                {
                    path(host, word);
                }
            }
        });
        for _ in 0..4 {
            transfer(&pair.a, &pair.b, &inner4(1, 2), 8 << 20);
            transfer(&pair.b, &pair.a, &inner6(1, 1), 8 << 20);
        }
        done.store(true, Ordering::Relaxed);
    });
}

/// What both paths put on the wire, but for what IP numbers as it likes.
#[test]
fn both_paths_send_the_same_bytes() {
    if !require::met(&["tcpdump"]) || !require::fast_path() {
        return;
    }
    for form in Form::ALL {
        let pair = pair("auto", "auto");
        pair.add_tunnel(form, 1, if form == Form::Udp6 { NO_CHECKSUMS } else { "" });
        pair.add_session(1, 1, Variant { cookies: (8, 4), ..Variant::PLAIN });
        for host in [&pair.a, &pair.b] {
            host.set_up_quietly(&device(1));
        }
        let socket = PacketSocket::open(&pair.a, &device(1));
        let [by_bpf, by_workers] = ["auto", "user"].map(|word| {
            path(&pair.a, word);
            assert_eq!(is_carried(&pair.a), word == "auto", "{form:?}");
            let capture =
                Capture::start(&pair.b, WAN, if form.is_udp() { "udp port 6001" } else { "proto 115" });
            // One by one: several at once leave as a train, with checksums.
            for frame in frames() {
                let before = sent_by_session(&pair);
                socket.send(&frame);
                wait::until("it is sent", || sent_by_session(&pair) > before);
            }
            let captured = capture.stop().frames();
            let mut packets: Vec<_> = captured.into_iter().map(|frame| normal(&frame, form)).collect();
            packets.sort();
            packets
        });
        assert_eq!(by_bpf.len(), frames().len(), "{form:?}");
        for (by_bpf, by_workers) in by_bpf.iter().zip(&by_workers) {
            assert_eq!(by_bpf, by_workers, "{form:?}");
        }
    }
}

fn sent_by_session(pair: &Pair) -> u64 {
    pair.a.door().session_stats(tunnel_ids(1).0, session_ids(1).0).tx_packets
}

/// Frames of many kinds.
fn frames() -> Vec<Vec<u8>> {
    let addresses = [2, 0, 0, 0, 0, 0x77, 2, 0, 0, 0, 0, 0x55];
    let frame = |kind: &[u8], payload: &[u8]| [&addresses[..], kind, payload].concat();
    let mut ipv4 = vec![0x45, 0, 0, 120, 0, 1, 0, 0, 64, 254, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
    ipv4.resize(120, 0xa5);
    let mut ipv6 = vec![0x60, 0, 0, 0, 0, 60, 254, 64];
    ipv6.resize(100, 0x5a);
    vec![
        frame(&[0x08, 0x00], &ipv4),
        frame(&[0x86, 0xdd], &ipv6),
        frame(&[0x08, 0x06], &[1; 46]),
        frame(&[0x81, 0x00, 0, 5, 0x08, 0x00], &ipv4),
        frame(&[0x88, 0xb5], &[3; 1000]),
        frame(&[0x05, 0xdc, 0xaa, 0xaa, 3], &[4; 100]),
    ]
}

/// A packet without its Ethernet header, IPv4's identification and checksum, IPv6's flow label.
fn normal(frame: &[u8], form: Form) -> Vec<u8> {
    let mut packet = frame[14..].to_vec();
    if form.is_v4() {
        packet[4..6].fill(0);
        packet[10..12].fill(0);
    } else {
        packet[1..4].fill(0);
    }
    packet
}

/// The peer gets another link-layer address, the way another width, and the host another way.
#[test]
fn the_network_changes() {
    if !require::fast_path() {
        return;
    }
    let pair = up(pair("bpf", "bpf"), Form::Udp4, Variant::PLAIN);
    pair.b.ip(&format!("link set {WAN} address 02:00:00:00:be:ef"));
    pair.a.reach(&inner4(1, 2));
    assert!(is_carried(&pair.a));
    // Narrower than the pseudowire: what does not fit leaves in fragments.
    for host in [&pair.a, &pair.b] {
        host.ip(&format!("link set {WAN} mtu 1000"));
    }
    wait::until("large packets pass", || {
        pair.a.run("ping", &["-c", "1", "-W", "1", "-s", "1300", &inner4(1, 2)]).status.success()
    });
    transfer(&pair.a, &pair.b, &inner4(1, 2), 1 << 20);
    for host in [&pair.a, &pair.b] {
        host.ip(&format!("link set {WAN} mtu 1500"));
    }
    transfer(&pair.a, &pair.b, &inner4(1, 2), 1 << 20);
    // Away and back: the daemon hears of it, and what carries the session is found anew.
    pair.a.ip(&format!("link set {WAN} down"));
    wait::until("there is no way", || told(&pair.a, "pw1").contains("there is no way to the peer"));
    pair.a.ip(&format!("link set {WAN} up"));
    wait::until("there is a way", || is_carried(&pair.a));
    pair.a.reach(&inner4(1, 2));
}

/// Frames that came out of one tunnel go into another.
#[test]
fn from_tunnel_to_tunnel() {
    if !require::met(&["bridge"]) || !require::fast_path() {
        return;
    }
    let mut third = Host::new();
    let pair = up(pair("bpf", "bpf"), Form::Udp4, Variant::PLAIN);
    crate::pair::connect((&pair.b, "lan"), (&third, "lan"));
    pair.b.ip("addr add 198.51.100.2/24 dev lan");
    third.ip("addr add 198.51.100.3/24 dev lan");
    third.start_daemon_with(&["--path", "bpf"]);
    let words = |own: u8, peer: u8| {
        format!(
            "add tunnel tunnel_id 9 peer_tunnel_id 9 encap udp local 198.51.100.{own} remote 198.51.100.{peer} udp_sport 9 udp_dport 9"
        )
    };
    for (host, own, peer) in [(&pair.b, 2, 3), (&third, 3, 2)] {
        host.l2tp(&words(own, peer));
        host.l2tp("add session name pw9 tunnel_id 9 session_id 9 peer_session_id 9");
        host.ip("link set pw9 up");
    }
    pair.b.ip("addr flush dev pw1");
    pair.b.ip("link add br0 type bridge");
    pair.b.ip("link set br0 up");
    pair.b.ip("link set pw1 master br0");
    pair.b.ip("link set pw9 master br0");
    third.ip("addr add 10.1.1.3/24 dev pw9");
    pair.a.reach("10.1.1.3");
    transfer(&pair.a, &third, "10.1.1.3", 4 << 20);
    transfer(&third, &pair.a, &inner4(1, 1), 4 << 20);
}

/// Frames for somebody else are not taken for the host's own, and those for many come once.
#[test]
fn whose_frame_it_is() {
    if !require::fast_path() {
        return;
    }
    let pair = up(pair("bpf", "bpf"), Form::Udp4, Variant::PLAIN);
    let listener = pair.b.here(|| UdpSocket::bind("0.0.0.0:7001").unwrap());
    listener.set_read_timeout(Some(Duration::from_millis(500))).unwrap();
    let socket = PacketSocket::open(&pair.a, "pw1");
    let own: [u8; 6] = pair.b.link("pw1").unwrap().address.try_into().unwrap();
    let count = |to: [u8; 6], address: IpAddr| {
        socket.send(&datagram(to, address, 7001));
        let mut buffer = [0; 64];
        std::iter::from_fn(|| listener.recv(&mut buffer).ok()).count()
    };
    assert_eq!(count(own, [10, 1, 1, 2].into()), 1, "for the host");
    // The program that tells them apart is attached a moment after the device was made.
    wait::until("none for another", || count([2, 0, 0, 0, 0, 9], [10, 1, 1, 2].into()) == 0);
    assert_eq!(count([0xff; 6], [10, 1, 1, 255].into()), 1, "for all");
    for word in ["user", "bpf"] {
        path(&pair.b, word);
        assert_eq!(count(own, [10, 1, 1, 2].into()), 1, "for the host, {word}");
        assert_eq!(count([2, 0, 0, 0, 0, 9], [10, 1, 1, 2].into()), 0, "for another, {word}");
        assert_eq!(count([0xff; 6], [10, 1, 1, 255].into()), 1, "for all, {word}");
    }
}

/// A UDP datagram without checksum in an Ethernet frame.
fn datagram(to: [u8; 6], address: IpAddr, port: u16) -> Vec<u8> {
    let IpAddr::V4(address) = address else { panic!("{address}") };
    let mut ip = vec![0x45, 0, 0, 32, 0, 1, 0, 0, 64, 17, 0, 0, 10, 1, 1, 1];
    ip.extend(address.octets());
    let sum = l2tp_io::offload::checksum::Checksum::new().bytes(&ip).finish();
    ip[10..12].copy_from_slice(&sum);
    let udp = [&4000_u16.to_be_bytes()[..], &port.to_be_bytes(), &[0, 12, 0, 0], b"here"].concat();
    [&to[..], &[2, 0, 0, 0, 0, 1, 8, 0], &ip, &udp].concat()
}
