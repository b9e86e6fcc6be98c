//! Two hosts, a and b, on one link of MTU 1500.

use std::net::IpAddr;

use l2tp_abi::genl::l2tp::Stats;
use l2tp_io::rtnl::Rtnl;

use crate::changes;
use crate::form::Form;
use crate::host::Host;
use crate::variant::Variant;
use crate::wait;

/// The link's device, in both hosts.
pub(crate) const WAN: &str = "wan";

/// Both hosts; the link goes with them.
pub(crate) struct Pair {
    pub(crate) a: Host,
    pub(crate) b: Host,
}

/// The ids of tunnel `n` at a and at b.
pub(crate) fn tunnel_ids(n: u16) -> (u32, u32) {
    (1000 + u32::from(n), 2000 + u32::from(n))
}

/// The UDP ports of tunnel `n` at a and at b.
pub(crate) fn ports(n: u16) -> (u16, u16) {
    (5000 + n, 6000 + n)
}

/// The ids of session `k` at a and at b.
pub(crate) fn session_ids(k: u8) -> (u32, u32) {
    (0xaabb_cc00 + u32::from(k), 0xeeff_c000 + u32::from(k))
}

/// The device of session `k`, in both hosts.
pub(crate) fn device(k: u8) -> String {
    format!("pw{k}")
}

/// The addresses on the device of session `k`, of host `number` (1 or 2).
pub(crate) fn inner4(k: u8, number: u8) -> String {
    format!("10.1.{k}.{number}")
}

pub(crate) fn inner6(k: u8, number: u8) -> String {
    format!("fd00:1:{k:x}::{number}")
}

impl Pair {
    /// Both with a daemon.
    pub(crate) fn new() -> Self {
        let mut pair = Self::without_daemons();
        pair.a.start_daemon();
        pair.b.start_daemon();
        pair
    }

    pub(crate) fn without_daemons() -> Self {
        Self::between(Host::new(), Host::new())
    }

    /// Links two hosts that are there.
    pub(crate) fn between(a: Host, b: Host) -> Self {
        connect((&a, WAN), (&b, WAN));
        for (host, number) in [(&a, 1), (&b, 2)] {
            host.here(|| give_addresses(number));
        }
        a.reach(&Form::Udp4.address(2));
        a.reach(&Form::Udp6.address(2));
        let pair = Self { a, b };
        if changes::are_wanted() {
            // What comes whole from BPF at the other end would count there as one packet on the workers' path.
            pair.set_offloads(false);
        }
        pair
    }

    /// Makes tunnel `n` at both ends, each told `words` too.
    pub(crate) fn add_tunnel(&self, form: Form, n: u16, words: &str) {
        self.a.l2tp(&format!("{} {words}", tunnel_words(form, n, 1)));
        self.b.l2tp(&format!("{} {words}", tunnel_words(form, n, 2)));
    }

    /// Makes session `k` in tunnel `n` at both ends.
    pub(crate) fn add_session(&self, n: u16, k: u8, variant: Variant) {
        self.a.l2tp(&format!("{} {}", session_words(n, k, 1), variant.words_a()));
        self.b.l2tp(&format!("{} {}", session_words(n, k, 2), variant.words_b()));
    }

    /// Gives the devices of sessions their addresses and brings them up.
    pub(crate) fn configure(&self, sessions: impl IntoIterator<Item = u8> + Clone) {
        for (host, number) in [(&self.a, 1), (&self.b, 2)] {
            host.ip_batch(&sessions.clone().into_iter().map(|k| device_lines(k, number)).collect::<String>());
        }
        for k in sessions {
            self.a.reach(&inner4(k, 2));
            self.a.reach(&inner6(k, 2));
        }
    }

    /// Tunnel 1 with session 1, up.
    pub(crate) fn simple(form: Form) -> Self {
        let pair = Self::new();
        pair.add_tunnel(form, 1, "");
        pair.add_session(1, 1, Variant::PLAIN);
        pair.configure([1]);
        pair
    }

    /// Whether the link's devices leave segmentation and checksums to a network card that is not there. Without, what
    /// is captured is what a wire would carry. They never do while paths change.
    pub(crate) fn set_offloads(&self, on: bool) {
        let state = if on && !changes::are_wanted() { "on" } else { "off" };
        for host in [&self.a, &self.b] {
            host.ethtool(&format!("-K {WAN} tx {state} gso {state} tso {state} tx-udp-segmentation {state}"));
        }
    }

