//! What came of it: samples in, medians and ratios out.

use serde::{Serialize, Serializer};

use super::design::Design;
use super::echo::RoundTrips;
use super::machine::Machine;
use super::measure::{Sample, Test};
use super::rounds::Place;
use super::underlay::Underlay;

/// The layout of the JSON; to be raised when a field changes its meaning or goes.
const VERSION: u32 = 1;

/// Everything that is reported.
#[derive(Debug, Serialize)]
pub(super) struct Results {
    version: u32,
    pub(super) machine: Machine,
    pub(super) rounds: u32,
    /// How long each sample was to take.
    pub(super) seconds: f64,
    pub(super) rows: Vec<Row>,
    pub(super) left_out: Vec<LeftOut>,
}

/// A test of a design on an underlay.
#[derive(Debug, Serialize)]
pub(super) struct Row {
    pub(super) underlay: Underlay,
    pub(super) test: Test,
    #[serde(serialize_with = "as_text")]
    pub(super) design: Design,
    #[serde(flatten)]
    pub(super) medians: Medians,
    pub(super) samples: Vec<Sample>,
    /// What went wrong, one entry a run.
    pub(super) faults: Vec<String>,
}

/// Medians over the rounds, each figure by itself, and what they are of those of the plain veth.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Medians {
    pub(super) gbit_per_second: Option<f64>,
    pub(super) packets_per_second: Option<f64>,
    pub(super) cpu_seconds_per_gigabyte: Option<f64>,
    pub(super) cpu_seconds_per_million_packets: Option<f64>,
    pub(super) round_trips: Option<RoundTrips>,
    /// The rate, that of the veth being 1.
    pub(super) rate_ratio: Option<f64>,
    /// What is carried for a second of processor time, that of the veth being 1.
    pub(super) per_cpu_ratio: Option<f64>,
}

/// A design that could not be set up.
#[derive(Debug, Serialize)]
pub(super) struct LeftOut {
    #[serde(serialize_with = "as_text")]
    pub(super) design: Design,
    pub(super) why: String,
}

fn as_text<S: Serializer>(design: &Design, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(design)
}

impl Results {
    pub(super) fn new(machine: Machine, rounds: u32, seconds: f64, left_out: Vec<LeftOut>) -> Self {
        Self { version: VERSION, machine, rounds, seconds, rows: Vec::new(), left_out }
    }

    /// Takes what came of one run.
    pub(super) fn add(&mut self, place: Place, outcome: anyhow::Result<Sample>) {
        let Place { underlay, test, design } = place;
        let same = |row: &Row| (row.underlay, row.test, row.design) == (underlay, test, design);
        let at = self.rows.iter().position(same).unwrap_or(self.rows.len());
        if at == self.rows.len() {
            let (medians, samples, faults) = Default::default();
            self.rows.push(Row { underlay, test, design, medians, samples, faults });
        }
        if let Some(row) = self.rows.get_mut(at) {
            match outcome {
                Ok(sample) => row.samples.push(sample),
                Err(error) => row.faults.push(format!("{error:#}")),
            }
        }
    }

    /// Computes medians and ratios of all that was taken.
    pub(super) fn conclude(&mut self) {
        for row in &mut self.rows {
            row.medians = Medians::of(row.test, &row.samples);
        }
        let bases: Vec<_> = self.rows.iter().filter(|row| row.design == Design::Veth).map(Row::key).collect();
        for row in &mut self.rows {
            let base =
                bases.iter().find(|(underlay, test, _)| (row.underlay, row.test) == (*underlay, *test));
            if let Some((_, test, base)) = base {
                row.medians.compare(*test, base);
            }
        }
    }

    /// Rows of one table.
    pub(super) fn table(&self, underlay: Underlay, test: Test) -> impl Iterator<Item = &Row> {
        self.rows.iter().filter(move |row| (row.underlay, row.test) == (underlay, test))
    }

