//! Any sequence of calls, on the layer and on its model.

use crate::lab::{Lab, session};
use crate::model::{Got, Model, Way};
use l2tp_abi::Errno;
use l2tp_abi::ppp::ioctl::*;
use l2tp_sockets::ppp::{ChannelKey, FileKey, Read, Received, Sent};
use proptest::prelude::*;

/// A call; numbers choose among what there is.
#[derive(Clone, Debug)]
enum Step {
    Open,
    Close(usize),
    Register,
    Unregister(usize),
    NewUnit(usize, i32),
    Attach(usize, i32),
    AttachChannel(usize, usize),
    Connect(usize, i32),
    Disconnect(usize),
    Bridge(usize, usize),
    Unbridge(usize),
    Receive(usize, u8, u8),
    Write(usize),
    Read(usize),
}

fn step() -> impl Strategy<Value = Step> {
    let (file, channel, number) = (0..64_usize, 0..64_usize, 0..4_i32);
    prop_oneof![
        3 => Just(Step::Open),
        1 => file.clone().prop_map(Step::Close),
        2 => Just(Step::Register),
        1 => channel.clone().prop_map(Step::Unregister),
        2 => (file.clone(), -1..4_i32).prop_map(|(file, number)| Step::NewUnit(file, number)),
        1 => (file.clone(), number.clone()).prop_map(|(file, number)| Step::Attach(file, number)),
        3 => (file.clone(), channel.clone()).prop_map(|(file, channel)| Step::AttachChannel(file, channel)),
        4 => (file.clone(), number).prop_map(|(file, number)| Step::Connect(file, number)),
        1 => file.clone().prop_map(Step::Disconnect),
        2 => (file.clone(), channel.clone()).prop_map(|(file, channel)| Step::Bridge(file, channel)),
        1 => file.clone().prop_map(Step::Unbridge),
        6 => (channel, 0..3_u8, any::<u8>()).prop_map(|(channel, kind, mark)| Step::Receive(channel, kind, mark)),
        2 => file.clone().prop_map(Step::Write),
        4 => file.prop_map(Step::Read),
    ]
}

/// The layer, its model, and what their numbers stand for.
#[derive(Default)]
struct Both {
    lab: Lab,
    model: Model,
    files: Vec<FileKey>,
    channels: Vec<ChannelKey>,
}

impl Both {
    fn take(&mut self, step: &Step) {
        let files = self.model.files();
        let (file, channels) = (|number: usize| number % files, self.model.channels());
        match *step {
            Step::Open => {
                self.model.open();
                let file = self.lab.open();
                self.files.push(file);
            }
            Step::Register => {
                let number = self.channels.len() as u64;
                self.channels.push(self.lab.ppp.register_channel(session(number)));
                self.model.register();
            }
            Step::Unregister(at) if channels > 0 => {
                self.lab.ppp.unregister_channel(self.channels[at % channels]);
                self.model.unregister(at % channels);
            }
            Step::Receive(at, kind, mark) if channels > 0 => self.receive(at % channels, kind, mark),
            _ if files == 0 => {}
            Step::Close(at) => {
                self.model.close(file(at));
                self.lab.close(self.files[file(at)]);
            }
            Step::Write(at) => self.write(file(at)),
            Step::Read(at) => self.read(file(at)),
            _ => self.ask(step, file),
        }
        self.check();
    }

    fn ask(&mut self, step: &Step, file: impl Fn(usize) -> usize) {
        let channels = self.model.channels();
        let (at, cmd, argument, want) = match *step {
            Step::NewUnit(at, number) => {
                let want = self.model.new_unit(file(at), number);
                let got = self.lab.ask(self.files[file(at)], PPPIOCNEWUNIT, number);
                return assert_eq!(got, want, "{step:?}");
            }
            Step::Attach(at, number) => (at, PPPIOCATTACH, number, self.model.attach_unit(file(at), number)),
            // Bundles are not of this model.
            Step::Connect(_, number) if self.model.has_channel(number) => return,
            Step::Connect(at, number) => (at, PPPIOCCONNECT, number, self.model.connect(file(at), number)),
            Step::Disconnect(at) => (at, PPPIOCDISCONN, 0, self.model.disconnect(file(at))),
            Step::Unbridge(at) => (at, PPPIOCUNBRIDGECHAN, 0, self.model.unbridge(file(at))),
            Step::AttachChannel(at, other) if channels > 0 => {
                let other = other % channels;
                (at, PPPIOCATTCHAN, index(other), self.model.attach_channel(file(at), other))
            }
            Step::Bridge(at, other) if channels > 0 => {
                let other = other % channels;
                (at, PPPIOCBRIDGECHAN, index(other), self.model.bridge(file(at), other))
            }
            _ => return,
        };
        let got: Result<(), Errno> = self.lab.ask(self.files[file(at)], cmd, argument).map(drop);
        assert_eq!(got, want, "{step:?}");
    }

