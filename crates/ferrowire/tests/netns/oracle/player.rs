//! One recorded case, step by step.

use std::cell::RefCell;
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use l2tp_abi::nl::{Message, Messages, NLM_F_ACK, NLM_F_DUMP, NLMSG_DONE, NLMSG_ERROR};
use l2tp_client::{Connection, Socket, Transport};
use l2tp_oracle::{Answer, answer, attribute_kind, build, hex_list, kind_at};
use rustix::net::{SendFlags, send};
use serde_json::{Value, json};

use super::sockets;
use crate::host::Host;

/// A number that no descriptor of the program has.
const CLOSED: u32 = 1_000_000;
/// The number that stands in a request for the descriptor beside it.
const BESIDE: u32 = 77;
/// How long a change may take of which the recording waited for a moment.
const PATIENCE: Duration = Duration::from_secs(10);

/// A program, the namespace that it is in, and another.
pub(super) struct Player {
    host: Host,
    program: Socket,
    /// The program's own socket: that of the last request which named one.
    own: RefCell<Option<OwnedFd>>,
    other: Option<Box<Self>>,
    /// A step said to wait: what follows may take some time.
    waits: bool,
}

/// What a step came to.
enum Outcome {
    Answered(Answer, Vec<u8>),
    Done,
}

impl Player {
    pub(super) fn new() -> Self {
        let mut host = Host::new();
        host.start_daemon();
        let program = host.here(|| Socket::door().unwrap());
        Self { host, program, own: RefCell::new(None), other: None, waits: false }
    }

