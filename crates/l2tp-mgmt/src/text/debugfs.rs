//! debugfs `l2tp/tunnels` (`net/l2tp/l2tp_debugfs.c`).

use core::fmt::{self, Write};

use l2tp_core::host::PppHolder;
use l2tp_core::session::Session;
use l2tp_core::tunnel::Tunnel;
use l2tp_core::{Cookie, Encap, Engine, Host, L2specType, PwType, SessionConfig, SessionSelector};

use super::{mark, mode, received, sent, tunnel_refs, write_interface};

/// What stands above the tunnels.
pub(super) const HEADER: &str = "\
TUNNEL ID, peer ID from IP to IP
 L2TPv2/L2TPv3, UDP/IP
 sessions session-count, refcnt refcnt/sk->refcnt
 debug tx-pkts/bytes/errs rx-pkts/bytes/errs
  SESSION ID, peer ID, PWTYPE
   refcnt cnt
   offset OFFSET l2specific TYPE/LEN
   [ cookie ]
   [ peer cookie ]
   config mtu/mru/rcvseq/sendseq/dataseq/lns debug reorderto
   nr/ns tx-pkts/bytes/errs rx-pkts/bytes/errs
";

/// References to a session at rest: its tunnel's and the reader's. A PPPoL2TP socket has one too.
const SESSION_REFS: usize = 2;

/// `l2tp_dfs_seq_tunnel_show`. The first `rx` is the kernel's slip for `tx`.
pub(super) fn write_tunnel<H: Host>(
    engine: &Engine<H::Socket, H::Device>,
    host: &H,
    tunnel: &Tunnel<H::Socket>,
    out: &mut impl Write,
) -> fmt::Result {
    let endpoints = host.endpoints(&tunnel.socket);
    let (local, peer) = (endpoints.local, endpoints.peer);
    write!(out, "\nTUNNEL {} peer {}", tunnel.id(), tunnel.config.peer_tunnel_id)?;
    writeln!(out, " from {} to {}", local.ip(), peer.ip())?;
    if tunnel.encap() == Encap::Udp {
        writeln!(out, " source port {}, dest port {}", local.port(), peer.port())?;
    }
    writeln!(out, " L2TPv{}, {}", tunnel.config.version, encap_name(tunnel.encap()))?;
    let (sessions, refs) = (shown_sessions(engine, tunnel), socket_refs(tunnel.encap()));
    writeln!(out, " {sessions} sessions, refcnt {refs}/{}", tunnel_refs(tunnel))?;
    writeln!(out, " 00000000 rx {} rx {}", sent(&tunnel.stats), received(&tunnel.stats))
}

/// `l2tp_dfs_seq_session_show`, and the device's own line.
pub(super) fn write_session<D>(
    session: &Session<D>,
    holder: Option<&PppHolder>,
    out: &mut impl Write,
) -> fmt::Result {
    let config = &session.config;
    let (nr, ns) = (session.rx_seq.nr, session.ns);
    let pw_type = pw_name(config.pw_type);
    writeln!(out, "  SESSION {}, peer {}, {pw_type}", config.session_id, config.peer_session_id)?;
    if config.send_seq || config.recv_seq {
        writeln!(out, "   nr {nr}, ns {ns}")?;
    }
    writeln!(out, "   refcnt {}", SESSION_REFS + usize::from(holder.is_some()))?;
    write_config(config, out)?;
    write_cookie(out, "cookie", &config.cookie)?;
    write_cookie(out, "peer cookie", &config.peer_cookie)?;
    writeln!(out, "   {nr}/{ns} tx {} rx {}", sent(&session.stats), received(&session.stats))?;
    match (&session.ifname, holder) {
        (Some(ifname), _) => writeln!(out, "   interface {ifname}"),
        (None, Some(holder)) => write_interface(holder, out),
        (None, None) => Ok(()),
    }
}

fn write_config(config: &SessionConfig, out: &mut impl Write) -> fmt::Result {
    let (recv, send, mode) = (mark(config.recv_seq, 'R'), mark(config.send_seq, 'S'), mode(config));
    let reorder = config.reorder_timeout.as_millis();
    writeln!(out, "   config 0/0/{recv}/{send}/-/{mode} 00000000 {reorder}")?;
    let (kind, len) = match config.l2spec {
        L2specType::None => (0, 0),
        L2specType::Default => (1, 4),
    };
    writeln!(out, "   offset 0 l2specific {kind}/{len}")
}

/// The kernel knows cookies of 8 bytes and of 4, and shows all others as 4: zeros behind those that are shorter.
fn write_cookie(out: &mut impl Write, name: &str, cookie: &Cookie) -> fmt::Result {
    let bytes = cookie.as_bytes();
    if bytes.is_empty() {
        return Ok(());
    }
    let shown = if bytes.len() == 8 { 8 } else { 4 };
    write!(out, "   {name} ")?;
    for byte in bytes.iter().chain(&[0; 4]).take(shown) {
        write!(out, "{byte:02x}")?;
    }
    out.write_char('\n')
}

/// Sessions but for session 0, which is no session of L2TPv2.
fn shown_sessions<S, D>(engine: &Engine<S, D>, tunnel: &Tunnel<S>) -> usize {
    let zero = SessionSelector::Ids { tunnel_id: tunnel.id(), session_id: 0 };
    tunnel.session_count() - usize::from(engine.find_session(zero).is_ok())
}

/// References to a tunnel's socket at rest: its owner's and the tunnel's; UDP's table of ports holds one more.
const fn socket_refs(encap: Encap) -> usize {
    match encap {
        Encap::Udp => 3,
        Encap::Ip => 2,
    }
}

const fn encap_name(encap: Encap) -> &'static str {
    match encap {
        Encap::Udp => "UDP",
        Encap::Ip => "IP",
    }
}

const fn pw_name(pw_type: PwType) -> &'static str {
    match pw_type {
        PwType::Eth => "ETH",
        PwType::EthVlan(_) => "ETH_VLAN",
        PwType::Ppp => "PPP",
    }
}
