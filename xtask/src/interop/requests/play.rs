//! One case on one side: a namespace, requests, answers as lines of text that are equal if the answers are.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use l2tp_abi::genl::GenlHeader;
use l2tp_abi::genl::ctrl::{FamilyMessage, get_family};
use l2tp_abi::genl::l2tp::{
    L2TP_ATTR_CONN_ID, L2TP_ATTR_IFNAME, L2TP_ATTR_PROTO_VERSION, L2TP_ATTR_SESSION_ID,
    L2TP_CMD_SESSION_CREATE, L2TP_CMD_SESSION_DELETE, L2TP_CMD_SESSION_GET, L2TP_CMD_TUNNEL_CREATE,
    L2TP_CMD_TUNNEL_DELETE, L2TP_ENCAPTYPE_UDP, L2TP_GENL_NAME, L2TP_PWTYPE_ETH, Request, SessionMessage,
    TunnelMessage,
};
use l2tp_abi::nl::{Ack, Attributes, Message, Messages, NLM_F_REQUEST, NLMSG_DONE, NLMSG_ERROR};
use l2tp_client::{Socket, Transport};
use l2tp_io::netns::NetNs;
use l2tp_io::rtnl::Rtnl;
use l2tp_model::command;

use super::form::spoil;
use super::random::Random;
use super::told;
use crate::interop::ours::Ours;

/// Requests of a case.
const STEPS: usize = 40;
/// How long what was deleted may take to be gone.
const PATIENCE: Duration = Duration::from_secs(10);
/// The sequence number of the request that stands behind each, to see where its answer ends.
const SENTINEL: u32 = u32::MAX;

/// Who answers.
pub(super) enum Side {
    /// A daemon: this binary.
    Door(PathBuf),
    /// This kernel.
    Kernel,
}

/// What is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// Sound requests: their order is what matters.
    Commands,
    /// Requests that are spoilt.
    Forms,
}

/// A program and what it last saw.
struct Program {
    socket: Socket,
    family: u16,
    /// Devices that were there at first.
    devices: usize,
    tunnels: Vec<TunnelMessage>,
    sessions: Vec<SessionMessage>,
}

/// Plays the case of `seed` in a namespace of its own, in which the calling thread stays.
pub(super) fn case(side: &Side, way: Way, seed: u64, tell: &mut dyn FnMut(&str)) -> anyhow::Result<()> {
    NetNs::unshare().context("cannot make a network namespace: root is needed")?;
    let mut rtnl = Rtnl::open()?;
    let lo = rtnl.index_of("lo")?;
    rtnl.set_up(lo, true)?;
    let (_daemon, socket) = match side {
        Side::Door(binary) => (Some(Ours::start(binary)?), Socket::door()?),
        Side::Kernel => (None, Socket::kernel()?),
    };
    let mut program = Program::new(socket)?;
    let mut random = Random::new(seed);
    for step in 0..STEPS {
        let request = command(&mut || random.byte()).emit(program.family, 1 + u32::try_from(step)?);
        // A case of forms begins with some tunnels and sessions.
        let request =
            if way == Way::Forms && step > STEPS / 2 { spoil(&request, &mut random) } else { request };
        if program.is_known_to_differ(&request) {
            continue;
        }
        tell(&format!("asked  {step} {}", told::hex(request.get(6..).unwrap_or_default())));
        let answer = program.ask(&request)?;
        tell(&format!("answer {step} {}", told::answer(program.family, &answer)));
        program.look()?;
        if is_lasting(&request) {
            program.settle()?;
        }
        tell(&format!("state  {step} {}", program.state()));
    }
    Ok(())
}

impl Program {
    fn new(socket: Socket) -> anyhow::Result<Self> {
        let mut program = Self { socket, family: 0, devices: 0, tunnels: Vec::new(), sessions: Vec::new() };
        program.devices = count_devices()?;
        let answer = program.ask(&get_family(L2TP_GENL_NAME, 1))?;
        let mut messages = answer.iter().flat_map(|datagram| Messages::new(datagram));
        let family = messages.find_map(|message| FamilyMessage::parse(&message));
        program.family = family.context("it has no L2TP")?.id;
        Ok(program)
    }

