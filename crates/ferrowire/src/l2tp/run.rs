//! A command from words to exit code.

use std::io::Write;

use l2tp_abi::Errno;
use l2tp_abi::genl::l2tp::{Request, SessionKey, SessionMessage, TunnelMessage};
use l2tp_abi::nl::Message;

use super::client::{Client, Door, Failure, sentence};
use super::command::{self, Action};
use super::fault::Fault;
use super::options::Options;
use super::show;

/// Runs `ferrowire l2tp WORDS…` and returns its exit code: 0 done, 255 wrong grammar, 2 refused, 1 anything else.
///
/// `options` are those that stood before the word `l2tp`, or directly behind it.
pub(crate) fn run(
    words: &[String],
    options: &Options,
    door: &mut impl Door,
    out: &mut impl Write,
    err: &mut impl Write,
) -> u8 {
    let mut warnings = String::new();
    let (stdout, stderr, code) = match execute(words, options, door, &mut warnings) {
        Ok(stdout) => (stdout, warnings, 0),
        Err(fault) => (String::new(), warnings + &fault.stderr, fault.code),
    };
    let written = out.write_all(stdout.as_bytes()).and_then(|()| out.flush());
    // Nobody is left to be told when stderr is gone.
    _ = err.write_all(stderr.as_bytes());
    if written.is_ok() { code } else { 1 }
}

/// Does what the words ask for; returns what goes to stdout.
fn execute(
    words: &[String],
    options: &Options,
    door: &mut impl Door,
    warnings: &mut String,
) -> Result<String, Fault> {
    let action = command::parse(words, warnings)?;
    let mut client = Client::connect(door).map_err(unreachable_family)?;
    let result = match action {
        Action::Change(requests) => change(&mut client, &requests).map(|()| String::new()),
        Action::ShowTunnels { tunnel_id } => {
            tunnels(&mut client, tunnel_id).map(|list| show::tunnels(&list, options)).map_err(dump_failed)
        }
        Action::ShowSessions { tunnel_id, session_id } => sessions(&mut client, tunnel_id, session_id)
            .map(|list| show::sessions(&list, options))
            .map_err(dump_failed),
    };
    warnings.push_str(&client.warnings);
    result
}

fn change(client: &mut Client<'_, impl Door>, requests: &[Request]) -> Result<(), Fault> {
    requests
        .iter()
        .try_for_each(|request| client.ask(request, |_| {}))
        .map_err(|failure| failed(failure, "", 2))
}

/// The tunnels that match. A dump always tells of all, so the one with a known id is asked for by itself.
fn tunnels(
    client: &mut Client<'_, impl Door>,
    tunnel_id: Option<u32>,
) -> Result<Vec<TunnelMessage>, Failure> {
    let request = tunnel_id.map_or(Request::TunnelDump, Request::TunnelGet);
    let matches = |tunnel: &TunnelMessage| tunnel_id.is_none_or(|id| id == tunnel.conn_id);
    list(client, &request, |message| TunnelMessage::parse(message).map(|(_, tunnel)| tunnel).filter(matches))
}

/// The sessions that match, found in the same way.
fn sessions(
    client: &mut Client<'_, impl Door>,
    tunnel_id: Option<u32>,
    session_id: Option<u32>,
) -> Result<Vec<SessionMessage>, Failure> {
    let request = match (tunnel_id, session_id) {
        (Some(conn_id), Some(session_id)) => Request::SessionGet(SessionKey::Ids { conn_id, session_id }),
        _ => Request::SessionDump,
    };
    let matches = |session: &SessionMessage| {
        tunnel_id.is_none_or(|id| id == session.conn_id)
            && session_id.is_none_or(|id| id == session.session_id)
    };
    list(client, &request, |message| {
        SessionMessage::parse(message).map(|(_, session)| session).filter(matches)
    })
}

/// The objects that `request` asks for. That there is none is no error, as it is none for a dump.
fn list<T>(
    client: &mut Client<'_, impl Door>,
    request: &Request,
    read: impl Fn(&Message<'_>) -> Option<T>,
) -> Result<Vec<T>, Failure> {
    let mut found = Vec::new();
    match client.ask(request, |message| found.extend(read(message))) {
        Err(Failure::Refused { errno: Errno::ENODEV, .. }) => Ok(found),
        other => other.map(|()| found),
    }
}

fn dump_failed(failure: Failure) -> Fault {
    failed(failure, "Dump terminated\n", 1)
}

fn unreachable_family(failure: Failure) -> Fault {
    failed(failure, "Error talking to the kernel\n", 1)
}

/// The words for a failure: `after` and `code` are those of a refusal.
fn failed(failure: Failure, after: &str, code: u8) -> Fault {
    match failure {
        Failure::Refused { message: Some(text), .. } => {
            Fault { stderr: sentence("Error", &text) + after, code }
        }
        Failure::Refused { errno, message: None } => {
            Fault { stderr: format!("RTNETLINK answers: {errno}\n{after}"), code }
        }
        Failure::Broken(error) => Fault {
            stderr: format!(
                "Cannot talk to the L2TP daemon of this network namespace: {error}.\n\
                 Start it with \"ferrowire daemon\".\n"
            ),
            code: 1,
        },
    }
}
