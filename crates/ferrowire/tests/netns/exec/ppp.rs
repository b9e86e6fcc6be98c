//! PPP by programs as they are: every call of ours in C, and calls between xl2tpd and xl2tpd, with pppd at both ends.

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use l2tp_io::netns::identity;
use rustix::process::Signal;

use crate::capture::{Capture, Reading};
use crate::form::Form;
use crate::host::Host;
use crate::pair::{Pair, WAN};
use crate::require;
use crate::tcp;
use crate::wait;

use super::programs::{Program, run};
use super::succeed;
use super::xl2tpd::Xl2tpd;

#[test]
fn pppol2tp_sockets_and_dev_ppp() {
    run("pppox", "");
}

/// Two hosts, of which a is to call b.
struct Call {
    pair: Pair,
    lac: Xl2tpd,
    lns: Xl2tpd,
}

/// What the LNS wants to know of who calls.
#[derive(Clone, Copy)]
enum Protection {
    Nothing,
    Pap,
    Chap,
}

impl Protection {
    /// What the pppd of LAC and LNS are told.
    fn options(self) -> (&'static str, &'static str) {
        match self {
            Self::Nothing => ("noauth\n", "noauth\n"),
            Self::Pap => ("noauth\nuser alice\n", "auth\nrequire-pap\nrefuse-chap\n"),
            Self::Chap => ("noauth\nuser alice\nrefuse-pap\n", "auth\nrequire-chap\n"),
        }
    }
}

impl Call {
    /// Both run, and nobody has called yet; `None` where that cannot be.
    fn prepared(protection: Protection) -> Option<Self> {
        if !require::met(&["xl2tpd", "pppd", "unshare", "mount", "tcpdump", "tshark"]) {
            return None;
        }
        let pair = Pair::without_daemons();
        let (lac, lns) = protection.options();
        let lns = Xl2tpd::start(&pair.b, LNS, &format!("{lns}ipv6 ::2,::1\n"));
        let sections = format!("[global]\n[lac b]\nlns = {}\npppoptfile = OPTIONS\n", Form::Udp4.address(2));
        let lac = Xl2tpd::start(&pair.a, &sections, &format!("{lac}ipv6 ::1,::2\n"));
        Some(Self { pair, lac, lns })
    }

    /// Called, and answered.
    fn up(protection: Protection) -> Option<Self> {
        let call = Self::prepared(protection)?;
        call.dial();
        Some(call)
    }

    fn dial(&self) {
        self.lac.control("c b");
        wait::until("the call is up", || is_up(&self.pair.a, "ppp0") && is_up(&self.pair.b, "ppp0"));
        self.pair.a.reach("10.9.0.1");
        self.pair.a.reach("fe80::2%ppp0");
    }

    /// Nothing of the call is left at either end.
    fn is_gone(&self) {
        wait::until("nothing is left", || is_empty(&self.pair.a) && is_empty(&self.pair.b));
    }
}

/// The LNS's configuration.
const LNS: &str = "[global]\n[lns default]\nip range = 10.9.0.10-10.9.0.99\nlocal ip = 10.9.0.1\npppoptfile = OPTIONS\n\
                   require authentication = no\nunix authentication = no\n";

/// How many call one LNS at once.
const CALLS: u16 = 20;

/// Whether a unit's device has its addresses.
fn is_up(host: &Host, device: &str) -> bool {
    let addresses = host.run("ip", &["-o", "addr", "show", "dev", device]);
    let addresses = String::from_utf8_lossy(&addresses.stdout).into_owned();
    addresses.contains("inet 10.9.0.") && addresses.contains("inet6 fe80::")
}

/// Whether there is no unit, no tunnel and no session, in a host whose xl2tpd runs.
fn is_empty(host: &Host) -> bool {
    let units = host.links().iter().any(|link| link.name.starts_with("ppp"));
    !units && ["show tunnel", "show session"].iter().all(|words| host.l2tp(words).is_empty())
}

/// Processes in a host: of what was started there, all, the private daemon too.
fn processes(host: &Host) -> usize {
    let host = identity(&host.netns).unwrap();
    let all = std::fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path().join("ns/net"));
    // Those that end meanwhile, and what is no process, have none.
    all.filter(|netns| std::fs::metadata(netns).is_ok_and(|netns| (netns.dev(), netns.ino()) == host)).count()
}

