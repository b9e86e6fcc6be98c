//! What came of the demo, as text and as JSON.

use std::fmt::Write as _;

use serde::Serialize;

use super::stream::Flow;
use crate::stage::ping::RoundTrips;

/// Everything that came of it.
#[derive(Debug, Default, Serialize)]
pub(super) struct Report {
    pub(super) ok: bool,
    /// From start to end.
    pub(super) seconds: f64,
    /// Run without privileges, in a user namespace.
    pub(super) rootless: bool,
    /// What the links are but for the wire, where they are not tunnels of which each is one.
    #[serde(skip)]
    pub(super) subject: Option<&'static str>,
    /// The bare wire first, then the tunnels.
    pub(super) links: Vec<Row>,
    /// What ended the demo early, and what to do about it.
    pub(super) fault: Option<String>,
}

/// What came of one link; what was not reached is `None`.
#[derive(Debug, Default, Serialize)]
pub(super) struct Row {
    pub(super) name: &'static str,
    pub(super) session: &'static str,
    pub(super) mtu: Option<u32>,
    pub(super) ping: Option<RoundTrips>,
    pub(super) stream: Option<Flow>,
    /// The stream's rate, that of the bare wire being 1.
    pub(super) ratio: Option<f64>,
    /// Sent and received by the near end of the session.
    pub(super) frames: Option<u64>,
    /// By both ends of the session.
    pub(super) drops: Option<u64>,
    /// The counters that say why.
    pub(super) causes: Vec<String>,
    pub(super) faults: Vec<String>,
}

impl Row {
    pub(super) fn new(name: &'static str, session: &'static str) -> Self {
        Self { name, session, ..Self::default() }
    }

    pub(super) fn take_pings(&mut self, pings: RoundTrips) {
        if pings.lost > 0 {
            self.faults.push(format!("{} of {} pings were lost", pings.lost, pings.sent));
        }
        self.ping = Some(pings);
    }

    pub(super) fn conclude(&mut self, tried: anyhow::Result<()>) {
        if let Err(error) = tried {
            self.faults.push(format!("{error:#}"));
        }
    }
}

impl Report {
    /// Adds a link, and compares it with the first.
    pub(super) fn add(&mut self, mut row: Row) {
        if let (Some(flow), Some(wire)) = (row.stream, self.links.first().and_then(|wire| wire.stream)) {
            row.ratio = Some(flow.gbit_per_second / wire.gbit_per_second);
        }
        self.links.push(row);
    }

    /// Whether anything went wrong with a link.
    pub(super) fn has_faults(&self) -> bool {
        self.links.iter().any(|row| !row.faults.is_empty())
    }

    /// Judges: all of `expected` links, none with a fault.
    pub(super) fn conclude(&mut self, expected: usize, seconds: f64) {
        self.seconds = seconds;
        let whole = self.links.len() == expected && !self.has_faults();
        self.ok = whole && self.fault.is_none();
    }

