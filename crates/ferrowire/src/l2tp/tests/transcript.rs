//! The recordings replayed.

use l2tp_abi::genl::l2tp::{L2TP_PWTYPE_PPP, SessionMessage};

use super::model::Model;
use super::{Options, in_our_name, ip, recording, vector};
use crate::l2tp::show;

/// Fault of iproute2 6.1 that is mended: ids given to `show` choose nothing, it lists everything.
/// Here is what those commands print instead of what was recorded.
const CHOSEN: [(&str, &str); 7] = [
    (
        "ip l2tp show tunnel tunnel_id 5",
        "Tunnel 5, encap UDP\n  From 2001:db8::1 to 2001:db8::2\n  Peer tunnel 6\n  \
         UDP source / dest ports: 6000/6001\n  UDP checksum: enabled\n",
    ),
    ("ip l2tp show tunnel tunnel_id 77", ""),
    (
        "ip l2tp show session tunnel_id 1 session_id 10",
        "Session 10 in tunnel 1\n  Peer session 21, tunnel 2\n  interface name: l2tpeth1\n  \
         offset 0, peer offset 0\n\n",
    ),
    ("ip l2tp show session tunnel_id 1 session_id 99", ""),
    (
        "ip -j -p l2tp show tunnel tunnel_id 9",
        r#"[ {
        "tunnel_id": 9,
        "encap": "UDP",
        "local": "192.0.2.1",
        "peer": "192.0.2.2",
        "peer_tunnel": 10,
        "local_port": 9000,
        "peer_port": 9001,
        "checksum": true
    } ]
"#,
    ),
    (
        "ip -j -p l2tp show session tunnel_id 3 session_id 30",
        r#"[ {
        "session_id": 30,
        "tunnel_id": 3,
        "peer_session_id": 40,
        "peer_tunnel_id": 4,
        "interface": "l2tpeth2",
        "cookie": "0102030405060708",
        "peer_cookie": "a1a2a3a4a5a6a7a8"
    } ]
"#,
    ),
    (
        "ip l2tp show session tunnel_id 20 tunnel",
        "Session 5 in tunnel 20\n  Peer session 6, tunnel 21\n  interface name: both\n  offset 0, peer offset 0\n\n",
    ),
];

/// Fault of iproute2 6.1 that is mended: a session shows the cookies of the one before it if it has none.
/// Here are the recorded texts that come from it and what stands in their place.
const NOT_ITS_OWN: [(&str, &str); 2] = [
    (
        "  offset 0, peer offset 0\n  cookie 0102030405060708  peer cookie a1a2a3a4a5a6a7a8\n  sequence",
        "  offset 0, peer offset 0\n\n  sequence",
    ),
    (r#","cookie":"0102030405060708","peer_cookie":"a1a2a3a4a5a6a7a8","#, ","),
];

fn expected(command: &str, recorded: &str) -> String {
    if let Some((_, chosen)) = CHOSEN.iter().find(|(chosen, _)| *chosen == command) {
        assert_ne!(recorded, *chosen, "{command}: nothing to mend");
        return (*chosen).to_owned();
    }
    let own = NOT_ITS_OWN.iter().fold(recorded.to_owned(), |text, (stale, own)| text.replace(stale, own));
    in_our_name(&own)
}

fn replay(name: &str) {
    let mut door = Model::default();
    for recorded in recording(name) {
        let (output, code) = ip(&mut door, &recorded.command);
        let expected = expected(&recorded.command, &recorded.output);
        assert_eq!((output.as_str(), code), (expected.as_str(), recorded.code), "{}", recorded.command);
    }
}

#[test]
fn the_transcript_of_a_real_kernel() {
    replay("ip-l2tp.txt");
}

#[test]
fn every_form_of_word_and_value() {
    replay("ip-l2tp-words.txt");
}

#[test]
fn reorder_timeouts_and_odd_commands() {
    replay("ip-l2tp-more.txt");
}

/// The part of a recording between the line `start` and the next empty line before a `$` line.
fn section<'a>(text: &'a str, start: &str) -> &'a str {
    let (_, rest) = text.split_once(start).unwrap_or_else(|| panic!("no {start:?} in {text}"));
    let end = rest.find("\n\n$").expect("the end of the section");
    &rest[..=end]
}

#[test]
fn every_configuration_shows_as_recorded() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/kernel/shows");
    let mut replayed = 0;
    for entry in std::fs::read_dir(folder).expect("recordings") {
        let name = entry.expect("an entry").file_name().into_string().expect("a plain name");
        let text = vector(&format!("shows/{name}"));
        let Some((_, made)) = text.split_once("## side a\n") else { continue };
        let (made, _) = made.split_once("## side b").expect("side b");
        let mut door = Model::default();
        for command in made.lines() {
            assert_eq!(ip(&mut door, command), (String::new(), 0), "{name}: {command}");
        }
        for kind in ["tunnel", "session"] {
            let command = format!("ip l2tp show {kind}");
            let recorded = section(&text, &format!("$ {command} (side a)\n"));
            assert_eq!(ip(&mut door, &command), (recorded.to_owned(), 0), "{name}");
        }
        replayed += 1;
    }
    assert!(replayed >= 40, "only {replayed} configurations replayed");
}

/// A PPP session has no interface of its own, so its name is not shown.
#[test]
fn ppp_sessions_show_as_recorded() {
    let plain = SessionMessage {
        conn_id: 4369,
        session_id: 13107,
        peer_conn_id: 8738,
        peer_session_id: 17476,
        pw_type: L2TP_PWTYPE_PPP,
        ..SessionMessage::default()
    };
    let cookie = vec![0xa1, 0xa2, 0xa3, 0xa4];
    for (name, session) in [
        ("v2-udp4-ppp-noseq", plain.clone()),
        ("v2-udp4-ppp-seq", SessionMessage { send_seq: true, recv_seq: true, ..plain.clone() }),
        (
            "v3-udp4-ppp-cookie4-noseq",
            SessionMessage { cookie: cookie.clone(), peer_cookie: cookie, ..plain },
        ),
    ] {
        let text = vector(&format!("shows/{name}.txt"));
        let recorded = section(&text, "$ ip l2tp show session\n");
        assert_eq!(show::sessions(&[session], &Options::default()), recorded, "{name}");
    }
}
