//! What `ferrowire exec` costs a program: `cargo bench -p ferrowire --bench exec`.
//!
//! Runs itself, in a network namespace of its own, by turns as it is and under `ferrowire exec --private`, and prints the
//! best time of each system call for both, side by side, with the limits that are to be kept on a quiet machine. As root.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a benchmark may stop and speaks"
)]

use std::collections::BTreeMap;
use std::hint::black_box;
use std::os::fd::OwnedFd;
use std::process::Command;
use std::time::Instant;

use l2tp_abi::genl::ctrl::{FamilyMessage, get_family};
use l2tp_abi::genl::l2tp::Request;
use l2tp_abi::nl::{Header, MessageBuilder, Messages};
use l2tp_io::netns::NetNs;
use rustix::fs::{Mode, OFlags, open};
use rustix::net::netlink::{GENERIC, SocketAddrNetlink};
use rustix::net::{
    AddressFamily, Protocol, RecvFlags, SendFlags, SocketFlags, SocketType, bind, recv, sendto, socket_with,
};

/// Times that each kind of run is made.
const ROUNDS: usize = 7;
/// `RTM_GETLINK` (include/uapi/linux/rtnetlink.h).
const RTM_GETLINK: u16 = 18;
/// The word that makes this program measure.
const MEASURE: &str = "measure";

/// What may be lost by a row.
enum Limit {
    /// Nanoseconds more than without.
    More(f64),
    /// Parts of the time without.
    Times(f64),
    /// Nanoseconds in all.
    Total(f64),
    None,
}

const ROWS: [(&str, Limit); 8] = [
    ("getppid", Limit::More(200.0)),
    ("recv on a UDP socket, nothing there", Limit::More(200.0)),
    ("RTM_GETLINK of lo, request and reply", Limit::Times(1.1)),
    ("open with O_CLOEXEC, close", Limit::More(200.0)),
    ("open without, close", Limit::None),
    ("look-up of \"nlctrl\", request and reply", Limit::None),
    ("look-up of \"l2tp\", request and reply", Limit::Total(60_000.0)),
    ("a tunnel that is not there, request and error", Limit::Total(60_000.0)),
];

fn main() {
    if std::env::args().any(|word| word == MEASURE) {
        return measure();
    }
    NetNs::unshare().expect("a network namespace: run as root");
    let (mut without, mut with) = (BTreeMap::new(), BTreeMap::new());
    let this = std::env::current_exe().unwrap();
    for _ in 0..ROUNDS {
        let mut plain = Command::new(&this);
        keep_best(&mut without, plain.arg(MEASURE));
        let mut under = Command::new(env!("CARGO_BIN_EXE_ferrowire"));
        keep_best(&mut with, under.args(["exec", "--private", "--"]).arg(&this).arg(MEASURE));
    }
    println!("{:48} {:>10} {:>10} {:>9}", "best of all rounds, microseconds", "without", "with", "more");
    for (number, (name, limit)) in ROWS.iter().enumerate() {
        let (without, with): (f64, f64) = (without[&number], with[&number]);
        let kept = match limit {
            Limit::More(more) => Some((with - without <= *more, format!("at most {:.1} more", more / 1e3))),
            Limit::Times(times) => Some((with <= without * times, format!("at most {times} times"))),
            Limit::Total(total) => Some((with <= *total, format!("at most {:.0} in all", total / 1e3))),
            Limit::None => None,
        };
        let told = kept.map_or(String::new(), |(kept, told)| {
            format!("{told}: {}", if kept { "kept" } else { "NOT KEPT" })
        });
        println!(
            "{name:48} {:10.2} {:10.2} {:9.2}  {told}",
            without / 1e3,
            with / 1e3,
            (with - without) / 1e3
        );
    }
}

/// Runs a measurement and keeps the best of each row, in nanoseconds.
fn keep_best(best: &mut BTreeMap<usize, f64>, command: &mut Command) {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    for (number, line) in String::from_utf8(output.stdout).unwrap().lines().enumerate() {
        let time: f64 = line.parse().unwrap();
        let known = best.entry(number).or_insert(time);
        *known = known.min(time);
    }
}

/// Prints the time of each row.
fn measure() {
    let udp = socket_with(AddressFamily::INET, SocketType::DGRAM, SocketFlags::NONBLOCK, None).unwrap();
    let route = netlink(None);
    let genl = netlink(Some(GENERIC));
    let (nlctrl, l2tp) = (get_family("nlctrl", 1), get_family("l2tp", 1));
    // Not to be acknowledged: one datagram answers.
    let question = |mut bytes: Vec<u8>| {
        bytes[6..8].copy_from_slice(&1_u16.to_ne_bytes());
        bytes
    };
    let (nlctrl, l2tp) = (question(nlctrl), question(l2tp));
    let family = exchange(&genl, &l2tp);
    let family =
        Messages::new(&family).find_map(|message| FamilyMessage::parse(&message)).map_or(999, |f| f.id);
    let tunnel = Request::TunnelGet(77).emit(family, 2);
    let null = |flags| drop(black_box(open("/dev/null", OFlags::RDONLY | flags, Mode::empty()).unwrap()));
    time(100_000, || _ = black_box(rustix::process::getppid()));
    time(100_000, || assert!(recv(&udp, &mut [0_u8; 64], RecvFlags::empty()).is_err()));
    let link = getlink();
    time(3_000, || drop(exchange(&route, &link)));
    time(10_000, || null(OFlags::CLOEXEC));
    time(3_000, || null(OFlags::empty()));
    time(3_000, || drop(exchange(&genl, &nlctrl)));
    time(3_000, || drop(exchange(&genl, &l2tp)));
    time(3_000, || drop(exchange(&genl, &tunnel)));
}

/// The best of three times, a call, in nanoseconds.
fn time(calls: u32, mut call: impl FnMut()) {
    let run = |_| {
        let start = Instant::now();
        (0..calls).for_each(|_| call());
        start.elapsed().as_secs_f64() * 1e9 / f64::from(calls)
    };
    println!("{}", (0..3).map(run).fold(f64::MAX, f64::min));
}

/// A bound socket; without a protocol it is one of NETLINK_ROUTE.
fn netlink(protocol: Option<Protocol>) -> OwnedFd {
    let flags = SocketFlags::CLOEXEC;
    let socket = socket_with(AddressFamily::NETLINK, SocketType::RAW, flags, protocol).unwrap();
    bind(&socket, &SocketAddrNetlink::new(0, 0)).unwrap();
    socket
}

fn exchange(socket: &OwnedFd, request: &[u8]) -> Vec<u8> {
    sendto(socket, request, SendFlags::empty(), &SocketAddrNetlink::new(0, 0)).unwrap();
    let mut reply = vec![0; 4096];
    let (length, _) = recv(socket, reply.as_mut_slice(), RecvFlags::empty()).unwrap();
    reply.truncate(length);
    reply
}

/// `struct ifinfomsg` of the loopback interface: family, padding, type u16, index i32, flags, mask.
fn getlink() -> Vec<u8> {
    let mut out = Vec::new();
    let mut message = MessageBuilder::new(&mut out, Header { kind: RTM_GETLINK, flags: 1, seq: 1, port: 0 });
    message.raw(&[0; 4]).raw(&1_i32.to_ne_bytes()).raw(&[0; 8]);
    message.finish();
    out
}
