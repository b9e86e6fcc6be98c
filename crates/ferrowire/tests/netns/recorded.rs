//! The data packets of a real kernel's PPP sessions (`tests/vectors/kernel`), negotiation and network: their frames, written to
//! a PPPoL2TP socket, must become the same bytes again.

use l2tp_client::SessionCreate;
use l2tp_oracle::captures::{Capture, Packet, captures};

use crate::host::Host;
use crate::lone::Lone;
use crate::require;

/// What an end of a capture knew of its session. L2TPv3 over UDP does not send tunnel ids.
fn create(capture: &Capture, conn_id: u32, end: usize) -> SessionCreate {
    let (own, peer) = (&capture.ends[end], &capture.ends[1 - end]);
    SessionCreate {
        peer_conn_id: peer.tunnel_id,
        send_seq: capture.send_seq,
        cookie: own.cookie.clone(),
        ..SessionCreate::ethernet(conn_id, conn_id, peer.session_id)
    }
}

/// The data packets that an end sent.
fn data(capture: &Capture, end: usize) -> impl Iterator<Item = &[u8]> {
    let of_end = capture.packets.iter().filter(move |packet| packet.from == end);
    of_end.map(Packet::message).filter(|message| message[0] & 0x80 == 0)
}

#[test]
fn frames_on_a_socket_become_the_kernels_packets() {
    if !require::met(&[]) {
        return;
    }
    let mut host = Host::new();
    host.ip("link set lo up");
    host.start_daemon();
    let (mut conn_id, mut checked) = (0, 0);
    for capture in captures().iter().filter(|capture| capture.is_ppp) {
        for end in [0, 1] {
            conn_id += 1;
            let lone = host.here(|| Lone::new(capture.version, &create(capture, conn_id, end)));
            for packet in data(capture, end) {
                let start = packet.windows(2).position(|bytes| bytes == [0xff, 0x03]).unwrap();
                assert_eq!(lone.sent(&packet[start + 2..]), packet, "{}", capture.name);
                checked += 1;
            }
        }
    }
    assert_eq!(checked, 6 + 6 + 6 + 6 + 16);
}
