use std::collections::VecDeque;
use std::io;
use std::net::UdpSocket;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use l2tp_abi::Errno;
use l2tp_abi::genl::GenlHeader;
use l2tp_abi::genl::ctrl::FamilyMessage;
use l2tp_abi::genl::l2tp::{L2TP_ATTR_FD, L2TP_CMD_TUNNEL_GET, SessionKey, TunnelCreate, TunnelMessage};
use l2tp_abi::nl::{AckOptions, Attributes, ExtAck, Header, Messages, NLM_F_MULTI, emit_ack, emit_done};
use l2tp_io::door::{DoorListener, DoorStream};

use crate::{Connection, Error, Socket, Transport, Warning};

const FAMILY: u16 = 0x23;

/// What a server answers to a request: its datagrams.
type Script = fn(&[u8]) -> Vec<io::Result<Vec<u8>>>;

/// Answers each request with the next of its scripts, the family's first.
#[derive(Default)]
struct Scripted {
    scripts: VecDeque<Script>,
    answers: VecDeque<io::Result<Vec<u8>>>,
    requests: Vec<Vec<u8>>,
    /// The descriptors that went beside the requests.
    descriptors: Vec<Option<i32>>,
}

impl Transport for Scripted {
    fn send(&mut self, datagram: &[u8], descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
        let script =
            if self.requests.is_empty() { family } else { self.scripts.pop_front().expect("no more") };
        self.answers.extend(script(datagram));
        self.requests.push(datagram.to_vec());
        self.descriptors.push(descriptor.map(|descriptor| descriptor.as_raw_fd()));
        Ok(())
    }

    fn receive(&mut self) -> io::Result<Vec<u8>> {
        self.answers.pop_front().expect("the answer has ended")
    }
}

fn connection(scripts: &[Script]) -> Connection<Scripted> {
    let scripts = scripts.iter().copied().collect();
    Connection::over(Scripted { scripts, ..Scripted::default() }).unwrap()
}

fn seq(request: &[u8]) -> u32 {
    Messages::new(request).next().unwrap().header.seq
}

fn family(request: &[u8]) -> Vec<io::Result<Vec<u8>>> {
    let mut out = Vec::new();
    let family = FamilyMessage { name: "l2tp".to_owned(), id: FAMILY, ..FamilyMessage::default() };
    family.emit(&mut out, Header { seq: seq(request), ..Header::default() });
    vec![Ok(out), acknowledged(request, None, ExtAck::default())]
}

fn acknowledged(request: &[u8], errno: Option<Errno>, ext: ExtAck) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    let options = AckOptions { cap_ack: false, ext_ack: true };
    emit_ack(&mut out, &Messages::new(request).next().unwrap(), 1, options, errno, &ext);
    Ok(out)
}

fn good(request: &[u8]) -> Vec<io::Result<Vec<u8>>> {
    vec![acknowledged(request, None, ExtAck::default())]
}

/// A page of a dump: the tunnels with these ids.
fn page(request: &[u8], ids: &[u32], flags: u16) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    for conn_id in ids {
        let header = Header { kind: FAMILY, flags: NLM_F_MULTI | flags, seq: seq(request), port: 1 };
        let tunnel = TunnelMessage { conn_id: *conn_id, ..TunnelMessage::default() };
        tunnel.emit(&mut out, header, L2TP_CMD_TUNNEL_GET);
    }
    Ok(out)
}

fn done(request: &[u8]) -> io::Result<Vec<u8>> {
    let mut out = Vec::new();
    emit_done(&mut out, seq(request), 1);
    Ok(out)
}

fn three_pages(request: &[u8]) -> Vec<io::Result<Vec<u8>>> {
    vec![page(request, &[1, 2], 0), page(request, &[3], 0), page(request, &[4], 0), done(request)]
}

fn ids<T: Transport>(connection: &mut Connection<T>) -> Vec<u32> {
    connection.tunnels().unwrap().map(|tunnel| tunnel.unwrap().conn_id).collect()
}

#[test]
fn a_dump_is_read_page_by_page() {
    let mut connection = connection(&[three_pages]);
    assert_eq!(ids(&mut connection), [1, 2, 3, 4]);
}

#[test]
fn what_is_not_read_of_a_dump_is_passed_over() {
    let mut connection = connection(&[three_pages, good, three_pages]);
    assert_eq!(connection.tunnels().unwrap().next().unwrap().unwrap().conn_id, 1);
    connection.noop().unwrap();
    assert_eq!(ids(&mut connection), [1, 2, 3, 4]);
}

#[test]
fn a_refusal_has_number_words_and_place() {
    let mut connection = connection(&[|request| {
        let ext = ExtAck { message: Some("no"), offset: Some(20), rule: None };
        vec![acknowledged(request, Some(Errno::ERANGE), ext)]
    }]);
    match connection.delete_tunnel(1).unwrap_err() {
        Error::Refused { errno, message, offset } => {
            assert_eq!((errno, message.as_deref(), offset), (Errno::ERANGE, Some("no"), Some(20)));
        }
        other => panic!("{other}"),
    }
}

