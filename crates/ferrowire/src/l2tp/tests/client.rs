//! Answers as they may come: refusals with text, interrupted dumps, silence, rubbish.

use std::collections::VecDeque;
use std::io;
use std::os::fd::BorrowedFd;

use l2tp_abi::Errno;
use l2tp_abi::nl::{
    AckOptions, ExtAck, Header, MessageBuilder, Messages, NLM_F_MULTI, NLMSG_DONE, emit_ack, emit_done,
};

use super::ip;
use super::model::Model;
use l2tp_client::Transport;

/// What a server answers to a request: its datagrams.
type Script = fn(&[u8]) -> Vec<Vec<u8>>;

/// A door that finds the family and then answers what it was told to.
struct Scripted {
    family: Model,
    asked: usize,
    answers: VecDeque<io::Result<Vec<u8>>>,
    script: Script,
}

impl Scripted {
    fn new(script: Script) -> Self {
        Self { family: Model::default(), asked: 0, answers: VecDeque::new(), script }
    }
}

impl Transport for Scripted {
    fn send(&mut self, bytes: &[u8], _: Option<BorrowedFd<'_>>) -> io::Result<()> {
        self.asked += 1;
        if self.asked == 1 {
            return self.family.send(bytes, None);
        }
        self.answers.extend((self.script)(bytes).into_iter().map(Ok));
        Ok(())
    }

    fn receive(&mut self) -> io::Result<Vec<u8>> {
        if self.asked == 1 {
            return self.family.receive();
        }
        self.answers.pop_front().unwrap_or_else(|| Err(io::ErrorKind::TimedOut.into()))
    }
}

fn ack(request: &[u8], error: Option<Errno>, message: Option<&'static str>) -> Vec<u8> {
    let request = Messages::new(request).next().unwrap();
    let ext = ExtAck { message, ..ExtAck::default() };
    let mut out = Vec::new();
    emit_ack(&mut out, &request, 1, AckOptions { cap_ack: false, ext_ack: true }, error, &ext);
    out
}

fn done(request: &[u8], flags: u16, code: i32) -> Vec<u8> {
    let seq = Messages::new(request).next().unwrap().header.seq;
    let mut out = Vec::new();
    MessageBuilder::new(&mut out, Header { kind: NLMSG_DONE, flags: NLM_F_MULTI | flags, seq, port: 1 })
        .raw(&code.to_ne_bytes());
    out
}

fn answered(command: &str, script: Script) -> (String, u8) {
    ip(&mut Scripted::new(script), command)
}

#[test]
fn a_refusal_is_told_in_the_words_of_the_server() {
    let told = answered("ip l2tp del tunnel tunnel_id 1", |request| {
        vec![ack(request, Some(Errno::EINVAL), Some("Attribute failed policy validation"))]
    });
    assert_eq!(told, ("Error: Attribute failed policy validation.\n".to_owned(), 2));
    let told =
        answered("ip l2tp del tunnel tunnel_id 1", |request| vec![ack(request, Some(Errno::EPERM), None)]);
    assert_eq!(told, ("RTNETLINK answers: Operation not permitted\n".to_owned(), 2));
}

#[test]
fn a_warning_does_not_fail_the_command() {
    let told =
        answered("ip l2tp del tunnel tunnel_id 1", |request| vec![ack(request, None, Some("Careful."))]);
    assert_eq!(told, ("Warning: Careful.\n".to_owned(), 0));
}

#[test]
fn the_second_request_waits_for_the_first() {
    let command = "ip l2tp add tunnel session tunnel_id 1 peer_tunnel_id 2 encap ip local 192.0.2.1 remote 192.0.2.2 \
                   session_id 3 peer_session_id 4";
    let mut door = Scripted::new(|request| vec![ack(request, Some(Errno::EEXIST), None)]);
    assert_eq!(ip(&mut door, command), ("RTNETLINK answers: File exists\n".to_owned(), 2));
    assert_eq!(door.asked, 2);
}

#[test]
fn a_refused_dump_ends_with_1() {
    let expected = ("RTNETLINK answers: Operation not permitted\nDump terminated\n".to_owned(), 1);
    for command in ["ip l2tp show tunnel", "ip -j l2tp show session"] {
        assert_eq!(answered(command, |request| vec![ack(request, Some(Errno::EPERM), None)]), expected);
        assert_eq!(answered(command, |request| vec![done(request, 0, -1)]), expected);
    }
}

#[test]
fn an_interrupted_dump_is_told() {
    let told = answered("ip l2tp show tunnel", |request| vec![done(request, 0x10, 0)]);
    assert_eq!(told, ("Dump was interrupted and may be inconsistent.\n".to_owned(), 0));
}

#[test]
fn answers_to_others_are_passed_over() {
    let told = answered("ip l2tp show tunnel", |request| {
        let mut stray = Vec::new();
        emit_done(&mut stray, 0x7777_7777, 1);
        vec![stray, ack(request, Some(Errno::EIO), None)]
    });
    assert_eq!(told.0, "RTNETLINK answers: Input/output error\nDump terminated\n");
}

#[test]
fn a_silent_or_broken_daemon_is_told_with_what_to_do() {
    let scripts: [Script; 4] = [
        |_| vec![],
        |_| vec![vec![]],
        |_| vec![vec![7; 15]],
        |request| {
            let mut short = ack(request, None, None);
            short.truncate(20);
            short[0] = 20;
            vec![short]
        },
    ];
    for script in scripts {
        let (told, code) = answered("ip l2tp show tunnel", script);
        assert!(told.starts_with("Cannot talk to the L2TP daemon of this network namespace: "), "{told}");
        assert!(told.ends_with(".\nStart it with \"ferrowire daemon\".\n"), "{told}");
        assert_eq!(code, 1);
    }
}

#[test]
fn wrong_words_need_no_daemon() {
    let mut door = Scripted::new(|_| vec![]);
    assert_eq!(ip(&mut door, "ip l2tp help").1, 255);
    assert_eq!(ip(&mut door, "ip l2tp add tunnel").1, 255);
    assert_eq!(door.asked, 0);
}
