//! Round trips of ICMP echo, measured.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::io::Errno;
use rustix::net::sockopt::{self, Ipv4PathMtuDiscovery, Ipv6PathMtuDiscovery, Timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, connect, ipproto, recv, send, socket_with,
};
use serde::Serialize;

use super::icmp::{self, Version};

/// What a packet without answer within this time is: lost.
const PATIENCE: Duration = Duration::from_secs(1);
/// Between two pings of a series, so that the hosts fall asleep as they would.
const PAUSE: Duration = Duration::from_millis(3);
/// Payload of an ordinary ping.
const PAYLOAD_BYTES: usize = 56;

/// A series of pings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(crate) struct RoundTrips {
    pub(crate) sent: u32,
    pub(crate) lost: u32,
    /// Milliseconds; of those that were answered, as the other two.
    pub(crate) min_ms: f64,
    pub(crate) avg_ms: f64,
    pub(crate) max_ms: f64,
}

/// A raw ICMP socket to one host (raw(7), CAP_NET_RAW). Its packets are never fragmented.
pub(crate) struct Pinger {
    socket: OwnedFd,
    version: Version,
    ident: u16,
    sequence: u16,
    buffer: Vec<u8>,
}

impl Pinger {
    /// Opens a socket in the namespace of the calling thread.
    pub(crate) fn open(target: IpAddr) -> io::Result<Self> {
        let (version, family, protocol) = match target {
            IpAddr::V4(_) => (Version::V4, AddressFamily::INET, ipproto::ICMP),
            IpAddr::V6(_) => (Version::V6, AddressFamily::INET6, ipproto::ICMPV6),
        };
        let socket = socket_with(family, SocketType::RAW, SocketFlags::CLOEXEC, Some(protocol))?;
        match version {
            Version::V4 => sockopt::set_ip_mtu_discover(&socket, Ipv4PathMtuDiscovery::DO)?,
            Version::V6 => sockopt::set_ipv6_mtu_discover(&socket, Ipv6PathMtuDiscovery::DO)?,
        }
        connect(&socket, &SocketAddr::new(target, 0))?;
        let ident = u16::try_from(std::process::id() & 0xffff).unwrap_or_default();
        Ok(Self { socket, version, ident, sequence: 0, buffer: vec![0; 1 << 16] })
    }

    /// Pings until an answer comes: a new link first has to learn the peer's hardware address.
    pub(crate) fn reach(&mut self, patience: Duration) -> io::Result<()> {
        let deadline = Instant::now() + patience;
        while self.exchange(PAYLOAD_BYTES, Duration::from_millis(100))?.is_none() {
            if Instant::now() > deadline {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "no ping was answered"));
            }
        }
        Ok(())
    }

    /// Pings `count` times, one after the other.
    pub(crate) fn series(&mut self, count: u32) -> io::Result<RoundTrips> {
        let mut times = Vec::new();
        for _ in 0..count {
            times.extend(self.exchange(PAYLOAD_BYTES, PATIENCE)?);
            std::thread::sleep(PAUSE);
        }
        Ok(summary(count, &times))
    }

    /// Whether a packet of `bytes`, IP header and all, comes back whole.
    pub(crate) fn carries(&mut self, bytes: u32) -> io::Result<bool> {
        let headers = self.version.ip_header_bytes() + icmp::HEADER_BYTES;
        let payload = usize::try_from(bytes).unwrap_or_default().saturating_sub(headers);
        Ok(self.exchange(payload, PATIENCE)?.is_some())
    }

    /// One round trip; `None` when no answer came in time.
    fn exchange(&mut self, payload: usize, patience: Duration) -> io::Result<Option<Duration>> {
        self.sequence = self.sequence.wrapping_add(1);
        let request = icmp::request(self.version, self.ident, self.sequence, payload);
        let start = Instant::now();
        send(&self.socket, &request, SendFlags::empty())?;
        loop {
            let left = patience.saturating_sub(start.elapsed());
            if left.is_zero() {
                return Ok(None);
            }
            sockopt::set_socket_timeout(&self.socket, Timeout::Recv, Some(left))?;
            match recv(&self.socket, self.buffer.as_mut_slice(), RecvFlags::empty()) {
                Ok((length, _)) => {
                    let received = self.buffer.get(..length).unwrap_or_default();
                    if icmp::answers(self.version, received, &request) {
                        return Ok(Some(start.elapsed()));
                    }
                }
                Err(Errno::AGAIN | Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
}

fn summary(sent: u32, times: &[Duration]) -> RoundTrips {
    let answered = u32::try_from(times.len()).unwrap_or(u32::MAX);
    let total: Duration = times.iter().sum();
    let milliseconds = |time: Option<Duration>| time.map_or(0.0, |time| time.as_secs_f64() * 1000.0);
    RoundTrips {
        sent,
        lost: sent.saturating_sub(answered),
        min_ms: milliseconds(times.iter().min().copied()),
        avg_ms: milliseconds(total.checked_div(answered)),
        max_ms: milliseconds(times.iter().max().copied()),
    }
}

#[cfg(test)]
mod tests {
    use super::{RoundTrips, summary};
    use std::time::Duration;

    #[test]
    fn a_series_is_summed_up() {
        let times = [4, 1, 7].map(Duration::from_millis);
        let expected = RoundTrips { sent: 5, lost: 2, min_ms: 1.0, avg_ms: 4.0, max_ms: 7.0 };
        assert_eq!(summary(5, &times), expected);
        assert_eq!(summary(3, &[]), RoundTrips { sent: 3, lost: 3, ..RoundTrips::default() });
    }
}
