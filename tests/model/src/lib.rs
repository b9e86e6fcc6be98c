//! What the l2tp family of a namespace has to answer: the rules of the kernel's netlink API as a few maps and loops, with no
//! thought of speed. [`Model`] carries a command out; [`command`] makes a command of any bytes.
//!
//! It knows a host that has only `lo` and a UDP port once, and answers as `docs/differences.md` says where Linux 6.12 does
//! otherwise.

mod command;
mod session;
mod tunnel;

use std::collections::BTreeMap;

use l2tp_abi::Errno;
use l2tp_abi::genl::l2tp::{Request, SessionCreate, SessionKey, SessionMessage, TunnelCreate, TunnelMessage};

pub use command::command;
use session::Session;
use tunnel::Tunnel;

/// The longest cookie, in bytes.
const COOKIE_MAX: usize = 8;
/// The longest name of a device, in bytes.
const IFNAME_MAX: usize = 15;

/// A namespace.
#[derive(Debug)]
pub struct Model {
    tunnels: BTreeMap<u32, Tunnel>,
    /// How many tunnels and sessions there may be.
    limits: (usize, usize),
}

/// What a command tells when it is not refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// That it was done.
    Done,
    /// Tunnels, in this order.
    Tunnels(Vec<TunnelMessage>),
    /// Sessions, in this order.
    Sessions(Vec<SessionMessage>),
}

impl Model {
    /// An empty namespace that takes so many tunnels and sessions.
    #[must_use]
    pub const fn new(tunnels: usize, sessions: usize) -> Self {
        Self { tunnels: BTreeMap::new(), limits: (tunnels, sessions) }
    }

    /// Carries a command out.
    ///
    /// # Errors
    /// The errno with which it is refused; nothing has changed then.
    pub fn apply(&mut self, request: &Request) -> Result<Reply, Errno> {
        check_policy(request)?;
        match request {
            Request::Noop => Ok(Reply::Done),
            Request::TunnelCreate(create) => self.create_tunnel(create),
            Request::TunnelDelete(id) => self.tunnels.remove(id).map(|_| Reply::Done).ok_or(Errno::ENODEV),
            Request::TunnelModify(id) => self.tunnel(*id).map(|_| Reply::Done),
            Request::TunnelGet(id) => self.tunnel(*id).map(|tunnel| Reply::Tunnels(vec![tunnel.message()])),
            Request::TunnelDump => Ok(Reply::Tunnels(self.tunnels.values().map(Tunnel::message).collect())),
            Request::SessionCreate(create) => self.create_session(create),
            Request::SessionDelete(key) => {
                let (tunnel_id, session_id) = self.find(key)?;
                self.sessions_of(tunnel_id)?.remove(&session_id);
                Ok(Reply::Done)
            }
            Request::SessionModify(modify) => {
                let (tunnel_id, session_id) = self.find(&modify.key)?;
                self.sessions_of(tunnel_id)?.get_mut(&session_id).ok_or(Errno::ENODEV)?.modify(modify);
                Ok(Reply::Done)
            }
            Request::SessionGet(key) => {
                let (tunnel_id, session_id) = self.find(key)?;
                let tunnel = self.tunnel(tunnel_id)?;
                let session = tunnel.sessions.get(&session_id).ok_or(Errno::ENODEV)?;
                Ok(Reply::Sessions(vec![session.message(tunnel)]))
            }
            Request::SessionDump => {
                Ok(Reply::Sessions(self.tunnels.values().flat_map(Tunnel::dump).collect()))
            }
        }
    }

    fn tunnel(&self, id: u32) -> Result<&Tunnel, Errno> {
        self.tunnels.get(&id).ok_or(Errno::ENODEV)
    }

    fn sessions_of(&mut self, tunnel_id: u32) -> Result<&mut BTreeMap<u32, Session>, Errno> {
        self.tunnels.get_mut(&tunnel_id).map(|tunnel| &mut tunnel.sessions).ok_or(Errno::ENODEV)
    }

    /// Every session with its tunnel.
    fn all(&self) -> impl Iterator<Item = (&Tunnel, &Session)> {
        self.tunnels
            .values()
            .flat_map(|tunnel| tunnel.sessions.values().map(move |session| (tunnel, session)))
    }

