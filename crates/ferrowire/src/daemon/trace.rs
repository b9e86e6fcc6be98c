//! `ferrowire daemon --trace`: the kernel's tracepoints on stderr, a line each.

use std::fmt;
use std::io;

use anyhow::Context;
use l2tp_core::trace::TARGET;
use l2tp_mgmt::text::tracepoint;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// Writes tracepoints from here on, for as long as the process lives.
pub(super) fn begin() -> anyhow::Result<()> {
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(Level::TRACE)
        .event_format(KernelText)
        .with_writer(io::stderr)
        .finish();
    tracing::subscriber::set_global_default(subscriber).context("cannot begin to trace")
}

/// The text that the kernel prints of its tracepoints.
struct KernelText;

impl<S, N> FormatEvent<S, N> for KernelText
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut out: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        if event.metadata().target() != TARGET {
            return Ok(());
        }
        writeln!(out, "{}", tracepoint(event))
    }
}
