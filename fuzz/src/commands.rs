//! Commands of three programs, one after the other, against the reference model.

use l2tp_abi::Errno;
use l2tp_abi::genl::l2tp::{Request, SessionMessage, TunnelMessage};
use l2tp_abi::nl::{Ack, Messages, NLMSG_DONE, NLMSG_ERROR};
use l2tp_core::Engine;
use l2tp_core::engine::Limits;
use l2tp_mgmt::netlink::{Client, L2TP_FAMILY_ID, ReplySink, Server};
use l2tp_model::{Model, Reply, command};
use l2tp_sim::{SimDevice, SimHost, SimSocket};

use crate::Input;

/// What the namespace takes; small, so that its end is reached.
const LIMITS: Limits = Limits { tunnels: 4, sessions: 6, held_bytes: 1 << 16 };

/// Which program speaks; the third has no privilege.
const SPEAKERS: [usize; 8] = [0, 0, 0, 0, 0, 1, 1, 2];

/// Commands as [`l2tp_model::command`] reads them, each behind a byte that says whose it is. Whatever the command: the answer
/// is the model's, and so is what is there after.
pub fn commands(data: &[u8]) {
    let mut input = Input(data);
    let mut lab = Lab::new();
    while !input.is_empty() {
        let who = SPEAKERS[usize::from(input.byte() % 8)];
        lab.step(who, &command(&mut || input.byte()));
    }
    lab.engine.clear(&mut lab.host);
    assert_eq!((lab.engine.tunnel_count(), lab.host.sockets, lab.host.devices.len()), (0, 0, 1));
}

struct Lab {
    engine: Engine<SimSocket, SimDevice>,
    host: SimHost,
    clients: [Client; 3],
    model: Model,
}

/// The datagrams that one program gets.
#[derive(Default)]
struct Answers(Vec<Vec<u8>>);

impl<D> ReplySink<D> for Answers {
    fn reply(&mut self, datagram: &[u8], _: Option<D>) {
        self.0.push(datagram.to_vec());
    }

    fn notify(&mut self, _: u32, _: &[u8]) {}
}

impl Lab {
    fn new() -> Self {
        let clients = [Client::new(1, true), Client::new(2, true), Client::new(3, false)];
        let model = Model::new(LIMITS.tunnels, LIMITS.sessions);
        Self { engine: Engine::new(LIMITS), host: SimHost::default(), clients, model }
    }

    fn step(&mut self, who: usize, request: &Request) {
        let may = who < 2 || *request == Request::Noop;
        let want = if may { self.model.apply(request) } else { Err(Errno::EPERM) };
        assert_eq!(self.ask(who, request), want, "{request:?}");
        for look in [Request::TunnelDump, Request::SessionDump] {
            assert_eq!(self.ask(0, &look), self.model.apply(&look), "after {request:?}");
        }
    }

    fn ask(&mut self, who: usize, request: &Request) -> Result<Reply, Errno> {
        let mut answers = Answers::default();
        self.server(who, &mut answers).handle_datagram(&request.emit(L2TP_FAMILY_ID, 1));
        while self.clients[who].is_dumping() {
            self.server(who, &mut answers).continue_dump();
        }
        read(request, &answers.0)
    }

    fn server<'a>(&'a mut self, who: usize, replies: &'a mut Answers) -> Server<'a, SimHost, Answers> {
        Server {
            engine: &mut self.engine,
            host: &mut self.host,
            client: &mut self.clients[who],
            replies,
            descriptor: None,
        }
    }
}

/// What the datagrams say that answer `request`.
fn read(request: &Request, datagrams: &[Vec<u8>]) -> Result<Reply, Errno> {
    let (mut tunnels, mut sessions) = (Vec::new(), Vec::new());
    for message in datagrams.iter().flat_map(|datagram| Messages::new(datagram)) {
        match request {
            _ if message.header.kind == NLMSG_DONE => {}
            _ if message.header.kind == NLMSG_ERROR => {
                if let Some(errno) = Ack::parse(&message).and_then(|ack| ack.errno) {
                    return Err(errno);
                }
            }
            Request::TunnelGet(_) | Request::TunnelDump => tunnels.extend(TunnelMessage::parse(&message)),
            Request::SessionGet(_) | Request::SessionDump => sessions.extend(SessionMessage::parse(&message)),
            _ => {}
        }
    }
    Ok(match request {
        Request::TunnelGet(_) | Request::TunnelDump => {
            Reply::Tunnels(tunnels.into_iter().map(|t| t.1).collect())
        }
        Request::SessionGet(_) | Request::SessionDump => {
            Reply::Sessions(sessions.into_iter().map(|s| s.1).collect())
        }
        _ => Reply::Done,
    })
}
