//! What the programs are told of a session, or why they cannot carry it.

use std::borrow::Cow;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use l2tp_core::carriage::Carriage;
use l2tp_core::{Encap, Endpoints, PwType};
use l2tp_ebpf::{Carrier, Deliver, Pattern, Payload, Route, Rx, Session, Tx};
use l2tp_io::udp::Settings;

use super::ways::Hop;
use crate::device::Device;
use crate::socket::TunnelSocket;

/// Why the programs do not carry a session, for the operator to read.
pub(super) type Reason = Cow<'static, str>;

/// How a session is to be carried.
pub(super) struct Plan {
    pub(super) session: Session,
    pub(super) hop: Hop,
    /// Whether its socket is a program's, who may connect it anew at any time.
    pub(super) is_followed: bool,
}

/// Plans how the programs carry a session whose frames come and go by `device`, an index; `find` finds the way from our address to
/// the peer's.
pub(super) fn plan(
    carriage: &Carriage<Arc<TunnelSocket>>,
    device: u32,
    find: impl FnOnce(IpAddr, IpAddr) -> Result<(Route, Hop), Reason>,
) -> Result<Plan, Reason> {
    let endpoints = carriage.socket.endpoints();
    let settings = settings(&carriage.socket);
    if settings.is_some_and(|settings| settings.device != 0) {
        return Err("the tunnel's socket is bound to a device".into());
    }
    let (local, peer) = (canonical(endpoints.local), canonical(endpoints.peer));
    check_endpoints(carriage.encap, &endpoints, local, peer)?;
    let (route, hop) = find(local.ip(), peer.ip())?;
    let carrier = match carriage.encap {
        Encap::Udp => Carrier::Udp { local_port: local.port(), peer_port: peer.port() },
        Encap::Ip => Carrier::Ip,
    };
    let tx = tx(device, carriage.header(), route, settings, peer.is_ipv6());
    let rx =
        Rx { pattern: pattern(carriage), deliver: Deliver::At(device), zero_csum6: endpoints.zero_csum6_rx };
    let session = Session {
        local: local.ip(),
        peer: peer.ip(),
        carrier,
        payload: if carriage.pw_type == PwType::Ppp { Payload::Ppp } else { Payload::Ethernet },
        tx: Some(tx),
        rx: Some(rx),
    };
    let is_followed = matches!(*carriage.socket, TunnelSocket::Managed(_) | TunnelSocket::L2tpip { .. });
    Ok(Plan { session, hop, is_followed })
}

/// The device at which the programs take and give the frames of an Ethernet session.
pub(super) fn lower_of(device: Option<&Arc<Device>>) -> Result<u32, Reason> {
    let device = device.ok_or("it has no device")?;
    if device.upper.is_none() {
        return Err("this kernel has no macvlan: its device is a TAP".into());
    }
    Ok(device.tap.index())
}

fn check_endpoints(
    encap: Encap,
    endpoints: &Endpoints,
    local: SocketAddr,
    peer: SocketAddr,
) -> Result<(), Reason> {
    if peer.ip().is_unspecified() || local.ip().is_unspecified() {
        return Err("its tunnel is not connected to a peer".into());
    }
    if encap == Encap::Ip {
        return Ok(());
    }
    let sends_checksums = if peer.is_ipv4() { endpoints.udp_csum } else { !endpoints.zero_csum6_tx };
    if sends_checksums {
        return Err("its tunnel sends UDP checksums".into());
    }
    if peer.is_ipv6() && !endpoints.zero_csum6_rx {
        return Err("its tunnel takes no packets without UDP checksum".into());
    }
    Ok(())
}

/// An address of IPv4, where it stands in one of IPv6.
fn canonical(address: SocketAddr) -> SocketAddr {
    SocketAddr::new(address.ip().to_canonical(), address.port())
}

/// The settings of a program's socket.
fn settings(socket: &TunnelSocket) -> Option<Settings> {
    if let TunnelSocket::Managed(socket) = socket { Some(socket.settings()) } else { None }
}

fn tx(device: u32, header: &[u8], route: Route, settings: Option<Settings>, is_ipv6: bool) -> Tx {
    let byte = |value: i32, default: u8| u8::try_from(value).unwrap_or(default);
    let (tos, ttl) = match &settings {
        Some(settings) if is_ipv6 => (byte(settings.tclass, 0), byte(settings.hops, DEFAULT_TTL)),
        Some(settings) => (byte(settings.tos, 0), byte(settings.ttl, DEFAULT_TTL)),
        None => (0, DEFAULT_TTL),
    };
    let mark = settings.map_or(0, |settings| settings.mark.cast_unsigned());
    Tx { device, header: header.to_vec(), route, tos, ttl, flow_label: 0, mark, cutter: None }
}

/// `net.ipv4.ip_default_ttl` and `net.ipv6.conf.all.hop_limit`, where nobody has changed them.
const DEFAULT_TTL: u8 = 64;

fn pattern(carriage: &Carriage<Arc<TunnelSocket>>) -> Pattern {
    if carriage.is_v2 {
        return Pattern::V2 { tunnel_id: low16(carriage.tunnel_id), session_id: low16(carriage.session_id) };
    }
    Pattern::V3 {
        session_id: carriage.session_id,
        cookie: carriage.peer_cookie.as_bytes().to_vec(),
        sublayer: carriage.sublayer,
    }
}

/// What L2TPv2 carries of an id.
fn low16(id: u32) -> u16 {
    let [_, _, high, low] = id.to_be_bytes();
    u16::from_be_bytes([high, low])
}
