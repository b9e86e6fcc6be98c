//! Socket calls of the family "ferrowire": who may ask, what comes back, and what comes beside it.

use crate::lab::{Lab, PORT};
use l2tp_abi::Errno;
use l2tp_abi::genl::ferrowire::socket::{SocketAnswer, SocketCall, SocketRequest};
use l2tp_abi::nl::Messages;
use l2tp_core::host::Caller;
use l2tp_mgmt::netlink::{Client, FERROWIRE_FAMILY_ID};
use l2tp_oracle::Answer;

fn call(lab: &mut Lab, socket: Option<u64>, call: SocketCall<'_>) -> Answer {
    lab.ask(&SocketRequest { socket, call }.emit(FERROWIRE_FAMILY_ID, 7))
}

fn parsed(answer: &Answer) -> Option<SocketAnswer> {
    let bytes = answer.messages.first()?;
    SocketAnswer::parse(&Messages::new(bytes).next().unwrap())
}

#[test]
fn anybody_may_open_one_and_gets_a_descriptor() {
    let mut lab = Lab::with_client(Client::new(PORT, false).of_user(1000));
    let answer = call(&mut lab, None, SocketCall::Open(2));
    assert_eq!((answer.errno, parsed(&answer)), (None, Some(SocketAnswer::Opened(5))));
    assert_eq!(lab.inbox.descriptors, [55]);
    let caller = Caller { connection: PORT, user: 1000, privileged: false, port: PORT };
    assert_eq!(lab.host.socket_callers, [caller]);
    assert_eq!(call(&mut lab, None, SocketCall::Open(24)).errno, Some(Errno::EAFNOSUPPORT));
    assert_eq!(lab.inbox.descriptors, [55]);
}

#[test]
fn a_call_names_its_socket_by_number_or_by_the_descriptor_beside_it() {
    let mut lab = Lab::new();
    assert_eq!(call(&mut lab, None, SocketCall::Name).errno, Some(Errno::EBADF));
    let answer = call(&mut lab, Some(5), SocketCall::Name);
    assert_eq!(parsed(&answer), Some(SocketAnswer::Address(vec![2, 0])));
    lab.descriptor = Some(55);
    // The first call takes it.
    let twice = SocketRequest { socket: None, call: SocketCall::Bind(&[0; 16]) }.emit(FERROWIRE_FAMILY_ID, 7);
    let errors: Vec<_> = [lab.ask(&twice), lab.ask(&twice)].iter().map(|answer| answer.errno).collect();
    assert_eq!(errors, [None, Some(Errno::EBADF)]);
}
