//! Sockets and their limits.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, UdpSocket};

use l2tp_io::door::{DoorStream, NAME as DOOR};
use l2tp_io::udp::{self, UdpConfig};
use rustix::net::sockopt;
use rustix::process::{Resource, getrlimit};

use super::check::Check;
use crate::l2tp::os_error_text;

/// Bytes that a tunnel socket asks for in each direction.
const QUEUE_BYTES: usize = 4 << 20;
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
        Err(error) => Check::missing(
            NAME,
            format!("no tunnel socket: {}", os_error_text(&error)),
            "install Linux 5.0 or later",
        ),
    }
}

/// IPv6, for outer addresses.
pub(super) fn ipv6() -> Check {
    const NAME: &str = "IPv6";
    match UdpSocket::bind((Ipv6Addr::LOCALHOST, 0)) {
        Ok(_) => Check::ok(NAME, "on"),
        Err(error) if fs::exists("/proc/sys/net/ipv6").unwrap_or(false) => Check::note(
            NAME,
            format!("off in this network namespace: {}; tunnels over IPv4 only", os_error_text(&error)),
        )
        .with_fix("sysctl -w net.ipv6.conf.all.disable_ipv6=0"),
        Err(_) => Check::note(NAME, "not in this kernel: tunnels over IPv4 only")
            .with_fix("boot without ipv6.disable=1"),
    }
}

/// How much a tunnel socket may queue: asked for as the daemon does, then read back.
pub(super) fn socket_buffers() -> Check {
    const NAME: &str = "socket buffers";
    match granted() {
        Ok(bytes) => buffers_of(NAME, bytes),
        Err(error) => Check::note(NAME, format!("cannot be tried: {}", os_error_text(&error))),
    }
}

fn granted() -> io::Result<usize> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?;
    sockopt::set_socket_recv_buffer_size_force(&socket, QUEUE_BYTES)
        .or_else(|_| sockopt::set_socket_recv_buffer_size(&socket, QUEUE_BYTES))?;
    // The kernel doubles it, for its own bookkeeping (socket(7)).
    Ok(sockopt::socket_recv_buffer_size(&socket)? / 2)
}

fn buffers_of(name: &'static str, granted: usize) -> Check {
    let detail = format!("{} KiB a tunnel, of {} that it asks for", granted >> 10, QUEUE_BYTES >> 10);
    if granted >= QUEUE_BYTES {
        Check::ok(name, detail)
    } else {
        Check::note(name, format!("{detail}: more drops in bursts"))
            .with_fix(format!("sysctl -w net.core.rmem_max={QUEUE_BYTES}"))
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
    match DoorStream::connect(DOOR) {
        Ok(_) => Check::ok(NAME, "serves this network namespace"),
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            Check::note(NAME, "none serves this network namespace").with_fix("ferrowire daemon")
        }
        Err(error) => Check::note(NAME, format!("cannot be reached: {}", os_error_text(&error))),
    }
}

#[cfg(test)]
mod tests {
    use super::{buffers_of, sessions_of};
    use crate::doctor::check::Verdict;

    #[test]
    fn limits_are_weighed() {
        let low = buffers_of("", 212_992);
        assert_eq!(low.fix.as_deref(), Some("sysctl -w net.core.rmem_max=4194304"));
        assert!(low.detail.starts_with("208 KiB a tunnel, of 4096"));
        let good = buffers_of("", 4 << 20);
        assert_eq!((good.verdict, good.fix), (Verdict::Ok, None));
        assert_eq!(sessions_of(None).verdict, Verdict::Ok);
        assert_eq!(sessions_of(Some(1024)).verdict, Verdict::Note);
        assert!(sessions_of(Some(20_000)).detail.contains("19936 sessions"));
        assert!(sessions_of(Some(8)).detail.contains("some 0 sessions"));
    }
}