    /// One JSON object, on lines of its own.
    pub(super) fn json(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// A table, what went wrong, and the verdict.
    pub(super) fn text(&self) -> String {
        let mut out = String::new();
        if !self.links.is_empty() {
            out.push_str(HEADING);
            self.links.iter().for_each(|row| out.push_str(&line(row)));
            out.push('\n');
        }
        for row in &self.links {
            for remark in row.faults.iter().chain(&row.causes) {
                _ = writeln!(out, "{}: {remark}", row.name);
            }
        }
        if let Some(fault) = &self.fault {
            _ = writeln!(out, "{fault}");
        }
        out.push_str(&self.verdict());
        if cfg!(debug_assertions) {
            out.push_str(UNOPTIMISED);
        }
        out
    }

    fn verdict(&self) -> String {
        let seconds = self.seconds;
        if !self.ok {
            return format!("FAILED after {seconds:.1} s; \"ferrowire doctor\" says what this host lacks.\n");
        }
        let tunnels = self.links.get(1..).unwrap_or_default();
        let subject = self.subject.map_or_else(|| format!("{} tunnels", tunnels.len()), str::to_owned);
        let drops: Vec<u64> = tunnels.iter().filter_map(|row| row.drops).collect();
        let drops = match drops.iter().sum::<u64>() {
            _ if drops.is_empty() => String::new(),
            sum => format!("; {sum} frames dropped"),
        };
        let bytes: u64 = tunnels.iter().filter_map(|row| row.stream).map(|flow| flow.bytes).sum();
        let user = if self.rootless { ", without root" } else { "" };
        format!(
            "OK: {subject} carried every ping and all of {} MiB of TCP, each byte compared{drops}. \
             {seconds:.1} s{user}.\n",
            bytes >> 20
        )
    }
}

const UNOPTIMISED: &str = "This is an unoptimised build; its rates say little (cargo build --release).\n";

const HEADING: &str = "\
tunnel    session            MTU  ping ms min/avg/max  lost  Gbit/s  ratio    frames  drops
";

fn line(row: &Row) -> String {
    let ping = row.ping.map(|ping| format!("{:.3}/{:.3}/{:.3}", ping.min_ms, ping.avg_ms, ping.max_ms));
    let rate = row.stream.map(|flow| format!("{:.2}", flow.gbit_per_second));
    format!(
        "{:<8}  {:<16}  {:>4}  {:>19}  {:>4}  {:>6}  {:>5}  {:>8}  {:>5}\n",
        row.name,
        row.session,
        cell(row.mtu),
        cell(ping),
        cell(row.ping.map(|ping| ping.lost)),
        cell(rate),
        cell(row.ratio.map(|ratio| format!("{ratio:.2}"))),
        cell(row.frames),
        cell(row.drops),
    )
}

fn cell(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::{Flow, Report, RoundTrips, Row, UNOPTIMISED};

    /// The text but for the remark about the build.
    fn text(report: &Report) -> String {
        report.text().replace(UNOPTIMISED, "")
    }

    fn row(name: &'static str, gbit_per_second: f64) -> Row {
        Row {
            mtu: Some(1458),
            ping: Some(RoundTrips { sent: 20, lost: 0, min_ms: 0.051, avg_ms: 0.0714, max_ms: 12.5 }),
            stream: Some(Flow { bytes: 3 << 20, seconds: 0.5, gbit_per_second }),
            ..Row::new(name, "sequence numbers")
        }
    }

    #[test]
    fn a_good_run_as_text() {
        let mut report = Report::default();
        report.add(Row { session: "-", ..row("veth", 20.0) });
        let causes = vec!["host B counts 2 rx_errors".to_owned()];
        report.add(Row { frames: Some(188_001), drops: Some(2), causes, ..row("IP/IPv4", 5.0) });
        report.conclude(2, 6.25);
        assert!(report.ok);
        let expected = "\
tunnel    session            MTU  ping ms min/avg/max  lost  Gbit/s  ratio    frames  drops
veth      -                 1458   0.051/0.071/12.500     0   20.00      -         -      -
IP/IPv4   sequence numbers  1458   0.051/0.071/12.500     0    5.00   0.25    188001      2

IP/IPv4: host B counts 2 rx_errors
OK: 1 tunnels carried every ping and all of 3 MiB of TCP, each byte compared; 2 frames dropped. 6.2 s.
";
        assert_eq!(text(&report), expected);
        assert!(report.text().lines().take(3).all(|line| line.len() <= 100 && line.is_ascii()));
    }

    #[test]
    fn every_fault_is_told_and_fails() {
        let mut report = Report::default();
        report.add(row("veth", 20.0));
        let mut lossy = Row::new("UDP/IPv4", "8-byte cookies");
        lossy.take_pings(RoundTrips { sent: 20, lost: 1, ..RoundTrips::default() });
        lossy.conclude(Err(anyhow::anyhow!("inner").context("outer")));
        report.add(lossy);
        report.conclude(2, 1.0);
        assert!(!report.ok);
        let text = report.text();
        assert!(
            text.contains("\nUDP/IPv4: 1 of 20 pings were lost\nUDP/IPv4: outer: inner\nFAILED"),
            "{text}"
        );
    }

    #[test]
    fn too_few_links_or_a_fault_of_the_whole_fail() {
        let mut report = Report::default();
        report.add(row("veth", 20.0));
        report.conclude(2, 1.0);
        assert!(!report.ok);
        let mut report = Report { fault: Some("no TAP".to_owned()), ..Report::default() };
        report.conclude(0, 1.0);
        assert_eq!(
            text(&report),
            "no TAP\nFAILED after 1.0 s; \"ferrowire doctor\" says what this host lacks.\n"
        );
    }

    #[test]
    fn the_same_as_json() {
        let mut report = Report::default();
        report.add(row("veth", 20.0));
        report.add(row("IP/IPv4", 5.0));
        report.conclude(2, 6.25);
        let json: serde_json::Value = serde_json::from_str(&report.json()).unwrap();
        assert_eq!(json["ok"], true);
        assert_eq!(json["links"][1]["ratio"], 0.25);
        assert_eq!(json["links"][1]["ping"]["lost"], 0);
        assert_eq!(json["links"][1]["stream"]["bytes"], 3 << 20);
        assert!(json["links"][1]["frames"].is_null());
    }
}
