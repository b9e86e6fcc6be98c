//! L2TPIP sockets of programs: calls, control messages between two hosts, who may have one.

use std::net::IpAddr;
use std::os::fd::AsFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::process::Command;

use l2tp_abi::Errno;
use l2tp_abi::genl::ferrowire::socket::{SocketAnswer, SocketCall, SocketRequest};
use l2tp_abi::sockaddr::AF_PPPOX;
use l2tp_abi::sockopt::{IP_MTU_DISCOVER, SOL_IP};

use l2tp_sockets::quota::USER_MAX;

use crate::crafted::{Forger, NO_NUMBER, frame, packet};
use crate::form::Form;
use crate::l2tpip_socket::{L2tpipSocket, address, control};
use crate::pair::Pair;
use crate::require;
use crate::wait;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn messages_reach_the_socket_of_their_connection_in_both_families() {
    if !require::met(&[]) {
        return;
    }
    let mut pair = Pair::new();
    let before = pair.b.daemon().descriptors();
    for form in [Form::Ip4, Form::Ip6] {
        let (a, b) = (form.address(1), form.address(2));
        let listener = L2tpipSocket::bound(&pair.b, if form == Form::Ip4 { "0.0.0.0" } else { "::" }, 0);
        let near = L2tpipSocket::connected(&pair.a, (&a, 42), (&b, 43));
        let far = L2tpipSocket::connected(&pair.b, (&b, 43), (&a, 42));
        let other = L2tpipSocket::bound(&pair.b, &b, 44);

        near.write(None, &control(43, "to the connection"));
        assert_eq!(far.read(), Some((ip(&a), control(43, "to the connection"))));
        near.write(Some(&b), &control(0, "to the listener"));
        assert_eq!(listener.read(), Some((ip(&a), control(0, "to the listener"))));
        far.write(None, &control(42, "and back"));
        assert_eq!(near.read(), Some((ip(&b), control(42, "and back"))));
        // A large one is cut where it may be.
        if form == Form::Ip6 {
            let large = control(43, &"x".repeat(9000));
            near.write(None, &large);
            assert_eq!(far.read(), Some((ip(&a), large)));
        }
        // Data, messages without the two flags and messages for nobody go nowhere.
        let forger = Forger::new(&pair.a, form, 1);
        let from_a = |bytes: &[u8]| reply(&forger, bytes);
        from_a(&packet(43, &[], NO_NUMBER, &frame(1)));
        from_a(&[&[0; 4], &control(43, "")[..11]].concat());
        from_a(&[&[0, 0, 0, 0, 0x88][..], &control(43, "")[1..]].concat());
        near.write(None, &control(99, "nobody"));
        near.write(None, &control(44, "the end"));
        assert_eq!(other.read(), Some((ip(&a), control(44, "the end"))));
        assert!(!far.waits(0) && !listener.waits(0));
    }
    wait::until("all of it is closed", || pair.b.daemon().descriptors() == before);
}

/// Sends from host a, not to it.
fn reply(forger: &Forger, bytes: &[u8]) {
    let Forger::Ip(socket, route) = forger else { panic!("over IP") };
    let route = l2tp_io::rawip::RawRoute::new(route.destination, route.source);
    let parts = [std::io::IoSlice::new(bytes)];
    let report = socket.send_batch(&route, &[l2tp_io::batch::Outgoing { parts: &parts, segment: None }]);
    assert_eq!(report.sent, 1);
}

