//! What is measured of a design.

use std::time::{Duration, Instant};

use anyhow::ensure;
use clap::ValueEnum;
use serde::Serialize;

use super::cpu::{Elapsed, Reading};
use super::echo::{Echo, RoundTrips};
use super::load::Load;
use super::site::Site;
use super::{flood, iperf, tcp};

/// A kind of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
pub(super) enum Test {
    /// One TCP stream
    Tcp1,
    /// Four TCP streams
    Tcp4,
    /// One TCP stream of iperf3; only if asked for
    Iperf1,
    /// Four TCP streams of iperf3; only if asked for
    Iperf4,
    /// Datagrams of 64 bytes of payload, as many as the sender can send
    Udp64,
    /// The same with IP packets of 64, 576 and 1400 bytes, 7 to 4 to 1
    Mix,
    /// One request of 64 bytes at a time, and nothing else
    Light,
    /// The same beside a TCP stream
    Full,
}

/// IPv4 and UDP headers.
const HEADER_BYTES: usize = 20 + 8;
const SMALL: usize = 64 - HEADER_BYTES;
const MIDDLE: usize = 576 - HEADER_BYTES;
const LARGE: usize = 1400 - HEADER_BYTES;
/// The "simple IMIX" of 7 to 4 to 1, its largest packet made to fit every tunnel.
const MIX: [usize; 12] =
    [SMALL, MIDDLE, SMALL, SMALL, MIDDLE, SMALL, LARGE, SMALL, MIDDLE, SMALL, SMALL, MIDDLE];
/// How long traffic flows before it counts: streams find their speed, neighbours their addresses.
const WARM_UP: Duration = Duration::from_millis(200);
/// How long what is left in queues may take.
const COOL_DOWN: Duration = Duration::from_millis(50);

/// What one run of a test gave.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Sample {
    pub(super) seconds: f64,
    /// Processor time of all that was involved.
    pub(super) cpu_seconds: f64,
    /// Processor time of other programs meanwhile.
    pub(super) foreign_seconds: f64,
    /// Payload that arrived.
    pub(super) bytes: u64,
    /// Datagrams that arrived, or round trips.
    pub(super) packets: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) round_trips: Option<RoundTrips>,
}

impl Test {
    /// Its name, as on the command line.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Tcp1 => "tcp1",
            Self::Tcp4 => "tcp4",
            Self::Iperf1 => "iperf1",
            Self::Iperf4 => "iperf4",
            Self::Udp64 => "udp64",
            Self::Mix => "mix",
            Self::Light => "light",
            Self::Full => "full",
        }
    }

    /// What it is, for a heading.
    pub(super) const fn about(self) -> &'static str {
        match self {
            Self::Tcp1 => "TCP, one stream",
            Self::Tcp4 => "TCP, four streams",
            Self::Iperf1 => "iperf3, one stream",
            Self::Iperf4 => "iperf3, four streams",
            Self::Udp64 => "UDP, 64 bytes",
            Self::Mix => "UDP, 64 to 1400 bytes",
            Self::Light => "round trips, nothing else",
            Self::Full => "round trips beside TCP",
        }
    }

    /// Whether it is about how much is carried, and not about how soon.
    pub(super) const fn is_throughput(self) -> bool {
        !matches!(self, Self::Light | Self::Full)
    }

    /// Whether packets are counted, and not bytes.
    pub(super) const fn counts_packets(self) -> bool {
        matches!(self, Self::Udp64 | Self::Mix)
    }

    /// Runs it once.
    pub(super) fn run(self, site: &Site, duration: Duration) -> anyhow::Result<Sample> {
        let sample = match self {
            Self::Tcp1 => flow(&mut tcp::start(site, 1)?, duration),
            Self::Tcp4 => flow(&mut tcp::start(site, 4)?, duration),
            Self::Iperf1 => iperf::run(site, 1, duration),
            Self::Iperf4 => iperf::run(site, 4, duration),
            Self::Udp64 => flow(&mut flood::start(site, &[64])?, duration),
            Self::Mix => flow(&mut flood::start(site, &MIX)?, duration),
            Self::Light => round_trips(site, duration),
            Self::Full => {
                let _load = tcp::start(site, 1)?;
                round_trips(site, duration)
            }
        };
        std::thread::sleep(COOL_DOWN);
        sample
    }
}

impl Sample {
    pub(super) fn of(elapsed: Elapsed) -> Self {
        let Elapsed { seconds, cpu_seconds, foreign_seconds } = elapsed;
        Self { seconds, cpu_seconds, foreign_seconds, ..Self::default() }
    }

    /// The processor time; none where others left so little that it drowned in what they took.
    pub(super) fn cost(&self) -> Option<f64> {
        (self.cpu_seconds > 0.0).then_some(self.cpu_seconds)
    }
}

/// Lets a load flow, and counts what of it arrives.
fn flow(load: &mut Load, duration: Duration) -> anyhow::Result<Sample> {
    std::thread::sleep(WARM_UP);
    let before = Reading::take()?;
    let (start, first) = (Instant::now(), load.arrived()?);
    std::thread::sleep(duration);
    let (last, seconds) = (load.arrived()?, start.elapsed().as_secs_f64());
    let elapsed = Reading::take()?.since(&before).scaled_to(seconds);
    ensure!(last.bytes > first.bytes, "nothing arrived");
    let (bytes, packets) = (last.bytes - first.bytes, last.packets - first.packets);
    Ok(Sample { bytes, packets, ..Sample::of(elapsed) })
}

fn round_trips(site: &Site, duration: Duration) -> anyhow::Result<Sample> {
    let echo = Echo::start(site)?;
    echo.series(WARM_UP)?;
    let before = Reading::take()?;
    let start = Instant::now();
    let round_trips = echo.series(duration)?;
    let seconds = start.elapsed().as_secs_f64();
    let elapsed = Reading::take()?.since(&before).scaled_to(seconds);
    let packets = round_trips.answered;
    Ok(Sample { packets, round_trips: Some(round_trips), ..Sample::of(elapsed) })
}
