//! What goes beyond `ip l2tp`.

use super::ip;
use super::model::Model;

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
