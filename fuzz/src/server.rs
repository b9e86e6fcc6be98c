//! The netlink server under three programs.

use l2tp_abi::nl::{Messages, NETLINK_EXT_ACK, NLMSG_HDRLEN};
use l2tp_core::Engine;
use l2tp_core::engine::Limits;
use l2tp_mgmt::netlink::{Client, ReplySink, Server};
use l2tp_sim::{SimDevice, SimHost, SimSocket};

use crate::Input;

/// The most that one message may be answered with, its own echo apart: a page of a dump and its end or an error.
const ANSWER_MAX: usize = 33 * 1024;

/// What the namespace takes; small, so that its end is reached.
const LIMITS: Limits = Limits { tunnels: 16, sessions: 32, held_bytes: 1 << 16 };

/// Steps of three programs, of which the last has no privilege.
///
/// ```text
/// steps:   byte: program, by its remainder of 4 (3: the first), and kind in the bits above:
///          0 to 59 a record, the datagram · 60 to 61 the program reads on · 62 to 63 two bytes, a socket option
/// ```
pub fn server(data: &[u8]) {
    let mut input = Input(data);
    let mut lab = Lab::new();
    while !input.is_empty() {
        lab.step(&mut input);
        lab.check();
    }
    lab.engine.clear(&mut lab.host);
    lab.check();
    assert_eq!((lab.engine.tunnel_count(), lab.host.sockets, lab.host.devices.len()), (0, 0, 1));
}

struct Lab {
    engine: Engine<SimSocket, SimDevice>,
    host: SimHost,
    clients: [Client; 3],
}

/// Counts what one program gets for one datagram.
#[derive(Default)]
struct Answers {
    bytes: usize,
    notifications: usize,
}

impl<D> ReplySink<D> for Answers {
    fn reply(&mut self, datagram: &[u8], _: Option<D>) {
        assert_well_formed(datagram);
        self.bytes += datagram.len();
    }

    fn notify(&mut self, _: u32, datagram: &[u8]) {
        assert_well_formed(datagram);
        self.notifications += 1;
    }
}

/// Messages from the first byte to the last.
fn assert_well_formed(datagram: &[u8]) {
    let lengths = Messages::new(datagram).map(|message| message.bytes.len().next_multiple_of(4));
    assert!(!datagram.is_empty());
    assert_eq!(lengths.sum::<usize>(), datagram.len().next_multiple_of(4));
}

impl Lab {
    fn new() -> Self {
        let mut clients = [Client::new(1, true), Client::new(2, true), Client::new(3, false)];
        assert!(clients[0].set_option(NETLINK_EXT_ACK, 1).is_ok());
        Self { engine: Engine::new(LIMITS), host: SimHost::default(), clients }
    }

    fn step(&mut self, input: &mut Input<'_>) {
        let kind = input.byte();
        let who = usize::from(kind % 4) % self.clients.len();
        match kind / 4 {
            0..60 => self.ask(who, input.record()),
            60..62 => self.read_on(who),
            _ => {
                let (option, value) = (input.byte().into(), input.byte().into());
                // Refused is as good as taken.
                let _ = self.clients[who].set_option(option, value);
            }
        }
    }

    fn ask(&mut self, who: usize, datagram: &[u8]) {
        let before = (self.engine.tunnel_count(), self.engine.session_count());
        let mut answers = Answers::default();
        self.server(who, &mut answers).handle_datagram(datagram);
        let messages = Messages::new(datagram).count();
        assert!(answers.bytes <= messages * ANSWER_MAX + datagram.len() + messages * NLMSG_HDRLEN);
        assert!(answers.notifications <= messages);
        if who == 2 {
            assert_eq!((self.engine.tunnel_count(), self.engine.session_count()), before);
            assert_eq!(answers.notifications, 0, "without privilege nothing happens");
        }
    }

    fn read_on(&mut self, who: usize) {
        let mut answers = Answers::default();
        let was_dumping = self.clients[who].is_dumping();
        self.server(who, &mut answers).continue_dump();
        assert_eq!(answers.bytes > 0, was_dumping);
        assert!(answers.bytes <= ANSWER_MAX);
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

    /// The tables agree with one another and with what was opened.
    fn check(&self) {
        let engine = &self.engine;
        assert!(engine.tunnel_count() <= LIMITS.tunnels && engine.session_count() <= LIMITS.sessions);
        let mut tunnels = Vec::new();
        let mut sessions_of_tunnels = 0;
        while let Some(tunnel) = engine.next_tunnel(tunnels.last().copied()) {
            tunnels.push(tunnel.id());
            sessions_of_tunnels += tunnel.session_count();
        }
        assert!(tunnels.is_sorted_by(|a, b| a < b));
        assert_eq!((tunnels.len(), sessions_of_tunnels), (engine.tunnel_count(), engine.session_count()));
        assert_eq!(self.host.sockets, tunnels.len());
        let (shown, ethernet) = self.walk_sessions();
        assert!(shown <= engine.session_count());
        assert_eq!(self.host.devices.len(), ethernet + 1, "one device a session, and lo");
    }

    /// Number of sessions that a dump shows, and how many of all are Ethernet; hidden ones (L2TPv2, id 0) are PPP.
    fn walk_sessions(&self) -> (usize, usize) {
        let (mut shown, mut ethernet, mut after) = (0, 0, None);
        while let Some((_, session)) = self.engine.next_session(after) {
            let here = (session.tunnel_id, session.config.session_id);
            assert!(after < Some(here));
            after = Some(here);
            shown += 1;
            ethernet += usize::from(session.config.pw_type.is_ethernet());
        }
        (shown, ethernet)
    }
}