#[test]
fn warnings_are_kept_until_asked_for() {
    let mut connection = connection(&[
        |request| vec![acknowledged(request, None, ExtAck { message: Some("careful"), ..ExtAck::default() })],
        |request| vec![page(request, &[1], 0x10), done(request)],
    ]);
    connection.noop().unwrap();
    ids(&mut connection);
    assert_eq!(connection.take_warnings(), [Warning::Said("careful".to_owned()), Warning::DumpInterrupted]);
    assert_eq!(connection.take_warnings(), []);
}

#[test]
fn a_late_answer_is_passed_over() {
    let mut connection = connection(&[
        |_| vec![Err(io::ErrorKind::TimedOut.into())],
        |request| {
            // Numbers of requests rise by one.
            let mut late = request.to_vec();
            late[8..12].copy_from_slice(&(seq(request) - 1).to_ne_bytes());
            vec![acknowledged(&late, Some(Errno::EBUSY), ExtAck::default()), good(request).remove(0)]
        },
    ]);
    let error = connection.delete_tunnel(1).unwrap_err();
    assert!(matches!(&error, Error::Io(error) if error.kind() == io::ErrorKind::TimedOut), "{error}");
    connection.delete_tunnel(2).unwrap();
}

#[test]
fn an_end_and_nonsense_are_told_apart() {
    let mut connection = connection(&[|_| vec![Ok(Vec::new())], |_| vec![Ok(vec![7; 15])], good]);
    for kind in [io::ErrorKind::UnexpectedEof, io::ErrorKind::InvalidData] {
        let error = connection.noop().unwrap_err();
        assert!(matches!(&error, Error::Io(error) if error.kind() == kind), "{error}");
    }
    // An answer without what was asked for is nonsense too.
    assert!(matches!(connection.tunnel(1), Err(Error::Io(_))));
}

#[test]
fn a_socket_goes_beside_the_request_that_names_it() {
    let mut connection = connection(&[good, good]);
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let nowhere = "0.0.0.0:0".parse().unwrap();
    connection.create_tunnel_on(&socket, &TunnelCreate::udp(1, 2, nowhere, nowhere)).unwrap();
    connection.delete_session(&SessionKey::Ifname("l2tpeth0".to_owned())).unwrap();
    let transport = connection.conversation.into_transport();
    assert_eq!(transport.descriptors, [None, Some(socket.as_raw_fd()), None]);
    let request = Messages::new(&transport.requests[1]).next().unwrap();
    let (_, attributes) = GenlHeader::split(request.payload).unwrap();
    let named = Attributes::new(attributes).find_last(L2TP_ATTR_FD).unwrap().u32();
    assert_eq!(named, Some(u32::try_from(socket.as_raw_fd()).unwrap()));
}

/// A daemon that answers two requests, and gives what came beside the second.
fn serve(listener: &DoorListener) -> Vec<OwnedFd> {
    let stream = loop {
        match listener.accept().unwrap() {
            Some(stream) => break stream,
            None => std::thread::sleep(Duration::from_millis(1)),
        }
    };
    stream.set_nonblocking(false).unwrap();
    let (mut buffer, mut descriptors) = (vec![0; 1 << 16], Vec::new());
    for script in [family as Script, good] {
        let length = stream.recv(&mut buffer, &mut descriptors).unwrap();
        for answer in script(&buffer[..length]) {
            stream.send(&answer.unwrap(), &[]).unwrap();
        }
    }
    descriptors
}

#[test]
fn the_door_hands_the_socket_itself_over() {
    let name = format!("l2tp-client-test-{}", std::process::id());
    let listener = DoorListener::bind(name.as_bytes()).unwrap();
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let port = socket.local_addr().unwrap().port();
    let received = std::thread::scope(|scope| {
        let daemon = scope.spawn(|| serve(&listener));
        let stream = DoorStream::connect(name.as_bytes()).unwrap();
        let mut connection = Connection::over(Socket::from(stream)).unwrap();
        connection.set_timeout(Some(Duration::from_secs(20))).unwrap();
        let nowhere = "0.0.0.0:0".parse().unwrap();
        connection.create_tunnel_on(socket.as_fd(), &TunnelCreate::udp(1, 2, nowhere, nowhere)).unwrap();
        daemon.join().unwrap()
    });
    let [received] = <[OwnedFd; 1]>::try_from(received).unwrap();
    assert_eq!(UdpSocket::from(received).local_addr().unwrap().port(), port);
}

#[test]
fn a_silent_daemon_is_given_up() {
    let name = format!("l2tp-client-silent-{}", std::process::id());
    let _listener = DoorListener::bind(name.as_bytes()).unwrap();
    let socket = Socket::from(DoorStream::connect(name.as_bytes()).unwrap());
    socket.set_timeout(Some(Duration::from_millis(20))).unwrap();
    let error = Connection::over(socket).err().unwrap();
    assert!(matches!(&error, Error::Io(error) if error.kind() == io::ErrorKind::TimedOut), "{error}");
}