    /// Sends a request and returns the datagrams that answer it.
    fn ask(&mut self, request: &[u8]) -> anyhow::Result<Vec<Vec<u8>>> {
        self.socket.send(request, None)?;
        let header = Messages::new(request).next().map(|message| message.header).unwrap_or_default();
        if header.is_dump() && header.flags & NLM_F_REQUEST != 0 {
            return self.read_until(|message| [NLMSG_DONE, NLMSG_ERROR].contains(&message.header.kind));
        }
        self.socket.send(&get_family("nlctrl", SENTINEL), None)?;
        let is_end = |message: &Message<'_>| {
            message.header.kind == NLMSG_ERROR
                && Ack::parse(message).is_some_and(|ack| ack.request.seq == SENTINEL)
        };
        let mut answer = self.read_until(is_end)?;
        answer.retain(|datagram| Messages::new(datagram).all(|message| message.header.seq != SENTINEL));
        Ok(answer)
    }

    fn read_until(&mut self, is_end: impl Fn(&Message<'_>) -> bool) -> anyhow::Result<Vec<Vec<u8>>> {
        let mut datagrams = Vec::new();
        loop {
            let datagram = self.socket.receive()?;
            ensure!(!datagram.is_empty(), "the daemon has ended");
            datagrams.push(datagram);
            if datagrams
                .last()
                .is_some_and(|datagram| Messages::new(datagram).any(|message| is_end(&message)))
            {
                return Ok(datagrams);
            }
        }
    }

    /// Looks at everything.
    fn look(&mut self) -> anyhow::Result<()> {
        let answer = self.ask(&Request::TunnelDump.emit(self.family, 1))?;
        self.tunnels = objects(&answer, |message| TunnelMessage::parse(message).map(|(_, tunnel)| tunnel));
        let answer = self.ask(&Request::SessionDump.emit(self.family, 1))?;
        self.sessions =
            objects(&answer, |message| SessionMessage::parse(message).map(|(_, session)| session));
        Ok(())
    }

    /// What is there: tunnels by id, version and encapsulation, sessions by tunnel, id and device.
    fn state(&self) -> String {
        let tunnels =
            self.tunnels.iter().map(|t| format!("{}:v{}:{}", t.conn_id, t.proto_version, t.encap_type));
        let sessions = self
            .sessions
            .iter()
            .map(|s| format!("{}/{}:{}", s.conn_id, s.session_id, s.ifname.as_deref().unwrap_or_default()));
        tunnels.chain(sessions).collect::<Vec<_>>().join(" ")
    }

    /// Waits until what was deleted is gone: a kernel answers first and deletes then.
    fn settle(&mut self) -> anyhow::Result<()> {
        let deadline = Instant::now() + PATIENCE;
        let mut quiet = 0;
        while quiet < 3 {
            let before = (self.tunnels.len(), self.sessions.len());
            self.look()?;
            let ethernet = self.sessions.iter().filter(|session| session.pw_type == L2TP_PWTYPE_ETH).count();
            let settled = before == (self.tunnels.len(), self.sessions.len())
                && count_devices()? == self.devices + ethernet;
            quiet = if settled { quiet + 1 } else { 0 };
            ensure!(Instant::now() < deadline, "devices of deleted sessions stay");
            std::thread::sleep(Duration::from_millis(4));
        }
        Ok(())
    }

    /// Whether the answer is another one on purpose (docs/differences.md): Linux 6.12 takes a session id twice in a UDP tunnel,
    /// finds a session by the id of a tunnel that it is not in, and loses sessions of tunnels of version neither 2 nor 3, and of
    /// version 2 where an id has more than 16 bits.
    fn is_known_to_differ(&self, request: &[u8]) -> bool {
        let Some(message) = Messages::new(request).next() else { return false };
        let Some((genl, attributes)) = GenlHeader::split(message.payload) else { return false };
        let number = |kind| Attributes::new(attributes).find_last(kind).and_then(|attribute| attribute.u32());
        if genl.cmd == L2TP_CMD_TUNNEL_CREATE {
            let version = Attributes::new(attributes).find_last(L2TP_ATTR_PROTO_VERSION).and_then(|a| a.u8());
            let is_wide = number(L2TP_ATTR_CONN_ID).is_some_and(|id| id > 0xffff);
            return version.is_some_and(|version| ![2, 3].contains(&version) || (version == 2 && is_wide));
        }
        let (Some(conn_id), Some(session_id)) = (number(L2TP_ATTR_CONN_ID), number(L2TP_ATTR_SESSION_ID))
        else {
            return false;
        };
        let tunnel = self.tunnels.iter().find(|tunnel| tunnel.conn_id == conn_id);
        let Some(tunnel) = tunnel else { return false };
        if tunnel.proto_version == 2 {
            return session_id > 0xffff;
        }
        let is_there =
            |conn_id| self.sessions.iter().any(|s| (s.conn_id, s.session_id) == (conn_id, session_id));
        match genl.cmd {
            L2TP_CMD_SESSION_CREATE => tunnel.encap_type == L2TP_ENCAPTYPE_UDP && is_there(conn_id),
            L2TP_CMD_SESSION_DELETE..=L2TP_CMD_SESSION_GET => {
                let named = Attributes::new(attributes).find_last(L2TP_ATTR_IFNAME).is_some();
                !named && !is_there(conn_id)
            }
            _ => false,
        }
    }
}

/// Whether a kernel may be at it still when it has answered: it deletes afterwards, also what came to be in vain.
fn is_lasting(request: &[u8]) -> bool {
    let message = Messages::new(request).next();
    let genl = message.and_then(|message| GenlHeader::split(message.payload));
    genl.is_some_and(|(genl, _)| {
        [L2TP_CMD_TUNNEL_DELETE, L2TP_CMD_SESSION_CREATE, L2TP_CMD_SESSION_DELETE].contains(&genl.cmd)
    })
}

fn count_devices() -> anyhow::Result<usize> {
    Ok(Rtnl::open()?.links()?.len())
}

fn objects<M>(answer: &[Vec<u8>], read: impl Fn(&Message<'_>) -> Option<M>) -> Vec<M> {
    let messages = answer.iter().flat_map(|datagram| Messages::new(datagram));
    messages.filter(|message| message.header.kind > NLMSG_DONE).filter_map(|message| read(&message)).collect()
}
