//! One end of many calls: a program that has negotiated already.

use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};

use l2tp_client::ppp::{File, Ppp, Pppol2tpForm, Session, SockaddrPppol2tp};

use crate::MTU;
use crate::host::{Host, outer};

/// The tunnel, and what keeps its sessions.
pub(crate) struct End<'a> {
    host: &'a Host,
    ppp: Ppp,
    calls: Vec<(Session, File, File)>,
    _udp: UdpSocket,
}

/// The address of host `host` in call `number`: of a network of four.
pub(crate) fn address(host: u8, number: u16) -> IpAddr {
    let network = u32::from(Ipv4Addr::new(10, 64, 0, 0)) + 4 * u32::from(number);
    Ipv4Addr::from(network + u32::from(host)).into()
}

fn name(host: u8, session: u32) -> SockaddrPppol2tp {
    SockaddrPppol2tp {
        form: Pppol2tpForm::of(true, true),
        pid: 0,
        fd: -1,
        peer: SocketAddr::new(outer(3 - host), 1701),
        s_tunnel: host.into(),
        s_session: session,
        d_tunnel: (3 - host).into(),
        d_session: session,
    }
}

impl<'a> End<'a> {
    /// A tunnel to the other host.
    pub(crate) fn new(host: &'a Host) -> Self {
        let number = host.number;
        host.here(|| {
            let udp = UdpSocket::bind((outer(number), 1701)).unwrap();
            udp.connect((outer(3 - number), 1701)).unwrap();
            let mut ppp = Ppp::door().unwrap();
            let management = ppp.open_session().unwrap();
            ppp.connect(&management, &name(number, 0), Some(&udp)).unwrap();
            Self { host, ppp, calls: Vec::new(), _udp: udp }
        })
    }

    /// A call, up to the addresses on its device.
    pub(crate) fn call(&mut self, number: u16) {
        let ppp = &mut self.ppp;
        let session = ppp.open_session().unwrap();
        ppp.connect(&session, &name(self.host.number, u32::from(number) + 1), None).unwrap();
        let (channel, unit) = (ppp.open().unwrap(), ppp.open().unwrap());
        let index = ppp.channel_index(&session).unwrap();
        ppp.attach_channel(&channel, index).unwrap();
        let device = ppp.new_unit(&unit, None).unwrap();
        ppp.connect_unit(&channel, device).unwrap();
        self.calls.push((session, channel, unit));
        self.host.configure(&format!("ppp{device}"), address(self.host.number, number), 30, MTU);
    }
}
