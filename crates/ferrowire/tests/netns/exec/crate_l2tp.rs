//! The crate `l2tp`: its program, and its library in `examples/crate_l2tp.rs`.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::sync::mpsc;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};

use crate::daemon::FERROWIRE;
use crate::form::Form;
use crate::host::Host;
use crate::pair::{Pair, device, ports, session_ids, tunnel_ids};
use crate::require;
use crate::wait;

use super::programs::host;
use super::{command, exec, succeed, text};

/// The program, which must succeed; returns what it says.
fn l2tp(host: &Host, words: &str) -> String {
    succeed(host, &[], &format!("l2tp {words}"))
}

fn l2tp_json(host: &Host, words: &str) -> Value {
    serde_json::from_str(&l2tp(host, &format!("--output json {words}"))).unwrap()
}

/// Two tunnels and two sessions, from nothing to nothing.
const SCRIPT: &str = "
    create='tunnel create --tunnel-id 1 --peer-tunnel-id 2 --local 127.0.0.1:5000 --remote 127.0.0.1:5001'
    l2tp tunnel list; l2tp session list
    l2tp $create; l2tp $create; echo $?
    l2tp tunnel create --tunnel-id 3 --peer-tunnel-id 4 --encap ip --local ::1 --remote ::1
    l2tp session create --tunnel-id 3 --session-id 30 --peer-session-id 40 > /dev/null; echo $?
    l2tp session create --tunnel-id 1 --session-id 10 --peer-session-id 20 --cookie 01020304 \
        --peer-cookie 0102030405060708 --send-seq --recv-timeout-ms 100 --ifname pw10 > /dev/null; echo $?
    l2tp tunnel list; l2tp session list --tunnel-id 3
    l2tp session change --ifname pw10 --recv-seq --no-send-seq --lns-mode --recv-timeout-ms 500
    l2tp session show --tunnel-id 1 --session-id 10; l2tp session stats --ifname pw10; l2tp tunnel stats --tunnel-id 3
    l2tp session delete --ifname pw10; l2tp session show --tunnel-id 1 --session-id 10; echo $?
    l2tp tunnel delete --tunnel-id 3; l2tp session list; l2tp tunnel delete --tunnel-id 3; echo $?
    l2tp tunnel show --tunnel-id 1 | grep ^tunnel; l2tp tunnel delete --tunnel-id 1; l2tp tunnel list";

const SAID: &str = "\
no tunnels
no sessions
created tunnel 1
error: kernel error 17: File exists (os error 17)
1
created tunnel 3
0
0
tunnel 1  peer 2  proto v3
  encap: udp  local: 127.0.0.1:5000  remote: 127.0.0.1:5001
  udp_csum: true  zero_csum6_tx: false  zero_csum6_rx: false
  using_ipsec: false

tunnel 3  peer 4  proto v3
  encap: ip  local: ::1  remote: ::1
  using_ipsec: false
session 30  tunnel 3  peer 40  peer-tunnel 4
  pw_type: eth  l2spec: unknown
  cookie: none  peer_cookie: none
  recv_seq: false  send_seq: false  lns_mode: false
  recv_timeout_ms: none
  ifname: l2tpeth0
  using_ipsec: false
updated session on interface \"pw10\"
session 10  tunnel 1  peer 20  peer-tunnel 2
  pw_type: eth  l2spec: unknown
  cookie: 01020304  peer_cookie: 0102030405060708
  recv_seq: true  send_seq: false  lns_mode: true
  recv_timeout_ms: 500
  ifname: pw10
  using_ipsec: false
session 10 in tunnel 1 stats
  tx: packets=0 bytes=0 errors=0
  rx: packets=0 bytes=0 errors=0
  rx-extra: seq_discards=0 oos_packets=0 cookie_discards=0 invalid=0
tunnel 3 stats
  tx: packets=0 bytes=0 errors=0
  rx: packets=0 bytes=0 errors=0
deleted session on interface \"pw10\"
error: kernel error 19: No such device (os error 19)
1
deleted tunnel 3
no sessions
error: kernel error 19: No such device (os error 19)
1
tunnel 1  peer 2  proto v3
deleted tunnel 1
no tunnels
";

#[test]
fn its_program_from_nothing_to_nothing() {
    if !require::met(&["l2tp"]) {
        return;
    }
    let said = succeed(&host(), &["--private"], &format!("exec 2>&1\n{SCRIPT}"));
    assert_eq!(said, SAID);
}

#[test]
fn its_program_at_both_ends() {
    if !require::met(&["l2tp"]) {
        return;
    }
    let pair = Pair::new();
    for (k, form) in (1..).zip(Form::ALL) {
        let n = u16::from(k);
        for (host, number) in [(&pair.a, 1), (&pair.b, 2)] {
            make(host, form, k, number);
        }
        pair.configure([k]);
        let (tunnel_id, session_id) = (tunnel_ids(n).0, session_ids(k).0);
        let session = format!("--tunnel-id {tunnel_id} --session-id {session_id}");
        assert_ne!(pair.settle(n, k).0.rx_packets, 0);
        wait::until("it counts what we count", || {
            let stats = pair.a.door().session_stats(tunnel_id, session_id);
            l2tp_json(&pair.a, &format!("session stats {session}"))["stats"]
                == json!({
                    "tx_packets": stats.tx_packets, "tx_bytes": stats.tx_bytes, "tx_errors": stats.tx_errors,
                    "rx_packets": stats.rx_packets, "rx_bytes": stats.rx_bytes, "rx_errors": stats.rx_errors,
                    "rx_seq_discards": stats.rx_seq_discards, "rx_oos_packets": stats.rx_oos_packets,
                    "rx_cookie_discards": stats.rx_cookie_discards, "rx_invalid": stats.rx_invalid,
                })
        });
        l2tp(&pair.a, &format!("session delete {session}"));
        l2tp(&pair.b, &format!("tunnel delete --tunnel-id {}", tunnel_ids(n).1));
        for host in [&pair.a, &pair.b] {
            assert_eq!(l2tp_json(host, "session list"), json!([]));
            wait::until("the device is gone", || host.link(&device(k)).is_none());
        }
    }
    assert_eq!(l2tp_json(&pair.a, "tunnel list").as_array().unwrap().len(), Form::ALL.len());
}

