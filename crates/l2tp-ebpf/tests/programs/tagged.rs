//! Super-frames with a VLAN tag. A frame that has been received has it beside the packet, whatever passes it on; one that is sent as it is has it in the packet.

use std::collections::BTreeMap;
use std::io::IoSlice;
use std::time::Duration;

use etherparse::{SlicedPacket, TransportSlice};
use l2tp_io::rtnl::Rtnl;
use l2tp_io::tap::Tap;

use crate::cut::{check, recorded, without_offloads};
use crate::form::{Arrangement, Form, PLAIN};
use crate::host::{Host, UNDERLAY, bring_up};
use crate::life::read;
use crate::packet::{PacketSocket, TAG, super_frame};
use crate::require;
use crate::tunnel::{DEVICE, Tunnel};

/// Bytes of TCP in a super-frame and in each of its segments.
const BYTES: usize = 20_000;
const SEGMENT: u16 = 1200;

/// A bridge at a host between a device of ours and that of the session: what we have the first receive leaves by the second.
fn bridge(host: &Host) -> Tap {
    host.here(|| {
        let outside = Tap::create("outside").unwrap();
        let mut rtnl = Rtnl::open().unwrap();
        rtnl.create_bridge("bridge").unwrap();
        // Else it tells of the groups that it has joined.
        host.call(&["ip", "link", "set", "bridge", "type", "bridge", "mcast_snooping", "0"]);
        let bridge = bring_up("bridge", &[]);
        for port in [bring_up("outside", &[]), rtnl.index_of(DEVICE).unwrap()] {
            rtnl.set_master(port, Some(bridge)).unwrap();
        }
        outside
    })
}

/// A super-frame with its tag beside it is carried, and each packet that it becomes on a wire which passes none is right.
fn is_cut(form: Form) {
    if !require::met(&["ethtool"]) {
        return;
    }
    let tunnel = Tunnel::silent(form);
    without_offloads(&tunnel.hosts, UNDERLAY);
    let [a, b] = &tunnel.hosts;
    let outside = bridge(a);
    let mut count = 0;
    let mut bytes = 0;
    for is_ipv6 in [false, true] {
        let wire = PacketSocket::open(b, UNDERLAY);
        let (header, frame) = super_frame(is_ipv6, BYTES, SEGMENT);
        outside.write(&[IoSlice::new(&header.emit()), IoSlice::new(&frame)]).unwrap();
        let sent = tunnel.settled_counters()[0];
        let packets = recorded(&wire, &b.mac);
        assert_eq!(packets.len(), BYTES.div_ceil(SEGMENT.into()));
        count += packets.len() as u64;
        bytes += packets.iter().map(|packet| check_tagged(&form, packet)).sum::<usize>();
        assert_eq!((sent.tx_packets, sent.tx_bytes), (count, bytes as u64), "{form:?}");
        assert!(payload(&form, &packets) == frame[frame.len() - BYTES..]);
    }
    assert_eq!(tunnel.settled_counters()[1].rx_packets, count);
}

/// Checks a packet of the first host; the bytes of its message.
fn check_tagged(form: &Form, packet: &[u8]) -> usize {
    assert_eq!(inner(form, packet)[12..16], TAG);
    check(form, 1, packet)
}

/// The frame in a packet.
fn inner<'a>(form: &Form, packet: &'a [u8]) -> &'a [u8] {
    &packet[14 + form.overhead() as usize..]
}

/// The bytes of the stream, put together by their sequence numbers.
fn payload(form: &Form, packets: &[Vec<u8>]) -> Vec<u8> {
    let segment = |packet| {
        let decoded = SlicedPacket::from_ethernet(inner(form, packet)).unwrap();
        let Some(TransportSlice::Tcp(tcp)) = decoded.transport else { panic!("no TCP: {decoded:?}") };
        (tcp.sequence_number(), tcp.payload().to_vec())
    };
    packets.iter().map(|packet| segment(packet)).collect::<BTreeMap<_, _>>().into_values().flatten().collect()
}

#[test]
fn over_ipv4() {
    is_cut(PLAIN);
}

#[test]
fn over_ipv6() {
    is_cut(Form { is_ipv6: true, cookie: 4, sublayer: true, ..PLAIN });
}

#[test]
fn from_a_veth_with_a_hidden_end() {
    is_cut(Form { cookie: 0, arrangement: Arrangement::Veth, ..PLAIN });
}

/// The helper that makes room takes packets of IP only. One frame could be carried without it, but not what has to be cut: that is the user path's, whole.
#[test]
fn with_the_tag_in_it_a_super_frame_is_left() {
    if !require::met(&[]) {
        return;
    }
    let tunnel = Tunnel::silent(PLAIN);
    let [a, b] = &tunnel.hosts;
    let (from, wire) = (PacketSocket::with_vnet_headers(a, DEVICE), PacketSocket::open(b, UNDERLAY));
    for is_ipv6 in [false, true] {
        let (header, frame) = super_frame(is_ipv6, BYTES, SEGMENT);
        let whole = [&header.emit()[..], &frame].concat();
        from.send(&whole);
        assert!(read(tunnel.ends[0].tap.as_ref().unwrap()) == whole, "{header:?}");
    }
    assert_eq!(wire.receive(Duration::from_millis(200), |packet| packet.len() > 1000), None);
    assert_eq!(tunnel.counters()[0].tx_packets, 0);
}
