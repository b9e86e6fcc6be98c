//! The kernel's tracepoints (`net/l2tp/trace.h`) as `tracing` events: the same names, the same fields, target [`TARGET`].
//!
//! Where nobody listens, `tracepoint!` costs a relaxed load and a branch not taken. `name` is the kernel's name of the object, `tunl T` or
//! `sess T/S`; all other fields are numbers. Where a field is called ns or nr it is what we send next and expect next.

use tracing::level_filters::LevelFilter;
use tracing::{Level, event};

use crate::config::SocketConfig;
use crate::session::Session;
use crate::tunnel::Tunnel;

/// The target of every event; the kernel's group of tracepoints.
pub const TARGET: &str = "l2tp";

/// Tells of an event, by the name of a function here, if anybody listens.
macro_rules! tracepoint {
    ($event:ident($($argument:expr),*)) => {
        if $crate::trace::is_heard() {
            $crate::trace::$event($($argument),*);
        }
    };
}
pub(crate) use tracepoint;

/// Whether anybody listens to events of this level, whatever their target.
#[inline]
pub(crate) fn is_heard() -> bool {
    LevelFilter::current() >= LevelFilter::TRACE
}

/// The name of a tunnel (`struct l2tp_tunnel`, `name`).
macro_rules! tunnel_name {
    ($tunnel:expr) => {
        format_args!("tunl {}", $tunnel.id())
    };
}

/// The name of a session (`struct l2tp_session`, `name`).
macro_rules! session_name {
    ($session:expr) => {
        format_args!("sess {}/{}", $session.tunnel_id, $session.config.session_id)
    };
}

/// A tunnel is there. `fd` is the program's descriptor of its socket; -1: the subsystem made it.
#[cold]
pub(crate) fn register_tunnel<S>(tunnel: &Tunnel<S>) {
    let fd = match tunnel.config.socket {
        SocketConfig::Descriptor { fd } => fd,
        SocketConfig::Addresses { .. } => -1,
    };
    event!(
        name: "register_tunnel", target: TARGET, Level::TRACE,
        name = %tunnel_name!(tunnel),
        fd,
        tid = tunnel.config.tunnel_id,
        ptid = tunnel.config.peer_tunnel_id,
        version = tunnel.config.version,
        encap = tunnel.config.encap.number(),
    );
}

/// A tunnel begins to end.
#[cold]
pub(crate) fn delete_tunnel<S>(tunnel: &Tunnel<S>) {
    event!(name: "delete_tunnel", target: TARGET, Level::TRACE, name = %tunnel_name!(tunnel));
}

/// A tunnel is gone, its sessions before it.
#[cold]
pub(crate) fn free_tunnel<S>(tunnel: &Tunnel<S>) {
    event!(name: "free_tunnel", target: TARGET, Level::TRACE, name = %tunnel_name!(tunnel));
}

/// A session is there.
#[cold]
pub(crate) fn register_session<D>(session: &Session<D>) {
    event!(
        name: "register_session", target: TARGET, Level::TRACE,
        name = %session_name!(session),
        tid = session.tunnel_id,
        ptid = session.peer_tunnel_id,
        sid = session.config.session_id,
        psid = session.config.peer_session_id,
        pwtype = session.config.pw_type.number(),
    );
}

/// A session begins to end.
#[cold]
pub(crate) fn delete_session<D>(session: &Session<D>) {
    event!(name: "delete_session", target: TARGET, Level::TRACE, name = %session_name!(session));
}

/// A session is gone.
#[cold]
pub(crate) fn free_session<D>(session: &Session<D>) {
    event!(name: "free_session", target: TARGET, Level::TRACE, name = %session_name!(session));
}

/// The LNS numbers its packets: from here on we number ours.
#[cold]
pub(crate) fn session_seqnum_lns_enable<D>(session: &Session<D>) {
    event!(name: "session_seqnum_lns_enable", target: TARGET, Level::TRACE, name = %session_name!(session));
}

/// The LNS does not number its packets: from here on we do not number ours.
#[cold]
pub(crate) fn session_seqnum_lns_disable<D>(session: &Session<D>) {
    event!(name: "session_seqnum_lns_disable", target: TARGET, Level::TRACE, name = %session_name!(session));
}

/// A numbered packet was taken.
#[cold]
pub(crate) fn session_seqnum_update<D>(session: &Session<D>) {
    event!(
        name: "session_seqnum_update", target: TARGET, Level::TRACE,
        name = %session_name!(session),
        ns = session.ns,
        nr = session.rx_seq.nr,
    );
}

/// What is expected was set to what came: at the first numbered packet, or when a gap was given up.
#[cold]
pub(crate) fn session_seqnum_reset<D>(session: &Session<D>) {
    event!(
        name: "session_seqnum_reset", target: TARGET, Level::TRACE,
        name = %session_name!(session),
        ns = session.ns,
        nr = session.rx_seq.nr,
    );
}

/// A packet waited in the reorder queue until its time was over, and is given up.
#[cold]
pub(crate) fn session_pkt_expired<D>(session: &Session<D>, pkt_ns: Option<u32>) {
    event!(
        name: "session_pkt_expired", target: TARGET, Level::TRACE,
        name = %session_name!(session),
        pkt_ns = pkt_ns.unwrap_or_default(),
        my_nr = session.rx_seq.nr,
        reorder_q_len = session.queue.len(),
    );
}

/// A packet's number is not in the half of the number space that is ahead.
#[cold]
pub(crate) fn session_pkt_outside_rx_window<D>(session: &Session<D>, pkt_ns: u32) {
    event!(
        name: "session_pkt_outside_rx_window", target: TARGET, Level::TRACE,
        name = %session_name!(session),
        pkt_ns,
        my_nr = session.rx_seq.nr,
        reorder_q_len = session.queue.len(),
    );
}

/// A packet is out of order, and nothing is reordered.
#[cold]
pub(crate) fn session_pkt_oos<D>(session: &Session<D>, pkt_ns: u32) {
    event!(
        name: "session_pkt_oos", target: TARGET, Level::TRACE,
        name = %session_name!(session),
        pkt_ns,
        my_nr = session.rx_seq.nr,
        reorder_q_len = session.queue.len(),
    );
}
