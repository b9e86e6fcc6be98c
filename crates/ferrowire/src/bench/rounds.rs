//! The order of things: on each underlay all tests in every round, and in each test all designs one after the other, so that what
//! else the machine does meets all of them.

use std::sync::mpsc::Sender;
use std::time::Duration;

use super::design::Design;
use super::measure::{Sample, Test};
use super::site::Site;
use super::underlay::Underlay;

/// What is to be run.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) underlays: Vec<Underlay>,
    pub(super) tests: Vec<Test>,
    pub(super) rounds: u32,
    /// How long each test of each design is measured in each round.
    pub(super) duration: Duration,
}

/// Which test of which design.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) underlay: Underlay,
    pub(super) test: Test,
    pub(super) design: Design,
}

/// What is told meanwhile.
pub(super) enum News {
    /// What is done now.
    Doing(String),
    /// What came of one run of one test.
    Done(Place, anyhow::Result<Sample>),
}

/// Runs everything, from a thread of its own.
///
/// # Errors
/// When a wire cannot be changed, or nobody listens any more.
pub(super) fn run(sites: &[Site], plan: &Plan, news: &Sender<News>) -> anyhow::Result<()> {
    for underlay in &plan.underlays {
        sites.iter().try_for_each(|site| underlay.apply(site))?;
        for round in 1..=plan.rounds {
            for test in &plan.tests {
                for site in sites {
                    let place = Place { underlay: *underlay, test: *test, design: site.design };
                    let (underlay, test) = (underlay.name(), test.name());
                    let doing = format!(
                        "underlay {underlay}, round {round} of {}: {test} {}",
                        plan.rounds, site.design
                    );
                    news.send(News::Doing(doing))?;
                    news.send(News::Done(place, place.test.run(site, plan.duration)))?;
                }
            }
        }
    }
    Ok(())
}
