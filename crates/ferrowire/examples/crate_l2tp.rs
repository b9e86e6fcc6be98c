//! An application on the crate `l2tp`, which knows nothing of Ferrowire: every form of tunnel and sessions in each, made, heard
//! of, listed, changed, counted and deleted.
//!
//! ```text
//! cargo build -p ferrowire --examples
//! unshare --net sh -c 'ip link set lo up; ferrowire exec --private -- target/debug/examples/crate_l2tp'
//! ```
#![expect(clippy::print_stdout, reason = "a command-line tool")]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::slice::from_ref;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use l2tp::blocking::{BoundedEventIter, L2tpHandle, SessionHandle, TunnelHandle};
use l2tp::{
    Cookie, Encapsulation, HandleConfig, IpEndpoint, L2tpEvent, L2tpIfNameExt, L2tpVersion, PppSocket,
    PppUnit, PseudowireType, SessionConfig, SessionId, SessionInfo, SessionModify, SessionStats,
    TunnelConfig, TunnelId, TunnelInfo, TunnelSocket, TunnelStats, UdpEndpoint,
};

const EEXIST: i32 = 17;
const ENODEV: i32 = 19;

fn main() -> Result<()> {
    let mut application = Application::new()?;
    let (ip4, ip6) = (IpEndpoint::V4(Ipv4Addr::LOCALHOST), IpEndpoint::v6(Ipv6Addr::LOCALHOST));
    for (name, encapsulation) in [
        ("UDP/IPv4", udp(Ipv4Addr::LOCALHOST)),
        ("UDP/IPv6", udp(Ipv6Addr::LOCALHOST)),
        ("IP/IPv4", Encapsulation::Ip { local: ip4.clone(), remote: ip4 }),
        ("IP/IPv6", Encapsulation::Ip { local: ip6.clone(), remote: ip6 }),
    ] {
        for (kind, managed) in [("unmanaged", false), ("managed", true)] {
            application.play(&encapsulation, managed).with_context(|| format!("{kind} {name}"))?;
            println!("{kind} {name}: as it should be");
        }
    }
    Ok(())
}

/// UDP between two ports of the loopback interface; the settings are those that the address family can have.
fn udp(address: impl Into<IpAddr>) -> Encapsulation {
    let address = address.into();
    Encapsulation::Udp {
        local: UdpEndpoint::from(SocketAddr::new(address, 5000)),
        remote: UdpEndpoint::from(SocketAddr::new(address, 5001)),
        udp_csum: address.is_ipv4(),
        udp_zero_csum6_tx: address.is_ipv6(),
        udp_zero_csum6_rx: false,
    }
}

struct Application {
    l2tp: L2tpHandle,
    events: BoundedEventIter,
    /// Tunnels so far, for ids that are new.
    tunnels: u32,
}

impl Application {
    fn new() -> Result<Self> {
        let l2tp = L2tpHandle::new(HandleConfig::default())?;
        let events = l2tp.events_bounded()?;
        Ok(Self { l2tp, events, tunnels: 0 })
    }

    /// The life of a tunnel and of the sessions in it.
    fn play(&mut self, encapsulation: &Encapsulation, managed: bool) -> Result<()> {
        self.tunnels += 1;
        let ids = (TunnelId(100 + self.tunnels), TunnelId(200 + self.tunnels));
        let config = TunnelConfig::new(ids.0, ids.1, encapsulation.clone())?;
        let tunnel = self.create_tunnel(&config, managed)?;
        let session = self.create_session(ids.0)?;
        ensure!(session.stats()? == SessionStats::default() && tunnel.stats()? == TunnelStats::default());
        if let Encapsulation::Udp { local, remote, .. } = encapsulation {
            let peer = UdpSocket::bind(SocketAddr::from(remote.clone()))?;
            peer.connect(SocketAddr::from(local.clone()))?;
            hear_from(&peer, &tunnel, &session)?;
        }
        self.change_session(&session)?;
        self.delete_session(session)?;
        self.call(&config)?;
        self.end_tunnel(tunnel)
    }

