//! `connect` (`pppol2tp_connect`): a socket finds its tunnel and its session, or makes them.

use super::{Connection, Pppol2tp, SocketKey, Subsystem};
use crate::quota;
use core::time::Duration;
use l2tp_abi::Errno;
use l2tp_abi::sockaddr::SockaddrPppol2tp;
use l2tp_core::host::Caller;
use l2tp_core::{
    Cookie, Encap, Error, Host, L2specType, PwType, SessionConfig, SessionKey, SessionSelector, SocketConfig,
    TunnelConfig, TunnelKey,
};

/// A call of `connect`.
#[derive(Debug)]
pub struct Connect<'a, D> {
    /// The address.
    pub address: &'a [u8],
    /// The process that calls.
    pub pid: i32,
    /// Who opened the socket. Without privilege they can have so many tunnels made.
    pub owner: Caller,
    /// What it has open at the number that the address names, if anything. Looked at when a tunnel is made.
    pub descriptor: Option<D>,
}

impl Pppol2tp {
    /// Connects a socket to a session, or, where both session ids are 0, to a tunnel, which is made from the program's UDP socket
    /// if it is not there. Whatever the call made is gone again when it fails.
    ///
    /// The peer's ids are looked at only where something is made.
    ///
    /// # Errors
    /// `EINVAL`: no address of this family, or tunnel id 0; `ENOENT`: no such tunnel; `EBUSY`: connected already; `EPROTOTYPE`: not
    /// a PPP session; `EEXIST`: another socket has it, or its id is taken; those of making a tunnel and a session; those of
    /// [`quota::admit`], where the kernel has no bound.
    pub fn connect<H: Host>(
        &mut self,
        on: &mut Subsystem<'_, H>,
        key: SocketKey,
        call: Connect<'_, H::Descriptor>,
    ) -> Result<(), Errno>
    where
        H::Device: Clone,
    {
        let address = SockaddrPppol2tp::parse(call.address).ok_or(Errno::EINVAL)?;
        if address.s_tunnel == 0 {
            return Err(Errno::EINVAL);
        }
        let is_management = address.s_session == 0 && address.d_session == 0;
        let (tunnel, made) = match on.engine.find_tunnel(address.s_tunnel) {
            Ok(tunnel) => (tunnel, false),
            Err(_) if is_management => (self.make_tunnel(on, &address, call.owner, call.descriptor)?, true),
            Err(_) => return Err(Errno::ENOENT),
        };
        let connected = self.connect_session(on, key, tunnel, &address, call.pid);
        if connected.is_err() && made {
            // It was there a moment ago.
            let _: Result<(), Error> = on.engine.delete_tunnel(on.host, address.s_tunnel);
        }
        connected
    }

    /// Makes a tunnel, if its maker has not too many.
    fn make_tunnel<H: Host>(
        &mut self,
        on: &mut Subsystem<'_, H>,
        address: &SockaddrPppol2tp,
        maker: Caller,
        descriptor: Option<H::Descriptor>,
    ) -> Result<TunnelKey, Errno>
    where
        H::Device: Clone,
    {
        if maker.privileged {
            return make_tunnel(on, address, descriptor);
        }
        self.makers.retain(|tunnel, _| on.engine.tunnel(*tunnel).is_some());
        quota::admit(self.makers.values(), &maker)?;
        let tunnel = make_tunnel(on, address, descriptor)?;
        self.makers.insert(tunnel, maker);
        Ok(tunnel)
    }

    fn connect_session<H: Host>(
        &mut self,
        on: &mut Subsystem<'_, H>,
        key: SocketKey,
        tunnel: TunnelKey,
        address: &SockaddrPppol2tp,
        pid: i32,
    ) -> Result<(), Errno>
    where
        H::Device: Clone,
    {
        if self.socket_mut(key)?.connection.is_some() {
            return Err(Errno::EBUSY);
        }
        on.engine.adopt_peer_tunnel_id(tunnel, address.d_tunnel);
        let session = self.session(on, address)?;
        let config = on.engine.session(session).map(|session| &session.config).ok_or(Errno::ENODEV)?;
        let management = config.session_id == 0 && config.peer_session_id == 0;
        let has_channel = address.s_session != 0 || address.d_session != 0;
        let channel = has_channel.then(|| on.ppp.register_channel(session));
        self.socket_mut(key)?.connection = Some(Connection { session, tunnel, management, pid, channel });
        self.by_session.insert(session, key);
        Ok(())
    }

    /// The session of these ids, if it is free, or a new one.
    fn session<H: Host>(
        &self,
        on: &mut Subsystem<'_, H>,
        address: &SockaddrPppol2tp,
    ) -> Result<SessionKey, Errno>
    where
        H::Device: Clone,
    {
        let (tunnel_id, session_id) = (address.s_tunnel, address.s_session);
        let found = on.engine.find_session(SessionSelector::Ids { tunnel_id, session_id });
        let Ok(found) = found else {
            let config = session_config(address);
            return on.engine.create_session(on.host, tunnel_id, config).map_err(Error::errno);
        };
        let session = on.engine.session(found).ok_or(Errno::ENODEV)?;
        if session.config.pw_type != PwType::Ppp {
            return Err(Errno::EPROTOTYPE);
        }
        if self.by_session.contains_key(&found) { Err(Errno::EEXIST) } else { Ok(found) }
    }
}

/// Over UDP, of the version of the address.
fn make_tunnel<H: Host>(
    on: &mut Subsystem<'_, H>,
    address: &SockaddrPppol2tp,
    descriptor: Option<H::Descriptor>,
) -> Result<TunnelKey, Errno>
where
    H::Device: Clone,
{
    if address.fd < 0 {
        return Err(Errno::EBADF);
    }
    let config = TunnelConfig {
        version: address.form.version(),
        tunnel_id: address.s_tunnel,
        peer_tunnel_id: address.d_tunnel,
        encap: Encap::Udp,
        socket: SocketConfig::Descriptor { fd: address.fd },
    };
    on.engine.create_tunnel(on.host, config, descriptor).map_err(Error::errno)
}

/// Without cookies, numbers and, unlike a session made by netlink, without sublayer.
fn session_config(address: &SockaddrPppol2tp) -> SessionConfig {
    SessionConfig {
        session_id: address.s_session,
        peer_session_id: address.d_session,
        pw_type: PwType::Ppp,
        l2spec: L2specType::None,
        cookie: Cookie::NONE,
        peer_cookie: Cookie::NONE,
        recv_seq: false,
        send_seq: false,
        lns_mode: false,
        reorder_timeout: Duration::ZERO,
        ifname: None,
    }
}
