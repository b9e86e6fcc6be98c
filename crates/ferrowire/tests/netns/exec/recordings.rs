//! The unmodified `ip l2tp`: what it prints and its exit codes, letter for letter as on the kernel that was recorded.

use crate::host::Host;
use crate::pair::{Pair, WAN};
use crate::require;

use super::{exec, succeed, text};

fn vector(name: &str) -> String {
    let path = format!("{}/../../tests/vectors/kernel/{name}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The version of iproute2 that was recorded; others print other things.
fn is_recorded_version(host: &Host) -> bool {
    let version = text(&host.run("ip", &["-V"]).stdout);
    let is_it = version.contains("iproute2-6.1.");
    if !is_it {
        // Nothing that could be installed.
        println!("SKIP: iproute2 6.1, which was recorded (this is {})", version.trim());
    }
    is_it
}

/// Where Ferrowire differs on purpose (docs/differences.md): a session id is there once in a tunnel. Linux 6.12 took it
/// twice, showed the second, and let it be deleted twice.
const ONCE: [(&str, &str); 2] = [
    ("ip l2tp add session tunnel_id 1 session_id 10 peer_session_id 21", "RTNETLINK answers: File exists\n"),
    ("ip l2tp del session tunnel_id 1 session_id 10", "RTNETLINK answers: No such device\n"),
];

/// What brings about, behind the refusal, what was there when the rest was recorded: the second session, its device's
/// name, and a device that has the first one's.
const AS_RECORDED: &str = "set -e; ip tuntap add l2tpeth0 mode tap
    ip l2tp add session tunnel_id 1 session_id 10 peer_session_id 21 name l2tpeth1";

/// A device goes a moment after its session, as the kernel's, and its name is free only then.
const UNTIL_IT_IS_GONE: &str =
    "for round in $(seq 100); do ip link show l2tpeth0 > /dev/null 2>&1 || exit 0; sleep 0.1; done; exit 1";

/// Runs every command of a recording and compares.
fn replay(host: &Host, name: &str) {
    let usage = text(&host.run("ip", &["l2tp", "help"]).stderr);
    let (mut compared, mut seen) = (0, Vec::new());
    for part in vector(name).split("\n$ ").skip(1) {
        let (command, rest) = part.split_once('\n').unwrap();
        let (output, code) = rest.rsplit_once("[exit ").unwrap();
        let code: i32 = code.trim_end().trim_end_matches(']').parse().unwrap();
        let mut expected = (output.replace("(usage text)\n", &usage), Some(code));
        // The deletion is recorded twice, and succeeds once.
        let again = seen.contains(&command) || command.contains(" add ");
        if let Some((_, refusal)) = ONCE.iter().find(|(once, _)| *once == command && again) {
            expected = ((*refusal).to_owned(), Some(2));
        }
        let run = exec(host, &[], &format!("{command} 2>&1"));
        assert_eq!((text(&run.stdout), run.status.code()), expected, "{name}: {command}");
        if command == ONCE[0].0 {
            succeed(host, &[], "ip l2tp del session tunnel_id 1 session_id 10");
            succeed(host, &[], UNTIL_IT_IS_GONE);
            succeed(host, &[], AS_RECORDED);
        }
        seen.push(command);
        compared += 1;
    }
    assert!(compared > 10, "{name}: only {compared} commands");
}

#[test]
fn the_transcript_of_a_real_kernel() {
    replay_on_a_host("ip-l2tp.txt");
}

#[test]
fn every_form_of_word_and_value() {
    replay_on_a_host("ip-l2tp-words.txt");
}

fn replay_on_a_host(name: &str) {
    if !require::met(&[]) {
        return;
    }
    let mut pair = Pair::without_daemons();
    pair.a.start_daemon();
    if is_recorded_version(&pair.a) {
        replay(&pair.a, name);
    }
}

#[test]
fn every_recorded_configuration() {
    if !require::met(&[]) {
        return;
    }
    let mut pair = Pair::without_daemons();
    if !is_recorded_version(&pair.a) {
        return;
    }
    pair.a.start_daemon();
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/kernel/shows");
    let mut compared = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let text = vector(&format!("shows/{name}"));
        let Some((_, made)) = text.split_once("## side a\n") else { continue };
        let (made, _) = made.split_once("## side b").unwrap();
        let script = format!("set -e\n{made}\nip l2tp show tunnel\necho --\nip l2tp show session");
        let shown = succeed(&pair.a, &[], &script);
        let (tunnel, session) = shown.split_once("--\n").unwrap();
        assert_eq!(tunnel, section(&text, "$ ip l2tp show tunnel (side a)\n"), "{name}");
        assert_eq!(session, section(&text, "$ ip l2tp show session (side a)\n"), "{name}");
        let id = made.split_whitespace().skip_while(|word| *word != "tunnel_id").nth(1).unwrap();
        succeed(&pair.a, &[], &format!("ip l2tp del tunnel tunnel_id {id}"));
        succeed(&pair.a, &[], UNTIL_IT_IS_GONE);
        compared += 1;
    }
    assert!(compared >= 40, "only {compared} configurations");
    assert!(pair.a.link(WAN).is_some());
}

/// The part of a recording between the line `start` and the next empty line before a `$` line.
fn section<'a>(text: &'a str, start: &str) -> &'a str {
    let (_, rest) = text.split_once(start).unwrap();
    let end = rest.find("\n\n$").unwrap();
    &rest[..=end]
}