    /// Plays a case; the error says what is not as recorded, or as `difference` says.
    pub(super) fn play(mut self, case: &Value, difference: Option<&str>) -> Result<(), String> {
        let steps = case["steps"].as_array().unwrap();
        let (last, setup) = steps.split_last().unwrap();
        let mut wanted = case["setup_results"].as_array().unwrap().iter();
        for step in setup {
            if let Outcome::Answered(answer, _) = self.step(step, 1) {
                let want = wanted.next().unwrap();
                same(&format!("set-up {step}"), answer.errno_name(), want)?;
            } else if step.get("sh").is_some() {
                wanted.next();
            }
        }
        let recorded = hex_list(&case["result"]["replies"]);
        let seq = recorded.first().map_or(1, |bytes| message(bytes).header.seq);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let outcome = self.step(last, seq);
            let checked = check(&case["result"], outcome, &recorded, difference);
            let left = checked.and_then(|()| self.check_what_is_left(case, difference));
            if left.is_ok() || !self.waits || Instant::now() > deadline {
                return left;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn step(&mut self, step: &Value, seq: u32) -> Outcome {
        if let Some(step) = step.get("other_netns") {
            return self.other.get_or_insert_with(|| Box::new(Self::new())).step(step, seq);
        }
        if step.get("cmd").is_some() {
            return self.request(step, seq);
        }
        if step.get("close").is_some() {
            self.own.replace(None);
        } else if step.get("sendto").is_some() {
            let own = self.own.borrow();
            // Nobody reads there: the second would be refused.
            send(own.as_ref().unwrap(), &[0; 4], SendFlags::empty()).unwrap();
        } else if let Some(line) = step.get("sh") {
            self.host.run("sh", &["-c", line.as_str().unwrap()]);
        }
        self.waits |= step.get("sleep").is_some() || step.get("sh").is_some();
        Outcome::Done
    }

    fn request(&mut self, step: &Value, seq: u32) -> Outcome {
        let request = build(step, seq, &|name| self.number(name)).unwrap();
        let stdout = File::open("/dev/null").unwrap();
        let own = self.own.borrow();
        let names = |value: &str| step.to_string().contains(value);
        let beside = if names("\"FD\",\"raw:01") {
            // The program's descriptor 1 is no socket.
            Some(stdout.as_fd())
        } else if names("\"sock:") || names("\"same\"") {
            own.as_ref().map(AsFd::as_fd)
        } else {
            None
        };
        self.program.send(&request, beside).unwrap();
        let mut datagrams = Vec::new();
        while !is_answered(&request, &datagrams) {
            datagrams.push(self.program.receive().unwrap());
        }
        Outcome::Answered(answer(&datagrams), request)
    }

    /// The number of a descriptor that a case calls by name; opens it.
    fn number(&self, name: &str) -> Option<u32> {
        let Some(name) = name.strip_prefix("sock:") else { return Some(BESIDE) };
        let other = name.ends_with("other-netns").then(Host::new);
        let socket = other.as_ref().unwrap_or(&self.host).here(|| sockets::open(name));
        let number = if socket.is_some() { BESIDE } else { CLOSED };
        self.own.replace(socket);
        Some(number)
    }

    /// The tunnels and sessions that a dump shows.
    fn check_what_is_left(&self, case: &Value, difference: Option<&str>) -> Result<(), String> {
        let after = match (difference, case.get("differs_6.1")) {
            (None, _) => &case["after"],
            // Where 6.1 is as strict as we are, it also tells what is left.
            (Some(_), Some(old)) => &old["after"],
            (Some(_), None) => return Ok(()),
        };
        let mut onlooker = self.host.here(|| Connection::door().unwrap());
        let tunnels: Vec<_> = onlooker.tunnels().unwrap().map(|tunnel| tunnel.unwrap().conn_id).collect();
        same("tunnels", json!(tunnels), &after["tunnels"])?;
        let sessions = onlooker.sessions().unwrap().map(Result::unwrap);
        let sessions: Vec<_> = sessions.map(|s| json!([s.conn_id, s.session_id, s.ifname])).collect();
        let wanted = after["sessions"].as_array().unwrap().iter();
        let wanted: Vec<_> = wanted.map(|session| json!([session[0], session[1], session[2]])).collect();
        same("sessions", json!(sessions), &json!(wanted))
    }
}

fn message(bytes: &[u8]) -> Message<'_> {
    Messages::new(bytes).next().unwrap()
}

/// Whether what came so far ends the answer to `request`.
fn is_answered(request: &[u8], datagrams: &[Vec<u8>]) -> bool {
    let asked = message(request).header;
    let ends = |kind| kind == NLMSG_ERROR || kind == NLMSG_DONE;
    let mut messages = datagrams.iter().flat_map(|datagram| Messages::new(datagram));
    if asked.flags & NLM_F_DUMP == NLM_F_DUMP || asked.flags & NLM_F_ACK != 0 {
        return messages.any(|message| ends(message.header.kind));
    }
    messages.next().is_some()
}

fn check(
    result: &Value,
    outcome: Outcome,
    recorded: &[Vec<u8>],
    difference: Option<&str>,
) -> Result<(), String> {
    let Outcome::Answered(answer, request) = outcome else { return Ok(()) };
    if let Some(errno) = difference {
        return same("errno", answer.errno_name(), &json!(errno));
    }
    same("errno", answer.errno_name(), &result["name"])?;
    same("text", json!(answer.text), &result["extack"])?;
    let place = answer.offset.map(|offset| kind_at(&request, offset));
    same("place", json!(place), &json!(result.get("extack_attr").map(attribute_kind)))?;
    let replies: Vec<_> = answer.messages.iter().map(|bytes| without_port(bytes)).collect();
    let recorded: Vec<_> = recorded.iter().map(|bytes| without_port(bytes)).collect();
    same("replies", json!(replies), &json!(recorded))
}

/// A message without the port id in its header: the kernel and the daemon choose it.
fn without_port(bytes: &[u8]) -> Vec<u8> {
    [&bytes[..12], &bytes[16..]].concat()
}

fn same(what: &str, is: impl Into<Value>, want: &Value) -> Result<(), String> {
    let is = is.into();
    if is == *want { Ok(()) } else { Err(format!("{what} is {is} and should be {want}")) }
}
