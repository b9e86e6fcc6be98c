//! How it ends: exit statuses, signals, what lives on, what dies first.

use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::io::Errno;
use rustix::process::{Pid, Signal, kill_process};

use crate::daemon::FERROWIRE;
use crate::host::Host;
use crate::pair::connect;
use crate::require;
use crate::wait;

use super::programs::{Program, host};
use super::{ADD_TUNNEL, command, exec, succeed, text};

#[test]
fn exit_statuses_and_signals_are_the_programs() {
    if !require::met(&[]) {
        return;
    }
    let host = host();
    assert_eq!(exec(&host, &[], "exit 41").status.code(), Some(41));
    for (signal, number) in [("TERM", 15), ("KILL", 9), ("SEGV", 11), ("INT", 2)] {
        let status = exec(&host, &[], &format!("kill -{signal} $$")).status;
        assert_eq!(status.signal(), Some(number), "{signal}");
    }
    let run = |words: &[&str]| {
        let output = host.run(FERROWIRE, &[&["exec", "--"], words].concat());
        (output.status.code(), text(&output.stderr))
    };
    assert_eq!(run(&["/etc"]).0, Some(126));
    let (code, told) = run(&["no-such-program"]);
    assert_eq!(
        (code, told.as_str()),
        (Some(127), "ferrowire exec: cannot run no-such-program: No such file or directory (os error 2)\n")
    );
}

/// A signal to the process that was called reaches the program.
#[test]
fn signals_are_handed_on() {
    if !require::met(&[]) {
        return;
    }
    let host = host();
    let mut child =
        start(&host, &[], "trap 'echo caught; exit 9' TERM; echo ready; while :; do sleep 0.05; done");
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert_eq!(lines.next().unwrap().unwrap(), "ready");
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(lines.next().unwrap().unwrap(), "caught");
    assert_eq!(ended(&mut child).code(), Some(9));
}

/// What a program leaves in the background is served to its end, and nobody waits for it.
#[test]
fn daemons_of_the_program_are_served_to_their_end() {
    if !require::met(&["setsid"]) {
        return;
    }
    let host = host();
    let folder = tempfile::tempdir().unwrap();
    let (go, done) = (folder.path().join("go"), folder.path().join("done"));
    let later = format!(
        "while [ ! -e {go} ]; do sleep 0.02; done; {ADD_TUNNEL}; ip l2tp show tunnel > {done}.new; mv {done}.new {done}",
        go = go.display(),
        done = done.display()
    );
    // Its output is closed, or the reader here would wait for it.
    let script = format!("setsid sh -c '{later}' < /dev/null > /dev/null 2>&1 & echo started");
    assert_eq!(succeed(&host, &["--private"], &script), "started\n");
    assert!(!done.exists());
    std::fs::write(&go, "").unwrap();
    wait::until("the daemon of the program is served", || done.exists());
    assert!(std::fs::read_to_string(done).unwrap().starts_with("Tunnel 1, encap UDP\n"));
    // And with the last of them, the subsystem goes.
    wait::until("the private daemon ends", || {
        !text(&exec(&host, &[], "ip l2tp show tunnel").stdout).contains("Tunnel")
    });
}

/// A daemon that is started anew: what was there is gone, and the same process goes on.
#[test]
fn a_daemon_may_be_started_anew_under_the_program() {
    if !require::met(&[]) {
        return;
    }
    let mut host = host();
    host.start_daemon();
    let script = format!(
        "{ADD_TUNNEL}; echo $?; echo; read wait; ip l2tp show tunnel; echo $?; echo; read wait; {ADD_TUNNEL}; echo $?; echo"
    );
    let mut run = command(&[], &script);
    run.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = host.here(|| run.spawn().unwrap());
    let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut lines = BufReader::new(stdout).lines().map(Result::unwrap);
    let mut paragraph = || lines.by_ref().take_while(|line| !line.is_empty()).collect::<Vec<_>>();
    assert_eq!(paragraph(), ["0"]);
    host.kill_daemon();
    std::io::Write::write_all(&mut &stdin, b"\n").unwrap();
    // As on a kernel without L2TP.
    assert_eq!(paragraph(), ["1"]);
    host.start_daemon();
    std::io::Write::write_all(&mut &stdin, b"\n").unwrap();
    assert_eq!(paragraph(), ["0"]);
    drop(stdin);
    ended(&mut child);
    let mut told = String::new();
    child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert!(!told.contains("panicked"), "{told}");
}

/// Opens an L2TPIP socket, and tells at each line what its name is by now.
const NAME_TELLER: &str = "
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 115)
for line in sys.stdin:
    try: print(s.getsockname(), flush=True)
    except OSError as error: print(error.errno, flush=True)
";