    fn create_tunnel(&mut self, config: &TunnelConfig, managed: bool) -> Result<TunnelHandle> {
        let tunnel = if managed {
            self.l2tp.create_tunnel(config.clone(), TunnelSocket::for_config(config, None)?)?
        } else {
            self.l2tp.create_unmanaged_tunnel(config.clone())?
        };
        let info = tunnel.get()?;
        ensure!((info.tunnel_id, info.peer_tunnel_id) == (config.tunnel_id(), config.peer_tunnel_id()));
        ensure!(info.version == L2tpVersion::V3 && !info.using_ipsec, "{info:?}");
        ensure!(info.encapsulation == *config.encapsulation(), "{info:?}");
        ensure!(self.l2tp.list_tunnels()? == from_ref(&info), "{:?}", self.l2tp.list_tunnels());
        ensure!(self.hear()? == L2tpEvent::TunnelCreated(info));
        refused(EEXIST, self.l2tp.create_unmanaged_tunnel(config.clone()))?;
        Ok(tunnel)
    }

    fn create_session(&mut self, tunnel_id: TunnelId) -> Result<SessionHandle> {
        let (session_id, peer_session_id) = (SessionId(tunnel_id.0 + 200), SessionId(tunnel_id.0 + 300));
        let config = SessionConfig {
            cookie: Cookie::from(*b"cookie 8"),
            peer_cookie: Cookie::from(*b"four"),
            send_seq: true,
            recv_timeout_ms: Some(100),
            ifname: Some(format!("pw{session_id}").parse()?),
            ..SessionConfig::eth(tunnel_id, session_id, peer_session_id)
        };
        let session = self.l2tp.create_session(config.clone())?;
        let info = session.get()?;
        ensure!((info.tunnel_id, info.session_id) == (tunnel_id, session_id));
        ensure!(info.peer_session_id == peer_session_id && info.pseudowire_type == PseudowireType::Eth);
        ensure!(info.cookie == config.cookie.into() && info.peer_cookie == config.peer_cookie.into());
        ensure!((info.send_seq, info.recv_seq, info.lns_mode) == (true, false, false), "{info:?}");
        ensure!((info.recv_timeout_ms, info.ifname) == (Some(100), config.ifname), "{info:?}");
        let device = info.ifname.context("a device")?;
        ensure!(session.ifindex() == Some(device.index()?));
        ensure!(self.l2tp.get_session_by_ifname(device)? == info);
        ensure!(self.l2tp.list_sessions(tunnel_id)? == from_ref(&info));
        ensure!(self.l2tp.list_all_sessions()? == from_ref(&info));
        ensure!(self.hear()? == L2tpEvent::SessionCreated(info));
        refused(EEXIST, self.l2tp.create_session(config))?;
        Ok(session)
    }

    fn change_session(&mut self, session: &SessionHandle) -> Result<()> {
        let before = session.get()?;
        session.modify(SessionModify {
            recv_seq: Some(true),
            send_seq: Some(false),
            lns_mode: Some(true),
            recv_timeout_ms: Some(2000),
        })?;
        let SessionInfo { recv_seq, send_seq, lns_mode, recv_timeout_ms, .. } = session.get()?;
        ensure!((recv_seq, send_seq, lns_mode, recv_timeout_ms) == (true, false, true, Some(2000)));
        ensure!(session.get()?.cookie == before.cookie && session.get()?.ifname == before.ifname);
        ensure!(self.hear()? == L2tpEvent::SessionModified(session.get()?));
        Ok(())
    }

    fn delete_session(&mut self, session: SessionHandle) -> Result<()> {
        let (info, device) = (session.get()?, session.ifname().copied().context("a device")?);
        session.delete()?;
        ensure!(self.hear()? == L2tpEvent::SessionDeleted(info.clone()));
        refused(ENODEV, self.l2tp.get_session(info.tunnel_id, info.session_id))?;
        refused(ENODEV, self.l2tp.delete_session_by_ifname(device))?;
        eventually("the device is gone", || Ok(device.index().is_err()))?;
        ensure!(self.l2tp.list_all_sessions()?.is_empty());
        Ok(())
    }

