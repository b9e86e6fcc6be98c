//! Devices with several queues (`daemon --queues`): one session sent by several workers, every flow in order.

use std::net::{IpAddr, UdpSocket};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::yield_now;
use std::time::Instant;

use l2tp_abi::sockaddr::Pppol2tpForm;

use crate::daemon::FERROWIRE;
use crate::form::Form;
use crate::host::Host;
use crate::pair::{Pair, inner4, inner6, session_ids, session_words, tunnel_ids, tunnel_words};
use crate::ppp_call::Call;
use crate::require;
use crate::tcp::transfer;
use crate::variant::Variant;
use crate::wait;

const FLOWS: usize = 32;
/// Datagrams of a flow behind one another, and such bursts.
const BURST: u16 = 4;
const BURSTS: u16 = 60;
/// Datagrams under way in one direction: fewer than any queue holds.
const WINDOW: usize = 2 * FLOWS * BURST as usize;

/// Two hosts whose daemons have two workers and give devices two queues.
fn pair(path: &str) -> Pair {
    let mut pair = Pair::without_daemons();
    for host in [&mut pair.a, &mut pair.b] {
        host.start_daemon_with(&["--path", path, "--workers", "2", "--queues", "2"]);
    }
    pair
}

fn up(pair: Pair, form: Form, variant: Variant) -> Pair {
    pair.add_tunnel(form, 1, "");
    pair.add_session(1, 1, variant);
    pair.configure([1]);
    pair
}

/// The sockets of the flows between two addresses.
fn flows(pair: &Pair, a: &str, b: &str) -> Vec<(UdpSocket, UdpSocket)> {
    let bind = |host: &Host, address: &str| {
        let socket = host.here(|| UdpSocket::bind((address.parse::<IpAddr>().unwrap(), 0)).unwrap());
        socket.set_read_timeout(Some(wait::PATIENCE)).unwrap();
        socket
    };
    let flow = || {
        let (near, far) = (bind(&pair.a, a), bind(&pair.b, b));
        near.connect(far.local_addr().unwrap()).unwrap();
        far.connect(near.local_addr().unwrap()).unwrap();
        (near, far)
    };
    (0..FLOWS).map(|_| flow()).collect()
}

/// Sends numbered datagrams, as fast as they arrive.
fn send<'a>(flows: impl Iterator<Item = &'a UdpSocket> + Clone, arrived: &AtomicUsize) {
    let start = Instant::now();
    for burst in 0..BURSTS {
        while usize::from(burst * BURST) * FLOWS > arrived.load(Ordering::Relaxed) + WINDOW {
            assert!(start.elapsed() < 3 * wait::PATIENCE, "datagrams are missing");
            yield_now();
        }
        for flow in flows.clone() {
            for number in burst * BURST..(burst + 1) * BURST {
                let length = 64 + usize::from(number) * 4;
                let mut datagram = vec![0; length];
                datagram[..2].copy_from_slice(&number.to_be_bytes());
                flow.send(&datagram).unwrap();
            }
        }
    }
}