    fn receive(&mut self, at: usize, kind: u8, mark: u8) {
        let protocol = [[0xc0, 0x23], [0x80, 0x21], [0x00, 0x57]][usize::from(kind)];
        let frame = [&protocol[..], &[mark]].concat();
        let way = match self.lab.ppp.receive(self.channels[at], &frame, self.lab.now) {
            Received::Network { .. } => Way::Network,
            Received::Bridged(to) => self.peer(to),
            Received::ToChannel(_) | Received::ToUnit(_) => Way::Program,
            Received::Dropped => Way::Nobody,
        };
        assert_eq!(way, self.model.receive(at, &frame));
    }

    fn write(&mut self, at: usize) {
        let way = self.lab.ppp.write(self.files[at], &[0x80, 0x57, 1], self.lab.now).map(|sent| match sent {
            Sent::Session(to) => self.peer(to),
            Sent::ToUnit(_) => Way::Program,
            Sent::Dropped => Way::Nobody,
        });
        assert_eq!(way, self.model.write(at));
    }

    fn read(&mut self, at: usize) {
        let got = self.lab.read(self.files[at]).map(|read| match read {
            Read::Frame(frame) => Got::Frame(frame),
            Read::End => Got::End,
            Read::Nothing => Got::Nothing,
        });
        assert_eq!(got, self.model.read(at));
    }

    fn peer(&self, to: l2tp_core::SessionKey) -> Way {
        Way::Peer((0..self.channels.len()).find(|number| session(*number as u64) == to).unwrap())
    }

    fn check(&self) {
        assert_eq!(self.lab.ppp.counts().0, self.model.open_files());
    }

    /// Closes everything: nothing may be left.
    fn end(mut self) {
        for at in 0..self.files.len() {
            self.lab.close(self.files[at]);
        }
        for channel in &self.channels {
            self.lab.ppp.unregister_channel(*channel);
        }
        assert!(self.lab.is_clean());
    }
}

/// Channels are numbered from 1, and no number is used again while so few are made.
fn index(channel: usize) -> i32 {
    i32::try_from(channel).unwrap() + 1
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_sequence_of_calls_does_what_the_model_says(steps in proptest::collection::vec(step(), 1..200)) {
        let mut both = Both::default();
        for step in &steps {
            both.take(step);
        }
        both.end();
    }

    #[test]
    fn any_frame_and_any_request_are_survived(
        frames in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..60),
        requests in proptest::collection::vec((any::<u32>(), proptest::collection::vec(any::<u8>(), 0..80)), 0..60),
    ) {
        let mut lab = Lab::default();
        let (channel, file, unit) = lab.link();
        for frame in &frames {
            lab.ppp.receive(channel, frame, lab.now);
            for file in [file, unit] {
                let wrote = lab.ppp.write(file, frame, lab.now);
                prop_assert!(wrote.is_ok() || wrote == Err(Errno::EINVAL));
            }
        }
        for (cmd, argument) in &requests {
            for file in [file, unit] {
                // Half of them with the letter of PPP.
                for cmd in [*cmd, cmd & 0xffff_00ff | 0x7400] {
                    let _ = lab.ioctl(file, cmd, argument);
                }
            }
        }
        lab.ppp.unregister_channel(channel);
        for file in [file, unit] {
            lab.close(file);
        }
        prop_assert!(lab.is_clean());
    }
}
