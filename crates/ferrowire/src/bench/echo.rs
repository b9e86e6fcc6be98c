//! Request and response: one datagram there, the same one back, then the next.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, UdpSocket};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde::Serialize;

use super::far::{Far, Kind};
use super::site::Site;

/// Payload of either.
const PAYLOAD_BYTES: usize = 64;
/// What has not come back by then is lost.
const PATIENCE: Duration = Duration::from_millis(200);

/// Round trips of a series.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct RoundTrips {
    pub(super) answered: u64,
    pub(super) lost: u64,
    /// Microseconds in which that part of those that were answered came back.
    pub(super) p50_us: f64,
    pub(super) p90_us: f64,
    pub(super) p99_us: f64,
    pub(super) p999_us: f64,
}

/// A socket at the near host, and at the far one a process that sends back what comes.
pub(super) struct Echo {
    socket: UdpSocket,
    _far: Far,
}

impl Echo {
    pub(super) fn start(site: &Site) -> anyhow::Result<Self> {
        let far = Far::start(site, Kind::Echo)?;
        let any: IpAddr =
            if site.target.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
        let socket = site.stage.near.netns.within(|| UdpSocket::bind((any, 0)))?.context("cannot ask")?;
        socket.connect(far.address)?;
        socket.set_read_timeout(Some(PATIENCE))?;
        Ok(Self { socket, _far: far })
    }

    /// One round trip after the other.
    pub(super) fn series(&self, duration: Duration) -> anyhow::Result<RoundTrips> {
        let (mut times, mut lost) = (Vec::new(), 0);
        let (start, mut sequence) = (Instant::now(), 0);
        while start.elapsed() < duration {
            sequence += 1;
            match self.exchange(sequence)? {
                Some(time) => times.push(time),
                None => lost += 1,
            }
        }
        ensure!(!times.is_empty(), "no request was answered");
        Ok(summary(times, lost))
    }

    fn exchange(&self, sequence: u64) -> anyhow::Result<Option<Duration>> {
        let mut request = [0; PAYLOAD_BYTES];
        request.iter_mut().zip(sequence.to_be_bytes()).for_each(|(to, from)| *to = from);
        let mut response = [0; PAYLOAD_BYTES];
        let start = Instant::now();
        self.socket.send(&request).context("cannot send a request")?;
        while start.elapsed() < PATIENCE {
            match self.socket.recv(&mut response) {
                Ok(_) if response == request => return Ok(Some(start.elapsed())),
                // An answer that was given up.
                Ok(_) => {}
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(error) => return Err(error).context("cannot receive a response"),
            }
        }
        Ok(None)
    }
}

/// At the far end: sends back what comes.
pub(super) fn answer(socket: &UdpSocket) {
    let mut buffer = [0; PAYLOAD_BYTES];
    loop {
        if let Ok((length, from)) = socket.recv_from(&mut buffer) {
            // A full queue loses it, as any network may.
            let _: std::io::Result<usize> = socket.send_to(buffer.get(..length).unwrap_or_default(), from);
        }
    }
}

fn summary(mut times: Vec<Duration>, lost: u64) -> RoundTrips {
    times.sort_unstable();
    let percentile = |per_mille: usize| {
        // The nearest rank: the smallest time in which at least that part came back.
        let rank = (times.len() * per_mille).div_ceil(1000).max(1);
        times.get(rank - 1).map_or(0.0, |time| time.as_secs_f64() * 1e6)
    };
    RoundTrips {
        answered: u64::try_from(times.len()).unwrap_or(u64::MAX),
        lost,
        p50_us: percentile(500),
        p90_us: percentile(900),
        p99_us: percentile(990),
        p999_us: percentile(999),
    }
}

#[cfg(test)]
mod tests {
    use super::{RoundTrips, summary};
    use std::time::Duration;

    #[test]
    fn percentiles_are_of_the_nearest_rank() {
        let figures = |trips: &RoundTrips| {
            [trips.p50_us, trips.p90_us, trips.p99_us, trips.p999_us].map(|time| format!("{time:.3}"))
        };
        let trips = summary((1..=2000).rev().map(Duration::from_micros).collect(), 3);
        assert_eq!((trips.answered, trips.lost), (2000, 3));
        assert_eq!(figures(&trips), ["1000.000", "1800.000", "1980.000", "1998.000"]);
        let one = summary(vec![Duration::from_micros(7)], 0);
        assert_eq!(figures(&one), ["7.000"; 4]);
    }
}
