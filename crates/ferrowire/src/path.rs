//! `ferrowire path`: what carries the sessions, and why; and what is to carry them.

use std::fmt::Write as _;

use anyhow::{anyhow, bail};
use l2tp_client::{Connection, Path, PathReport, PathRequest};
use serde_json::{Value, json};

use crate::stats::{explain, write_out};

/// What is asked, or asked for.
#[derive(clap::Args)]
pub(crate) struct PathArgs {
    /// Have sessions carried by the daemon's workers, by BPF in the kernel's network stack, or by whatever is best; without
    /// this, show what carries them
    #[arg(value_enum)]
    path: Option<Word>,
    /// Only the session of the device that had this name at creation; without a session, all and those to come
    #[arg(long, value_name = "NAME", conflicts_with_all = ["tunnel_id", "session_id"])]
    dev: Option<String>,
    /// Only this session
    #[arg(long, value_name = "ID", requires = "session_id")]
    tunnel_id: Option<u32>,
    /// Only this session
    #[arg(long, value_name = "ID", requires = "tunnel_id")]
    session_id: Option<u32>,
    /// A JSON array of what carries the sessions, instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Word {
    Auto,
    User,
    Bpf,
}

impl From<Word> for Path {
    fn from(word: Word) -> Self {
        match word {
            Word::Auto => Self::Auto,
            Word::User => Self::User,
            Word::Bpf => Self::Bpf,
        }
    }
}

/// Sets a path where one is given, and shows what carries the sessions that are meant.
pub(crate) fn run(args: &PathArgs) -> anyhow::Result<()> {
    let mut daemon = Connection::door().map_err(explain)?;
    let session = find(&mut daemon, args)?;
    if let Some(word) = args.path {
        daemon.set_path(PathRequest { session, path: word.into() }).map_err(explain)?;
    }
    let mut reports = daemon.paths().map_err(explain)?;
    reports.retain(|report| session.is_none_or(|ids| ids == (report.tunnel_id, report.session_id)));
    write_out(&if args.json { json(&reports) } else { text(&reports) })?;
    match reports.first().filter(|_| args.path == Some(Word::Bpf) && session.is_some()) {
        Some(report) if report.carried_by != Path::Bpf => bail!("BPF cannot carry it: {}", report.reason),
        _ => Ok(()),
    }
}

/// The ids of the one session that is meant.
fn find(daemon: &mut Connection, args: &PathArgs) -> anyhow::Result<Option<(u32, u32)>> {
    let Some(name) = &args.dev else { return Ok(args.tunnel_id.zip(args.session_id)) };
    let reports = daemon.paths().map_err(explain)?;
    let found = reports.iter().find(|report| report.name.as_ref() == Some(name));
    let found = found.ok_or_else(|| anyhow!("no session has a device that was made as {name:?}"))?;
    Ok(Some((found.tunnel_id, found.session_id)))
}

/// A line a session.
fn text(reports: &[PathReport]) -> String {
    if reports.is_empty() {
        return "no sessions\n".to_owned();
    }
    reports.iter().fold(String::new(), |mut out, report| {
        let name = report.name.as_deref().unwrap_or("-");
        // Memory refuses nothing.
        let _: std::fmt::Result = write!(
            out,
            "{name}: tunnel {} session {}: {} ({})",
            report.tunnel_id,
            report.session_id,
            report.carried_by.name(),
            report.wanted.name()
        );
        if !report.reason.is_empty() {
            let _: std::fmt::Result = write!(out, ", not bpf: {}", report.reason);
        }
        out.push('\n');
        out
    })
}

fn json(reports: &[PathReport]) -> String {
    let reports = reports.iter().map(|report| {
        json!({
            "tunnel_id": report.tunnel_id,
            "session_id": report.session_id,
            "name": report.name,
            "wanted": report.wanted.name(),
            "carried_by": report.carried_by.name(),
            "reason": report.reason,
        })
    });
    format!("{}\n", Value::Array(reports.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reports() -> [PathReport; 2] {
        let carried = PathReport {
            tunnel_id: 1,
            session_id: 2,
            name: Some("l2tpeth0".to_owned()),
            carried_by: Path::Bpf,
            ..PathReport::default()
        };
        let reason = "it sends sequence numbers".to_owned();
        let (name, carried_by) = (None, Path::User);
        [carried.clone(), PathReport { session_id: 3, name, carried_by, reason, ..carried }]
    }

    #[test]
    fn a_line_a_session() {
        let want = "l2tpeth0: tunnel 1 session 2: bpf (auto)\n\
                    -: tunnel 1 session 3: user (auto), not bpf: it sends sequence numbers\n";
        assert_eq!(text(&reports()), want);
        assert_eq!(text(&[]), "no sessions\n");
    }

    #[test]
    fn an_object_a_session() {
        let told: Value = serde_json::from_str(&json(&reports())).unwrap();
        assert_eq!(told[0]["carried_by"], "bpf");
        assert_eq!((&told[0]["name"], &told[1]["name"]), (&json!("l2tpeth0"), &Value::Null));
        assert_eq!(told[1]["reason"], "it sends sequence numbers");
    }
}