/// Makes tunnel and session `k` at host `number`.
fn make(host: &Host, form: Form, k: u8, number: u8) {
    let own_first = |(a, b): (u32, u32)| if number == 1 { (a, b) } else { (b, a) };
    let (tunnel_id, peer_tunnel_id) = own_first(tunnel_ids(u16::from(k)));
    let (session_id, peer_session_id) = own_first(session_ids(k));
    let encap = if form.is_udp() { "udp" } else { "ip" };
    let (local, remote) = (address(form, k, number), address(form, k, 3 - number));
    l2tp(
        host,
        &format!(
            "tunnel create --encap {encap} --tunnel-id {tunnel_id} --peer-tunnel-id {peer_tunnel_id} \
             --local {local} --remote {remote}"
        ),
    );
    let said = l2tp(
        host,
        &format!(
            "session create --tunnel-id {tunnel_id} --session-id {session_id} --peer-session-id {peer_session_id} \
             --l2spec default --recv-seq --send-seq --cookie 0102030405060708 --peer-cookie 0102030405060708 \
             --ifname {}",
            device(k)
        ),
    );
    let index = host.link(&device(k)).unwrap().index;
    assert_eq!(
        said,
        format!("created session {session_id} in tunnel {tunnel_id} with interface index {index}\n")
    );
    assert_eq!(l2tp_json(host, &format!("tunnel show --tunnel-id {tunnel_id}"))["remote"], remote.as_str());
}

/// As the program takes it: `ADDRESS` over IP, `ADDRESS:PORT` or `[ADDRESS]:PORT` over UDP.
fn address(form: Form, k: u8, number: u8) -> String {
    let (a, b) = ports(u16::from(k));
    let (address, port) = (form.address(number), if number == 1 { a } else { b });
    match form {
        Form::Udp4 => format!("{address}:{port}"),
        Form::Udp6 => format!("[{address}]:{port}"),
        Form::Ip4 | Form::Ip6 => address,
    }
}

/// `l2tp monitor` hears of what `ip l2tp` and `l2tp` do, each under a `ferrowire exec` of its own.
#[test]
fn its_program_hears_of_what_others_do() {
    if !require::met(&["l2tp", "timeout"]) {
        return;
    }
    let mut host = host();
    host.start_daemon();
    // It ends in any case.
    let mut monitor = command(&[], "exec timeout 60 l2tp --output json monitor");
    let mut monitor = host.here(|| monitor.stdout(Stdio::piped()).spawn().unwrap());
    let lines = BufReader::new(monitor.stdout.take().unwrap()).lines();
    let (tell, heard) = mpsc::channel();
    std::thread::spawn(move || lines.map_while(Result::ok).try_for_each(|line| tell.send(line)));
    wait::until("it listens", || {
        host.l2tp("add tunnel tunnel_id 9 peer_tunnel_id 9 encap ip local 127.0.0.1 remote 127.0.0.1");
        host.l2tp("del tunnel tunnel_id 9");
        heard.try_recv().is_ok()
    });
    succeed(
        &host,
        &[],
        "ip l2tp add tunnel tunnel_id 1 peer_tunnel_id 2 encap ip local 127.0.0.1 remote 127.0.0.1
         ip l2tp add session name pw3 tunnel_id 1 session_id 3 peer_session_id 4
         l2tp session change --ifname pw3 --send-seq; l2tp session delete --ifname pw3; l2tp tunnel delete --tunnel-id 1",
    );
    let events = std::iter::from_fn(|| heard.recv_timeout(wait::PATIENCE).ok())
        .map(|line| serde_json::from_str::<Value>(&line).unwrap())
        .filter(|event| event["tunnel"]["tunnel_id"] != 9)
        .take(5);
    let events: Vec<_> =
        events.map(|event| (event["event"].clone(), event["session"]["send_seq"].clone())).collect();
    let expected = [
        ("tunnel_created", Value::Null),
        ("session_created", false.into()),
        ("session_modified", true.into()),
        ("session_deleted", true.into()),
        ("tunnel_deleted", Value::Null),
    ];
    assert_eq!(events, expected.map(|(event, send_seq)| (event.into(), send_seq)));
    kill_process(Pid::from_child(&monitor), Signal::TERM).unwrap();
    monitor.wait().unwrap();
}

#[test]
fn its_library() {
    if !require::met(&["timeout"]) {
        return;
    }
    let example = Path::new(FERROWIRE).with_file_name("examples").join("crate_l2tp");
    if !example.exists() {
        require::skip("the example crate_l2tp (cargo build -p ferrowire --examples)");
        return;
    }
    let output = exec(&host(), &["--private"], &format!("exec timeout 60 {}", example.display()));
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{out}{err}");
    assert_eq!(out.matches("as it should be\n").count(), 8, "{out}");
}
