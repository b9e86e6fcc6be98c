//! PPP sessions by the library: programs that speak PPP themselves, on two hosts.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::fd::AsFd;

use l2tp_abi::Errno;
use l2tp_abi::genl::l2tp::{Request, SessionKey};
use l2tp_client::Error;
use l2tp_client::ppp::{File, Ppp, Pppol2tpForm, Session, SockaddrPppol2tp};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::form::Form;
use crate::host::Host;
use crate::pair::Pair;
use crate::require;
use crate::tcp::transfer;
use crate::wait;

/// LCP Echo-Request, which a program sends to its peer's program.
const ECHO: [u8; 10] = [0xc0, 0x21, 9, 7, 0, 8, 1, 2, 3, 4];
/// An IPCP Configure-Request without options.
const IPCP: [u8; 6] = [0x80, 0x21, 1, 1, 0, 4];

/// One end of a PPP link.
struct End {
    ppp: Ppp,
    udp: UdpSocket,
    session: Session,
    channel: File,
    unit: File,
    number: u32,
}

fn address(form: Form, version: u8, number: u8, session: u32) -> SockaddrPppol2tp {
    let (own, peer) = if number == 1 { (10, 20) } else { (20, 10) };
    SockaddrPppol2tp {
        form: Pppol2tpForm::of(version == 2, form.is_v4()),
        pid: 0,
        fd: -1,
        peer: SocketAddr::new(form.address(3 - number).parse().unwrap(), 1701),
        s_tunnel: own,
        s_session: session,
        d_tunnel: peer,
        d_session: session,
    }
}

fn udp(host: &Host, form: Form, number: u8) -> UdpSocket {
    let [local, peer] = [number, 3 - number].map(|number| form.address(number).parse::<IpAddr>().unwrap());
    let socket = host.here(|| UdpSocket::bind((local, 1701)).unwrap());
    socket.connect((peer, 1701)).unwrap();
    socket
}

impl End {
    /// A tunnel by its management socket, which is closed again, and a session.
    fn new(host: &Host, form: Form, version: u8, number: u8) -> Self {
        let udp = udp(host, form, number);
        let mut ppp = host.here(|| Ppp::door().unwrap());
        let management = ppp.open_session().unwrap();
        ppp.connect(&management, &address(form, version, number, 0), Some(&udp)).unwrap();
        drop(management);
        let session = ppp.open_session().unwrap();
        ppp.connect(&session, &address(form, version, number, 5), None).unwrap();
        let (channel, unit) = (ppp.open().unwrap(), ppp.open().unwrap());
        let index = ppp.channel_index(&session).unwrap();
        ppp.attach_channel(&channel, index).unwrap();
        let number = ppp.new_unit(&unit, None).unwrap();
        ppp.connect_unit(&channel, number).unwrap();
        Self { ppp, udp, session, channel, unit, number }
    }
}

/// Both ends, with addresses on their devices as IPCP and IPV6CP would have agreed on.
fn link(form: Form, version: u8) -> (Pair, End, End) {
    let pair = Pair::new();
    let (a, b) = (End::new(&pair.a, form, version, 1), End::new(&pair.b, form, version, 2));
    for (host, own, peer) in [(&pair.a, 1, 2), (&pair.b, 2, 1)] {
        // An address of IPv6 makes no route to its peer while the device is down.
        host.ip("link set ppp0 mtu 1400 up");
        host.ip(&format!("addr add 10.7.0.{own} peer 10.7.0.{peer} dev ppp0"));
        host.ip(&format!("addr add fd07::{own} peer fd07::{peer} dev ppp0 nodad"));
    }
    (pair, a, b)
}

/// The next frame, which must come soon.
fn next(file: impl AsFd) -> Vec<u8> {
    let timeout = Timespec { tv_sec: 20, tv_nsec: 0 };
    assert_eq!(poll(&mut [PollFd::new(&file, PollFlags::IN)], Some(&timeout)).unwrap(), 1);
    let mut buffer = [0; 2000];
    let length = rustix::io::read(&file, &mut buffer).unwrap();
    buffer[..length].to_vec()
}

/// Whether there is something to read, were it the end.
fn waits(file: impl AsFd) -> bool {
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut [PollFd::new(&file, PollFlags::IN)], Some(&now)).unwrap() > 0
}

fn refused<T>(result: Result<T, Error>) -> Option<Errno> {
    match result {
        Err(Error::Refused { errno, .. }) => Some(errno),
        Err(other) => panic!("{other}"),
        Ok(_) => None,
    }
}

#[test]
fn packets_go_by_the_devices_and_negotiation_by_the_programs() {
    if !require::met(&[]) {
        return;
    }
    for (form, version) in [(Form::Udp4, 2), (Form::Udp6, 2), (Form::Udp4, 3), (Form::Udp6, 3)] {
        let (pair, mut a, mut b) = link(form, version);
        assert_eq!((a.number, b.number), (0, 0));
        pair.a.reach("10.7.0.2");
        pair.a.reach("fd07::2");
        transfer(&pair.a, &pair.b, "10.7.0.2", 4 << 20);
        transfer(&pair.b, &pair.a, "fd07::1", 4 << 20);
        // The link's protocols are the channel's, the network's negotiation is the unit's.
        for (from, to) in [(&a, &b), (&b, &a)] {
            from.channel.write(&ECHO).unwrap();
            assert_eq!(next(&to.channel), ECHO);
            from.unit.write(&IPCP).unwrap();
            assert_eq!(next(&to.unit), IPCP);
        }
        // Numbers and reordering work as everywhere.
        for end in [&mut a, &mut b] {
            end.ppp.set_option(&end.session, l2tp_abi::ppp::PPPOL2TP_SO_SENDSEQ, 1).unwrap();
            end.ppp.set_option(&end.session, l2tp_abi::ppp::PPPOL2TP_SO_REORDERTO, 100).unwrap();
        }
        transfer(&pair.a, &pair.b, "10.7.0.2", 1 << 20);
        let text = pair.a.run(crate::daemon::FERROWIRE, &["debug", "tunnels"]).stdout;
        assert!(String::from_utf8(text).unwrap().ends_with("   interface ppp0\n"));
    }
}

