//! A daemon that has no descriptor left: who asks is told so, nothing is lost, and what is there can be looked at and deleted.

use std::process::Output;

use rustix::process::{Resource, Rlimit, prlimit};

use crate::daemon::FERROWIRE;
use crate::host::Host;
use crate::require;
use crate::wait;

/// Fewer than the sessions that are tried.
const LIMIT: u64 = 160;

fn devices(host: &Host) -> usize {
    host.links().iter().filter(|link| link.name.starts_with("l2tp")).count()
}

fn l2tp(host: &Host, words: &str) -> Output {
    host.run(FERROWIRE, &format!("l2tp {words}").split_whitespace().collect::<Vec<_>>())
}

#[test]
fn the_session_too_many_is_refused_and_leaves_nothing() {
    if !require::met(&[]) {
        return;
    }
    let mut host = Host::new();
    host.start_daemon();
    let pid = host.daemon().pid();
    prlimit(Some(pid), Resource::Nofile, Rlimit { current: Some(LIMIT), maximum: Some(LIMIT) }).unwrap();
    host.ip("link set lo up");
    host.l2tp("add tunnel tunnel_id 1 peer_tunnel_id 2 encap udp local 127.0.0.1 remote 127.0.0.1 udp_sport 5001 udp_dport 5002");
    let add = |id: u32| format!("add session tunnel_id 1 session_id {id} peer_session_id {id}");
    let mut made = 0;
    let refused = loop {
        let answer = l2tp(&host, &add(made + 1));
        if !answer.status.success() {
            break String::from_utf8(answer.stderr).unwrap();
        }
        made += 1;
        assert!(u64::from(made) < LIMIT, "no end of descriptors");
    };
    assert!(refused.contains("LimitNOFILE"), "{refused}");
    assert!(made > 16, "{made}");
    let all = devices(&host);
    assert!(host.l2tp_refused(&add(made + 1)).contains("LimitNOFILE"));
    let tunnel = "add tunnel tunnel_id 3 peer_tunnel_id 4 encap udp local 127.0.0.1 remote 127.0.0.1 udp_sport 5003 udp_dport 5004";
    assert!(host.l2tp_refused(tunnel).contains("LimitNOFILE"));
    assert_eq!(devices(&host), all, "what was refused has left nothing");
    assert_eq!(host.l2tp("show session").matches("Session ").count(), usize::try_from(made).unwrap());
    host.l2tp("del session tunnel_id 1 session_id 1");
    wait::until("the descriptor is free", || l2tp(&host, &add(made + 1)).status.success());
    assert_eq!(devices(&host), all);
}
