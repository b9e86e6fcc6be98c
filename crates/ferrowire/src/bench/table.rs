//! The results as text: one table a test.

use std::fmt::Write as _;

use super::measure::Test;
use super::results::{Results, Row};
use super::underlay::Underlay;

/// All tables, then what was left out and what went wrong.
pub(super) fn text(results: &Results, underlays: &[Underlay], tests: &[Test]) -> String {
    let mut out = heading(results);
    for underlay in underlays {
        for test in tests {
            _ = write!(out, "\n{}; {}\n{}", test.about(), underlay.about(), columns(*test));
            results.table(*underlay, *test).for_each(|row| out.push_str(&line(row)));
        }
    }
    let mut remarks = String::new();
    // Those with one reason are neighbours.
    for alike in results.left_out.chunk_by(|one, other| one.why == other.why) {
        let designs: Vec<String> = alike.iter().map(|left_out| left_out.design.to_string()).collect();
        let why = alike.first().map_or("", |left_out| &left_out.why);
        _ = writeln!(remarks, "left out: {}: {why}", designs.join(", "));
    }
    for row in &results.rows {
        for fault in &row.faults {
            _ = writeln!(remarks, "{} {} {}: {fault}", row.underlay.name(), row.test.name(), row.design);
        }
    }
    if !remarks.is_empty() {
        out.push('\n');
        out.push_str(&remarks);
    }
    out
}

fn heading(results: &Results) -> String {
    let machine = &results.machine;
    let mut out = format!(
        "{}, {} processors ({}), {}; ferrowire {}\nmedians of {} rounds of {} s; other programs had {:.0} % of the processors\n",
        machine.kernel,
        machine.processors,
        machine.model,
        machine.date,
        machine.ferrowire,
        results.rounds,
        results.seconds,
        results.foreign_share() * 100.0
    );
    if machine.unoptimised {
        out.push_str("This is an unoptimised build; its figures say little (cargo build --release).\n");
    }
    out
}

fn columns(test: Test) -> String {
    let names: &[&str] = if !test.is_throughput() {
        &["p50 us", "p90 us", "p99 us", "p99.9 us", "lost"]
    } else if test.counts_packets() {
        &["kpps", "ratio", "CPU s/Mpkt", "ratio"]
    } else {
        &["Gbit/s", "ratio", "CPU s/GB", "ratio"]
    };
    cells("", names.iter().map(|name| (*name).to_owned()))
}

fn line(row: &Row) -> String {
    let medians = &row.medians;
    let number = |figure: Option<f64>, digits: usize| {
        figure.map_or_else(|| "-".to_owned(), |figure| format!("{figure:.digits$}"))
    };
    let name = row.design.to_string();
    if !row.test.is_throughput() {
        let trips = medians.round_trips;
        let times = [
            trips.map(|trips| trips.p50_us),
            trips.map(|trips| trips.p90_us),
            trips.map(|trips| trips.p99_us),
            trips.map(|trips| trips.p999_us),
        ];
        let lost = trips.map_or_else(|| "-".to_owned(), |trips| trips.lost.to_string());
        return cells(&name, times.map(|time| number(time, 1)).into_iter().chain([lost]));
    }
    let (rate, cost) = if row.test.counts_packets() {
        (medians.packets_per_second.map(|rate| rate / 1e3), medians.cpu_seconds_per_million_packets)
    } else {
        (medians.gbit_per_second, medians.cpu_seconds_per_gigabyte)
    };
    let figures =
        [number(rate, 2), number(medians.rate_ratio, 2), number(cost, 3), number(medians.per_cpu_ratio, 2)];
    cells(&name, figures)
}

fn cells(name: &str, figures: impl IntoIterator<Item = String>) -> String {
    let mut line = format!("  {name:<13}");
    for figure in figures {
        _ = write!(line, " {figure:>10}");
    }
    line + "\n"
}

#[cfg(test)]
mod tests {
    use super::text;
    use crate::bench::design::{Carrier, Design};
    use crate::bench::echo::RoundTrips;
    use crate::bench::machine::Machine;
    use crate::bench::measure::{Sample, Test};
    use crate::bench::results::{LeftOut, Results};
    use crate::bench::rounds::Place;
    use crate::bench::underlay::Underlay;

    const EXPECTED: &str = "\
Linux 6.12, 2 processors (Z80), 1978-05-01T00:00:00Z; ferrowire 0
medians of 1 rounds of 0.5 s; other programs had 25 % of the processors

UDP, 64 bytes; super-frames cross the wire whole
                      kpps      ratio CPU s/Mpkt      ratio
  veth              200.00       1.00      5.000       1.00
  user-udp6         100.00       0.50      8.000       0.62

round trips beside TCP; super-frames cross the wire whole
                    p50 us     p90 us     p99 us   p99.9 us       lost
  user-udp6           10.0       20.0       30.5     1000.0          2

left out: bpf-udp4, bpf-ip4: no
left out: kernel-ip4: never
veth udp64 user-udp6: nothing arrived
";

    #[test]
    fn tables_and_remarks() {
        let machine = Machine {
            kernel: "Linux 6.12".into(),
            processors: 2,
            model: "Z80".into(),
            date: "1978-05-01T00:00:00Z".into(),
            ferrowire: "0",
            unoptimised: false,
        };
        let left_out = [
            (Design::Bpf(Carrier::Udp4), "no"),
            (Design::Bpf(Carrier::Ip4), "no"),
            (Design::Kernel(Carrier::Ip4), "never"),
        ];
        let left_out = left_out.map(|(design, why)| LeftOut { design, why: why.into() });
        let mut results = Results::new(machine, 1, 0.5, left_out.into());
        let user = Design::User(Carrier::Udp6);
        let place = |test, design| Place { underlay: Underlay::Veth, test, design };
        let sample = Sample { seconds: 0.5, foreign_seconds: 0.25, ..Sample::default() };
        let packets = |packets, cpu_seconds| Sample { packets, cpu_seconds, bytes: packets * 64, ..sample };
        let (p50_us, p90_us, p99_us, p999_us) = (10.0, 20.0, 30.5, 1000.0);
        let round_trips = Some(RoundTrips { answered: 9, lost: 2, p50_us, p90_us, p99_us, p999_us });
        results.add(place(Test::Udp64, Design::Veth), Ok(packets(100_000, 0.5)));
        results.add(place(Test::Udp64, user), Ok(packets(50_000, 0.4)));
        results.add(place(Test::Udp64, user), Err(anyhow::anyhow!("nothing arrived")));
        results.add(place(Test::Full, user), Ok(Sample { round_trips, ..sample }));
        results.conclude();
        assert_eq!(text(&results, &[Underlay::Veth], &[Test::Udp64, Test::Full]), EXPECTED);
    }
}
