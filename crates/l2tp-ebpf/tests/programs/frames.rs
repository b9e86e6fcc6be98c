//! Single frames through every form: each byte on the wire, at the other end, and counted.

use std::net::{SocketAddr, UdpSocket};
use std::time::Duration;

use l2tp_ebpf::Counters;

use crate::cut::{check, settled};
use crate::decode::check_headers;
use crate::form::{Arrangement, Form, PLAIN};
use crate::host::UNDERLAY;
use crate::packet::{PacketSocket, frame, ipv4_frame, ipv6_frame, tagged_frame};
use crate::require;
use crate::tunnel::{DEVICE, Tunnel, addresses};

/// Every form of tunnels of this kind.
fn forms(over_ip: bool, is_ipv6: bool) -> Vec<Form> {
    let sessions = [(0, false), (4, false), (8, false), (0, true), (4, true), (8, true)];
    let forms = sessions.map(|(cookie, sublayer)| Form { over_ip, is_ipv6, cookie, sublayer, ..PLAIN });
    let veths = [0, 4].map(|form| Form { arrangement: Arrangement::Veth, ..forms[form] });
    forms.into_iter().chain(veths).collect()
}

/// Frames that are carried, of every kind.
fn frames(mtu: usize) -> Vec<Vec<u8>> {
    vec![
        ipv4_frame(60, 1),
        ipv4_frame(mtu, 2),
        ipv6_frame(80, 3),
        tagged_frame(100, 4),
        // ARP, LLC, a protocol that nobody knows.
        frame(0x0806, &[5; 50]),
        frame(50, &[6; 50]),
        frame(0x88b5, &[7; 900]),
    ]
}

/// Sends a frame from the first host's device; what was on the wire and what came out at the other.
fn send([from, wire, to]: &[PacketSocket; 3], frame: &[u8]) -> [Vec<u8>; 2] {
    from.send(frame);
    [wire.receive_ending(frame), to.receive_ending(&frame[16..])]
}

fn sockets(tunnel: &Tunnel) -> [PacketSocket; 3] {
    let [a, b] = &tunnel.hosts;
    [PacketSocket::open(a, DEVICE), PacketSocket::open(b, UNDERLAY), PacketSocket::open(b, DEVICE)]
}

/// Every kind of frame in every form.
fn are_carried(forms: Vec<Form>) {
    if !require::met(&[]) {
        return;
    }
    for form in forms {
        let tunnel = Tunnel::silent(form);
        let sockets = sockets(&tunnel);
        let mut expected = Counters::default();
        for frame in frames(form.mtu() as usize) {
            let [packet, delivered] = send(&sockets, &frame);
            check_headers(&form, 1, &packet, &frame);
            // A packet socket sees a frame that was received without its tag.
            assert_eq!(delivered[..12], frame[..12], "{form:?}");
            assert!(delivered.len() == frame.len() || delivered.len() + 4 == frame.len());
            expected.tx_packets += 1;
            expected.tx_bytes += (form.header(2).len() + frame.len()) as u64;
        }
        let [sent, received] = tunnel.settled_counters();
        assert_eq!((sent.tx_packets, sent.tx_bytes), (expected.tx_packets, expected.tx_bytes), "{form:?}");
        assert_eq!(
            (received.rx_packets, received.rx_bytes),
            (expected.tx_packets, expected.tx_bytes),
            "{form:?}"
        );
        assert_eq!((sent.rx_packets, received.tx_packets), (0, 0));
    }
}

#[test]
fn over_udp_and_ipv4() {
    are_carried(forms(false, false));
}

#[test]
fn over_udp_and_ipv6() {
    are_carried(forms(false, true));
}

#[test]
fn over_ipv4() {
    are_carried(forms(true, false));
}

#[test]
fn over_ipv6() {
    are_carried(forms(true, true));
}

/// Datagrams of both families, short and as long as they may be, in PPP.
fn are_carried_in_ppp(form: Form) {
    let tunnel = Tunnel::new(form);
    let [a, b] = &tunnel.hosts;
    let wire = PacketSocket::open(b, UNDERLAY);
    let (_, before) = settled(&tunnel, &wire);
    let lens = [1, 500, form.mtu() as usize - 48];
    for (own, peer) in addresses(1).into_iter().zip(addresses(2)) {
        let [from, to] = [(a, own), (b, peer)]
            .map(|(host, own)| host.here(|| UdpSocket::bind(SocketAddr::new(own, 0)).unwrap()));
        to.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        for len in lens {
            from.send_to(&vec![0xa5; len], to.local_addr().unwrap()).unwrap();
            let mut received = vec![0; 2000];
            let received_len = to.recv(&mut received).unwrap();
            assert_eq!(received[..received_len], vec![0xa5; len], "{form:?}");
        }
    }
    // The hosts have things to say to each other, too.
    let (packets, after) = settled(&tunnel, &wire);
    let bytes = packets.iter().map(|packet| check(&form, 1, packet)).sum::<usize>();
    let (sent, received) = (after[0] - before[0], after[1] - before[1]);
    assert!(packets.len() >= 2 * lens.len());
    assert_eq!((sent.tx_packets, sent.tx_bytes), (packets.len() as u64, bytes as u64), "{form:?}");
    assert_eq!((received.rx_packets, received.rx_bytes), (sent.tx_packets, sent.tx_bytes), "{form:?}");
}

/// L2TPv3 has PPP over IP, too.
#[test]
fn ppp_in_version_3() {
    if !require::met(&[]) {
        return;
    }
    for (over_ip, is_ipv6) in [(false, false), (false, true), (true, false), (true, true)] {
        for (cookie, sublayer) in [(0, false), (4, true), (8, false)] {
            are_carried_in_ppp(Form { is_ppp: true, over_ip, is_ipv6, cookie, sublayer, ..PLAIN });
        }
    }
}
