//! Every recorded case that needs no descriptor but one and no second namespace, replayed.

use crate::host::CONNECTED_UDP_FD;
use crate::lab::Lab;
use l2tp_abi::Errno;
use l2tp_abi::nl::Messages;
use l2tp_mgmt::netlink::Client;
use l2tp_oracle::{attribute_kind, hex_list, kind_at, oracle, unhex};
use serde_json::Value;

/// Cases that we answer otherwise on purpose: the case, our answer, why. `docs/differences.md` tells it to users.
const DIFFERENCES: &[(&str, Errno, &str)] = &[
    ("session-create.vlan-id", Errno(0), "a VLAN pseudowire as one device"),
    ("session-create.duplicate", Errno::EEXIST, "one tunnel has no two sessions with one id; 6.1 agrees"),
    ("session-delete.wrong-tunnel", Errno::ENODEV, "a session is in its own tunnel only; 6.1 agrees"),
    ("session-modify.wrong-tunnel", Errno::ENODEV, "a session is in its own tunnel only; 6.1 agrees"),
    ("session-get.wrong-tunnel", Errno::ENODEV, "a session is in its own tunnel only; 6.1 agrees"),
    ("tunnel-create.size.IP6_SADDR-4", Errno(0), "a short address ends in zeros, not in the bytes behind it"),
    ("tunnel-create.size.IP6_DADDR-4", Errno(0), "a short address ends in zeros, not in the bytes behind it"),
];

/// Steps that are more than a request.
const OTHER_STEPS: [&str; 5] = ["other_netns", "close", "sendto", "sh", "socket"];

/// A step as a request; `None` if it needs a descriptor that the namespace does not have.
fn build(step: &Value, seq: u32) -> Option<Vec<u8>> {
    let known = |name: &str| matches!(name, "sock:udp4-connected" | "same");
    l2tp_oracle::build(step, seq, &|name| known(name).then_some(CONNECTED_UDP_FD.unsigned_abs()))
}

/// Whether the replay can play all steps.
fn is_playable(steps: &[Value]) -> bool {
    let known = |step: &Value| OTHER_STEPS.iter().all(|key| step.get(key).is_none());
    let built = |step: &Value| step.get("cmd").is_none() || build(step, 1).is_some();
    steps.iter().all(|step| known(step) && built(step))
}

/// The port id and the sequence number of the first recorded reply, if there is one.
fn recorded_header(recorded: &[Vec<u8>]) -> (u32, u32) {
    let first = recorded.first().and_then(|bytes| Messages::new(bytes).next());
    first.map_or((1, 1), |message| (message.header.port, message.header.seq))
}

#[test]
fn errno_text_place_replies_and_what_is_left() {
    let oracle = oracle();
    let cases = oracle["cases"].as_array().unwrap();
    let (mut played, mut differing) = (0, 0);
    for case in cases {
        let steps = case["steps"].as_array().unwrap();
        if !is_playable(steps) {
            continue;
        }
        let id = case["id"].as_str().unwrap();
        let difference = DIFFERENCES.iter().find(|(known, ..)| *known == id);
        played += 1;
        differing += usize::from(difference.is_some());
        play(case, id, steps, difference.map(|(_, errno, _)| *errno));
    }
    assert_eq!(differing, DIFFERENCES.len(), "a difference is listed that no case shows");
    assert_eq!((played, cases.len()), (287, 321));
}

fn play(case: &Value, id: &str, steps: &[Value], difference: Option<Errno>) {
    let recorded = hex_list(&case["result"]["replies"]);
    let (port, seq) = recorded_header(&recorded);
    let privileged = steps.last().unwrap()["who"] != "uid";
    let mut lab = Lab::with_client(Client::new(port, privileged));
    let requests: Vec<_> = steps.iter().filter(|step| step.get("cmd").is_some()).collect();
    let (last, setup) = requests.split_last().unwrap();
    for (step, want) in setup.iter().zip(case["setup_results"].as_array().unwrap()) {
        let answer = lab.ask(&build(step, 1).unwrap());
        assert_eq!(answer.errno_name(), want, "{id}: set-up {step}");
    }
    let request = build(last, seq).unwrap();
    let answer = lab.ask(&request);
    if let Some(errno) = difference {
        assert_eq!(answer.errno.unwrap_or(Errno(0)), errno, "{id}");
        // Where 6.1 is as strict as we are, it also tells what is left.
        if let Some(old) = case.get("differs_6.1") {
            assert_eq!(answer.errno_name(), old["result"]["name"], "{id}");
            check_what_is_left(id, lab, &old["after"]);
        }
        return;
    }
    let result = &case["result"];
    assert_eq!(answer.errno_name(), result["name"], "{id}");
    assert_eq!(answer.text.as_deref(), result["extack"].as_str(), "{id}");
    let place = result.get("extack_attr").map(attribute_kind);
    assert_eq!(answer.offset.map(|offset| kind_at(&request, offset)), place, "{id}");
    assert_eq!(answer.messages, recorded, "{id}");
    check_what_is_left(id, lab, &case["after"]);
}

