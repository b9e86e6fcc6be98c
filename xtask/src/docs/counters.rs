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
    if stats.is_empty() || engine.is_empty() {
        bail!("genl/l2tp.rs or engine/mod.rs is no longer read rightly: mend xtask/src/docs/counters.rs");
    }
    let body = format!(
        "## Of a tunnel and of a session\n\n\
         The names and meanings of `L2TP_ATTR_STATS`. Bytes are those of the L2TP packet from its first header byte, \
         without UDP and IP. A tunnel counts packets, bytes, `tx_errors` and `rx_invalid` only.\n\n{}\n\
         ## Of a namespace\n\n{}",
        table(&["counter", "meaning"], stats.iter().map(row)),
        table(&["counter", "meaning"], engine.iter().map(row)),
    );
    let introduction = "What is counted. A packet that came in is delivered, handed up, waiting or dropped: \
                        the sum of the four is what was received.";
    Ok(Page::new("counters.md", "Counters", introduction, &body))
}

fn row(item: &Item) -> Vec<String> {
    vec![code(&item.name), item.doc.clone()]
}
