//! Single frames through every form: each byte on the wire, at the other end, and counted.

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use l2tp_ebpf::Counters;

use crate::form::{Arrangement, Form, PLAIN};
use crate::host::UNDERLAY;
use crate::packet::{PacketSocket, frame, ipv4_frame, ipv6_frame, tagged_frame};
use crate::require;
use crate::tunnel::{DEVICE, Tunnel};

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

/// The headers of a packet on the wire, checked in every length and checksum by a decoder that knows nothing of us.
fn check_headers(form: &Form, packet: &[u8], frame: &[u8]) {
    let decoded = SlicedPacket::from_ethernet(packet).unwrap();
    let total = packet.len() - 14;
    match decoded.net.as_ref().unwrap() {
        NetSlice::Ipv4(ip) => {
            let header = ip.header().to_header();
            assert_eq!(header.calc_header_checksum(), header.header_checksum);
            assert_eq!(usize::from(header.total_len), total);
            assert_eq!((header.source, header.destination), ([10, 0, 0, 1], [10, 0, 0, 2]));
            assert_eq!((header.time_to_live, header.dont_fragment), (64, false));
        }
        NetSlice::Ipv6(ip) => {
            assert_eq!(usize::from(ip.header().payload_length()), total - 40);
            assert_eq!((ip.header().hop_limit(), form.is_ipv6), (64, true));
        }
        NetSlice::Arp(_) => panic!("ARP"),
    }
    if let Some(TransportSlice::Udp(udp)) = &decoded.transport {
        assert_eq!((udp.source_port(), udp.destination_port(), udp.checksum()), (1701, 1702, 0));
        assert_eq!(usize::from(udp.length()), total - if form.is_ipv6 { 40 } else { 20 });
    } else {
        assert!(form.over_ip);
    }
    let message = [form.header(2).as_slice(), frame].concat();
    assert_eq!(packet.len() - message.len(), 14 + form.overhead() as usize - form.header(2).len());
    assert!(packet.ends_with(&message), "{packet:02x?} does not end with {message:02x?}");
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
            check_headers(&form, &packet, &frame);
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