    /// The ids of the session that is meant: by the name of its device alone, or by both ids.
    fn find(&self, key: &SessionKey) -> Result<(u32, u32), Errno> {
        let is_meant = |tunnel: &Tunnel, session: &Session| match key {
            SessionKey::Ifname(name) => session.ifname.as_ref() == Some(name),
            SessionKey::Ids { conn_id, session_id } => (tunnel.id(), session.id()) == (*conn_id, *session_id),
        };
        let found = self.all().find(|(tunnel, session)| is_meant(tunnel, session));
        found.map(|(tunnel, session)| (tunnel.id(), session.id())).ok_or(Errno::ENODEV)
    }

    fn create_tunnel(&mut self, create: &TunnelCreate) -> Result<Reply, Errno> {
        let tunnel = Tunnel::new(create)?;
        if self.tunnels.contains_key(&tunnel.id()) {
            return Err(Errno::EEXIST);
        }
        if self.tunnels.len() >= self.limits.0 {
            return Err(Errno::ENOSPC);
        }
        let port = tunnel.local_port();
        if port.is_some() && self.tunnels.values().any(|other| other.local_port() == port) {
            return Err(Errno::EADDRINUSE);
        }
        self.tunnels.insert(tunnel.id(), tunnel);
        Ok(Reply::Done)
    }

    fn create_session(&mut self, create: &SessionCreate) -> Result<Reply, Errno> {
        let tunnel = self.tunnel(create.conn_id)?;
        let mut session = Session::new(create, tunnel)?;
        if self.all().any(|(other, existing)| collide((tunnel, &session), (other, existing))) {
            return Err(Errno::EEXIST);
        }
        if self.all().count() >= self.limits.1 {
            return Err(Errno::ENOSPC);
        }
        if session.is_ethernet() {
            session.ifname = Some(self.free_name(session.wanted_name())?);
        }
        self.sessions_of(create.conn_id)?.insert(session.id(), session);
        Ok(Reply::Done)
    }

    /// The name that a device gets: as asked for, or with the lowest number that is free.
    fn free_name(&self, wanted: &str) -> Result<String, Errno> {
        session::check_name(wanted)?;
        let is_free = |name: &str| name != "lo" && self.all().all(|(_, s)| s.ifname.as_deref() != Some(name));
        let Some((before, after)) = wanted.split_once("%d") else {
            return is_free(wanted).then(|| wanted.to_owned()).ok_or(Errno::EEXIST);
        };
        let names = (0..).map(|number: u32| format!("{before}{number}{after}"));
        names.into_iter().find(|name| is_free(name)).ok_or(Errno::EEXIST)
    }
}

/// What is refused for its form alone, attribute by attribute.
fn check_policy(request: &Request) -> Result<(), Errno> {
    let (cookies, name) = match request {
        Request::SessionCreate(create) => ([&create.cookie[..], &create.peer_cookie], create.ifname.as_ref()),
        Request::SessionGet(SessionKey::Ifname(name)) | Request::SessionDelete(SessionKey::Ifname(name)) => {
            ([&[][..]; 2], Some(name))
        }
        Request::SessionModify(modify) => match &modify.key {
            SessionKey::Ifname(name) => ([&[][..]; 2], Some(name)),
            SessionKey::Ids { .. } => return Ok(()),
        },
        _ => return Ok(()),
    };
    if cookies.iter().any(|cookie| cookie.len() > COOKIE_MAX) {
        return Err(Errno::ERANGE);
    }
    if name.is_some_and(|name| name.len() > IFNAME_MAX) { Err(Errno::EINVAL) } else { Ok(()) }
}

/// Whether two sessions cannot be in one namespace: version 2 knows 16 bits of both ids; version 3 over IP knows the session
/// id alone, over UDP in its tunnel.
fn collide(one: (&Tunnel, &Session), other: (&Tunnel, &Session)) -> bool {
    let low = |(tunnel, session): (&Tunnel, &Session)| (tunnel.id() & 0xffff, session.id() & 0xffff);
    match (one.0.is_v2(), other.0.is_v2()) {
        (true, true) => low(one) == low(other),
        (false, false) if one.1.id() == other.1.id() => {
            one.0.is_ip() || other.0.is_ip() || one.0.id() == other.0.id()
        }
        _ => false,
    }
}
