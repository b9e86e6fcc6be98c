//! One namespace, one program, and what the program and its listeners received.

use crate::host::LoopbackHost;
use l2tp_abi::genl::l2tp::{Request, SessionMessage, TunnelMessage};
use l2tp_abi::nl::{Messages, NETLINK_EXT_ACK};
use l2tp_core::Engine;
use l2tp_core::host::Endpoints;
use l2tp_mgmt::netlink::{Client, L2TP_FAMILY_ID, L2TP_GROUP_ID, ReplySink, Server};
use l2tp_oracle::{Answer, answer};

/// The port id of the program's socket.
pub(crate) const PORT: u32 = 99;

pub(crate) struct Lab {
    pub(crate) engine: Engine<Endpoints, String>,
    pub(crate) host: LoopbackHost,
    pub(crate) client: Client,
    pub(crate) inbox: Inbox,
    /// What the next datagram has beside it.
    pub(crate) descriptor: Option<u64>,
}

#[derive(Default)]
pub(crate) struct Inbox {
    pub(crate) replies: Vec<Vec<u8>>,
    pub(crate) descriptors: Vec<u64>,
    pub(crate) heard: Vec<Vec<u8>>,
    pub(crate) losses: Vec<(&'static str, u64)>,
}

impl ReplySink<u64> for Inbox {
    fn reply(&mut self, datagram: &[u8], descriptor: Option<u64>) {
        self.replies.push(datagram.to_vec());
        self.descriptors.extend(descriptor);
    }

    fn notify(&mut self, group: u32, datagram: &[u8]) {
        assert_eq!(group, L2TP_GROUP_ID);
        self.heard.push(datagram.to_vec());
    }

    fn losses(&self) -> Vec<(&'static str, u64)> {
        self.losses.clone()
    }
}

impl Lab {
    /// A privileged program that wants to know why it is refused.
    pub(crate) fn new() -> Self {
        Self::with_client(Client::new(PORT, true))
    }

    pub(crate) fn with_client(mut client: Client) -> Self {
        client.set_option(NETLINK_EXT_ACK, 1).unwrap();
        Self {
            engine: Engine::default(),
            host: LoopbackHost::default(),
            client,
            inbox: Inbox::default(),
            descriptor: None,
        }
    }

    /// Sends a datagram and returns every datagram that comes back before the program reads again.
    pub(crate) fn send(&mut self, datagram: &[u8]) -> Vec<Vec<u8>> {
        self.server().handle_datagram(datagram);
        std::mem::take(&mut self.inbox.replies)
    }

    /// The next datagrams of a dump.
    pub(crate) fn read_on(&mut self) -> Vec<Vec<u8>> {
        self.server().continue_dump();
        std::mem::take(&mut self.inbox.replies)
    }

    /// Sends a request and reads until it is answered.
    pub(crate) fn ask(&mut self, datagram: &[u8]) -> Answer {
        let mut datagrams = self.send(datagram);
        while self.client.is_dumping() {
            datagrams.extend(self.read_on());
        }
        answer(&datagrams)
    }

    pub(crate) fn request(&mut self, request: &Request) -> Answer {
        self.ask(&request.emit(L2TP_FAMILY_ID, 7))
    }

    pub(crate) fn tunnels(&mut self) -> Vec<TunnelMessage> {
        let messages = self.request(&Request::TunnelDump).messages;
        messages
            .iter()
            .map(|bytes| TunnelMessage::parse(&Messages::new(bytes).next().unwrap()).unwrap().1)
            .collect()
    }

    pub(crate) fn sessions(&mut self) -> Vec<SessionMessage> {
        let messages = self.request(&Request::SessionDump).messages;
        messages
            .iter()
            .map(|bytes| SessionMessage::parse(&Messages::new(bytes).next().unwrap()).unwrap().1)
            .collect()
    }

    fn server(&mut self) -> Server<'_, LoopbackHost, Inbox> {
        Server {
            engine: &mut self.engine,
            host: &mut self.host,
            client: &mut self.client,
            replies: &mut self.inbox,
            descriptor: self.descriptor.take(),
        }
    }
}