/// A call from its first packet to its last, and another at once.
fn call(protection: Protection) {
    let Some(mut call) = Call::prepared(protection) else { return };
    let capture = Capture::start(&call.pair.b, WAN, "udp port 1701");
    call.dial();
    call.pair.a.ping("10.9.0.1", 1372);
    call.pair.b.ping("fe80::1%ppp0", 56);
    let frames = capture.stop().decode(Reading { cookie: 0, sublayer: false });
    for protocol in ["lcp", "ipcp", "ipv6cp", "icmp", "icmpv6"] {
        assert!(frames.iter().any(|frame| frame.carries(protocol)), "no {protocol}");
    }
    assert!(frames.iter().all(crate::capture::Decoded::is_well_formed), "{frames:?}");
    tcp::transfer(&call.pair.a, &call.pair.b, "10.9.0.1", 1 << 20);
    tcp::transfer(&call.pair.b, &call.pair.a, "10.9.0.10", 1 << 20);
    call.lac.control("d b");
    call.is_gone();
    call.dial();
    tcp::transfer(&call.pair.b, &call.pair.a, "10.9.0.10", 1 << 16);
    let counted =
        |said: &str| said.lines().any(|line| line.starts_with("Sent ") && line.contains("received"));
    call.lac.stop();
    assert!(counted(&call.lac.said()), "pppd has not been told the counters");
    wait::until("the LNS has let go", || is_empty(&call.pair.b));
    call.lns.stop();
    for host in [&call.pair.a, &call.pair.b] {
        wait::until("every process has ended", || processes(host) == 0);
    }
}

#[test]
fn a_call() {
    call(Protection::Nothing);
}

#[test]
fn a_call_with_pap() {
    call(Protection::Pap);
}

#[test]
fn a_call_with_chap() {
    call(Protection::Chap);
}

/// What the programs of the kernel's network stack carry pppd knows of.
#[test]
fn a_call_carried_by_bpf() {
    if !require::fast_path() {
        return;
    }
    let Some(mut call) = Call::prepared(Protection::Nothing) else { return };
    for host in [&call.pair.a, &call.pair.b] {
        host.path("bpf");
    }
    call.dial();
    for host in [&call.pair.a, &call.pair.b] {
        let told = host.path("");
        assert!(told.starts_with("ppp0: ") && told.contains(": bpf (bpf)"), "{told}");
    }
    call.pair.b.ping("fe80::1%ppp0", 56);
    tcp::transfer(&call.pair.a, &call.pair.b, "10.9.0.1", 1 << 20);
    tcp::transfer(&call.pair.b, &call.pair.a, "10.9.0.10", 1 << 20);
    call.lac.control("d b");
    call.is_gone();
    call.lac.stop();
    let said = call.lac.said();
    let counts = said.lines().find(|line| line.starts_with("Sent ")).unwrap();
    let numbers = counts.split_whitespace().filter_map(|word| word.parse().ok()).collect::<Vec<u32>>();
    assert!(numbers.len() == 2 && numbers.iter().all(|bytes| *bytes > 1 << 20), "{counts}");
}

#[test]
fn a_pppd_that_is_killed_ends_the_call_at_both_ends() {
    let Some(call) = Call::up(Protection::Nothing) else { return };
    call.lac.signal_pppd("ppp0", Signal::KILL);
    wait::until("no session is left", || {
        [&call.pair.a, &call.pair.b].iter().all(|host| host.link("ppp0").is_none())
    });
    call.lac.control("d b");
    call.is_gone();
    call.dial();
    call.lns.signal_pppd("ppp0", Signal::KILL);
    wait::until("no session is left", || {
        [&call.pair.a, &call.pair.b].iter().all(|host| host.link("ppp0").is_none())
    });
}

/// The tunnel dies with its socket, and pppd is told, where the kernel leaves it waiting.
#[test]
fn an_xl2tpd_that_is_killed_leaves_nothing() {
    let Some(mut call) = Call::up(Protection::Nothing) else { return };
    call.lac.kill();
    wait::until("the unit is gone", || call.pair.a.link("ppp0").is_none());
    call.lac.ended();
    assert!(call.lac.said().contains("Modem hangup"), "{}", call.lac.said());
    wait::until("every process has ended", || processes(&call.pair.a) == 0);
}

