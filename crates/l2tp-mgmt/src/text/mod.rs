//! The kernel's debug texts, character for character: debugfs `l2tp/tunnels` and `/proc/net/pppol2tp`; and what its
//! tracepoints print.
//!
//! [`Text`] walks them object by object, so that they can be told in parts while tunnels come and go.
//!
//! Two things are not ours to know. Reference counts are those that the kernel shows at rest: every session holds its
//! tunnel, and the reader holds what it shows. And no PPP session has a socket here, so that no `interface` line tells of
//! a PPP unit.

mod debugfs;
mod pppol2tp;
mod tracepoint;

use core::fmt::{self, Display, Write};

use l2tp_core::host::PppHolder;
use l2tp_core::stats::Stats;
use l2tp_core::tunnel::Tunnel;
use l2tp_core::{Engine, Host, SessionConfig, SessionKey, TunnelKey};

pub use tracepoint::tracepoint;

/// Which of the texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum View {
    /// debugfs `l2tp/tunnels`: all tunnels.
    Tunnels,
    /// `/proc/net/pppol2tp`: L2TPv2 tunnels.
    Pppol2tp,
}

/// A text, as far as it has been told.
#[derive(Clone, Copy, Debug)]
pub struct Text {
    view: View,
    next: Next,
}

/// What comes next.
#[derive(Clone, Copy, Debug)]
enum Next {
    Header,
    /// The tunnel behind this id.
    Tunnel(Option<u32>),
    /// The session of a tunnel behind this id.
    Session(u32, Option<u32>),
}

impl Text {
    /// The whole text, of which nothing has been told yet.
    #[must_use]
    pub const fn new(view: View) -> Self {
        Self { view, next: Next::Header }
    }

    /// Which text it is.
    #[must_use]
    pub const fn view(&self) -> View {
        self.view
    }

    /// Writes the next part, which is the header, a tunnel or a session; `false`: there is none.
    ///
    /// # Errors
    /// Those of `out`.
    pub fn write_next<H: Host>(
        &mut self,
        engine: &mut Engine<H::Socket, H::Device>,
        host: &mut H,
        out: &mut impl Write,
    ) -> Result<bool, fmt::Error> {
        if let Next::Session(tunnel_id, after) = self.next {
            if let Some(key) = session_behind(engine, tunnel_id, after) {
                engine.settle(host, key);
                return self.write_session(engine, host, key, out).map(|()| true);
            }
            self.next = Next::Tunnel(Some(tunnel_id));
        }
        let Next::Tunnel(after) = self.next else {
            self.next = Next::Tunnel(None);
            return out.write_str(self.header()).map(|()| true);
        };
        let Some(key) = self.next_tunnel(engine, after) else { return Ok(false) };
        engine.settle_tunnel(host, key);
        let Some(tunnel) = engine.tunnel(key) else { return Ok(false) };
        self.next = Next::Session(tunnel.id(), None);
        self.write_tunnel(engine, host, tunnel, out).map(|()| true)
    }

    const fn header(&self) -> &'static str {
        match self.view {
            View::Tunnels => debugfs::HEADER,
            View::Pppol2tp => pppol2tp::HEADER,
        }
    }

    fn next_tunnel<S, D>(&self, engine: &Engine<S, D>, mut after: Option<u32>) -> Option<TunnelKey> {
        loop {
            let key = engine.next_tunnel_key(after)?;
            let tunnel = engine.tunnel(key)?;
            if self.view == View::Tunnels || tunnel.is_v2() {
                return Some(key);
            }
            after = Some(tunnel.id());
        }
    }

    fn write_tunnel<H: Host>(
        &self,
        engine: &Engine<H::Socket, H::Device>,
        host: &H,
        tunnel: &Tunnel<H::Socket>,
        out: &mut impl Write,
    ) -> fmt::Result {
        match self.view {
            View::Tunnels => debugfs::write_tunnel(engine, host, tunnel, out),
            View::Pppol2tp => pppol2tp::write_tunnel(tunnel, out),
        }
    }

    /// Writes a session and steps behind it.
    fn write_session<H: Host>(
        &mut self,
        engine: &Engine<H::Socket, H::Device>,
        host: &H,
        key: SessionKey,
        out: &mut impl Write,
    ) -> fmt::Result {
        let Some(session) = engine.session(key) else { return Ok(()) };
        let Some(tunnel) = engine.tunnel(session.tunnel) else { return Ok(()) };
        self.next = Next::Session(session.tunnel_id, Some(session.config.session_id));
        let holder = host.ppp_holder(key);
        match self.view {
            View::Tunnels => debugfs::write_session(session, holder.as_ref(), out),
            View::Pppol2tp => {
                let endpoints = host.endpoints(&tunnel.socket);
                pppol2tp::write_session(&endpoints, session, holder.as_ref(), out)
            }
        }
    }
}

/// The session of a tunnel behind an id.
fn session_behind<S, D>(engine: &Engine<S, D>, tunnel_id: u32, after: Option<u32>) -> Option<SessionKey> {
    let tunnel = engine.tunnel(engine.find_tunnel(tunnel_id).ok()?)?;
    engine.next_session_of(tunnel, after).map(|(key, _)| key)
}

/// References to a tunnel: its own, the reader's, one of each session.
fn tunnel_refs<S>(tunnel: &Tunnel<S>) -> usize {
    2 + tunnel.session_count()
}

/// The device of a PPP session that has a socket: `(null)` before its channel joins a unit.
fn write_interface(holder: &PppHolder, out: &mut impl Write) -> fmt::Result {
    writeln!(out, "   interface {}", holder.interface.as_deref().unwrap_or("(null)"))
}

/// Packets, bytes and errors sent.
fn sent(stats: &Stats) -> impl Display {
    fmt::from_fn(|f| write!(f, "{}/{}/{}", stats.tx_packets, stats.tx_bytes, stats.tx_errors))
}

/// Packets, bytes and errors received.
fn received(stats: &Stats) -> impl Display {
    fmt::from_fn(|f| write!(f, "{}/{}/{}", stats.rx_packets, stats.rx_bytes, stats.rx_errors))
}

/// `R`, `S` or whatever stands for a setting that is on.
const fn mark(on: bool, letter: char) -> char {
    if on { letter } else { '-' }
}

/// The mode of a session.
const fn mode(config: &SessionConfig) -> &'static str {
    if config.lns_mode { "LNS" } else { "LAC" }
}
