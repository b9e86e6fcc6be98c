//! Pages of what is counted.

use anyhow::{Result, bail};
use l2tp_core::DropReason;

use super::source::{Item, fields, items};
use super::{Page, code, table};
use crate::tree::read;

/// Why packets are dropped.
pub(crate) fn drop_reasons() -> Result<Page> {
    let reasons = items(&read("crates/l2tp-core/src/drop_reason.rs")?, |line| {
        line.split_once(" => \"")?.1.split_once('"').map(|(name, _)| name)
    });
    let names: Vec<&str> = DropReason::ALL.iter().map(|reason| reason.name()).collect();
    if reasons.iter().map(|reason| &reason.name).ne(&names) {
        bail!("drop_reason.rs is no longer read rightly: mend xtask/src/docs/counters.rs");
    }
    Ok(Page::new(
        "drop-reasons.md",
        "Drop reasons",
        "A received packet that is not delivered is counted under exactly one of these reasons. No packet is logged.",
        &table(&["reason", "meaning"], reasons.iter().map(row)),
    ))
}

/// Counters of tunnels, sessions and the namespace.
pub(crate) fn counters() -> Result<Page> {
    let stats = fields(&read("crates/l2tp-abi/src/genl/l2tp.rs")?, "Stats");
    let engine = fields(&read("crates/l2tp-core/src/engine/mod.rs")?, "Counters");
    let edges = losses()?;
    if stats.is_empty() || engine.is_empty() || edges.is_empty() {
        bail!("a source of counters is no longer read rightly: mend xtask/src/docs/counters.rs");
    }
    let body = format!(
        "## Of a tunnel and of a session\n\n\
         The names and meanings of `L2TP_ATTR_STATS`. Bytes are those of the L2TP packet from its first header byte, \
         without UDP and IP. A tunnel counts packets, bytes, `tx_errors` and `rx_invalid` only.\n\n{}\n\
         ## Of a namespace\n\n{}\n\
         What is lost at its edges:\n\n{}",
        table(&["counter", "meaning"], stats.iter().map(row)),
        table(&["counter", "meaning"], engine.iter().map(row)),
        table(&["counter", "meaning"], edges.iter().map(row)),
    );
    let introduction = "What is counted. A packet that came in is delivered, handed up, waiting or dropped: \
                        the sum of the four is what was received.";
    Ok(Page::new("counters.md", "Counters", introduction, &body))
}

/// What the datapath loses: its reasons' names in the order in which they are told, and their docstrings.
fn losses() -> Result<Vec<Item>> {
    let text = read("crates/l2tp-datapath/src/loss.rs")?;
    let reasons = items(&text, |line| line.strip_suffix(',').filter(|name| !name.contains(' ')));
    let names = text.lines().filter_map(|line| line.trim().strip_prefix("(Self::")?.split('"').nth(1));
    Ok(reasons
        .into_iter()
        .zip(names)
        .map(|(reason, name)| Item { name: name.to_owned(), ..reason })
        .collect())
}

fn row(item: &Item) -> Vec<String> {
    vec![code(&item.name), item.doc.clone()]
}