/// Wants them all, those of each flow in the order of their numbers.
fn receive<'a>(flows: impl Iterator<Item = &'a UdpSocket> + Clone, arrived: &AtomicUsize) {
    let mut buffer = [0; 2048];
    for burst in 0..BURSTS {
        for (flow, socket) in flows.clone().enumerate() {
            for number in burst * BURST..(burst + 1) * BURST {
                let length = socket.recv(&mut buffer).unwrap_or_else(|error| panic!("flow {flow}: {error}"));
                let found = u16::from_be_bytes([buffer[0], buffer[1]]);
                assert_eq!((found, length), (number, 64 + usize::from(number) * 4), "flow {flow}");
                arrived.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// Datagrams of many flows, both ways at once.
fn exchange(pair: &Pair, a: &str, b: &str) {
    let flows = flows(pair, a, b);
    let (near, far) = (flows.iter().map(|flow| &flow.0), flows.iter().map(|flow| &flow.1));
    let [at_a, at_b] = [AtomicUsize::new(0), AtomicUsize::new(0)];
    std::thread::scope(|scope| {
        let (near, far, at_a, at_b) = (&near, &far, &at_a, &at_b);
        scope.spawn(|| receive(near.clone(), at_a));
        scope.spawn(|| receive(far.clone(), at_b));
        scope.spawn(|| send(near.clone(), at_b));
        scope.spawn(|| send(far.clone(), at_a));
    });
}

/// Bytes that each worker of a host's daemon has read from devices (`rchar` of proc_pid_io(5), which receiving from sockets is
/// not part of).
fn read_by_workers(host: &mut Host) -> Vec<u64> {
    let tasks = format!("/proc/{}/task", host.daemon().pid().as_raw_nonzero());
    let bytes = |task: std::path::PathBuf| {
        let name = std::fs::read_to_string(task.join("comm")).unwrap();
        let number = name.strip_prefix("l2tp-")?.trim();
        number.parse::<usize>().ok()?;
        let io = std::fs::read_to_string(task.join("io")).unwrap();
        Some(io.strip_prefix("rchar: ")?.lines().next()?.parse().unwrap())
    };
    std::fs::read_dir(tasks).unwrap().filter_map(|task| bytes(task.unwrap().path())).collect()
}

/// Does something in which both workers of both hosts must have read a fair part.
fn shared(pair: &mut Pair, work: impl FnOnce(&Pair)) {
    let before = [read_by_workers(&mut pair.a), read_by_workers(&mut pair.b)];
    work(pair);
    let after = [read_by_workers(&mut pair.a), read_by_workers(&mut pair.b)];
    for (before, after) in before.iter().zip(&after) {
        assert_eq!((before.len(), after.len()), (2, 2));
        let read: Vec<_> = after.iter().zip(before).map(|(after, before)| after - before).collect();
        let least = read.iter().sum::<u64>() / 8;
        assert!(read.iter().all(|bytes| *bytes > least), "{read:?}");
    }
}

fn met() -> bool {
    let counted = std::path::Path::new("/proc/self/io").exists();
    require::met(&[])
        && require::bpf()
        && (counted || require::skip("/proc/PID/io (CONFIG_TASK_IO_ACCOUNTING)"))
}

/// Every datagram arrives, and in the order of its flow; and TCP streams.
fn carried(form: Form) {
    let mut pair = up(pair("user"), form, Variant::PLAIN);
    shared(&mut pair, |pair| exchange(pair, &inner4(1, 1), &inner4(1, 2)));
    shared(&mut pair, |pair| exchange(pair, &inner6(1, 1), &inner6(1, 2)));
    std::thread::scope(|scope| {
        let pair = &pair;
        scope.spawn(|| transfer(&pair.a, &pair.b, &inner4(1, 2), 8 << 20));
        scope.spawn(|| transfer(&pair.b, &pair.a, &inner6(1, 1), 8 << 20));
    });
    pair.settle(1, 1);
}

#[test]
fn flows_are_shared_out_and_stay_in_order() {
    if met() {
        carried(Form::Udp4);
    }
}

#[test]
fn flows_are_shared_out_over_ip() {
    if met() {
        carried(Form::Ip6);
    }
}

/// The peer drops what comes behind a higher number.
#[test]
fn numbered_packets_leave_in_the_order_of_their_numbers() {
    if !met() {
        return;
    }
    let numbered = Variant { seq: ("both", "both"), ..Variant::PLAIN };
    let mut pair = up(pair("user"), Form::Udp4, numbered);
    for _ in 0..4 {
        shared(&mut pair, |pair| exchange(pair, &inner4(1, 1), &inner4(1, 2)));
    }
    let (a, b) = pair.settle(1, 1);
    assert_eq!([a.rx_seq_discards, a.rx_errors, b.rx_seq_discards, b.rx_errors], [0; 4]);
}

#[test]
fn a_unit_of_ppp_is_shared_out() {
    if !met() {
        return;
    }
    let mut pair = pair("user");
    let (a, b) = (Form::Udp4.address(1), Form::Udp4.address(2));
    let ends = (
        Call::new(&pair.a, Pppol2tpForm::V2In, 1, &a, &b),
        Call::new(&pair.b, Pppol2tpForm::V2In, 2, &b, &a),
    );
    for (host, own, peer) in [(&pair.a, 1, 2), (&pair.b, 2, 1)] {
        host.ip("link set ppp0 mtu 1400 up");
        host.ip(&format!("addr add 10.7.0.{own} peer 10.7.0.{peer} dev ppp0"));
    }
    shared(&mut pair, |pair| exchange(pair, "10.7.0.1", "10.7.0.2"));
    transfer(&pair.b, &pair.a, "10.7.0.1", 2 << 20);
    let mut pair_a = pair.a;
    pair_a.ip("link del ppp0");
    drop(ends);
    wait::until("the workers have nothing to read", || pair_a.daemon().descriptors() < 40);
}

/// BPF in place of the workers and the other way round, while the device stays.
#[test]
fn the_path_is_changed() {
    if !met() || !require::fast_path() {
        return;
    }
    let mut pair = up(pair("auto"), Form::Udp4, Variant::PLAIN);
    let (a, b) = (inner4(1, 1), inner4(1, 2));
    for _ in 0..3 {
        for host in [&pair.a, &pair.b] {
            assert!(host.path("bpf").contains("bpf") || host.path("").contains(": bpf ("));
        }
        let before = read_by_workers(&mut pair.a).iter().sum::<u64>();
        transfer(&pair.a, &pair.b, &b, 2 << 20);
        let read = read_by_workers(&mut pair.a).iter().sum::<u64>() - before;
        assert!(read < 1 << 20, "{read} bytes were not carried");
        for host in [&pair.a, &pair.b] {
            host.path("user");
        }
        shared(&mut pair, |pair| exchange(pair, &a, &b));
        transfer(&pair.b, &pair.a, &a, 2 << 20);
    }
}

/// Every way in which a device can end leaves nothing, and no worker spins.
#[test]
fn nothing_is_left() {
    if !met() {
        return;
    }
    let mut pair = Pair::without_daemons();
    pair.a.start_daemon_with(&["--path", "user", "--workers", "2", "--queues", "2"]);
    // And the tunnel's socket.
    let before = pair.a.daemon().descriptors() + 1;
    pair.a.l2tp(&tunnel_words(Form::Udp4, 1, 1));
    let (tunnel, session) = (tunnel_ids(1).0, session_ids(1).0);
    for by_hand in [true, false, true] {
        pair.a.l2tp(&session_words(1, 1, 1));
        wait::until("there is a descriptor a queue", || pair.a.daemon().descriptors() == before + 2);
        pair.a.ip("link set pw1 up");
        assert!(pair.a.ip("link show pw1").contains(" qdisc noqueue "), "256 queues of the kernel's");
        if by_hand {
            pair.a.ip("link del pw1");
        } else {
            pair.a.l2tp(&format!("del session tunnel_id {tunnel} session_id {session}"));
        }
        wait::until("the session is gone", || pair.a.door().session(tunnel, session).is_err());
        wait::until("the device is gone", || pair.a.link("pw1").is_none());
        wait::until("its descriptors are closed", || pair.a.daemon().descriptors() == before);
    }
    let ticks = pair.a.daemon().processor_ticks();
    std::thread::sleep(std::time::Duration::from_millis(500));
    let used = pair.a.daemon().processor_ticks() - ticks;
    assert!(used <= 10, "{used} of 50 ticks");
}

#[test]
fn more_queues_than_workers_are_refused() {
    if !require::met(&[]) {
        return;
    }
    let host = Host::new();
    for queues in ["0", "3"] {
        let output = host.run("timeout", &["20", FERROWIRE, "daemon", "--workers", "2", "--queues", queues]);
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success() && said.contains("from 1 to"), "{said}");
    }
}
