//! How tunnels and sessions come and go. Every way to die ends in `end_tunnel` or `end_session`: by a command, which tells
//! of it, or by `remove_tunnel` and `remove_session`, which leave word with [`Engine::poll_death`].

use alloc::boxed::Box;
use alloc::string::ToString;

use crate::Engine;
use crate::config::{
    DEFAULT_IFNAME, SessionChange, SessionConfig, SessionSelector, TunnelConfig, check_device_name,
};
use crate::drop_reason::DropReason;
use crate::error::Error;
use crate::host::{DeviceRequest, Host};
use crate::mtu::device_mtu;
use crate::rx::reorder::ReorderQueue;
use crate::rx::seq::RxSeq;
use crate::session::{Session, SessionKey};
use crate::stats::Stats;
use crate::time::to_jiffies;
use crate::trace::tracepoint;
use crate::tunnel::{Tunnel, TunnelKey};
use crate::tx::low16;

use super::deaths::Death;
use super::ids::SessionId;

impl<S: Clone, D: Clone> Engine<S, D> {
    /// Makes a tunnel (`L2TP_CMD_TUNNEL_CREATE`); `descriptor` is the program's socket, where the request names one.
    ///
    /// # Errors
    /// [`Error::TunnelExists`], [`Error::Full`], or what the host answered. Nothing is left behind.
    pub fn create_tunnel<H: Host<Socket = S, Device = D>>(
        &mut self,
        host: &mut H,
        config: TunnelConfig,
        descriptor: Option<H::Descriptor>,
    ) -> Result<TunnelKey, Error> {
        if self.find_tunnel(config.tunnel_id).is_ok() {
            return Err(Error::TunnelExists);
        }
        if self.tunnels.len() >= self.limits.tunnels {
            return Err(Error::Full);
        }
        let socket = host.open_socket(TunnelKey(self.tunnels.vacant_key()), &config, descriptor)?;
        let tunnel_id = config.tunnel_id;
        let tunnel = Tunnel::new(config, socket);
        tracepoint!(register_tunnel(&tunnel));
        let key = TunnelKey(self.tunnels.insert(tunnel));
        self.tunnel_ids.insert(tunnel_id, key);
        Ok(key)
    }

    /// Removes a tunnel and its sessions (`L2TP_CMD_TUNNEL_DELETE`). Ids are free for use at once.
    ///
    /// # Errors
    /// [`Error::NoTunnel`].
    pub fn delete_tunnel<H: Host<Socket = S, Device = D>>(
        &mut self,
        host: &mut H,
        tunnel_id: u32,
    ) -> Result<(), Error> {
        let key = self.find_tunnel(tunnel_id)?;
        self.end_tunnel(host, key);
        Ok(())
    }

    /// Gives a tunnel without a peer's id (0) one; any other keeps its own. Its packets carry it from now on.
    pub fn adopt_peer_tunnel_id(&mut self, key: TunnelKey, peer_tunnel_id: u32) {
        let Some(tunnel) = self.tunnels.get_mut(key.0).filter(|tunnel| tunnel.config.peer_tunnel_id == 0)
        else {
            return;
        };
        tunnel.config.peer_tunnel_id = peer_tunnel_id;
        for key in tunnel.sessions.values() {
            if let Some(session) = self.sessions.get_mut(key.0) {
                session.peer_tunnel_id = peer_tunnel_id;
            }
            self.changed.insert(*key);
        }
    }

    /// Removes everything: the namespace goes, or the daemon stops.
    pub fn clear<H: Host<Socket = S, Device = D>>(&mut self, host: &mut H) {
        while let Some((_, key)) = self.tunnel_ids.first_key_value() {
            let key = *key;
            self.remove_tunnel(host, key);
        }
    }

    /// Removes a tunnel that no command has named, if it is still there: its socket was closed.
    pub fn remove_tunnel<H: Host<Socket = S, Device = D>>(&mut self, host: &mut H, key: TunnelKey) {
        self.settle_tunnel(host, key);
        let Some(tunnel) = self.tunnels.get(key.0) else { return };
        let (config, stats, endpoints) =
            (tunnel.config.clone(), tunnel.stats, host.endpoints(&tunnel.socket));
        self.end_tunnel(host, key);
        self.deaths.push(Death::Tunnel { config, stats, endpoints });
    }

    fn end_tunnel<H: Host<Socket = S, Device = D>>(&mut self, host: &mut H, key: TunnelKey) {
        if let Some(tunnel) = self.tunnels.get(key.0) {
            tracepoint!(delete_tunnel(tunnel));
        }
        while let Some((_, session)) = self.tunnels.get(key.0).and_then(|t| t.sessions.first_key_value()) {
            let session = *session;
            self.remove_session(host, session);
        }
        let Some(tunnel) = self.tunnels.remove(key.0) else { return };
        self.tunnel_ids.remove(&tunnel.id());
        tracepoint!(free_tunnel(&tunnel));
        host.close_socket(key, tunnel.socket);
    }

