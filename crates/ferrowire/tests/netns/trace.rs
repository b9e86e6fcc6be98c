//! `daemon --trace`: the kernel's tracepoints, from a real packet on.

use std::net::UdpSocket;

use crate::host::Host;
use crate::{require, wait};

/// A data packet for session 10 with sequence number 5: flags and version, session id, sublayer with S bit, 20 bytes.
const NUMBERED: [u8; 32] = {
    let mut packet = [0; 32];
    (packet[1], packet[7], packet[8], packet[11]) = (3, 10, 0x40, 5);
    packet
};

#[test]
fn tracepoints_go_to_stderr() {
    if !require::met(&[]) {
        return;
    }
    let mut host = Host::new();
    host.start_daemon_with(&["--trace"]);
    let peer = host.here(|| UdpSocket::bind("127.0.0.1:5002").unwrap());
    host.l2tp("add tunnel tunnel_id 1 peer_tunnel_id 2 encap udp local 127.0.0.1 remote 127.0.0.1 udp_sport 5001 udp_dport 5002");
    host.l2tp("add session tunnel_id 1 session_id 10 peer_session_id 20");
    peer.send_to(&NUMBERED, "127.0.0.1:5001").unwrap();
    wait::until("the packet is told of", || host.daemon().said().contains("session_seqnum_update"));
    host.l2tp("del tunnel tunnel_id 1");
    let said = host.daemon().said();
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(
        lines,
        [
            "register_tunnel: tunl 1: type=unmanaged encap=UDP version=L2TPv3 tid=1 ptid=2 fd=-1",
            "register_session: sess 1/10: pseudowire=ETH sid=10 psid=20 tid=1 ptid=2",
            "session_seqnum_lns_enable: sess 1/10",
            "session_seqnum_reset: sess 1/10: ns=0 nr=5",
            "session_seqnum_update: sess 1/10: ns=0 nr=6",
            "delete_tunnel: tunl 1",
            "delete_session: sess 1/10",
            "free_session: sess 1/10",
            "free_tunnel: tunl 1",
        ]
    );
}