#[test]
fn calls_are_answered_by_the_host_it_is_on() {
    if !require::met(&[]) {
        return;
    }
    let pair = Pair::new();
    let (a, b) = (Form::Ip4.address(1), Form::Ip4.address(2));
    let mut socket = L2tpipSocket::open(&pair.a, 2);
    let errno = |result: Result<SocketAnswer, Errno>| result.err();
    assert_eq!(errno(socket.call(SocketCall::Connect(&address(&b, 1)))), Some(Errno::EINVAL));
    assert_eq!(errno(socket.call(SocketCall::Bind(&address(&b, 1)))), Some(Errno::EADDRNOTAVAIL));
    let send = |to, message| SocketCall::Send { to, message };
    assert_eq!(errno(socket.call(send(None, b"x"))), Some(Errno::EDESTADDRREQ));
    assert_eq!(errno(socket.call(SocketCall::Bind(&address(&a, 1)))), None);
    let taken = L2tpipSocket::open(&pair.a, 2).call(SocketCall::Bind(&address("0.0.0.0", 1)));
    assert_eq!(errno(taken), Some(Errno::EADDRINUSE));
    let nowhere = address("198.51.100.77", 1);
    assert_eq!(errno(socket.call(SocketCall::Connect(&nowhere))), Some(Errno::ENETUNREACH));
    assert_eq!(errno(socket.call(send(Some(&nowhere), b"x"))), Some(Errno::EHOSTUNREACH));
    assert_eq!(errno(socket.call(SocketCall::Connect(&address(&b, 2)))), None);
    assert_eq!(socket.call(SocketCall::Name), Ok(SocketAnswer::Address(address(&a, 1))));
    assert_eq!(errno(socket.call(SocketCall::Peer)), Some(Errno::ENOTCONN));
    // 1500 bytes of MTU: an IP header and four zeros.
    let (full, too_long) = (vec![0; 1500 - 20 - 4], vec![0; 1500 - 20 - 3]);
    assert_eq!(errno(socket.call(send(None, &full))), None);
    assert_eq!(errno(socket.call(send(None, &too_long))), Some(Errno::EMSGSIZE));
    let dont = SocketCall::Set { level: SOL_IP, option: IP_MTU_DISCOVER, value: &0_i32.to_ne_bytes() };
    assert_eq!(errno(socket.call(dont)), None);
    assert_eq!(errno(socket.call(send(None, &too_long))), None);
}

#[test]
fn a_socket_is_named_by_its_descriptor_or_by_who_opened_it() {
    if !require::met(&[]) {
        return;
    }
    let mut pair = Pair::new();
    let socket = L2tpipSocket::bound(&pair.a, "0.0.0.0", 5);
    let name = |socket| SocketRequest { socket, call: SocketCall::Name };
    let mut stranger = pair.a.door();
    let answer = SocketAnswer::Address(address("0.0.0.0", 5));
    let by_descriptor = stranger.call(name(None), &[socket.as_fd()]);
    assert_eq!(by_descriptor.unwrap().0, answer);
    // This one has privilege.
    assert_eq!(stranger.call(name(Some(socket.number)), &[]).unwrap().0, answer);
    assert_eq!(stranger.call(name(Some(1)), &[]).err(), Some(Errno::EBADF));
    assert_eq!(stranger.call(name(None), &[]).err(), Some(Errno::EBADF));
    let (file, other) =
        (std::fs::File::open("/").unwrap(), std::net::UdpSocket::bind("127.0.0.1:0").unwrap());
    assert_eq!(stranger.call(name(None), &[file.as_fd()]).err(), Some(Errno::ENOTSOCK));
    assert_eq!(stranger.call(name(None), &[other.as_fd()]).err(), Some(Errno::EBADF));
    let open = |domain| SocketRequest { socket: None, call: SocketCall::Open(domain) };
    assert_eq!(stranger.call(open(1), &[]).err(), Some(Errno::EAFNOSUPPORT));
    // A descriptor is all that keeps it: a copy is as good as the first.
    let copy = socket.descriptor.try_clone().unwrap();
    drop(socket);
    assert_eq!(stranger.call(name(None), &[copy.as_fd()]).unwrap().0, answer);
    drop(copy);
    wait::until("it is closed", || {
        let mut again = L2tpipSocket::open(&pair.a, 2);
        again.call(SocketCall::Bind(&address("0.0.0.0", 5))).is_ok()
    });
    assert!(pair.a.daemon().is_running());
}

