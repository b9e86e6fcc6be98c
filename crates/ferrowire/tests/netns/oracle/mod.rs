//! Every recorded answer of a real kernel, asked of the daemon: with real sockets, in namespaces that have only `lo`, as the
//! recording had them.

mod player;
mod sockets;

use l2tp_oracle::oracle;
use serde_json::Value;

use crate::require;
use player::Player;

/// Cases that are answered otherwise on purpose: the case, the answer here, why. `docs/differences.md` tells it to users.
const DIFFERENCES: &[(&str, &str, &str)] = &[
    ("session-create.vlan-id", "OK", "a VLAN pseudowire as one device"),
    ("session-create.duplicate", "EEXIST", "one tunnel has no two sessions with one id; 6.1 agrees"),
    ("session-delete.wrong-tunnel", "ENODEV", "a session is in its own tunnel only; 6.1 agrees"),
    ("session-modify.wrong-tunnel", "ENODEV", "a session is in its own tunnel only; 6.1 agrees"),
    ("session-get.wrong-tunnel", "ENODEV", "a session is in its own tunnel only; 6.1 agrees"),
    ("tunnel-create.size.IP6_SADDR-4", "OK", "a short address ends in zeros, not in the bytes behind it"),
    ("tunnel-create.size.IP6_DADDR-4", "OK", "a short address ends in zeros, not in the bytes behind it"),
    ("session.ip-link-del", "ENODEV", "the device is a TAP, which can be deleted; its session goes with it"),
];

/// Why a case cannot be asked of the daemon by this process, if so.
fn obstacle(steps: &[Value]) -> Option<&'static str> {
    let text = Value::from(steps).to_string();
    if steps.iter().any(|step| step.get("socket").is_some()) {
        return Some("a system call, which only \"ferrowire exec\" answers");
    }
    if text.contains("sock:l2tpip") {
        return Some("an L2TPIP socket, which only \"ferrowire exec\" makes");
    }
    // A daemon asks for the credentials of the process. That they count is in the tests of the server and of `creds`.
    text.contains("\"who\"").then_some("another user")
}

#[test]
fn the_daemon_answers_as_the_kernel() {
    if !require::met(&[]) {
        return;
    }
    let oracle = oracle();
    let cases = oracle["cases"].as_array().unwrap();
    let (playable, rest): (Vec<_>, Vec<_>) =
        cases.iter().partition(|case| obstacle(case["steps"].as_array().unwrap()).is_none());
    assert_eq!((playable.len(), rest.len()), (304, 17));
    for difference in DIFFERENCES {
        assert!(playable.iter().any(|case| case["id"] == difference.0), "no such case: {}", difference.0);
    }
    let faults: Vec<String> = std::thread::scope(|scope| {
        let chunks: Vec<_> = playable.chunks(playable.len().div_ceil(4)).collect();
        let players: Vec<_> = chunks.into_iter().map(|cases| scope.spawn(|| faults(cases))).collect();
        players.into_iter().flat_map(|player| player.join().unwrap()).collect()
    });
    assert!(faults.is_empty(), "{} of {}:\n{}", faults.len(), playable.len(), faults.join("\n"));
}

/// What is not as recorded.
fn faults(cases: &[&Value]) -> Vec<String> {
    let faults = cases.iter().filter_map(|case| {
        let id = case["id"].as_str().unwrap();
        let difference = DIFFERENCES.iter().find(|(known, ..)| *known == id);
        let fault = Player::new().play(case, difference.map(|(_, errno, _)| *errno)).err()?;
        Some(format!("{id}: {fault}"))
    });
    faults.collect()
}