    /// Processor time of other programs, of all that there was to have: 0 to 1. Rates suffer from it first.
    pub(super) fn foreign_share(&self) -> f64 {
        let samples = || self.rows.iter().flat_map(|row| &row.samples);
        let foreign: f64 = samples().map(|sample| sample.foreign_seconds).sum();
        let whole: f64 = samples().map(|sample| sample.seconds * f64::from(self.machine.processors)).sum();
        if whole > 0.0 { foreign / whole } else { 0.0 }
    }

    /// One JSON object.
    pub(super) fn json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

impl Row {
    fn key(&self) -> (Underlay, Test, Medians) {
        (self.underlay, self.test, self.medians)
    }
}

impl Medians {
    fn of(test: Test, samples: &[Sample]) -> Self {
        let median = |figure: fn(&Sample) -> Option<f64>| median(samples.iter().filter_map(figure).collect());
        let per_packet = median(|sample| Some(sample.cost()? / (count(sample.packets)? / 1e6)));
        let round_trips = Self::round_trips(samples);
        if !test.is_throughput() {
            return Self { round_trips, cpu_seconds_per_million_packets: per_packet, ..Self::default() };
        }
        Self {
            gbit_per_second: median(|sample| Some(count(sample.bytes)? * 8.0 / 1e9 / sample.seconds)),
            packets_per_second: median(|sample| Some(count(sample.packets)? / sample.seconds)),
            cpu_seconds_per_gigabyte: median(|sample| {
                Some(sample.cpu_seconds / (count(sample.bytes)? / 1e9))
            }),
            cpu_seconds_per_million_packets: per_packet,
            ..Self::default()
        }
    }

    fn round_trips(samples: &[Sample]) -> Option<RoundTrips> {
        let all: Vec<RoundTrips> = samples.iter().filter_map(|sample| sample.round_trips).collect();
        let median = |figure: fn(&RoundTrips) -> f64| median(all.iter().map(figure).collect());
        Some(RoundTrips {
            answered: all.iter().map(|one| one.answered).sum(),
            lost: all.iter().map(|one| one.lost).sum(),
            p50_us: median(|one| one.p50_us)?,
            p90_us: median(|one| one.p90_us)?,
            p99_us: median(|one| one.p99_us)?,
            p999_us: median(|one| one.p999_us)?,
        })
    }

    fn compare(&mut self, test: Test, base: &Self) {
        let quotient = |above: Option<f64>, below: Option<f64>| Some(above? / below?);
        if test.counts_packets() {
            self.rate_ratio = quotient(self.packets_per_second, base.packets_per_second);
            self.per_cpu_ratio =
                quotient(base.cpu_seconds_per_million_packets, self.cpu_seconds_per_million_packets);
        } else {
            self.rate_ratio = quotient(self.gbit_per_second, base.gbit_per_second);
            self.per_cpu_ratio = quotient(base.cpu_seconds_per_gigabyte, self.cpu_seconds_per_gigabyte);
        }
    }
}

/// A count as a divisor; none where nothing was counted.
fn count(count: u64) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
    (count > 0).then_some(count as f64)
}

/// The middle one, or the mean of the two in the middle.
fn median(mut figures: Vec<f64>) -> Option<f64> {
    figures.sort_by(f64::total_cmp);
    let (low, high) = (figures.get(figures.len().checked_sub(1)? / 2)?, figures.get(figures.len() / 2)?);
    Some((low + high) / 2.0)
}

#[cfg(test)]
mod tests {
    use super::{Results, median};
    use crate::bench::design::{Carrier, Design};
    use crate::bench::echo::RoundTrips;
    use crate::bench::machine::Machine;
    use crate::bench::measure::{Sample, Test};
    use crate::bench::rounds::Place;
    use crate::bench::underlay::Underlay;

    const USER: Design = Design::User(Carrier::Udp4);

    fn results() -> Results {
        let machine = Machine { kernel: "Linux 6.18".into(), processors: 2, ..Machine::default() };
        Results::new(machine, 3, 1.0, Vec::new())
    }

