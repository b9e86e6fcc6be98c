//! `ferrowire exec`: foreign programs, unmodified, on Ferrowire.

mod crate_l2tp;
mod identity;
mod l2tpns;
mod life;
mod natives;
mod ppp;
mod programs;
mod recordings;
mod three_hosts;
mod xl2tpd;

use std::process::{Command, Output, Stdio};

use crate::daemon::FERROWIRE;
use crate::host::Host;

/// `ferrowire exec OPTIONS -- sh -c SCRIPT` in this host.
pub(crate) fn command(options: &[&str], script: &str) -> Command {
    let mut command = Command::new(FERROWIRE);
    command.arg("exec").args(options).args(["--", "sh", "-c", script]).stdin(Stdio::null());
    command
}

/// Runs it to its end.
fn exec(host: &Host, options: &[&str], script: &str) -> Output {
    host.here(|| command(options, script).output().unwrap())
}

/// What it wrote; it must succeed.
fn succeed(host: &Host, options: &[&str], script: &str) -> String {
    let output = exec(host, options, script);
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{script}: {:?}\n{out}\n{err}", output.status);
    out
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// Makes a tunnel to nowhere on the loopback interface, and says how it went.
const ADD_TUNNEL: &str = "ip l2tp add tunnel tunnel_id 1 peer_tunnel_id 2 encap udp local 127.0.0.1 remote 127.0.0.1 \
                          udp_sport 5000 udp_dport 5001";
