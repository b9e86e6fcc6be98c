//! The data packets of a real kernel's PPP sessions (`tests/vectors/kernel`), negotiation and network: their frames, written to
//! a PPPoL2TP socket, must become the same bytes again.

use std::fs::File;
use std::path::Path;

use l2tp_client::SessionCreate;
use pcap_file::pcap::PcapReader;

use crate::host::Host;
use crate::lone::Lone;
use crate::require;

/// Capture, version of L2TP, whether numbers are sent, cookie, and data packets in it.
const CAPTURES: [(&str, u8, bool, &[u8], usize); 5] = [
    ("v2-udp4-ppp-noseq", 2, false, &[], 6),
    ("v2-udp4-ppp-seq", 2, true, &[], 6),
    ("v2-udp6-ppp-noseq", 2, false, &[], 6),
    ("v3-udp4-ppp-cookie4-noseq", 3, false, &[0xa1, 0xa2, 0xa3, 0xa4], 6),
    ("v2-xl2tpd-full-session", 2, false, &[], 16),
];

/// A data packet, and whether side a sent it.
struct Packet {
    from_a: bool,
    bytes: Vec<u8>,
}

fn data_packets(name: &str) -> Vec<Packet> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../../tests/vectors/kernel/{name}.pcap"));
    let mut reader = PcapReader::new(File::open(path).unwrap()).unwrap();
    let packets =
        std::iter::from_fn(|| reader.next_packet().map(|packet| take_outer_off(&packet.unwrap().data)));
    packets.filter(|packet| packet.bytes[0] & 0x80 == 0).collect()
}

/// Ethernet, IP without options, UDP. Side a's MAC address is 02:00:00:00:0a:01.
fn take_outer_off(frame: &[u8]) -> Packet {
    let ip = if frame[12..14] == [0x08, 0x00] { 20 } else { 40 };
    let length = usize::from(u16::from_be_bytes([frame[14 + ip + 4], frame[14 + ip + 5]]));
    let bytes = frame[14 + ip + 8..14 + ip + length].to_vec();
    Packet { from_a: frame[6..12] == [2, 0, 0, 0, 0x0a, 1], bytes }
}

/// What the sender of a packet knew of its peer: tunnel id, which L2TPv3 over UDP does not send, and session id.
fn peer_ids(version: u8, packet: &[u8]) -> (u32, u32) {
    let u16_at = |at: usize| u32::from(u16::from_be_bytes([packet[at], packet[at + 1]]));
    if version == 2 { (u16_at(2), u16_at(4)) } else { (7, u16_at(4) << 16 | u16_at(6)) }
}

#[test]
fn frames_on_a_socket_become_the_kernels_packets() {
    if !require::met(&[]) {
        return;
    }
    let mut host = Host::new();
    host.ip("link set lo up");
    host.start_daemon();
    let mut conn_id = 0;
    for (name, version, send_seq, cookie, count) in CAPTURES {
        let packets = data_packets(name);
        assert_eq!(packets.len(), count, "{name}");
        for side in [true, false] {
            let mut packets = packets.iter().filter(|packet| packet.from_a == side).peekable();
            let (peer_conn_id, peer_session_id) = peer_ids(version, &packets.peek().unwrap().bytes);
            conn_id += 1;
            let create = SessionCreate {
                peer_conn_id,
                send_seq,
                cookie: cookie.to_vec(),
                ..SessionCreate::ethernet(conn_id, conn_id, peer_session_id)
            };
            let lone = host.here(|| Lone::new(version, &create));
            for packet in packets {
                let start = packet.bytes.windows(2).position(|bytes| bytes == [0xff, 0x03]).unwrap();
                assert_eq!(lone.sent(&packet.bytes[start + 2..]), packet.bytes, "{name}");
            }
        }
    }
}
