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
    for left_out in &results.left_out {
        _ = writeln!(remarks, "left out: {}: {}", left_out.design, left_out.why);
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
