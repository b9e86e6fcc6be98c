//! `ferrowire stats`: every counter of the network namespace; and what the operator's verbs say when it has none.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use anyhow::anyhow;
use l2tp_client::{Connection, Errno, Error};
use serde_json::{Map, Value};

/// What the counters are told as.
#[derive(clap::Args)]
pub(crate) struct StatsArgs {
    /// Counters that are 0 too
    #[arg(long)]
    all: bool,
    /// One JSON object with all counters, instead of text
    #[arg(long)]
    json: bool,
}

/// Writes the counters to stdout.
pub(crate) fn run(args: &StatsArgs) -> anyhow::Result<()> {
    let counters = Connection::door().and_then(|mut daemon| daemon.counters()).map_err(explain)?;
    let text = if args.json { json(counters) } else { text(&counters, args.all) };
    write_out(&text)
}

/// Writes to stdout, as much of it as somebody reads.
pub(crate) fn write_out(text: &str) -> anyhow::Result<()> {
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        written => Ok(written?),
    }
}

/// What an error means to whoever typed the command.
pub(crate) fn explain(error: Error) -> anyhow::Error {
    match error {
        Error::Refused { errno: Errno::EPERM, .. } => {
            anyhow!("not permitted: it takes CAP_NET_ADMIN in this network namespace, try with sudo")
        }
        Error::Refused { errno: Errno::ENOENT, .. } => {
            anyhow!("the daemon of this network namespace is older than this program: restart it")
        }
        Error::Refused { errno, message, .. } => anyhow!("refused: {}", message.unwrap_or(errno.to_string())),
        Error::Io(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            anyhow!("no daemon serves this network namespace: start it with \"ferrowire daemon\"")
        }
        Error::Io(error) => anyhow::Error::new(error).context("cannot talk to the daemon"),
    }
}

fn json(counters: Vec<(String, u64)>) -> String {
    let object: Map<_, _> = counters.into_iter().map(|(name, value)| (name, Value::from(value))).collect();
    format!("{}\n", Value::Object(object))
}

/// A line a counter, names and values aligned.
fn text(counters: &[(String, u64)], all: bool) -> String {
    let shown: Vec<_> = counters.iter().filter(|(_, value)| all || *value > 0).collect();
    if shown.is_empty() {
        return "every counter is 0\n".to_owned();
    }
    let names = shown.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let values = shown.iter().map(|(_, value)| value.to_string().len()).max().unwrap_or(0);
    shown.iter().fold(String::new(), |mut out, (name, value)| {
        // Memory refuses nothing.
        let _: std::fmt::Result = writeln!(out, "{name:names$}  {value:>values$}");
        out
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters() -> Vec<(String, u64)> {
        [("tunnels", 1), ("up", 0), ("drop_cookie", 1234)]
            .map(|(name, value)| (name.to_owned(), value))
            .into()
    }

    #[test]
    fn zeros_are_hidden_unless_asked_for() {
        assert_eq!(text(&counters(), false), "tunnels         1\ndrop_cookie  1234\n");
        assert_eq!(text(&counters(), true), "tunnels         1\nup              0\ndrop_cookie  1234\n");
        assert_eq!(text(&counters()[1..2], false), "every counter is 0\n");
    }

    #[test]
    fn json_tells_all_in_order() {
        assert_eq!(json(counters()), "{\"tunnels\":1,\"up\":0,\"drop_cookie\":1234}\n");
    }
}
