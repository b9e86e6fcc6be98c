//! Programs at the door that do not behave: the daemon answers or hangs up, and tunnels go on.

use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::time::{Duration, Instant};

use l2tp_abi::genl::ctrl::get_family;
use l2tp_abi::genl::l2tp::{L2TP_GENL_NAME, Request};
use l2tp_io::door::DoorStream;

use crate::daemon::FERROWIRE;
use crate::door::NAME;
use crate::form::Form;
use crate::host::Host;
use crate::pair::{Pair, inner4, session_ids, session_words};
use crate::require;
use crate::tcp::content;
use crate::wait;

/// What the daemon may grow by while it is pestered.
const GROWTH_KIB: u64 = 24 << 10;

/// Runs `pester` on host a, whose tunnel must carry frames afterwards, and whose daemon must be as before.
fn survives(pester: impl FnOnce(&Pair)) {
    if !require::met(&[]) {
        return;
    }
    let mut pair = Pair::simple(Form::Udp4);
    let (descriptors, resident) = (pair.a.daemon().descriptors(), pair.a.daemon().resident_kib());
    pester(&pair);
    pair.a.ping(&inner4(1, 2), 56);
    wait::until("the daemon has hung up", || pair.a.daemon().descriptors() == descriptors);
    assert!(pair.a.l2tp("show session").contains("interface name: pw1"));
    let now = pair.a.daemon().resident_kib();
    assert!(now < resident + GROWTH_KIB, "{resident} KiB grew to {now} KiB");
    let ticks = pair.a.daemon().processor_ticks();
    std::thread::sleep(Duration::from_millis(300));
    assert!(pair.a.daemon().processor_ticks() < ticks + 10, "the daemon spins");
}

fn knock(host: &Host) -> DoorStream {
    host.here(|| DoorStream::connect(NAME).unwrap())
}

/// Sends without waiting for room or for an answer.
fn throw(stream: &DoorStream, bytes: &[u8]) -> bool {
    stream.set_nonblocking(true).unwrap();
    stream.send(bytes, &[]).is_ok()
}

#[test]
fn garbage_is_passed_over() {
    survives(|pair| {
        let noise = content(1 << 16);
        for round in 0..500 {
            let stream = knock(&pair.a);
            let (from, length) = (round * 13 % 4096, 1 + round * round % 3000);
            throw(&stream, &noise[from..from + length]);
        }
    });
}

#[test]
fn half_messages_and_wrong_lengths_are_passed_over() {
    survives(|pair| {
        let whole = pair.a.door().bytes(&Request::TunnelGet(1001));
        let stream = knock(&pair.a);
        for length in 1..whole.len() {
            throw(&stream, &whole[..length]);
        }
        for wrong in [0_u32, 1, 15, 17, 0x7fff_ffff, u32::MAX] {
            let mut message = whole.clone();
            message[..4].copy_from_slice(&wrong.to_ne_bytes());
            throw(&stream, &message);
        }
        // Every byte of a request in turn.
        for at in 0..whole.len() {
            let mut message = whole.clone();
            message[at] ^= 0xff;
            throw(&knock(&pair.a), &message);
        }
    });
}

#[test]
fn huge_messages_are_passed_over() {
    survives(|pair| {
        let stream = knock(&pair.a);
        let limit = stream.max_message().unwrap();
        let one = pair.a.door().bytes(&Request::Noop);
        for length in [1 << 16, limit / 2] {
            assert!(throw(&knock(&pair.a), &content(length)));
            // Its answers are more than may wait.
            assert!(throw(&knock(&pair.a), &one.repeat(length / one.len())));
        }
        assert!(!throw(&stream, &content(limit + 1)));
    });
}

#[test]
fn three_hundred_callers_at_once() {
    survives(|pair| {
        let callers: Vec<_> = (0..300).map(|_| knock(&pair.a)).collect();
        // Who came first is served, who came last is not.
        let request = get_family(L2TP_GENL_NAME, 1);
        let served = |caller: &DoorStream| {
            caller.send(&request, &[]).is_ok()
                && caller.recv(&mut vec![0; 4096], &mut Vec::new()).is_ok_and(|length| length > 0)
        };
        assert!(served(&callers[0]));
        assert!(!served(&callers[299]));
        pair.a.ping(&inner4(1, 2), 56);
    });
}

/// Requests without end, and not one answer is read.
#[test]
fn a_caller_that_never_reads_is_no_longer_asked() {
    survives(|pair| {
        for k in 2..40 {
            pair.a.l2tp(&session_words(1, k, 1));
        }
        let dump = pair.a.door().bytes(&Request::SessionDump);
        let stream = knock(&pair.a);
        let start = Instant::now();
        let mut refused = 0;
        while start.elapsed() < Duration::from_secs(2) {
            if !throw(&stream, &dump) {
                refused += 1;
                std::thread::sleep(Duration::from_millis(5));
            }
        }
        assert!(refused > 0, "everything was taken");
        // Others are served meanwhile.
        assert!(pair.a.door().session(1001, session_ids(1).0).is_ok());
        pair.a.ping(&inner4(1, 2), 56);
        drop(stream);
        for k in 2..40 {
            pair.a.l2tp(&format!("del session tunnel_id 1001 session_id {}", session_ids(k).0));
        }
    });
}

/// Whoever hangs up in the middle of a dump is forgotten.
#[test]
fn callers_that_hang_up_are_forgotten() {
    survives(|pair| {
        let dump = pair.a.door().bytes(&Request::SessionDump);
        for _ in 0..500 {
            throw(&knock(&pair.a), &dump);
        }
    });
}

/// Descriptors that come with a message are closed.
#[test]
fn descriptors_nobody_asked_for_are_closed() {
    survives(|pair| {
        let file = std::fs::File::open("/dev/null").unwrap();
        let request = pair.a.door().bytes(&Request::TunnelGet(1001));
        let stream = knock(&pair.a);
        for _ in 0..50 {
            stream.send(&request, &[std::os::fd::AsFd::as_fd(&file); 16]).unwrap();
            stream.recv(&mut vec![0; 4096], &mut Vec::new()).unwrap();
        }
    });
}

#[test]
fn who_may_not_administer_is_refused() {
    if !require::met(&[]) || !require::other_users() {
        return;
    }
    let pair = Pair::simple(Form::Udp4);
    // Where anybody may run it.
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let program = directory.path().join("ferrowire");
    // By another process: a test that forks while we write the copy would keep it from being run (ETXTBSY).
    assert!(Command::new("cp").arg(FERROWIRE).arg(&program).status().unwrap().success());
    let nobody = |words: &str| {
        let mut command = Command::new(&program);
        command.args(words.split_whitespace()).uid(65534).gid(65534).current_dir("/");
        let output = pair.a.here(|| command.output().unwrap());
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    let refused = |code| (Some(code), "RTNETLINK answers: Operation not permitted\n".to_owned());
    assert_eq!(nobody("l2tp del tunnel tunnel_id 1001"), refused(2));
    assert_eq!(nobody("l2tp add session tunnel_id 1001 session_id 9 peer_session_id 9"), refused(2));
    let (code, said) = nobody("l2tp show tunnel");
    assert_eq!(code, Some(1));
    assert!(said.starts_with("RTNETLINK answers: Operation not permitted\n"), "{said}");
    pair.a.ping(&inner4(1, 2), 56);
    assert!(pair.a.l2tp("show session").contains("interface name: pw1"));
}
