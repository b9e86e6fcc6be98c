//! L2TPv3 data packets made by hand.

use l2tp_io::batch::Outgoing;
use l2tp_io::rawip::{Family, RawRoute, RawSocket};
use std::io::IoSlice;
use std::net::{IpAddr, SocketAddr, UdpSocket};

use crate::form::Form;
use crate::host::Host;
use crate::pair::ports;

/// The start of a data packet over UDP: version 3, the reserved field.
pub(crate) const UDP_DATA: [u8; 4] = [0, 3, 0, 0];
/// A sublayer without a number.
pub(crate) const NO_NUMBER: [u8; 4] = [0; 4];

/// The sublayer with a number.
pub(crate) fn numbered(number: u32) -> [u8; 4] {
    (0x4000_0000 | number).to_be_bytes()
}

/// An Ethernet frame of an unassigned type, which names itself.
pub(crate) fn frame(name: u8) -> Vec<u8> {
    let mut frame = vec![0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 0x55, 0x88, 0xb5];
    frame.resize(60, name);
    frame
}

/// A session's packet from its id on.
pub(crate) fn packet(session: u32, cookie: &[u8], sublayer: [u8; 4], payload: &[u8]) -> Vec<u8> {
    [&session.to_be_bytes(), cookie, &sublayer, payload].concat()
}

/// Sends to host a's end of a tunnel as the peer would, from host b, where no daemon has the addresses.
pub(crate) enum Forger {
    Udp(UdpSocket),
    Ip(RawSocket, RawRoute),
}

impl Forger {
    /// As the peer of tunnel `n`.
    pub(crate) fn new(b: &Host, form: Form, n: u16) -> Self {
        let [a_address, b_address] = [1, 2].map(|number| form.address(number).parse::<IpAddr>().unwrap());
        let family = if form.is_v4() { Family::V4 } else { Family::V6 };
        b.here(|| {
            if !form.is_udp() {
                let route = RawRoute::new(b_address, a_address);
                return Self::Ip(RawSocket::open(family).unwrap(), route);
            }
            let socket = UdpSocket::bind(SocketAddr::new(b_address, ports(n).1)).unwrap();
            socket.connect(SocketAddr::new(a_address, ports(n).0)).unwrap();
            Self::Udp(socket)
        })
    }

    /// Sends bytes as a UDP or IP payload.
    pub(crate) fn send(&self, bytes: &[u8]) {
        match self {
            Self::Udp(socket) => drop(socket.send(bytes).unwrap()),
            Self::Ip(socket, route) => {
                let parts = [IoSlice::new(bytes)];
                let report = socket.send_batch(route, &[Outgoing { parts: &parts, segment: None }]);
                assert_eq!(report.sent, 1, "{report:?}");
            }
        }
    }

    /// Sends a session's packet: see [`packet`].
    pub(crate) fn send_data(&self, packet: &[u8]) {
        match self {
            Self::Udp(_) => self.send(&[&UDP_DATA, packet].concat()),
            Self::Ip(..) => self.send(packet),
        }
    }
}
