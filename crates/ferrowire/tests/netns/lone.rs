//! A PPP session of the library's whose peer is but a socket: what it sends is read, what it receives is made by hand.

use std::net::UdpSocket;

use l2tp_abi::genl::l2tp::L2TP_PWTYPE_PPP;
use l2tp_client::ppp::{Ppp, Pppol2tpForm, Session, SockaddrPppol2tp};
use l2tp_client::{Connection, SessionCreate, TunnelCreate};

use crate::wait;

/// The session, its tunnel's management socket, and the peer.
pub(crate) struct Lone {
    pub(crate) ppp: Ppp,
    pub(crate) session: Session,
    pub(crate) management: Session,
    pub(crate) peer: UdpSocket,
    /// The tunnel lives as long.
    pub(crate) udp: UdpSocket,
}

impl Lone {
    /// In the namespace of the calling thread, on its loopback interface: a tunnel of this version and the ids of `create`, and
    /// the session.
    pub(crate) fn new(version: u8, create: &SessionCreate) -> Self {
        let [udp, peer] = [(); 2].map(|()| UdpSocket::bind("127.0.0.1:0").unwrap());
        let [own, other] = [&udp, &peer].map(|socket| socket.local_addr().unwrap());
        udp.connect(other).unwrap();
        peer.connect(own).unwrap();
        peer.set_read_timeout(Some(wait::PATIENCE)).unwrap();
        let mut connection = Connection::door().unwrap();
        let tunnel = TunnelCreate::udp(create.conn_id, create.peer_conn_id, own, other);
        connection.create_tunnel_on(&udp, &TunnelCreate { proto_version: version, ..tunnel }).unwrap();
        connection.create_session(&SessionCreate { pw_type: L2TP_PWTYPE_PPP, ..create.clone() }).unwrap();
        let mut address = SockaddrPppol2tp {
            form: Pppol2tpForm::of(version == 2, true),
            pid: 0,
            fd: -1,
            peer: other,
            s_tunnel: create.conn_id,
            s_session: 0,
            d_tunnel: create.peer_conn_id,
            d_session: 0,
        };
        let mut ppp = Ppp::door().unwrap();
        let [management, session] = [(); 2].map(|()| ppp.open_session().unwrap());
        ppp.connect(&management, &address, None).unwrap();
        (address.s_session, address.d_session) = (create.session_id, create.peer_session_id);
        ppp.connect(&session, &address, None).unwrap();
        Self { ppp, session, management, peer, udp }
    }

    /// The packet on the wire that a frame, from its protocol on, becomes.
    pub(crate) fn sent(&self, frame: &[u8]) -> Vec<u8> {
        self.session.write(frame).unwrap();
        let mut buffer = [0; 2000];
        let length = wait::undisturbed(|| self.peer.recv(&mut buffer)).unwrap();
        buffer[..length].to_vec()
    }
}
