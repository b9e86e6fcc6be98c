//! The debug texts against those that a real kernel wrote (6.12.117, `tests/vectors/kernel/shows`), of tunnels made by the
//! same commands, after as many packets as its counters tell.
#![expect(
    clippy::unwrap_used,
    reason = "tests; the exemption for test functions does not reach their shared parts"
)]

mod end;
mod recording;
mod setup;

use end::End;
use l2tp_mgmt::text::View;
use recording::Recording;
use setup::Setup;

#[test]
fn ethernet_tunnels_by_the_commands_that_made_them() {
    let recordings: Vec<_> =
        Recording::all().into_iter().filter(|recording| recording.commands().next().is_some()).collect();
    assert_eq!(recordings.len(), 44);
    for recording in recordings {
        let mut end = recording.replay(&Setup::of_commands(recording.commands()));
        assert_eq!(end.text(View::Tunnels), recording.debugfs().unwrap(), "{}", recording.name);
    }
}

/// The tunnels of version 2 and 3 with PPP sessions: the commands that would make them. xl2tpd's tunnel has a session 0 too.
const PPP: [(&str, &[&str]); 5] = [
    (
        "v2-udp4-ppp-noseq",
        &[
            "tunnel version 2 tunnel_id 4369 peer_tunnel_id 8738 local 192.0.2.1 remote 192.0.2.2 udp_sport 1701 udp_dport 1701",
            "session ppp tunnel_id 4369 session_id 13107 peer_session_id 17476",
        ],
    ),
    (
        "v2-udp4-ppp-seq",
        &[
            "tunnel version 2 tunnel_id 4369 peer_tunnel_id 8738 local 192.0.2.1 remote 192.0.2.2 udp_sport 1701 udp_dport 1701",
            "session ppp tunnel_id 4369 session_id 13107 peer_session_id 17476 seq both",
        ],
    ),
    (
        "v2-udp6-ppp-noseq",
        &[
            "tunnel version 2 tunnel_id 4369 peer_tunnel_id 8738 local 2001:db8::1 remote 2001:db8::2 udp_sport 1701 udp_dport 1701",
            "session ppp tunnel_id 4369 session_id 13107 peer_session_id 17476",
        ],
    ),
    (
        "v2-xl2tpd-full-session",
        &[
            "tunnel version 2 tunnel_id 25730 peer_tunnel_id 32315 local 192.0.2.1 remote 192.0.2.2 udp_sport 1701 udp_dport 1701",
            "session ppp tunnel_id 25730 session_id 0 peer_session_id 0",
            "session ppp tunnel_id 25730 session_id 23140 peer_session_id 51648",
        ],
    ),
    (
        "v3-udp4-ppp-cookie4-noseq",
        &[
            "tunnel tunnel_id 4369 peer_tunnel_id 8738 local 192.0.2.1 remote 192.0.2.2 udp_sport 1701 udp_dport 1701",
            "session ppp tunnel_id 4369 session_id 13107 peer_session_id 17476 cookie a1a2a3a4 peer_cookie a1a2a3a4",
        ],
    ),
];

/// Their sessions had a socket of pppd's, which a session of ours has not.
#[test]
fn ppp_tunnels_without_their_sockets() {
    let without_sockets = |text: String| {
        let (refs, state, unit) = ("   refcnt 3\n", " 3 Y\n", "   interface ppp0\n");
        assert!(text.contains(unit) == (text.contains(refs) || text.contains(state)));
        text.replace(refs, "   refcnt 2\n").replace(state, " 0 N\n").replace(unit, "")
    };
    for (name, commands) in PPP {
        let recording = Recording::open(name);
        let mut end = recording.replay(&Setup::of_commands(commands.iter().copied()));
        if let Some(want) = recording.debugfs() {
            assert_eq!(end.text(View::Tunnels), without_sockets(want), "{name}");
        }
        assert_eq!(end.text(View::Pppol2tp), without_sockets(recording.pppol2tp().unwrap()), "{name}");
    }
}

/// What no recording has: `net/l2tp/l2tp_debugfs.c` says it.
#[test]
fn odd_cookies_a_timeout_and_several_sessions() {
    let setup = Setup::of_commands([
        "tunnel tunnel_id 7 peer_tunnel_id 8 encap ip local 10.0.0.1 remote 10.0.0.2",
        "session tunnel_id 7 session_id 0 peer_session_id 1 cookie a1a2",
        "session tunnel_id 7 session_id 5 peer_session_id 6 peer_cookie a1a2a3a4a5 reorder_timeout 50 lns_mode on",
    ]);
    let text = End::new(&setup).text(View::Tunnels);
    let (_, text) = text.split_once("\n\n").unwrap();
    let want = "\
TUNNEL 7 peer 8 from 10.0.0.1 to 10.0.0.2
 L2TPv3, IP
 1 sessions, refcnt 2/4
 00000000 rx 0/0/0 rx 0/0/0
  SESSION 0, peer 1, ETH
   refcnt 2
   config 0/0/-/-/-/LAC 00000000 0
   offset 0 l2specific 1/4
   cookie a1a20000
   0/0 tx 0/0/0 rx 0/0/0
   interface l2tpeth0
  SESSION 5, peer 6, ETH
   refcnt 2
   config 0/0/-/-/-/LNS 00000000 52
   offset 0 l2specific 1/4
   peer cookie a1a2a3a4
   0/0 tx 0/0/0 rx 0/0/0
   interface l2tpeth1
";
    assert_eq!(text, want);
}
