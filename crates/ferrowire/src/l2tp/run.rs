//! A command from words to exit code.

use std::io::Write;

use l2tp_abi::Errno;
use l2tp_abi::genl::l2tp::{Request, SessionKey, SessionMessage, TunnelMessage};
use l2tp_abi::nl::Message;
use l2tp_client::{Connection, Error, Transport, Warning};

use super::command::{self, Action};
use super::fault::Fault;
use super::options::Options;
use super::show;

/// Runs `ferrowire l2tp WORDS…` and returns its exit code: 0 done, 255 wrong grammar, 2 refused, 1 anything else.
///
/// `options` are those that stood before the word `l2tp`, or directly behind it. It connects with the first request: a
/// command that is wrong, or asks for help, needs no daemon.
pub(crate) fn run<T: Transport>(
    words: &[String],
    options: &Options,
    connect: impl FnOnce() -> Result<Connection<T>, Error>,
    out: &mut impl Write,
    err: &mut impl Write,
) -> u8 {
    let mut warnings = String::new();
    let (stdout, stderr, code) = match execute(words, options, connect, &mut warnings) {
        Ok(stdout) => (stdout, warnings, 0),
        Err(fault) => (String::new(), warnings + &fault.stderr, fault.code),
    };
    let written = out.write_all(stdout.as_bytes()).and_then(|()| out.flush());
    // Nobody is left to be told when stderr is gone.
    _ = err.write_all(stderr.as_bytes());
    if written.is_ok() { code } else { 1 }
}

/// Does what the words ask for; returns what goes to stdout.
fn execute<T: Transport>(
    words: &[String],
    options: &Options,
    connect: impl FnOnce() -> Result<Connection<T>, Error>,
    warnings: &mut String,
) -> Result<String, Fault> {
    let action = command::parse(words, warnings)?;
    let mut connection = connect().map_err(unreachable_family)?;
    let result = match action {
        Action::Change(requests) => change(&mut connection, &requests).map(|()| String::new()),
        Action::ShowTunnels { tunnel_id } => {
            tunnels(&mut connection, tunnel_id).map(|list| show::tunnels(&list, options)).map_err(dump_failed)
        }
        Action::ShowSessions { tunnel_id, session_id } => sessions(&mut connection, tunnel_id, session_id)
            .map(|list| show::sessions(&list, options))
            .map_err(dump_failed),
    };
    warnings.extend(connection.take_warnings().iter().map(warning));
    result
}

fn change(connection: &mut Connection<impl Transport>, requests: &[Request]) -> Result<(), Fault> {
    requests
        .iter()
        .try_for_each(|request| connection.carry_out(request))
        .map_err(|error| failed(error, "", 2))
}

/// The tunnels that match. A dump always tells of all, so the one with a known id is asked for by itself.
fn tunnels(
    connection: &mut Connection<impl Transport>,
    tunnel_id: Option<u32>,
) -> Result<Vec<TunnelMessage>, Error> {
    let request = tunnel_id.map_or(Request::TunnelDump, Request::TunnelGet);
    let matches = |tunnel: &TunnelMessage| tunnel_id.is_none_or(|id| id == tunnel.conn_id);
    list(connection, &request, |message| Some(TunnelMessage::parse(message)?.1), matches)
}

/// The sessions that match, found in the same way.
fn sessions(
    connection: &mut Connection<impl Transport>,
    tunnel_id: Option<u32>,
    session_id: Option<u32>,
) -> Result<Vec<SessionMessage>, Error> {
    let request = match (tunnel_id, session_id) {
        (Some(conn_id), Some(session_id)) => Request::SessionGet(SessionKey::Ids { conn_id, session_id }),
        _ => Request::SessionDump,
    };
    let matches = |session: &SessionMessage| {
        tunnel_id.is_none_or(|id| id == session.conn_id)
            && session_id.is_none_or(|id| id == session.session_id)
    };
    list(connection, &request, |message| Some(SessionMessage::parse(message)?.1), matches)
}

/// The objects that `request` asks for. That there is none is no error, as it is none for a dump.
fn list<M>(
    connection: &mut Connection<impl Transport>,
    request: &Request,
    read: fn(&Message<'_>) -> Option<M>,
    matches: impl Fn(&M) -> bool,
) -> Result<Vec<M>, Error> {
    let found = connection.ask(request, read)?;
    let found = found.filter(|object| object.as_ref().map_or(true, &matches)).collect();
    match found {
        Err(Error::Refused { errno: Errno::ENODEV, .. }) => Ok(Vec::new()),
        other => other,
    }
}

/// A warning as iproute2 prints it.
fn warning(warning: &Warning) -> String {
    match warning {
        Warning::Said(text) => sentence("Warning", text),
        Warning::DumpInterrupted => "Dump was interrupted and may be inconsistent.\n".to_owned(),
    }
}

/// What a server says, as iproute2 prints it: with a full stop.
fn sentence(kind: &str, text: &str) -> String {
    let stop = if text.ends_with('.') { "" } else { "." };
    format!("{kind}: {text}{stop}\n")
}

fn dump_failed(error: Error) -> Fault {
    failed(error, "Dump terminated\n", 1)
}

fn unreachable_family(error: Error) -> Fault {
    failed(error, "Error talking to the kernel\n", 1)
}

/// The words for a failure: `after` and `code` are those of a refusal.
fn failed(error: Error, after: &str, code: u8) -> Fault {
    match error {
        Error::Refused { message: Some(text), .. } => {
            Fault { stderr: sentence("Error", &text) + after, code }
        }
        Error::Refused { errno, message: None, .. } => {
            Fault { stderr: format!("RTNETLINK answers: {errno}\n{after}"), code }
        }
        Error::Io(error) => Fault {
            stderr: format!(
                "Cannot talk to the L2TP daemon of this network namespace: {error}.\n\
                 Start it with \"ferrowire daemon\".\n"
            ),
            code: 1,
        },
    }
}
