//! The results as a picture (SVG): for each test of throughput, what every design carries for a second of processor time, and at
//! what rate, both beside the plain veth.

use std::fmt::Write as _;

use super::measure::Test;
use super::results::{Results, Row};
use super::underlay::Underlay;

/// Sizes in pixels.
const PANEL_WIDTH: u32 = 440;
const NAME_WIDTH: u32 = 100;
const BAR_HEIGHT: u32 = 7;
const ROW_HEIGHT: u32 = 22;
const HEADING_HEIGHT: u32 = 34;
const TITLE_HEIGHT: u32 = 64;
const MARGIN: u32 = 16;
/// What is left for a bar, its figure behind it taken off.
const SCALE_WIDTH: f64 = 260.0;

const STYLE: &str = "\
text{font:12px sans-serif;fill:#222}.title{font-weight:bold;font-size:15px}.small{font-size:11px;fill:#555}\
.test{font-weight:bold}.cpu{fill:#1b6ca8}.rate{fill:#b5cfe3}.one{stroke:#999;stroke-dasharray:3 3}";

/// One panel a test and underlay, two side by side.
pub(super) fn svg(results: &Results, underlays: &[Underlay], tests: &[Test]) -> String {
    let panels: Vec<_> = underlays
        .iter()
        .flat_map(|underlay| tests.iter().map(|test| (*underlay, *test)))
        .filter(|(_, test)| test.is_throughput())
        .map(|(underlay, test)| (underlay, test, results.table(underlay, test).collect::<Vec<_>>()))
        .collect();
    let rows = panels.iter().map(|(.., rows)| count(rows.len())).max().unwrap_or_default();
    let panel_height = HEADING_HEIGHT + rows * ROW_HEIGHT + MARGIN;
    let height = TITLE_HEIGHT + count(panels.len()).div_ceil(2) * panel_height;
    let width = 2 * PANEL_WIDTH + 2 * MARGIN;
    let mut out = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\">\n\
         <style>{STYLE}</style>\n<rect width=\"{width}\" height=\"{height}\" fill=\"#fff\"/>\n"
    );
    out += &title(results);
    for (number, (underlay, test, rows)) in panels.iter().enumerate() {
        let number = count(number);
        let (x, y) = (MARGIN + number % 2 * PANEL_WIDTH, TITLE_HEIGHT + number / 2 * panel_height);
        _ = writeln!(out, "<g transform=\"translate({x} {y})\">");
        out += &panel(*underlay, *test, rows);
        out += "</g>\n";
    }
    out + "</svg>\n"
}

fn title(results: &Results) -> String {
    let machine = &results.machine;
    let about = format!(
        "{}, {} processors ({}), {}; medians of {} rounds",
        machine.kernel, machine.processors, machine.model, machine.date, results.rounds
    );
    let mut out = text(MARGIN, 22, "title", "What is carried, the plain veth being 1");
    out += &text(MARGIN, 40, "small", &about);
    _ = writeln!(out, "<rect class=\"cpu\" x=\"{MARGIN}\" y=\"48\" width=\"20\" height=\"{BAR_HEIGHT}\"/>");
    out += &text(MARGIN + 26, 56, "small", "for a second of processor time");
    _ = writeln!(out, "<rect class=\"rate\" x=\"230\" y=\"48\" width=\"20\" height=\"{BAR_HEIGHT}\"/>");
    out + &text(256, 56, "small", "in a second")
}

fn panel(underlay: Underlay, test: Test, rows: &[&Row]) -> String {
    let ratios = rows.iter().flat_map(|row| [row.medians.per_cpu_ratio, row.medians.rate_ratio]).flatten();
    let longest = ratios.fold(1.0, f64::max);
    let mut out = text(0, 14, "test", &format!("{}; {}", test.about(), underlay.about()));
    for (number, row) in rows.iter().enumerate() {
        let y = HEADING_HEIGHT - 8 + count(number) * ROW_HEIGHT;
        out += &text(0, y + 11, "", &row.design.to_string());
        out += &bar("cpu", y, row.medians.per_cpu_ratio, longest);
        out += &bar("rate", y + BAR_HEIGHT + 1, row.medians.rate_ratio, longest);
    }
    let (one, bottom) =
        (f64::from(NAME_WIDTH) + SCALE_WIDTH / longest, HEADING_HEIGHT + count(rows.len()) * ROW_HEIGHT - 8);
    _ = writeln!(out, "<line class=\"one\" x1=\"{one:.1}\" x2=\"{one:.1}\" y1=\"22\" y2=\"{bottom}\"/>");
    out
}

/// A bar with its figure; nothing where there is none.
fn bar(class: &str, y: u32, ratio: Option<f64>, longest: f64) -> String {
    let Some(ratio) = ratio else { return String::new() };
    let width = ratio / longest * SCALE_WIDTH;
    let behind = f64::from(NAME_WIDTH) + width + 4.0;
    format!(
        "<rect class=\"{class}\" x=\"{NAME_WIDTH}\" y=\"{y}\" width=\"{width:.1}\" height=\"{BAR_HEIGHT}\"/>\
         <text class=\"small\" style=\"font-size:8px\" x=\"{behind:.1}\" y=\"{}\">{ratio:.2}</text>\n",
        y + BAR_HEIGHT
    )
}

fn text(x: u32, y: u32, class: &str, words: &str) -> String {
    let words = words.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    format!("<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{words}</text>\n")
}

fn count(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::svg;
    use crate::bench::design::Design;
    use crate::bench::machine::Machine;
    use crate::bench::measure::{Sample, Test};
    use crate::bench::results::Results;
    use crate::bench::rounds::Place;
    use crate::bench::underlay::Underlay;

    /// Twice the veth's rate at a quarter of its cost would be drawn to scale, a design without figures by its name alone.
    #[test]
    fn bars_are_as_long_as_ratios() {
        let machine = Machine { model: "A <& B>".into(), ..Machine::default() };
        let mut results = Results::new(machine, 1, 1.0, Vec::new());
        let sample = |bytes, cpu_seconds| Sample { seconds: 1.0, bytes, cpu_seconds, ..Sample::default() };
        for (design, outcome) in [
            (Design::Veth, Ok(sample(1_000_000, 1.0))),
            (Design::Vxlan, Ok(sample(2_000_000, 1.0))),
            (Design::Naive, Err(anyhow::anyhow!("nothing arrived"))),
        ] {
            results.add(Place { underlay: Underlay::Nic, test: Test::Tcp1, design }, outcome);
        }
        results.conclude();
        let picture = svg(&results, &[Underlay::Nic], &[Test::Tcp1, Test::Light]);
        for part in ["width=\"130.0\"", "width=\"260.0\"", ">2.00<", ">naive<", "A &lt;&amp; B&gt;"] {
            assert!(picture.contains(part), "{part}: {picture}");
        }
        let panels = picture.matches("class=\"test\"").count();
        assert_eq!((panels, picture.matches("class=\"cpu\"").count()), (1, 3), "{picture}");
    }
}
