//! One end of a PPP session of L2TPv2: a program that has negotiated already.

use std::net::{SocketAddr, UdpSocket};

use anyhow::Context;
use l2tp_client::ppp::{File, Ppp, Pppol2tpForm, Session, SockaddrPppol2tp};
use l2tp_io::rtnl::Rtnl;
use l2tp_io::sockopt;

use crate::stage::{MTU, underlay};

/// Port of both ends (RFC 2661 section 8.1).
const L2TP_PORT: u16 = 1701;
/// Outer IP, UDP and L2TPv2 headers, FF 03 and the protocol.
const HEADER_BYTES: u32 = 20 + 8 + 6 + 4;
const SESSION_ID: u32 = 1;
/// `SOL_SOCKET` and `SO_NO_CHECK` of include/uapi/asm-generic/socket.h: without UDP checksums, as xl2tpd and as BPF needs it.
const SOL_SOCKET: i32 = 1;
const SO_NO_CHECK: i32 = 11;

/// A tunnel with one session, and the device that it ends in. All are gone with this value.
pub(super) struct End {
    device: String,
    _held: (Ppp, Session, Session, File, File, UdpSocket),
}

impl End {
    /// Makes tunnel, session and device on host `number`, in whose namespace the calling thread is.
    pub(super) fn call(number: u8) -> anyhow::Result<Self> {
        let peer = SocketAddr::new(underlay(false, 3 - number), L2TP_PORT);
        let udp = UdpSocket::bind((underlay(false, number), L2TP_PORT))?;
        udp.connect(peer)?;
        sockopt::set(&udp, SOL_SOCKET, SO_NO_CHECK, 1)?;
        let address = |session| SockaddrPppol2tp {
            form: Pppol2tpForm::of(true, true),
            pid: 0,
            fd: -1,
            peer,
            s_tunnel: number.into(),
            s_session: session,
            d_tunnel: (3 - number).into(),
            d_session: session,
        };
        let mut ppp = Ppp::door()?;
        let management = ppp.open_session()?;
        ppp.connect(&management, &address(0), Some(&udp)).context("tunnel")?;
        let session = ppp.open_session()?;
        ppp.connect(&session, &address(SESSION_ID), None).context("session")?;
        let (channel, unit) = (ppp.open()?, ppp.open()?);
        let index = ppp.channel_index(&session)?;
        ppp.attach_channel(&channel, index)?;
        let number = ppp.new_unit(&unit, None)?;
        ppp.connect_unit(&channel, number)?;
        let device = format!("ppp{number}");
        let mut rtnl = Rtnl::open()?;
        let index = rtnl.index_of(&device)?;
        rtnl.set_mtu(index, MTU - HEADER_BYTES)?;
        Ok(Self { device, _held: (ppp, management, session, channel, unit, udp) })
    }

    /// Name of the device.
    pub(super) fn device(&self) -> &str {
        &self.device
    }
}