    /// Makes a session (`L2TP_CMD_SESSION_CREATE`).
    ///
    /// # Errors
    /// [`Error::NoTunnel`], [`Error::SessionExists`], [`Error::BadName`], [`Error::Full`], or what the host answered.
    /// Nothing is left behind.
    pub fn create_session<H: Host<Socket = S, Device = D>>(
        &mut self,
        host: &mut H,
        tunnel_id: u32,
        mut config: SessionConfig,
    ) -> Result<SessionKey, Error> {
        let tunnel_key = self.find_tunnel(tunnel_id)?;
        let tunnel = self.tunnels.get(tunnel_key.0).ok_or(Error::NoTunnel)?;
        config.reorder_timeout = to_jiffies(config.reorder_timeout);
        let mut session = new_session(tunnel_key, tunnel, config);
        let id = session_id(&session);
        if self.ids.is_taken(id) || tunnel.sessions.contains_key(&session.config.session_id) {
            return Err(Error::SessionExists);
        }
        if self.sessions.len() >= self.limits.sessions {
            return Err(Error::Full);
        }
        let key = SessionKey(self.sessions.vacant_key());
        if session.config.pw_type.is_ethernet() {
            create_device(host, key, &tunnel.socket, &mut session)?;
        }
        if let Some(pattern) = session.pattern(tunnel.config.version) {
            host.divert(&tunnel.socket, &pattern);
        }
        self.insert_session(id, session);
        Ok(key)
    }

    fn insert_session(&mut self, id: SessionId, session: Session<D>) {
        tracepoint!(register_session(&session));
        let (tunnel, session_id) = (session.tunnel, session.config.session_id);
        let ifname = session.ifname.clone();
        let key = SessionKey(self.sessions.insert(session));
        self.note_change(key);
        self.ids.insert(id, key);
        if let Some(ifname) = ifname {
            self.ids.insert_name(ifname, key);
        }
        if let Some(tunnel) = self.tunnels.get_mut(tunnel.0) {
            tunnel.sessions.insert(session_id, key);
        }
    }

    /// Removes a session (`L2TP_CMD_SESSION_DELETE`). Its ids are free for use at once; its device may live on a moment.
    ///
    /// # Errors
    /// [`Error::NoSession`].
    pub fn delete_session<H: Host<Socket = S, Device = D>>(
        &mut self,
        host: &mut H,
        selector: SessionSelector<'_>,
    ) -> Result<(), Error> {
        let key = self.find_session(selector)?;
        self.end_session(host, key);
        Ok(())
    }

    /// Removes a session that no command has named, if it is still there: its device died, or its tunnel.
    pub fn remove_session<H: Host<Socket = S, Device = D>>(&mut self, host: &mut H, key: SessionKey) {
        if let Some(session) = self.end_session(host, key) {
            self.deaths.push(Death::Session(Box::new(session)));
        }
    }

    fn end_session<H: Host<Socket = S, Device = D>>(
        &mut self,
        host: &mut H,
        key: SessionKey,
    ) -> Option<Session<D>> {
        let carried = host.stop_carrying(key);
        self.count_carried(key, &carried);
        self.changed.remove(&key);
        let mut session = self.sessions.remove(key.0)?;
        tracepoint!(delete_session(&session));
        self.ids.remove(session_id(&session));
        if let Some(name) = &session.ifname {
            self.ids.remove_name(name, key);
        }
        if let Some(tunnel) = self.tunnels.get_mut(session.tunnel.0) {
            tunnel.sessions.remove(&session.config.session_id);
            if let Some(pattern) = session.pattern(tunnel.config.version) {
                host.undivert(&tunnel.socket, &pattern);
            }
        }
        if let Some(when) = session.timer.take() {
            self.timers.remove(&(when, key));
        }
        while let Some(held) = session.queue.pop() {
            self.held_bytes -= held.frame.len();
            self.counters.drops.count(DropReason::SessionDeleted);
        }
        if let Some(device) = session.device.take() {
            host.destroy_device(key, device);
        }
        tracepoint!(free_session(&session));
        host.session_ended(key);
        Some(session)
    }

    /// Changes a session (`L2TP_CMD_SESSION_MODIFY`).
    ///
    /// # Errors
    /// [`Error::NoSession`].
    pub fn modify_session(
        &mut self,
        selector: SessionSelector<'_>,
        change: &SessionChange,
    ) -> Result<SessionKey, Error> {
        let key = self.find_session(selector)?;
        self.sessions.get_mut(key.0).ok_or(Error::NoSession)?.change(change);
        self.note_change(key);
        Ok(key)
    }
}

fn new_session<S, D>(tunnel_key: TunnelKey, tunnel: &Tunnel<S>, config: SessionConfig) -> Session<D> {
    let encap = tunnel.encap();
    Session {
        tunnel: tunnel_key,
        tunnel_id: tunnel.id(),
        peer_tunnel_id: tunnel.config.peer_tunnel_id,
        is_v2: tunnel.is_v2(),
        encap,
        ifname: None,
        device: None,
        stats: Stats::default(),
        ns: 0,
        rx_seq: RxSeq::default(),
        queue: ReorderQueue::default(),
        timer: None,
        rx_layout: config.layout(encap, &config.peer_cookie),
        config,
    }
}

fn session_id<D>(session: &Session<D>) -> SessionId {
    let id = session.config.session_id;
    if session.is_v2 {
        SessionId::V2 { tunnel_id: low16(session.tunnel_id), session_id: low16(id) }
    } else {
        SessionId::v3(session.encap, session.tunnel, id)
    }
}

fn create_device<H: Host>(
    host: &mut H,
    key: SessionKey,
    socket: &H::Socket,
    session: &mut Session<H::Device>,
) -> Result<(), Error> {
    let name = session.config.ifname.clone().unwrap_or_else(|| DEFAULT_IFNAME.to_string());
    check_device_name(&name)?;
    let pw_type = session.config.pw_type;
    let header_len = u32::try_from(session.header_len() + pw_type.tag_len()).unwrap_or(0);
    let peer = host.endpoints(socket).peer.ip();
    let mtu = device_mtu(host.route_mtu(socket), peer, session.encap, header_len);
    let (device, name) =
        host.create_device(key, &DeviceRequest { name: &name, mtu, vlan: pw_type.vlan() })?;
    session.device = Some(device);
    session.ifname = Some(name);
    Ok(())
}
