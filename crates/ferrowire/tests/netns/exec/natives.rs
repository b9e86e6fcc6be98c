//! What is not ours is the kernel's: the same inside and outside.

use crate::host::Host;
use crate::pair::connect;
use crate::require;

use super::{exec, text};

/// Commands that look at everything but L2TP.
const COMMANDS: [&str; 10] = [
    "ip -d link show lo",
    "ip -d -j link",
    "ip addr",
    "ip -s -s link show wan | head -2",
    "ip route show table all",
    "ss -a -n -t -u -w",
    "ss -a -n -f netlink | wc -l | sed 's/.*/some/'",
    "genl ctrl get name nlctrl",
    "genl ctrl get name ethtool",
    "genl ctrl get name no-such-family 2>&1; echo $?",
];

#[test]
fn other_families_and_tools_answer_as_without_us() {
    if !require::met(&["genl", "ss"]) {
        return;
    }
    let (mut host, other) = (Host::new(), Host::new());
    connect((&host, "wan"), (&other, "wan"));
    host.ip("link set lo up");
    host.start_daemon();
    for command in COMMANDS {
        let outside = host.run("sh", &["-c", command]);
        let inside = exec(&host, &[], command);
        assert_eq!(text(&inside.stdout), text(&outside.stdout), "{command}");
        assert_eq!(inside.status.code(), outside.status.code(), "{command}");
        assert!(!outside.stdout.is_empty(), "{command}");
    }
}

/// One family more, and nothing else.
#[test]
fn the_list_of_families_has_one_more() {
    if !require::met(&["genl"]) {
        return;
    }
    let mut host = Host::new();
    let names = |text: &str| -> Vec<String> {
        let mut names: Vec<_> =
            text.lines().filter_map(|line| line.strip_prefix("Name: ")).map(str::to_owned).collect();
        names.sort();
        names
    };
    let outside = text(&host.run("genl", &["ctrl", "list"]).stdout);
    // Without a daemon there is nothing to be listed.
    assert_eq!(names(&text(&exec(&host, &[], "genl ctrl list").stdout)), names(&outside));
    host.start_daemon();
    let inside = names(&text(&exec(&host, &[], "genl ctrl list").stdout));
    let mut expected = names(&outside);
    expected.push("l2tp".into());
    expected.sort();
    assert_eq!(inside, expected);
    let policy = text(&exec(&host, &[], "genl ctrl policy name l2tp").stdout);
    assert!(policy.contains("attr[8]: type=NUL_STRING max len:15"), "{policy}");
}
