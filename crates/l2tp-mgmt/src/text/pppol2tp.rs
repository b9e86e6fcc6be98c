//! `/proc/net/pppol2tp` (`net/l2tp/l2tp_ppp.c`).

use core::fmt::{self, Write};
use core::net::{IpAddr, Ipv4Addr};

use l2tp_core::Endpoints;
use l2tp_core::host::PppHolder;
use l2tp_core::session::Session;
use l2tp_core::tunnel::Tunnel;

use super::{mark, mode, received, sent, tunnel_refs, write_interface};

/// What stands above the tunnels.
pub(super) const HEADER: &str = "\
PPPoL2TP driver info, V2.0
TUNNEL name, user-data-ok session-count
 debug tx-pkts/bytes/errs rx-pkts/bytes/errs
  SESSION name, addr/port src-tid/sid dest-tid/sid state user-data-ok
   mtu/mru/rcvseq/sendseq/lns debug reorderto
   nr/ns tx-pkts/bytes/errs rx-pkts/bytes/errs
";

/// What an IPv6 socket has in its place for an IPv4 address (`LOOPBACK4_IPV6`).
const LOOPBACK4_IPV6: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 6);

/// `pppol2tp_seq_tunnel_show`. What the header calls a session count is one of references, without the tunnel's own.
pub(super) fn write_tunnel<S>(tunnel: &Tunnel<S>, out: &mut impl Write) -> fmt::Result {
    writeln!(out, "\nTUNNEL 'tunl {}', Y {}", tunnel.id(), tunnel_refs(tunnel) - 1)?;
    writeln!(out, " 00000000 {} {}", sent(&tunnel.stats), received(&tunnel.stats))
}

/// `pppol2tp_seq_session_show`. The state is that of the socket: `PPPOX_CONNECTED`, `PPPOX_BOUND`; none without one.
pub(super) fn write_session<D>(
    endpoints: &Endpoints,
    session: &Session<D>,
    holder: Option<&PppHolder>,
    out: &mut impl Write,
) -> fmt::Result {
    let config = &session.config;
    let (tunnel, id) = (session.tunnel_id, config.session_id);
    let (peer_tunnel, peer_id) = (session.peer_tunnel_id, config.peer_session_id);
    let (address, port) = (ipv4_of(endpoints.local.ip()).to_bits(), endpoints.local.port());
    let state = match holder {
        None => "0 N",
        Some(holder) if holder.bound => "3 Y",
        Some(_) => "1 Y",
    };
    write!(out, "  SESSION 'sess {tunnel}/{id}' {address:08X}/{port}")?;
    writeln!(out, " {tunnel:04X}/{id:04X} -> {peer_tunnel:04X}/{peer_id:04X} {state}")?;
    let (recv, send, mode) = (mark(config.recv_seq, 'R'), mark(config.send_seq, 'S'), mode(config));
    writeln!(out, "   0/0/{recv}/{send}/{mode} 00000000 {}", config.reorder_timeout.as_millis())?;
    let (nr, ns, stats) = (session.rx_seq.nr, session.ns, &session.stats);
    writeln!(out, "   {nr}/{ns} {} {}", sent(stats), received(stats))?;
    holder.map_or(Ok(()), |holder| write_interface(holder, out))
}

const fn ipv4_of(address: IpAddr) -> Ipv4Addr {
    match address {
        IpAddr::V4(address) => address,
        IpAddr::V6(_) => LOOPBACK4_IPV6,
    }
}