fn check_what_is_left(id: &str, lab: Lab, after: &Value) {
    // The program of a case may lack privilege; who looks afterwards does not.
    let mut lab = Lab { client: Client::new(1, true), ..lab };
    let tunnels: Vec<_> = lab.tunnels().iter().map(|tunnel| tunnel.conn_id).collect();
    let sessions: Vec<_> = lab
        .sessions()
        .into_iter()
        .map(|session| serde_json::json!([session.conn_id, session.session_id, session.ifname]))
        .collect();
    let without_name = |session: &Value| match session.as_array().unwrap().as_slice() {
        [tunnel, id] => serde_json::json!([tunnel, id, null]),
        _ => session.clone(),
    };
    let want: Vec<_> = after["sessions"].as_array().unwrap().iter().map(without_name).collect();
    if !(id.starts_with("unprivileged-userns")) {
        assert_eq!(serde_json::json!(tunnels), after["tunnels"], "{id}");
        assert_eq!(sessions, want, "{id}");
    }
    lab.engine.clear(&mut lab.host);
    assert!(lab.host.is_clean(), "{id}");
}

#[test]
fn recorded_replies_byte_for_byte() {
    let oracle = oracle();
    let mut compared = 0;
    for scene in oracle["samples"].as_array().unwrap() {
        let name = scene["scene"].as_str().unwrap();
        let gets = scene["gets"].as_array().unwrap();
        let (port, _) = recorded_header(&hex_list(&gets[0]["replies"]));
        let mut lab = Lab::with_client(Client::new(port, true));
        for step in scene["setup"].as_array().unwrap() {
            assert_eq!(lab.ask(&build(step, 1).unwrap()).errno, None, "{name}");
        }
        for get in gets {
            let answer = lab.ask(&unhex(get["request_hex"].as_str().unwrap()));
            assert_eq!(answer.messages, hex_list(&get["replies"]), "{name}");
            compared += answer.messages.len();
        }
    }
    assert!(compared > 40, "only {compared}");
}

/// The recorded conversation makes a second session with one id in one tunnel. Here that is refused, so its first session
/// is left out, and with it the step that its name disturbs.
#[test]
fn listeners_hear_what_the_kernel_tells() {
    let oracle = oracle();
    let mut lab = Lab::new();
    let mut heard_in_all = 0;
    for recorded in oracle["notifications"].as_array().unwrap() {
        let step = &recorded["step"];
        let is_l2x = step["attrs"].as_array().is_some_and(|list| list.iter().any(|a| a[1] == "l2x"));
        if step.get("cmd").is_none() || is_l2x {
            continue;
        }
        let want = hex_list(&recorded["heard"]);
        let (port, seq) = recorded_header(&want);
        lab = Lab { client: Client::new(port, true), ..lab };
        let answer = lab.ask(&build(step, seq).unwrap());
        assert_eq!(answer.errno_name(), recorded["name"], "{step}");
        let heard = std::mem::take(&mut lab.inbox.heard);
        assert_eq!(heard, want, "{step}");
        heard_in_all += heard.len();
    }
    assert_eq!(heard_in_all, 8);
}

/// Objects that die otherwise than by a command of their own die in silence.
#[test]
fn sessions_die_in_silence_with_their_tunnel() {
    let oracle = oracle();
    let setup = oracle["samples"][0]["setup"].as_array().unwrap();
    let mut lab = Lab::new();
    for step in setup {
        lab.ask(&build(step, 1).unwrap());
    }
    lab.inbox.heard.clear();
    lab.engine.clear(&mut lab.host);
    assert!(lab.inbox.heard.is_empty());
    assert!(lab.host.is_clean());
}
