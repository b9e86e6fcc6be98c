//! From words to an action: the verbs, and the checks in the order in which `ip l2tp` makes them.

use l2tp_abi::genl::l2tp::{Request, SessionKey};

use super::args::Args;
use super::fault::Fault;
use super::options::shortens;
use super::session::SessionWords;
use super::tunnel::TunnelWords;

/// What a command asks for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Make these requests, one after the other.
    Change(Vec<Request>),
    /// List the tunnel with this id, or all.
    ShowTunnels { tunnel_id: Option<u32> },
    /// List the sessions with these ids, or all.
    ShowSessions { tunnel_id: Option<u32>, session_id: Option<u32> },
}

/// Reads a command. What is worth a word but no reason to stop goes to `warnings`.
pub(super) fn parse(words: &[String], warnings: &mut String) -> Result<Action, Fault> {
    let [verb, words @ ..] = words else { return Err(Fault::usage()) };
    let action: fn(Words) -> Result<Action, Fault> = match verb.as_str() {
        verb if shortens(verb, "help") => return Err(Fault::usage()),
        verb if shortens(verb, "add") => add,
        verb if shortens(verb, "delete") => delete,
        verb if ["show", "lst", "list"].iter().any(|whole| shortens(verb, whole)) => show,
        "set" => set,
        other => return Err(Fault::unknown_verb(other)),
    };
    action(Words::read(words, warnings)?)
}

/// All that the words after the verb say. Every option may follow every verb: one that does not concern it is read
/// and forgotten.
#[derive(Debug, Default)]
struct Words {
    tunnel: bool,
    session: bool,
    tunnel_id: u32,
    session_id: u32,
    of_tunnel: TunnelWords,
    of_session: SessionWords,
}

impl Words {
    fn read(words: &[String], warnings: &mut String) -> Result<Self, Fault> {
        if words.is_empty() {
            return Err(Fault::usage());
        }
        let mut args = Args::new(words);
        let mut read = Self::default();
        while let Some(word) = args.option() {
            match word {
                "tunnel" => read.tunnel = true,
                "session" => read.session = true,
                "tunnel_id" | "tid" => read.tunnel_id = args.id()?,
                "session_id" | "sid" => read.session_id = args.id()?,
                "offset" | "peer_offset" => {
                    warnings.push_str(&format!("Ignoring option \"{word}\"\n"));
                    args.value()?;
                }
                _ if read.of_tunnel.take(word, &mut args)? || read.of_session.take(word, &mut args)? => {}
                _ if shortens(word, "help") => return Err(Fault::usage()),
                _ => return Err(Fault::unknown_word(word)),
            }
        }
        Ok(read)
    }

    fn require_object(&self) -> Result<(), Fault> {
        if self.tunnel || self.session { Ok(()) } else { Err(Fault::missing("tunnel or session")) }
    }
}

/// An id; 0 counts as none, as it does with `ip`.
fn given(id: u32) -> Option<u32> {
    (id != 0).then_some(id)
}

fn required(option: &str, given: bool) -> Result<(), Fault> {
    if given { Ok(()) } else { Err(Fault::missing(option)) }
}

fn add(words: Words) -> Result<Action, Fault> {
    words.require_object()?;
    required("tunnel_id", words.tunnel_id != 0)?;
    if words.session {
        required("peer_session_id", words.of_session.peer_session_id != 0)?;
        required("session_id", words.session_id != 0)?;
    }
    let peer_tunnel_id = words.of_tunnel.peer_tunnel_id;
    let mut requests = Vec::new();
    if words.tunnel {
        requests.push(Request::TunnelCreate(words.of_tunnel.create(words.tunnel_id)?));
    }
    if words.session {
        let ids = (words.tunnel_id, peer_tunnel_id, words.session_id);
        requests.push(Request::SessionCreate(words.of_session.create(ids)));
    }
    Ok(Action::Change(requests))
}

/// As with `ip`, it is the session id that decides what is deleted, not the word `tunnel` or `session`.
fn delete(words: Words) -> Result<Action, Fault> {
    words.require_object()?;
    let Words { tunnel_id, session_id, .. } = words;
    if words.tunnel {
        required("tunnel_id", tunnel_id != 0)?;
    }
    if words.session {
        required("session_id", session_id != 0)?;
    }
    let request = match session_id {
        0 => Request::TunnelDelete(tunnel_id),
        _ => Request::SessionDelete(SessionKey::Ids { conn_id: tunnel_id, session_id }),
    };
    Ok(Action::Change(vec![request]))
}

fn show(words: Words) -> Result<Action, Fault> {
    words.require_object()?;
    let (tunnel_id, session_id) = (given(words.tunnel_id), given(words.session_id));
    Ok(match words.session {
        true => Action::ShowSessions { tunnel_id, session_id },
        false => Action::ShowTunnels { tunnel_id },
    })
}

fn set(words: Words) -> Result<Action, Fault> {
    required("session", words.session)?;
    required("tunnel_id", words.tunnel_id != 0)?;
    required("session_id", words.session_id != 0)?;
    let key = SessionKey::Ids { conn_id: words.tunnel_id, session_id: words.session_id };
    Ok(Action::Change(vec![Request::SessionModify(words.of_session.modify(key))]))
}
