//! `getsockname` and `getpeername`.

use crate::lab::{Descriptor, Lab, PID, of_form, v2};
use l2tp_abi::Errno;
use l2tp_abi::sockaddr::{Pppol2tpForm, SockaddrPppol2tp};
use l2tp_core::Encap;

#[test]
fn of_the_form_of_the_tunnel() {
    for (form, descriptor) in [
        (Pppol2tpForm::V2In, Descriptor::Udp4),
        (Pppol2tpForm::V3In, Descriptor::Udp4),
        (Pppol2tpForm::V2In6, Descriptor::Udp6),
        (Pppol2tpForm::V3In6, Descriptor::Udp6),
    ] {
        let mut lab = Lab::default();
        let management = lab.open();
        let address = of_form(form, v2(1, 0, 2, 0));
        lab.connect_bytes(management, &address.emit(), Some(descriptor)).unwrap();
        // Whatever form the session was connected with.
        let session = lab.connected(v2(1, 10, 2, 20));
        let peer = if descriptor == Descriptor::Udp4 { "127.0.0.1:1702" } else { "[::1]:1702" };
        let peer = peer.parse().unwrap();
        let ids = v2(1, 10, 2, 20);
        assert_eq!(lab.name(session), Ok(SockaddrPppol2tp { form, pid: PID, peer, ..ids }));
        assert_eq!(lab.name(management), Ok(SockaddrPppol2tp { form, pid: PID, peer, ..v2(1, 0, 2, 0) }));
    }
}

#[test]
fn a_tunnel_that_no_program_gave_a_socket_has_no_descriptor() {
    let mut lab = Lab::default();
    lab.tunnel(2, 1, 2, Encap::Udp);
    let session = lab.connected(v2(1, 10, 2, 20));
    assert_eq!(lab.name(session).unwrap().fd, -1);
}

#[test]
fn without_a_session_there_is_none() {
    let mut lab = Lab::default();
    let fresh = lab.open();
    assert_eq!(lab.name(fresh), Err(Errno::ENOTCONN));
    let (management, session) = lab.call();
    lab.delete_session(1, 10);
    assert_eq!(lab.name(session), Err(Errno::EBADF));
    lab.delete_tunnel(1);
    assert_eq!((lab.name(session), lab.name(management)), (Err(Errno::EBADF), Err(Errno::EBADF)));
    lab.close(session);
    assert_eq!(lab.name(session), Err(Errno::EBADF));
}