#[test]
fn a_program_that_does_not_read_loses_messages_and_nobody_else_does() {
    if !require::met(&[]) {
        return;
    }
    let pair = Pair::new();
    let (a, b) = (Form::Ip4.address(1), Form::Ip4.address(2));
    let lazy = L2tpipSocket::bound(&pair.b, &b, 1);
    let eager = L2tpipSocket::bound(&pair.b, &b, 2);
    let sender = L2tpipSocket::connected(&pair.a, (&a, 9), (&b, 1));
    let stats = || String::from_utf8(pair.b.run(crate::daemon::FERROWIRE, &["stats"]).stdout).unwrap();
    // A counter that is 0 is left out.
    let refused = |text: &str| text.contains("control_refused");
    wait::until("its queue is full", || {
        (0..200).for_each(|_| sender.write(None, &control(1, &"x".repeat(1000))));
        refused(&stats())
    });
    sender.write(None, &control(2, "still there"));
    assert_eq!(eager.read(), Some((ip(&a), control(2, "still there"))));
    assert!(lazy.waits(0));
}

#[test]
fn nobody_in_particular_may_have_one() {
    if std::env::var_os("L2TPIP_HERE").is_some() {
        return as_nobody();
    }
    if !require::met(&[]) || !require::other_users() {
        return;
    }
    let pair = Pair::new();
    let (a, b) = (Form::Ip4.address(1), Form::Ip4.address(2));
    let far = L2tpipSocket::connected(&pair.b, (&b, 43), (&a, 42));
    // This very program as nobody, from where anybody may run it.
    let directory = tempfile::tempdir().unwrap();
    std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let program = directory.path().join("test");
    // By another process: a test that forks while we write the copy would keep it from being run (ETXTBSY).
    let copied = Command::new("cp").arg(std::env::current_exe().unwrap()).arg(&program).status();
    assert!(copied.unwrap().success());
    let mut nobody = Command::new(program);
    nobody.args(["--exact", "l2tpip::nobody_in_particular_may_have_one"]);
    nobody.env("L2TPIP_HERE", &a).env("L2TPIP_THERE", &b);
    nobody.uid(65_534).gid(65_534).current_dir("/");
    let child = pair.a.here(|| nobody.stdout(std::process::Stdio::piped()).spawn().unwrap());
    assert_eq!(far.read(), Some((ip(&a), control(43, "from nobody"))));
    far.write(None, &control(42, "to nobody"));
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}

/// The half of the test above that runs as nobody, on host a.
fn as_nobody() {
    let [here, there] = ["HERE", "THERE"].map(|end| std::env::var(format!("L2TPIP_{end}")).unwrap());
    let (here, there, message) = (address(&here, 42), address(&there, 43), control(43, "from nobody"));
    let mut door = crate::door::Door::open();
    let open = SocketRequest { socket: None, call: SocketCall::Open(2) };
    let (answer, descriptor) = door.call(open, &[]).unwrap();
    let SocketAnswer::Opened(number) = answer else { panic!("{answer:?}") };
    let mut call = |call| door.call(SocketRequest { socket: Some(number), call }, &[]).unwrap();
    call(SocketCall::Bind(&here));
    call(SocketCall::Connect(&there));
    call(SocketCall::Send { to: None, message: &message });
    let timeout = rustix::event::Timespec { tv_sec: 20, tv_nsec: 0 };
    let descriptor = descriptor.unwrap();
    let mut waits = [rustix::event::PollFd::new(&descriptor, rustix::event::PollFlags::IN)];
    assert_eq!(rustix::event::poll(&mut waits, Some(&timeout)).unwrap(), 1);
    // The number of another's socket is worth nothing to it.
    let foreign = SocketRequest { socket: Some(number), call: SocketCall::Name };
    assert_eq!(crate::door::Door::open().call(foreign, &[]).err(), Some(Errno::EBADF));
    // Nor may it have any number of sockets, or open /dev/ppp at all.
    let mut door = crate::door::Door::open();
    let mut open = |call| door.call(SocketRequest { socket: None, call }, &[]);
    for (domain, others) in [(2, 1), (AF_PPPOX, 0)] {
        let held: Vec<_> = (others..USER_MAX).map(|_| open(SocketCall::Open(domain)).unwrap()).collect();
        assert_eq!(open(SocketCall::Open(domain)).err(), Some(Errno::EMFILE), "{} held", held.len());
    }
    assert_eq!(open(SocketCall::OpenPpp).err(), Some(Errno::EPERM));
}
