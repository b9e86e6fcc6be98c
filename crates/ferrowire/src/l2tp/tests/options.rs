//! What goes beyond `ip l2tp`.

use super::model::Model;
use super::{Options, ip, words};

fn with_session() -> Model {
    let mut door = Model::default();
    for command in [
        "ip l2tp add tunnel tunnel_id 1 peer_tunnel_id 2 encap ip local 192.0.2.1 remote 192.0.2.2",
        "ip l2tp add session tunnel_id 1 session_id 3 peer_session_id 4 seq both reorder_timeout 9",
    ] {
        assert_eq!(ip(&mut door, command), (String::new(), 0), "{command}");
    }
    door
}

#[test]
fn set_changes_what_it_names() {
    let mut door = with_session();
    let set = "ip l2tp set session tunnel_id 1 session_id 3";
    assert_eq!(ip(&mut door, &format!("{set} reorder_timeout 0x20")), (String::new(), 0));
    let (shown, _) = ip(&mut door, "ip l2tp show session");
    assert!(shown.ends_with("  reorder timeout: 32\n  sequence numbering: send recv\n"), "{shown}");
    assert_eq!(ip(&mut door, &format!("{set} reorder_timeout 0 seq recv")), (String::new(), 0));
    let (shown, _) = ip(&mut door, "ip l2tp show session");
    assert!(shown.ends_with("offset 0, peer offset 0\n\n  sequence numbering: recv\n"), "{shown}");
    assert_eq!(ip(&mut door, "ip l2tp set session tunnel_id 1 session_id 4").1, 2);
}

#[test]
fn a_vlan_is_asked_for_and_shown() {
    let mut door = with_session();
    let add = "ip l2tp add session tunnel_id 1 session_id 5 peer_session_id 6 vlan 100";
    assert_eq!(ip(&mut door, add), (String::new(), 0));
    let (shown, _) = ip(&mut door, "ip l2tp show session session_id 5");
    assert!(shown.contains("interface name: l2tpeth1\n  VLAN: 100\n  offset 0"), "{shown}");
    let (json, _) = ip(&mut door, "ip -j l2tp show session session_id 5");
    assert!(json.contains("\"interface\":\"l2tpeth1\",\"vlan\":100}"), "{json}");
    let (other, _) = ip(&mut door, "ip l2tp show session session_id 3");
    assert!(!other.contains("VLAN"), "{other}");
}

#[test]
fn wrong_values_are_told_in_the_same_style() {
    for (command, told) in [
        ("set", super::super::usage::TEXT),
        ("set tunnel tunnel_id 1", "Error: argument \"session\" is required\n"),
        ("set session session_id 1", "Error: argument \"tunnel_id\" is required\n"),
        ("set session tunnel_id 1", "Error: argument \"session_id\" is required\n"),
        ("add session reorder_timeout x", "Error: argument \"x\" is wrong: invalid reorder timeout\n\n"),
        ("add session lns_mode yes", "Error: argument \"yes\" is wrong: invalid option for lns_mode\n\n"),
        ("add session vlan 4095", "Error: argument \"4095\" is wrong: invalid VLAN ID\n\n"),
        ("add session vlan", "Command line is not complete. Try option \"help\"\n"),
        ("add tunnel proto_version 4", "Unknown protocol version \"4\"\n"),
        ("se session", "Command \"se\" is unknown, try \"ferrowire l2tp help\".\n"),
    ] {
        assert_eq!(
            ip(&mut Model::default(), &format!("ip l2tp {command}")),
            (told.to_owned(), 255),
            "{command}"
        );
    }
}

#[test]
fn options_stand_before_or_after_the_word_l2tp() {
    let mut door = with_session();
    let (json, _) = ip(&mut door, "ip -j l2tp show tunnel");
    assert_eq!(ip(&mut door, "ip l2tp --json show tunnel").0, json);
    assert_eq!(
        ip(&mut door, "ip -p l2tp -js show tunnel").0,
        ip(&mut door, "ip -json -pretty l2tp show tunnel").0
    );
    assert!(ip(&mut door, "ip l2tp - show tunnel").0.starts_with("Command \"-\" is unknown"));
}

#[test]
fn show_chooses_by_either_id() {
    let mut door = with_session();
    let (all, _) = ip(&mut door, "ip l2tp show session");
    for (ids, found) in [
        ("tunnel_id 1", true),
        ("session_id 3", true),
        ("tunnel_id 2", false),
        ("session_id 4", false),
        ("tunnel_id 1 session_id 4", false),
    ] {
        let shown = ip(&mut door, &format!("ip l2tp show session {ids}"));
        assert_eq!(shown, (if found { all.clone() } else { String::new() }, 0), "{ids}");
    }
    assert_eq!(ip(&mut door, "ip -j l2tp show session session_id 4"), ("[]\n".to_owned(), 0));
}

/// Recorded with `ip -o` of iproute2 6.1 on Linux 6.12.117.
#[test]
fn one_line_a_record_but_for_the_original_exceptions() {
    let mut door = with_session();
    assert_eq!(
        ip(&mut door, "ip -o l2tp show tunnel").0,
        "Tunnel 1, encap IP\\  From 192.0.2.1 to 192.0.2.2\\  Peer tunnel 2\\"
    );
    let udp = "ip l2tp add tunnel tunnel_id 5 peer_tunnel_id 2 local 2001:db8::1 remote 2001:db8::2 udp_sport 1 udp_dport 2";
    assert_eq!(ip(&mut door, udp).1, 0);
    assert!(ip(&mut door, "ip -oneline l2tp show tunnel").0.ends_with(
        "\\Tunnel 5, encap UDP\\  From 2001:db8::1 to 2001:db8::2\\  Peer tunnel 2\\  UDP source / dest ports: 1/2\\  \
         UDP checksum: enabled\n"
    ));
    let add = "ip l2tp add session tunnel_id 5 peer_session_id 22 session_id";
    for session in ["8", "7 seq send", "11 cookie 01020304", "10 cookie 01020304 seq both"] {
        assert_eq!(ip(&mut door, &format!("{add} {session}")).1, 0, "{session}");
    }
    let behind = |line: &str| line.split_once("peer offset 0").map(|(_, behind)| behind.to_owned());
    let mut line = |id| ip(&mut door, &format!("ip -o l2tp show session tunnel_id 5 session_id {id}")).0;
    assert!(line(8).starts_with("Session 8 in tunnel 5\\  Peer session 22, tunnel 2\\  interface name: "));
    assert_eq!(behind(&line(8)).as_deref(), Some("\n\n"));
    assert_eq!(behind(&line(7)).as_deref(), Some("\n\\  sequence numbering: send\n"));
    assert_eq!(behind(&line(11)).as_deref(), Some("\n  cookie 01020304\n"));
    assert_eq!(behind(&line(10)).as_deref(), Some("\n  cookie 01020304\\  sequence numbering: send recv\n"));
}

#[test]
fn the_other_options_of_ip_are_understood() {
    let mut options = Options::default();
    let words = words("-4 -s -d -br -color=never -rc 1000 -n blue -force -N l2tp show");
    assert_eq!(options.take(&words), ["l2tp", "show"]);
    assert_eq!(options, Options { netns: Some("blue".into()), ..Options::default() });
    assert_eq!(options.take(&super::words("-x l2tp")).len(), 2, "an unknown one stays");
}
