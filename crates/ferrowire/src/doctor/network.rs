//! Sockets and their limits.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};

use l2tp_io::door::DoorStream;
use l2tp_io::udp::{self, UdpConfig};
use rustix::process::{Resource, getrlimit};

use super::check::Check;
use super::procfs;
use crate::door;

/// Bytes that a tunnel socket asks for in each direction.
const QUEUE_BYTES: u64 = 4 << 20;
/// Descriptors that the daemon needs beside one a session.
const DESCRIPTORS_APART: u64 = 64;
/// Sessions that a host should have room for.
const SESSIONS_WANTED: u64 = 10_000;

/// UDP sockets that take and give trains of datagrams. UDP_SEGMENT (4.18) is older than UDP_GRO (5.0), which is tried.
pub(super) fn udp_offload() -> Check {
    const NAME: &str = "UDP offload";
    let config = UdpConfig {
        local: Some((Ipv4Addr::LOCALHOST, 0).into()),
        peer: None,
        checksum: true,
        zero_csum6_tx: false,
        zero_csum6_rx: false,
    };
    match udp::UdpSocket::open(&config) {
        Ok(_) => Check::ok(NAME, "UDP_SEGMENT and UDP_GRO: many packets a system call"),
        Err(error) => Check::missing(NAME, format!("no tunnel socket: {error}"), "install Linux 5.0 or later"),
    }
}

/// IPv6, for outer addresses.
pub(super) fn ipv6() -> Check {
    const NAME: &str = "IPv6";
    match UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)) {
        Ok(_) => Check::ok(NAME, "on"),
        Err(error) if fs::exists("/proc/sys/net/ipv6").unwrap_or(false) => {
            Check::note(NAME, format!("off in this network namespace: {error}; tunnels over IPv4 only"))
                .with_fix("sysctl -w net.ipv6.conf.all.disable_ipv6=0")
        }
        Err(_) => Check::note(NAME, "not in this kernel: tunnels over IPv4 only")
            .with_fix("boot without ipv6.disable=1"),
    }
}

/// How long the queues of tunnel sockets may be.
pub(super) fn socket_buffers() -> Check {
    let limit = procfs::number("/proc/sys/net/core/rmem_max");
    buffers_of(limit, super::privilege::forces_buffers())
}

fn buffers_of(limit: Option<u64>, forced: bool) -> Check {
    const NAME: &str = "socket buffers";
    match limit {
        _ if forced => Check::ok(NAME, "4 MiB a tunnel, whatever net.core.rmem_max says"),
        Some(limit) if limit < QUEUE_BYTES => {
            let detail = format!("net.core.rmem_max allows {} KiB of 4096: more drops in bursts", limit >> 10);
            Check::note(NAME, detail).with_fix(format!("sysctl -w net.core.rmem_max={QUEUE_BYTES}"))
        }
        Some(_) => Check::ok(NAME, "4 MiB a tunnel"),
        // Not shown in namespaces other than the first.
        None => Check::note(NAME, "net.core.rmem_max is not shown here"),
    }
}

/// How many sessions a daemon can have, each with a descriptor of its own.
pub(super) fn open_files() -> Check {
    sessions_of(getrlimit(Resource::Nofile).maximum)
}

fn sessions_of(limit: Option<u64>) -> Check {
    const NAME: &str = "open files";
    let Some(limit) = limit else { return Check::ok(NAME, "no limit to the number of sessions") };
    let sessions = limit.saturating_sub(DESCRIPTORS_APART);
    let detail = format!("hard limit {limit}: room for some {sessions} sessions");
    if sessions >= SESSIONS_WANTED {
        Check::ok(NAME, detail)
    } else {
        Check::note(NAME, detail).with_fix("ulimit -Hn 65536 as root (systemd: LimitNOFILE=65536)")
    }
}

/// Whether there is somebody to talk to.
pub(super) fn daemon() -> Check {
    const NAME: &str = "daemon";
    match DoorStream::connect(door::NAME) {
        Ok(_) => Check::ok(NAME, "serves this network namespace"),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            Check::note(NAME, "none serves this network namespace").with_fix("ferrowire daemon")
        }
        Err(error) => Check::note(NAME, format!("cannot be reached: {error}")),
    }
}

#[cfg(test)]
mod tests {
    use super::{buffers_of, sessions_of};
    use crate::doctor::check::Verdict;

    #[test]
    fn limits_are_weighed() {
        let low = buffers_of(Some(212_992), false);
        assert_eq!(low.fix.as_deref(), Some("sysctl -w net.core.rmem_max=4194304"));
        assert!(low.detail.contains("208 KiB"));
        for good in [buffers_of(Some(212_992), true), buffers_of(Some(4 << 20), false)] {
            assert_eq!((good.verdict, good.fix), (Verdict::Ok, None));
        }
        assert_eq!(buffers_of(None, false).verdict, Verdict::Note);
        assert_eq!(sessions_of(None).verdict, Verdict::Ok);
        assert_eq!(sessions_of(Some(1024)).verdict, Verdict::Note);
        assert!(sessions_of(Some(20_000)).detail.contains("19936 sessions"));
        assert!(sessions_of(Some(8)).detail.contains("some 0 sessions"));
    }
}