/// Its socket is as dead with the next daemon as it is without any.
#[test]
fn an_l2tpip_socket_dies_with_its_daemon() {
    if !require::met(&["python3"]) {
        return;
    }
    let mut host = host();
    host.start_daemon();
    let mut run = Command::new(FERROWIRE);
    run.args(["exec", "--", "python3", "-c", NAME_TELLER]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = host.here(|| run.spawn().unwrap());
    let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
    let mut lines = BufReader::new(stdout).lines().map(Result::unwrap);
    let mut name = || {
        std::io::Write::write_all(&mut &stdin, b"\n").unwrap();
        lines.next().unwrap()
    };
    let dead = Errno::CONNREFUSED.raw_os_error().to_string();
    assert_eq!(name(), "('0.0.0.0', 0)");
    host.kill_daemon();
    assert_eq!(name(), dead);
    host.start_daemon();
    assert_eq!(name(), dead);
    drop(stdin);
    assert!(ended(&mut child).success());
}

/// Without the supervisor, trapped calls fail and all others go on: bounded, and told.
#[test]
fn a_killed_supervisor() {
    if !require::met(&["cc"]) {
        return;
    }
    let (host, program) = (host(), Program::compile("orphan"));
    // The shell's parent is the supervisor.
    let script = &format!("echo $PPID; read go; exec {}", program.path.display());
    let mut run = command(&["--private"], script);
    run.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = host.here(|| run.spawn().unwrap());
    let stdin = child.stdin.take().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
    let supervisor = Pid::from_raw(lines.next().unwrap().parse().unwrap()).unwrap();
    assert_ne!(supervisor, Pid::from_child(&child));
    kill_process(supervisor, Signal::KILL).unwrap();
    assert_eq!(ended(&mut child).code(), Some(125));
    std::io::Write::write_all(&mut &stdin, b"\n").unwrap();
    assert_eq!(lines.by_ref().collect::<Vec<_>>(), ["all as it should be"]);
    let mut told = String::new();
    child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert!(told.contains("the supervisor was killed"), "{told}");
}

/// The kernel allows one listener; inside, our own family looks like the kernel's.
#[test]
fn inside_of_itself_and_of_another_listener() {
    if !require::met(&[]) {
        return;
    }
    let mut host = host();
    // Without a daemon the inner one sees a kernel without L2TP, and cannot have a listener.
    let output = exec(&host, &[], &format!("{FERROWIRE} exec -- true"));
    let told = text(&output.stderr);
    assert_eq!(output.status.code(), Some(125), "{told}");
    assert!(told.contains("another program watches the system calls here already"), "{told}");
    host.start_daemon();
    let script = format!("{FERROWIRE} exec -v -- {ADD_TUNNEL}; ip l2tp show tunnel | head -1");
    let output = exec(&host, &[], &script);
    assert_eq!(text(&output.stdout), "Tunnel 1, encap UDP\n");
    assert!(text(&output.stderr).contains("this kernel has its own L2TP"), "{}", text(&output.stderr));
}

/// A namespace that the program deletes is gone, tunnels and all.
#[test]
fn a_deleted_namespace_dies() {
    if !require::met(&[]) {
        return;
    }
    let (host, name) = (host(), format!("fw-dead-{}", std::process::id()));
    let script = format!(
        "ip netns add {name}; ip link add near type veth peer name far netns {name}
         ip -netns {name} link set lo up; ip -netns {name} {}; ip -netns {name} l2tp show tunnel | head -1
         ip netns del {name}
         for n in $(seq 200); do ip link show near > /dev/null 2>&1 || exit 0; sleep 0.1; done; exit 1",
        ADD_TUNNEL.trim_start_matches("ip ")
    );
    assert_eq!(succeed(&host, &["--private"], &script), "Tunnel 1, encap UDP\n");
    assert!(host.link("near").is_none());
}

/// `--auto` starts a daemon that stays; `--private` refuses none and takes the one that is there.
#[test]
fn a_daemon_on_demand() {
    if !require::met(&[]) {
        return;
    }
    let host = host();
    assert_eq!(exec(&host, &[], ADD_TUNNEL).status.code(), Some(1), "nobody serves");
    succeed(&host, &["--auto"], ADD_TUNNEL);
    let daemon = daemon_in(&host);
    let shown = succeed(&host, &[], "ip l2tp show tunnel | head -1");
    let private = succeed(&host, &["--private"], "ip l2tp show tunnel | head -1");
    kill_process(daemon, Signal::TERM).unwrap();
    assert_eq!((shown.as_str(), private.as_str()), ("Tunnel 1, encap UDP\n", "Tunnel 1, encap UDP\n"));
    wait::until("the daemon ends", || exec(&host, &[], "ip l2tp show tunnel").status.code() == Some(1));
}

/// The process that listens at the door.
fn daemon_in(host: &Host) -> Pid {
    let listing = text(&host.run("ss", &["-lxp"]).stdout);
    let line = listing.lines().find(|line| line.contains("@ferrowire")).unwrap();
    let (_, number) = line.split_once("pid=").unwrap();
    Pid::from_raw(number.split(',').next().unwrap().parse().unwrap()).unwrap()
}

#[test]
fn texts_of_proc_and_debugfs_and_modprobe() {
    if !require::met(&[]) {
        return;
    }
    let (host, peer) = (host(), Host::new());
    connect((&host, "wan"), (&peer, "wan"));
    let script = format!(
        "modprobe l2tp_eth && modprobe -q ppp_generic && {ADD_TUNNEL} && cat /proc/net/pppol2tp | head -1
         grep '^TUNNEL 1' /sys/kernel/debug/l2tp/tunnels; cat < /proc/net/dev | head -1 | cut -c1-6"
    );
    let shown = succeed(&host, &["--private"], &script);
    assert_eq!(shown, "PPPoL2TP driver info, V2.0\nTUNNEL 1 peer 2 from 127.0.0.1 to 127.0.0.1\nInter-\n");
}

fn start(host: &Host, options: &[&str], script: &str) -> Child {
    let mut run: Command = command(options, script);
    run.stdout(Stdio::piped());
    host.here(|| run.spawn().unwrap())
}

fn ended(child: &mut Child) -> ExitStatus {
    let mut status = None;
    wait::until("it ends", || {
        status = child.try_wait().unwrap();
        status.is_some()
    });
    status.unwrap()
}