    /// A PPP session: it lives as long as its PPPoL2TP socket, whose channel a pppN is connected to, twice.
    fn call(&mut self, config: &TunnelConfig) -> Result<()> {
        let (tunnel_id, peer_tunnel_id) = (config.tunnel_id(), config.peer_tunnel_id());
        let (session_id, peer_session_id) = (SessionId(1), SessionId(2));
        let mut session =
            self.l2tp.create_session(SessionConfig::ppp(tunnel_id, session_id, peer_session_id))?;
        session.set_auto_delete(false);
        let info = session.get()?;
        ensure!(info.pseudowire_type == PseudowireType::Ppp, "{info:?}");
        ensure!(self.hear()? == L2tpEvent::SessionCreated(info));
        let connect =
            || PppSocket::connect(L2tpVersion::V3, tunnel_id, peer_tunnel_id, session_id, peer_session_id);
        let socket = connect()?;
        ensure!(socket.channel_index()? > 0);
        refused(EEXIST, connect())?;
        let unit = PppUnit::new()?;
        let device = *unit.ifname();
        ensure!(device.index().is_ok());
        drop(unit.connect_channel(&socket)?);
        drop((unit.connect_channel(&socket)?, unit, socket));
        eventually("the session ends with its socket", || Ok(self.l2tp.list_all_sessions()?.is_empty()))?;
        eventually("the device is gone", || Ok(device.index().is_err()))
    }

    /// By a request; and once more the way a managed tunnel ends with its socket, of which nobody is told.
    fn end_tunnel(&mut self, tunnel: TunnelHandle) -> Result<()> {
        let info = tunnel.get()?;
        let again = TunnelConfig::new(info.tunnel_id, info.peer_tunnel_id, info.encapsulation.clone())?;
        let managed = tunnel.socket().is_some();
        tunnel.delete()?;
        self.is_gone(&info)?;
        ensure!(self.hear()? == L2tpEvent::TunnelDeleted(info.clone()));
        if managed {
            let mut tunnel = self.create_tunnel(&again, true)?;
            tunnel.set_auto_delete(false);
            drop(tunnel);
            eventually("the tunnel ends with its socket", || Ok(self.l2tp.list_tunnels()?.is_empty()))?;
            self.is_gone(&info)?;
        }
        Ok(())
    }

    fn is_gone(&self, tunnel: &TunnelInfo) -> Result<()> {
        refused(ENODEV, self.l2tp.get_tunnel(tunnel.tunnel_id))?;
        refused(ENODEV, self.l2tp.tunnel_stats(tunnel.tunnel_id))?;
        refused(ENODEV, self.l2tp.delete_tunnel(tunnel.tunnel_id))
    }

    /// The next event.
    fn hear(&mut self) -> Result<L2tpEvent> {
        self.events.next().context("no more events")?.context("an event")
    }
}

/// The other end sends a control message, which is the program's if the socket is, and a data message with a wrong cookie, which
/// is counted.
fn hear_from(peer: &UdpSocket, tunnel: &TunnelHandle, session: &SessionHandle) -> Result<()> {
    if let Some(socket) = tunnel.socket() {
        // Version 3, an acknowledgement of nothing (RFC 3931, 3.2.1).
        let control = [0xc8, 0x03, 0, 12, 0, 0, 0, 0, 0, 0, 0, 0];
        peer.send(&control)?;
        let (socket, mut buffer) = (UdpSocket::from(socket.try_clone_fd()?), [0; 100]);
        let length = socket.recv(&mut buffer)?;
        ensure!(buffer[..length] == control, "{:?}", &buffer[..length]);
    }
    let mut data = vec![0, 3, 0, 0];
    data.extend(session.session_id().0.to_be_bytes());
    data.extend(b"COOKIE 8");
    data.extend([0; 60]);
    peer.send(&data)?;
    eventually("a wrong cookie is counted", || Ok(session.stats()?.rx_cookie_discards == 1))?;
    let (session, tunnel) = (session.stats()?, tunnel.stats()?);
    ensure!(
        (session.rx_packets, session.rx_errors, tunnel.tx_packets) == (0, 1, 0),
        "{session:?} {tunnel:?}"
    );
    Ok(())
}

/// An error that must be this one.
fn refused<T>(number: i32, result: l2tp::Result<T>) -> Result<()> {
    let told = result.err().map(|error| error.raw_os_error());
    ensure!(told == Some(Some(number)), "not error {number} but {told:?}");
    Ok(())
}

/// What happens in its own time.
fn eventually(what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so()? {
        ensure!(Instant::now() < deadline, "still not so: {what}");
        sleep(Duration::from_millis(5));
    }
    Ok(())
}
