//! The requests, byte for byte as iproute2 sends them.

use std::io;
use std::os::fd::BorrowedFd;

use l2tp_abi::nl::{Header, MessageBuilder, Messages, NLMSG_DONE, NLMSG_ERROR};

use super::model::Model;
use super::{ip, vector};
use l2tp_client::Transport;

/// A door that agrees with everything and remembers it.
#[derive(Default)]
struct Recorder {
    family: Model,
    requests: Vec<Vec<u8>>,
}

impl Transport for Recorder {
    fn send(&mut self, bytes: &[u8], _: Option<BorrowedFd<'_>>) -> io::Result<()> {
        self.requests.push(bytes.to_vec());
        if self.requests.len() == 1 { self.family.send(bytes, None) } else { Ok(()) }
    }

    fn receive(&mut self) -> io::Result<Vec<u8>> {
        if self.requests.len() == 1 {
            return self.family.receive();
        }
        let last = self.requests.last().expect("a request");
        let asked = Messages::new(last).next().expect("a message").header;
        let kind = if asked.is_dump() { NLMSG_DONE } else { NLMSG_ERROR };
        let mut reply = Vec::new();
        MessageBuilder::new(&mut reply, Header { kind, flags: 0, seq: asked.seq, port: 0 })
            .raw(&[0; 4])
            .raw(&last[..16]);
        Ok(reply)
    }
}

/// A request in hexadecimal digits, without family id and sequence number.
fn hex(bytes: &[u8]) -> String {
    let kept = [&bytes[..4], &bytes[6..8], &bytes[12..]].concat();
    kept.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn recorded(line: &str) -> String {
    [&line[..8], &line[12..16], &line[24..]].concat()
}

#[test]
fn requests_are_those_of_iproute2() {
    if cfg!(target_endian = "big") {
        println!("SKIP: a little-endian machine, as the recording's");
        return;
    }
    let mut compared = 0;
    for part in vector("ip-l2tp-requests.txt").split("\n$ ").skip(1) {
        let mut lines = part.lines();
        let command = lines.next().expect("a command");
        let expected: Vec<String> = lines.filter_map(|line| line.strip_prefix("> ")).map(recorded).collect();
        let mut door = Recorder::default();
        assert_eq!(ip(&mut door, command), (String::new(), 0), "{command}");
        let sent: Vec<String> = door.requests.iter().skip(1).map(|request| hex(request)).collect();
        assert_eq!(sent, expected, "{command}");
        compared += sent.len();
    }
    assert!(compared > 20, "only {compared} requests compared");
}
