//! Packets on the wire, read by a decoder that knows nothing of us.

use etherparse::{NetSlice, SlicedPacket, TransportSlice};

use crate::form::Form;

/// Checks the headers of a packet of host `from`, every length and checksum, and that `payload` is in it.
pub(crate) fn check_headers(form: &Form, from: u8, packet: &[u8], payload: &[u8]) {
    let decoded = SlicedPacket::from_ethernet(packet).unwrap();
    let total = packet.len() - 14;
    match decoded.net.as_ref().unwrap() {
        NetSlice::Ipv4(ip) => {
            let header = ip.header().to_header();
            assert_eq!(header.calc_header_checksum(), header.header_checksum);
            assert_eq!(usize::from(header.total_len), total);
            assert_eq!((header.source, header.destination), ([10, 0, 0, from], [10, 0, 0, 3 - from]));
            assert_eq!((header.time_to_live, header.dont_fragment), (64, false));
        }
        NetSlice::Ipv6(ip) => {
            assert_eq!(usize::from(ip.header().payload_length()), total - 40);
            assert_eq!((ip.header().hop_limit(), form.is_ipv6), (64, true));
        }
        NetSlice::Arp(_) => panic!("ARP"),
    }
    if let Some(TransportSlice::Udp(udp)) = &decoded.transport {
        let [source, destination] = [from, 3 - from].map(|number| 1700 + u16::from(number));
        assert_eq!((udp.source_port(), udp.destination_port(), udp.checksum()), (source, destination, 0));
        assert_eq!(usize::from(udp.length()), total - if form.is_ipv6 { 40 } else { 20 });
    } else {
        assert!(form.over_ip);
    }
    let message = [form.header(3 - from).as_slice(), payload].concat();
    let udp_len = if form.over_ip { 0 } else { 8 };
    assert_eq!(packet.len() - message.len(), 14 + udp_len + if form.is_ipv6 { 40 } else { 20 });
    assert!(packet.ends_with(&message), "{packet:02x?} does not end with {message:02x?}");
}

/// Checks every length and checksum of an IP packet with TCP in it.
pub(crate) fn check_tcp(packet: &[u8]) {
    let decoded = SlicedPacket::from_ip(packet).unwrap();
    let Some(TransportSlice::Tcp(tcp)) = &decoded.transport else { panic!("no TCP: {decoded:?}") };
    let checksum = match decoded.net.as_ref().unwrap() {
        NetSlice::Ipv4(ip) => {
            let header = ip.header().to_header();
            assert_eq!(header.calc_header_checksum(), header.header_checksum);
            assert_eq!(usize::from(header.total_len), packet.len());
            tcp.calc_checksum_ipv4(ip.header().source(), ip.header().destination()).unwrap()
        }
        NetSlice::Ipv6(ip) => {
            assert_eq!(usize::from(ip.header().payload_length()) + 40, packet.len());
            tcp.calc_checksum_ipv6(ip.header().source(), ip.header().destination()).unwrap()
        }
        NetSlice::Arp(_) => panic!("ARP"),
    };
    assert_eq!(tcp.checksum(), checksum);
}