/// Frames that came before the channel was asked for are the channel's.
#[test]
fn what_the_socket_has_not_read_is_the_channels() {
    if !require::met(&[]) {
        return;
    }
    let pair = Pair::new();
    let far = End::new(&pair.b, Form::Udp4, 2, 2);
    let udp = udp(&pair.a, Form::Udp4, 1);
    let mut ppp = pair.a.here(|| Ppp::door().unwrap());
    let management = ppp.open_session().unwrap();
    ppp.connect(&management, &address(Form::Udp4, 2, 1, 0), Some(&udp)).unwrap();
    let session = ppp.open_session().unwrap();
    ppp.connect(&session, &address(Form::Udp4, 2, 1, 5), None).unwrap();
    far.channel.write(&ECHO).unwrap();
    assert_eq!(next(&session), ECHO);
    far.channel.write(&ECHO).unwrap();
    let timeout = Timespec { tv_sec: 20, tv_nsec: 0 };
    assert_eq!(poll(&mut [PollFd::new(&session, PollFlags::IN)], Some(&timeout)).unwrap(), 1);
    let index = ppp.channel_index(&session).unwrap();
    let channel = ppp.open().unwrap();
    ppp.attach_channel(&channel, index).unwrap();
    assert_eq!(next(&channel), ECHO);
    // And the socket can still send.
    session.write(&ECHO).unwrap();
    assert_eq!(next(&far.channel), ECHO);
}

#[test]
fn whatever_ends_first_the_rest_follows() {
    if !require::met(&[]) {
        return;
    }
    let is_gone = |host: &Host| host.link("ppp0").is_none();
    // The session, by a command: its program reads the end.
    let (pair, a, b) = link(Form::Udp4, 2);
    let key = SessionKey::Ids { conn_id: 10, session_id: 5 };
    pair.a.door().ask(&Request::SessionDelete(key), |_| {}).unwrap();
    // Its unit may be joined by another.
    assert!(next(&a.channel).is_empty() && !waits(&a.unit));
    assert!(!is_gone(&pair.a), "the unit is its program's");
    drop(a);
    wait::until("the unit's device is gone", || is_gone(&pair.a));

    // The tunnel, with its socket.
    let End { ppp: _ppp, udp, session, channel, unit, .. } = b;
    drop(udp);
    assert!(next(&channel).is_empty() && !waits(&unit));
    drop((session, channel, unit));
    wait::until("the unit's device is gone", || is_gone(&pair.b));

    // The socket: its session ends, the tunnel stays.
    let (pair, a, _b) = link(Form::Udp6, 2);
    let End { mut ppp, udp: _udp, session, channel, unit, .. } = a;
    drop(session);
    assert!(next(&channel).is_empty());
    let mut door = pair.a.door();
    wait::until("the session is gone", || door.session(10, 5) == Err(Errno::ENODEV));
    door.tunnel(10).unwrap();
    assert_eq!(refused(ppp.connect_unit(&channel, 0)), Some(Errno::ENOTCONN));
    // The file that made the unit.
    drop(unit);
    wait::until("the unit's device is gone", || is_gone(&pair.a));

    // The daemon.
    let (mut pair, a, _b) = link(Form::Udp4, 3);
    pair.a.kill_daemon();
    assert!(next(&a.channel).is_empty() && is_gone(&pair.a));
}

#[test]
fn a_bridge_hands_frames_through() {
    if !require::met(&[]) {
        return;
    }
    // a - b, and b to itself: what a sends comes back by the second session.
    let pair = Pair::new();
    let mut a = End::new(&pair.a, Form::Udp4, 2, 1);
    let b = End::new(&pair.b, Form::Udp4, 2, 2);
    let mut ppp = b.ppp;
    let second = ppp.open_session().unwrap();
    ppp.connect(&second, &address(Form::Udp4, 2, 2, 6), None).unwrap();
    let index = ppp.channel_index(&second).unwrap();
    ppp.disconnect_unit(&b.channel).unwrap();
    ppp.bridge(&b.channel, index).unwrap();
    let other = a.ppp.open_session().unwrap();
    a.ppp.connect(&other, &address(Form::Udp4, 2, 1, 6), None).unwrap();
    a.channel.write(&ECHO).unwrap();
    assert_eq!(next(&other), ECHO);
    other.write(&ECHO).unwrap();
    assert_eq!(next(&a.channel), ECHO);
    ppp.unbridge(&b.channel).unwrap();
    a.channel.write(&ECHO).unwrap();
    assert_eq!(next(&b.channel), ECHO);
}

#[test]
fn a_device_that_is_deleted_takes_its_unit_with_it() {
    if !require::met(&[]) {
        return;
    }
    let (pair, mut a, _b) = link(Form::Udp4, 2);
    pair.a.ip("link del ppp0");
    assert!(next(&a.unit).is_empty());
    let unit = a.ppp.open().unwrap();
    assert_eq!(a.ppp.new_unit(&unit, Some(0)).unwrap(), 0);
    assert_eq!(refused(a.ppp.new_unit(&unit, None)), Some(Errno::ENOTTY));
}
