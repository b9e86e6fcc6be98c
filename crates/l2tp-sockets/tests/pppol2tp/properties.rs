//! Any sequence of calls: the tables agree, and nothing is left.

use crate::lab::{Descriptor, Lab, NoDevices, v2};
use l2tp_abi::ppp::ioctl::{PPPIOCATTCHAN, PPPIOCGCHAN};
use l2tp_core::{Encap, PwType};
use l2tp_sockets::ppp::FileKey;
use l2tp_sockets::pppol2tp::SocketKey;
use proptest::prelude::*;

#[derive(Clone, Debug)]
enum Step {
    Open,
    /// Socket, tunnel, session: small numbers, so that they meet.
    Connect(usize, u32, u32),
    Close(usize),
    Tunnel(u32),
    Session(u32, u32, bool),
    DeleteTunnel(u32),
    DeleteSession(u32, u32),
    Channel(usize),
    Deliver(u32, u32),
}

fn step() -> impl Strategy<Value = Step> {
    let (socket, tunnel, session) = (0..16_usize, 1..4_u32, 0..4_u32);
    prop_oneof![
        3 => Just(Step::Open),
        6 => (socket.clone(), tunnel.clone(), session.clone()).prop_map(|(s, t, n)| Step::Connect(s, t, n)),
        2 => socket.clone().prop_map(Step::Close),
        1 => tunnel.clone().prop_map(Step::Tunnel),
        2 => (tunnel.clone(), session.clone(), any::<bool>()).prop_map(|(t, n, ppp)| Step::Session(t, n, ppp)),
        1 => tunnel.clone().prop_map(Step::DeleteTunnel),
        2 => (tunnel.clone(), session.clone()).prop_map(|(t, n)| Step::DeleteSession(t, n)),
        2 => socket.prop_map(Step::Channel),
        4 => (tunnel, session).prop_map(|(t, n)| Step::Deliver(t, n)),
    ]
}

#[derive(Default)]
struct Run {
    lab: Lab,
    sockets: Vec<SocketKey>,
    files: Vec<FileKey>,
}

impl Run {
    fn take(&mut self, step: &Step) {
        let socket = |at: usize| self.sockets.get(at % self.sockets.len().max(1)).copied();
        match *step {
            Step::Open => self.sockets.push(self.lab.open()),
            Step::Connect(at, tunnel, session) => {
                let Some(key) = socket(at) else { return };
                let connected = self.lab.name(key).is_ok();
                let address = v2(tunnel, session, 9, session).emit();
                let answer = self.lab.connect_bytes(key, &address, Some(Descriptor::Udp4));
                assert!(!connected || answer.is_err());
                assert!(answer.is_err() || self.lab.name(key).is_ok());
            }
            Step::Close(at) => {
                let Some(key) = socket(at) else { return };
                self.lab.close(key);
                self.sockets.retain(|other| *other != key);
            }
            Step::Channel(at) => {
                let Some(key) = socket(at) else { return };
                let Ok(index) = self.lab.ioctl(key, PPPIOCGCHAN, &[]) else { return };
                let file = self.lab.ppp.open(true).unwrap();
                // A management socket has the channel -1, which there is not.
                let _ = self.lab.ppp.ioctl(&mut NoDevices, file, PPPIOCATTCHAN, &index, self.lab.now);
                self.files.push(file);
            }
            Step::Tunnel(id) if self.lab.engine.find_tunnel(id).is_err() => {
                self.lab.tunnel(if id == 2 { 2 } else { 3 }, id, 9, Encap::Udp);
            }
            Step::Session(tunnel, id, ppp) if self.may_make(tunnel, id) => {
                let pw_type = if ppp || tunnel == 2 { PwType::Ppp } else { PwType::Eth };
                self.lab.session(tunnel, id, pw_type);
            }
            Step::DeleteTunnel(id) if self.lab.engine.find_tunnel(id).is_ok() => self.lab.delete_tunnel(id),
            Step::DeleteSession(tunnel, id) if self.lab.find(tunnel, id).is_some() => {
                self.lab.delete_session(tunnel, id);
            }
            Step::Deliver(tunnel, id) => {
                let Some(session) = self.lab.find(tunnel, id) else { return };
                self.lab.sockets.deliver(&mut self.lab.ppp, session, &[0xc0, 0x21, 1], self.lab.now);
            }
            _ => {}
        }
    }

    fn may_make(&self, tunnel: u32, session: u32) -> bool {
        self.lab.engine.find_tunnel(tunnel).is_ok() && self.lab.find(tunnel, session).is_none()
    }

    /// Every session has one socket at most, which names it, and a channel that lives.
    fn check(&mut self) {
        let mut holders = Vec::new();
        let mut at = None;
        while let Some((_, session)) = self.lab.engine.next_session(at) {
            at = Some((session.tunnel_id, session.config.session_id));
            let key = self.lab.find(at.unwrap().0, at.unwrap().1).unwrap();
            if let Some((holder, _)) = self.lab.sockets.holder(key) {
                assert!(!holders.contains(&holder));
                holders.push(holder);
                let channel = self.lab.sockets.channel(key);
                assert!(channel.is_none_or(|channel| self.lab.ppp.channel_index(channel).is_some()));
            }
        }
        for key in self.sockets.clone() {
            let named = self.lab.name(key).is_ok();
            assert!(!holders.contains(&key) || named);
            assert_eq!(named, self.lab.send(key).is_ok());
        }
    }

    fn end(mut self) {
        for key in self.sockets.clone() {
            self.lab.close(key);
        }
        for file in &self.files {
            self.lab.ppp.close(&mut NoDevices, *file);
        }
        self.lab.engine.clear(&mut self.lab.host);
        self.lab.tell_ends();
        assert_eq!((self.lab.ppp.counts(), self.lab.ppp.queued_bytes()), ((0, 0, 0), 0));
        assert_eq!((self.lab.sockets.len(), self.lab.host.sockets, self.lab.host.devices), (0, 0, 0));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_sequence_of_calls_leaves_the_tables_whole(steps in proptest::collection::vec(step(), 1..120)) {
        let mut run = Run::default();
        for step in &steps {
            run.take(step);
            run.check();
        }
        run.end();
    }

    #[test]
    fn any_address_gets_an_answer(address in proptest::collection::vec(any::<u8>(), 0..64)) {
        let mut lab = Lab::default();
        let key = lab.open();
        let answer = lab.connect_bytes(key, &address, Some(Descriptor::Udp4));
        prop_assert!(answer.is_ok() == lab.name(key).is_ok());
        lab.close(key);
    }
}
