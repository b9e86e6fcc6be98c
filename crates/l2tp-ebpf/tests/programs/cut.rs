//! Super-frames on an underlay that does not pass them: the kernel cuts them, and each packet has to be right.

use std::collections::HashSet;
use std::time::Duration;

use l2tp_ebpf::Counters;

use crate::decode::{check_headers, check_tcp};
use crate::form::{Arrangement, Form, PLAIN};
use crate::host::{Host, UNDERLAY};
use crate::packet::PacketSocket;
use crate::require;
use crate::tcp::transfer;
use crate::tunnel::{DEVICE, Tunnel, addresses};

const MEGABYTES: usize = 4;

/// Everything that a device could leave to another is off.
pub(crate) fn without_offloads(hosts: &[Host], device: &str) {
    for host in hosts {
        host.call(&[
            "ethtool",
            "-K",
            device,
            "tx",
            "off",
            "tso",
            "off",
            "gso",
            "off",
            "tx-udp-segmentation",
            "off",
        ]);
    }
}

/// TCP from the first host to the second, each packet of which is checked on the wire, and counted.
fn is_right(form: Form, cut_first: bool) {
    if !require::met(&["ethtool"]) {
        return;
    }
    let tunnel = Tunnel::new(form);
    without_offloads(&tunnel.hosts, UNDERLAY);
    if cut_first {
        without_offloads(&tunnel.hosts, DEVICE);
    }
    let [a, b] = &tunnel.hosts;
    for family in 0..2 {
        let wire = PacketSocket::open(b, UNDERLAY);
        let (_, before) = settled(&tunnel, &wire);
        transfer(&a.netns, &b.netns, addresses(2)[family], MEGABYTES);
        let (packets, after) = settled(&tunnel, &wire);
        let bytes = packets.iter().map(|packet| check(&form, 1, packet)).sum::<usize>();
        let (sent, received) = (after[0] - before[0], after[1] - before[1]);
        assert_eq!(
            (received.rx_packets, received.rx_bytes),
            (packets.len() as u64, bytes as u64),
            "{form:?}"
        );
        // On a busy machine the kernel's queue between the ends (`netdev_max_backlog`) overflows now and then.
        assert!(sent.tx_packets >= received.rx_packets && sent.tx_bytes >= received.rx_bytes, "{form:?}");
        assert!(packets.len() > (MEGABYTES << 20) / 1500);
        if !form.is_ipv6 {
            let ids: HashSet<_> = packets.iter().map(|packet| &packet[18..20]).collect();
            assert_eq!(ids.len(), packets.len(), "an IPv4 id came twice");
        }
    }
}

/// What has arrived at the second host, and what each end has counted when that was all.
pub(crate) fn settled(tunnel: &Tunnel, wire: &PacketSocket) -> (Vec<Vec<u8>>, [Counters; 2]) {
    let mut packets = recorded(wire, &tunnel.hosts[1].mac);
    loop {
        let counters = tunnel.settled_counters();
        let late = recorded(wire, &tunnel.hosts[1].mac);
        if late.is_empty() {
            return (packets, counters);
        }
        packets.extend(late);
    }
}

/// What arrived of the tunnel at a device with this address.
pub(crate) fn recorded(wire: &PacketSocket, mac: &[u8]) -> Vec<Vec<u8>> {
    // UDP or L2TP behind IPv4 or IPv6.
    let is_ours = |packet: &[u8]| {
        packet[..6] == *mac && [packet[20], packet[23]].iter().any(|at| [17, 115].contains(at))
    };
    std::iter::from_fn(|| wire.receive(Duration::from_millis(100), is_ours)).collect()
}

/// Checks a packet of host `from`; the bytes of its message.
pub(crate) fn check(form: &Form, from: u8, packet: &[u8]) -> usize {
    assert!(packet.len() <= 1514, "{} bytes", packet.len());
    let ppp = if form.is_ppp { 4 } else { 0 };
    let header_len = form.header(3 - from).len();
    let payload_at = 14 + form.overhead() as usize - ppp;
    let payload = &packet[payload_at..];
    check_headers(form, from, packet, payload);
    let ip = if form.is_ppp {
        assert!(
            [[0xff, 0x03, 0x00, 0x21], [0xff, 0x03, 0x00, 0x57]]
                .contains(&[payload[0], payload[1], payload[2], payload[3]])
        );
        assert_eq!(payload[3] == 0x57, payload[4] >> 4 == 6);
        &payload[4..]
    } else if payload[12..14] == [0x81, 0x00] {
        &payload[18..]
    } else {
        &payload[14..]
    };
    if is_tcp(ip) {
        check_tcp(ip);
    }
    header_len + payload.len()
}

/// Neighbours are looked for, too.
fn is_tcp(ip: &[u8]) -> bool {
    matches!((ip[0] >> 4, ip[9], ip[6]), (4, 6, _) | (6, _, 6))
}

#[test]
fn version_3_over_udp_and_ipv4() {
    is_right(PLAIN, false);
}

#[test]
fn version_3_over_udp_and_ipv6() {
    is_right(Form { is_ipv6: true, cookie: 4, sublayer: true, ..PLAIN }, false);
}

#[test]
fn a_veth_with_a_hidden_end() {
    is_right(Form { cookie: 0, arrangement: Arrangement::Veth, ..PLAIN }, false);
}

#[test]
fn ppp_over_udp_and_ipv4() {
    is_right(Form::PPP, false);
}

#[test]
fn ppp_over_udp_and_ipv6() {
    is_right(Form { is_ipv6: true, ..Form::PPP }, false);
}

#[test]
fn ppp_in_version_3() {
    is_right(Form { is_ppp: true, cookie: 4, sublayer: true, ..PLAIN }, false);
}

#[test]
fn over_ipv4_what_is_cut_before() {
    is_right(Form { over_ip: true, arrangement: Arrangement::Veth, ..PLAIN }, true);
}

#[test]
fn over_ipv6_what_is_cut_before() {
    is_right(Form { over_ip: true, is_ipv6: true, arrangement: Arrangement::Veth, ..PLAIN }, true);
}