    fn place(test: Test, design: Design) -> Place {
        Place { underlay: Underlay::Veth, test, design }
    }

    fn sample(bytes: u64, packets: u64, cpu_seconds: f64) -> Sample {
        Sample { seconds: 0.5, bytes, packets, cpu_seconds, foreign_seconds: 0.25, ..Sample::default() }
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0]), Some(3.0));
        assert_eq!(median(vec![9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![9.0, 1.0, 2.0, 4.0]), Some(3.0));
    }

    #[test]
    fn a_stream_is_compared_by_bytes() {
        let mut results = results();
        for bytes in [2_000_000_000, 1_000_000_000, 500_000_000] {
            results.add(place(Test::Tcp1, Design::Veth), Ok(sample(bytes, 0, 1.0)));
            results.add(place(Test::Tcp1, USER), Ok(sample(bytes / 2, 0, 2.0)));
        }
        results.add(place(Test::Tcp1, USER), Err(anyhow::anyhow!("inner").context("outer")));
        results.conclude();
        let [veth, user] = results.rows.as_slice() else { panic!("{results:?}") };
        assert_eq!(veth.medians.gbit_per_second, Some(16.0));
        assert_eq!(veth.medians.cpu_seconds_per_gigabyte, Some(1.0));
        assert_eq!(veth.medians.packets_per_second, None);
        assert_eq!((veth.medians.rate_ratio, veth.medians.per_cpu_ratio), (Some(1.0), Some(1.0)));
        assert_eq!((user.medians.rate_ratio, user.medians.per_cpu_ratio), (Some(0.5), Some(0.25)));
        assert_eq!(user.faults, ["outer: inner"]);
        assert_eq!(results.foreign_share(), 0.25);
    }

    #[test]
    fn datagrams_are_compared_by_number() {
        let mut results = results();
        results.add(place(Test::Udp64, Design::Veth), Ok(sample(64_000_000, 1_000_000, 1.0)));
        results.add(place(Test::Udp64, USER), Ok(sample(32_000_000, 500_000, 1.0)));
        results.conclude();
        let medians = results.rows[1].medians;
        assert_eq!(medians.packets_per_second, Some(1e6));
        assert_eq!(medians.cpu_seconds_per_million_packets, Some(2.0));
        assert_eq!((medians.rate_ratio, medians.per_cpu_ratio), (Some(0.5), Some(0.5)));
    }

    #[test]
    fn round_trips_are_medians_of_the_rounds_and_all_that_were_lost() {
        let mut results = results();
        for (p50_us, lost) in [(30.0, 1), (10.0, 0), (20.0, 3)] {
            let round_trips = RoundTrips { answered: 100, lost, p50_us, ..RoundTrips::default() };
            let sample = Sample { round_trips: Some(round_trips), ..sample(0, 100, 0.01) };
            results.add(place(Test::Full, USER), Ok(sample));
        }
        results.conclude();
        let medians = results.rows[0].medians;
        let round_trips = medians.round_trips.unwrap();
        assert_eq!((round_trips.p50_us, round_trips.lost, round_trips.answered), (20.0, 4, 300));
        assert_eq!((medians.rate_ratio, medians.gbit_per_second), (None, None));
    }

    #[test]
    fn json_has_what_was_taken() {
        let mut results = results();
        results.add(place(Test::Udp64, USER), Ok(sample(64, 1, 1.0)));
        results.conclude();
        let json: serde_json::Value = serde_json::from_str(&results.json().unwrap()).unwrap();
        assert_eq!((&json["version"], &json["machine"]["processors"]), (&1.into(), &2.into()));
        let row = &json["rows"][0];
        assert_eq!((&row["design"], &row["test"]), (&"user-udp4".into(), &"udp64".into()));
        assert_eq!(row["packets_per_second"], 2.0);
        assert_eq!(row["samples"][0]["packets"], 1);
        assert!(row["samples"][0].get("round_trips").is_none());
    }
}