/// While a tunnel, a session, a link or its addresses come up: both ends are killed, and nothing hangs.
#[test]
fn a_call_may_die_at_any_moment() {
    if !require::met(&["xl2tpd", "pppd", "unshare", "mount"]) {
        return;
    }
    let pair = Pair::without_daemons();
    let configuration =
        format!("[global]\n[lac b]\nlns = {}\nautodial = yes\npppoptfile = OPTIONS\n", Form::Udp4.address(2));
    for milliseconds in [0, 10, 20, 40, 80, 160, 320] {
        let mut lns = Xl2tpd::start(&pair.b, LNS, "noauth\n");
        let mut lac = Xl2tpd::start(&pair.a, &configuration, "noauth\n");
        std::thread::sleep(Duration::from_millis(milliseconds));
        lac.kill();
        lns.kill();
        lac.ended();
        lns.ended();
        for host in [&pair.a, &pair.b] {
            wait::until("every process has ended", || processes(host) == 0);
            assert!(host.links().iter().all(|link| !link.name.starts_with("ppp")), "a unit is left");
        }
    }
}

/// While sockets, a session and a unit are made, or when they are there: their namespace is deleted before their program is killed
/// and after it, and dies with all that was in it.
#[test]
fn a_namespace_with_a_unit_may_be_deleted_at_any_moment() {
    if !require::met(&["cc"]) {
        return;
    }
    let (host, program) = (Host::new(), Program::compile("unit"));
    let name = format!("fw-ppp-{}", std::process::id());
    let one = format!(
        "one() {{
             ip netns add {name}; ip link add near type veth peer name far netns {name}; ip -netns {name} link set lo up
             ip netns exec {name} {program} > $out & sleep $1; eval \"$2; $3\"; wait
             for n in $(seq 200); do ip link show near > /dev/null 2>&1 || return 0; sleep 0.05; done
             echo the namespace is still there; exit 1
         }}",
        program = program.path.display()
    );
    let rounds = "out=$(mktemp); trap 'rm $out' EXIT
         for pause in 0 0.003 0.01 0.02 0.04 0.3; do
             one $pause 'kill -9 $!' 'ip netns del '$name; one $pause 'ip netns del '$name 'kill -9 $!'
         done; cat $out";
    // Those that had time said that all is up, and nothing else was said.
    assert_eq!(succeed(&host, &["--private"], &format!("name={name}; {one}; {rounds}")), "up\n");
}

#[test]
fn a_tunnel_that_is_deleted_hangs_up() {
    let Some(call) = Call::up(Protection::Nothing) else { return };
    let shown = call.pair.a.l2tp("show tunnel");
    let id = shown.split(|letter: char| !letter.is_ascii_digit()).find(|word| !word.is_empty());
    call.pair.a.l2tp(&format!("del tunnel tunnel_id {}", id.unwrap()));
    wait::until("pppd hangs up", || call.lac.said().contains("Modem hangup"));
    call.lac.control("d b");
    call.is_gone();
}

/// An LNS takes a second tunnel with the same number from the same host for the first: whoever has drawn it tries another.
const REDIAL: &str = "redial = yes\nredial timeout = 1\n";

/// Twenty LACs of one host, each an xl2tpd of its own, call one LNS at once.
#[test]
fn twenty_calls_at_once() {
    if !require::met(&["xl2tpd", "pppd", "unshare", "mount"]) {
        return;
    }
    let pair = Pair::without_daemons();
    let mut lns = Xl2tpd::start(&pair.b, LNS, "noauth\nipv6 ::2,::1\n");
    let configuration = |number| {
        let (port, lns) = (5000 + number, Form::Udp4.address(2));
        format!(
            "[global]\nport = {port}\n[lac b]\nlns = {lns}:1701\nautodial = yes\n{REDIAL}pppoptfile = OPTIONS\n"
        )
    };
    let configurations: Vec<_> = (0..CALLS).map(configuration).collect();
    let mut lacs = Xl2tpd::start_many(&pair.a, &configurations, "noauth\nipv6 ::1,::2\n");
    let units: Vec<_> = (0..CALLS).map(|number| format!("ppp{number}")).collect();
    let all_up = || units.iter().all(|unit| is_up(&pair.a, unit) && is_up(&pair.b, unit));
    assert!(wait::within(4 * wait::PATIENCE, all_up), "not all calls are up");
    for unit in &units {
        // From its own address; the answer takes the way back by itself.
        let words = ["-c", "1", "-W", "1", "-I", unit, "10.9.0.1"];
        wait::until("an answer comes", || pair.a.run("ping", &words).status.success());
    }
    let sessions = pair.b.l2tp("show session");
    assert_eq!(sessions.lines().filter(|line| line.starts_with("Session")).count(), usize::from(CALLS));
    lacs.stop();
    wait::until("the LNS has let go", || is_empty(&pair.b));
    lns.stop();
}
