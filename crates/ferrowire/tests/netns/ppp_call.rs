//! What a PPP daemon does, call by call, without PPP's own negotiation: sockets, channel, unit, device.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use l2tp_abi::Errno;
use l2tp_abi::genl::ferrowire::socket::{SocketAnswer, SocketCall, SocketRequest};
use l2tp_abi::ppp::ioctl::{PPPIOCATTCHAN, PPPIOCCONNECT, PPPIOCGCHAN, PPPIOCNEWUNIT};
use l2tp_abi::sockaddr::{AF_PPPOX, Pppol2tpForm, SockaddrPppol2tp};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::door::Door;
use crate::host::Host;

/// A socket or an open file that the daemon holds for a program.
pub(crate) struct Object {
    pub(crate) descriptor: OwnedFd,
    pub(crate) number: u64,
}

impl Object {
    pub(crate) fn open(door: &mut Door, call: SocketCall<'_>) -> Self {
        let (answer, descriptor) = door.call(SocketRequest { socket: None, call }, &[]).unwrap();
        let SocketAnswer::Opened(number) = answer else { panic!("{answer:?}") };
        Self { descriptor: descriptor.unwrap(), number }
    }

    pub(crate) fn call(
        &self,
        door: &mut Door,
        call: SocketCall<'_>,
        beside: &[BorrowedFd<'_>],
    ) -> Result<SocketAnswer, Errno> {
        door.call(SocketRequest { socket: Some(self.number), call }, beside).map(|(answer, _)| answer)
    }

    /// A request with a number; the number that comes back.
    pub(crate) fn ioctl(&self, door: &mut Door, request: u32, value: i32) -> Result<i32, Errno> {
        let argument = &value.to_ne_bytes();
        let answer = self.call(door, SocketCall::Ioctl { request, argument }, &[])?;
        let SocketAnswer::Value(bytes) = answer else { panic!("{answer:?}") };
        Ok(bytes.try_into().map_or(0, i32::from_ne_bytes))
    }

    pub(crate) fn write(&self, frame: &[u8]) {
        assert_eq!(rustix::io::write(&self.descriptor, frame), Ok(frame.len()));
    }

    /// The next frame; empty at the end, `None` if nothing comes.
    pub(crate) fn read(&self) -> Option<Vec<u8>> {
        let timeout = Timespec { tv_sec: 5, tv_nsec: 0 };
        let mut waits = [PollFd::new(&self.descriptor, PollFlags::IN)];
        (poll(&mut waits, Some(&timeout)).unwrap() > 0).then(|| {
            let mut buffer = vec![0; 2000];
            let length = rustix::io::read(&self.descriptor, &mut buffer).unwrap();
            buffer.truncate(length);
            buffer
        })
    }

    /// Whether something can be read now.
    pub(crate) fn waits(&self) -> bool {
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        poll(&mut [PollFd::new(&self.descriptor, PollFlags::IN)], Some(&now)).unwrap() > 0
    }
}

/// One end of a call.
pub(crate) struct Call {
    pub(crate) door: Door,
    pub(crate) session: Object,
    pub(crate) channel: Object,
    pub(crate) unit: Object,
    /// What holds the tunnel: its UDP socket and its management socket, unless it was made by a command.
    pub(crate) tunnel: Option<(UdpSocket, Object)>,
}

/// Ids of the tunnel and of the session at the end with this number.
pub(crate) fn ids(number: u32) -> (u32, u32) {
    (100 + number, 200 + number)
}

/// A program's UDP socket to the other end, ports 1701.
pub(crate) fn udp(host: &Host, local: &str, peer: &str) -> UdpSocket {
    let at = |text: &str| SocketAddr::new(text.parse().unwrap(), 1701);
    host.here(|| {
        let socket = UdpSocket::bind(at(local)).unwrap();
        socket.connect(at(peer)).unwrap();
        socket
    })
}

/// The address of session `session` in tunnel `tunnel`, each as ours and the peer's.
pub(crate) fn address(form: Pppol2tpForm, tunnel: (u32, u32), session: (u32, u32)) -> Vec<u8> {
    let nowhere =
        if matches!(form, Pppol2tpForm::V2In | Pppol2tpForm::V3In) { "0.0.0.0:0" } else { "[::]:0" };
    SockaddrPppol2tp {
        form,
        pid: 0,
        fd: 3,
        peer: nowhere.parse().unwrap(),
        s_tunnel: tunnel.0,
        s_session: session.0,
        d_tunnel: tunnel.1,
        d_session: session.1,
    }
    .emit()
}

impl Call {
    /// Tunnel, session, channel and unit of the end `number` (1 or 2), addresses `local` and `peer`.
    pub(crate) fn new(host: &Host, form: Pppol2tpForm, number: u32, local: &str, peer: &str) -> Self {
        Self::on(host, form, number, udp(host, local, peer))
    }

    /// The same on a program's UDP socket that is there.
    pub(crate) fn on(host: &Host, form: Pppol2tpForm, number: u32, udp: UdpSocket) -> Self {
        let mut door = host.door();
        let (own, other) = (ids(number), ids(3 - number));
        let management = Object::open(&mut door, SocketCall::Open(AF_PPPOX));
        let tunnel = address(form, (own.0, other.0), (0, 0));
        management.call(&mut door, SocketCall::Connect(&tunnel), &[udp.as_fd()]).unwrap();
        let ids = address(form, (own.0, other.0), (own.1, other.1));
        Self::over(door, &ids, Some((udp, management)))
    }

    /// Session, channel and unit in a tunnel that is there.
    pub(crate) fn over(mut door: Door, ids: &[u8], tunnel: Option<(UdpSocket, Object)>) -> Self {
        let session = Object::open(&mut door, SocketCall::Open(AF_PPPOX));
        session.call(&mut door, SocketCall::Connect(ids), &[]).unwrap();
        let channel = Object::open(&mut door, SocketCall::OpenPpp);
        let index = session.ioctl(&mut door, PPPIOCGCHAN, 0).unwrap();
        channel.ioctl(&mut door, PPPIOCATTCHAN, index).unwrap();
        let unit = Object::open(&mut door, SocketCall::OpenPpp);
        let number = unit.ioctl(&mut door, PPPIOCNEWUNIT, -1).unwrap();
        channel.ioctl(&mut door, PPPIOCCONNECT, number).unwrap();
        Self { door, session, channel, unit, tunnel }
    }

    /// Addresses for ppp0, as negotiated.
    pub(crate) fn configure(host: &Host, number: u32) {
        let other = 3 - number;
        host.ip_batch(&format!(
            "link set ppp0 mtu 1400 up\n\
             addr add 10.64.0.{number} peer 10.64.0.{other} dev ppp0\n\
             addr add fd64::{number} peer fd64::{other} dev ppp0 nodad\n"
        ));
    }
}