    /// How many packets of session `k` in tunnel `n` were sent at one end and not received at the other: from a, and from b.
    pub(crate) fn lag(&self, n: u16, k: u8) -> (i64, i64) {
        let a = self.a.door().session_stats(tunnel_ids(n).0, session_ids(k).0);
        let b = self.b.door().session_stats(tunnel_ids(n).1, session_ids(k).1);
        let lag = |sent: u64, received: u64| sent.cast_signed() - received.cast_signed();
        (lag(a.tx_packets, b.rx_packets), lag(b.tx_packets, a.rx_packets))
    }

    /// Waits until the ends of session `k` in tunnel `n` agree: what one has sent, the other has received, but for what the link
    /// has dropped, whose queue takes 1000 packets.
    pub(crate) fn settle(&self, n: u16, k: u8) -> (Stats, Stats) {
        let (mut a, mut b) = (self.a.door(), self.b.door());
        let mut stats = (Stats::default(), Stats::default());
        let agree = wait::within(wait::PATIENCE, || {
            stats.0 = a.session_stats(tunnel_ids(n).0, session_ids(k).0);
            stats.1 = b.session_stats(tunnel_ids(n).1, session_ids(k).1);
            received_what_was_sent(&stats.0, &stats.1, &self.a)
                && received_what_was_sent(&stats.1, &stats.0, &self.b)
        });
        assert!(agree, "the counters of session {k} do not agree: {stats:#?}");
        stats
    }
}

fn received_what_was_sent(from: &Stats, to: &Stats, sender: &Host) -> bool {
    match from.tx_packets.checked_sub(to.rx_packets) {
        Some(0) => from.tx_bytes == to.rx_bytes,
        Some(missing) => missing <= sender.sent(WAN).dropped,
        None => false,
    }
}

/// A link between two hosts, up at both ends.
pub(crate) fn connect(near: (&Host, &str), far: (&Host, &str)) {
    let netns = &far.0.netns;
    near.0.here(|| Rtnl::open().unwrap().create_veth(near.1, far.1, Some(netns)).unwrap());
    for (host, name) in [near, far] {
        host.ip(&format!("link set {name} up"));
    }
}

fn give_addresses(number: u8) {
    let mut rtnl = Rtnl::open().unwrap();
    let wan = rtnl.index_of(WAN).unwrap();
    for (form, prefix) in [(Form::Udp4, 24), (Form::Udp6, 64)] {
        let address: IpAddr = form.address(number).parse().unwrap();
        rtnl.add_address(wan, address, prefix).unwrap();
    }
}

/// The command that makes tunnel `n` at host `number` (1 or 2).
pub(crate) fn tunnel_words(form: Form, n: u16, number: u8) -> String {
    let turn = |(own, peer): (u32, u32)| if number == 1 { (own, peer) } else { (peer, own) };
    let (tunnel, peer) = turn(tunnel_ids(n));
    let (local, remote) = (form.address(number), form.address(3 - number));
    let (sport, dport) = turn((ports(n).0.into(), ports(n).1.into()));
    let encap = if form.is_udp() { format!("udp udp_sport {sport} udp_dport {dport}") } else { "ip".into() };
    format!("add tunnel tunnel_id {tunnel} peer_tunnel_id {peer} local {local} remote {remote} encap {encap}")
}

/// The command that makes session `k` in tunnel `n` at host `number`.
pub(crate) fn session_words(n: u16, k: u8, number: u8) -> String {
    let turn = |(own, peer): (u32, u32)| if number == 1 { (own, peer) } else { (peer, own) };
    let (tunnel, _) = turn(tunnel_ids(n));
    let (session, peer) = turn(session_ids(k));
    let name = device(k);
    format!("add session name {name} tunnel_id {tunnel} session_id {session} peer_session_id {peer}")
}

fn device_lines(k: u8, number: u8) -> String {
    let (device, v4, v6) = (device(k), inner4(k, number), inner6(k, number));
    format!("addr add {v4}/24 dev {device}\naddr add {v6}/64 dev {device} nodad\nlink set {device} up\n")
}
