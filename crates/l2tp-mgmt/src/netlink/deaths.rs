//! What listeners of the group "deaths" hear: tunnels and sessions that died without a command of their own.

use super::session::describe_session;
use super::tunnel::describe_tunnel;
use super::{DEATHS_GROUP_ID, L2TP_FAMILY_ID};
use alloc::vec::Vec;
use l2tp_abi::genl::l2tp::{L2TP_CMD_SESSION_DELETE, L2TP_CMD_TUNNEL_DELETE};
use l2tp_abi::nl::{Header, NLM_F_ACK, emit_overrun};
use l2tp_core::Engine;
use l2tp_core::engine::Death;

/// Tells `notify`, with the group and one datagram each, of every death that the engine has not told yet: in the form of a
/// notification of the l2tp family that nobody caused, its sequence number and port id 0.
///
/// To be called after whatever may end something: a datagram of requests, a device that is gone, the end of it all.
pub fn announce_deaths<S, D>(engine: &mut Engine<S, D>, mut notify: impl FnMut(u32, &[u8])) {
    let header = Header { kind: L2TP_FAMILY_ID, flags: NLM_F_ACK, seq: 0, port: 0 };
    let mut out = Vec::new();
    while let Some(death) = engine.poll_death() {
        out.clear();
        match death {
            Death::Session(session) => {
                describe_session(&session).emit(&mut out, header, L2TP_CMD_SESSION_DELETE);
            }
            Death::Tunnel { config, stats, endpoints } => {
                describe_tunnel(&config, &stats, &endpoints).emit(&mut out, header, L2TP_CMD_TUNNEL_DELETE);
            }
            Death::Missed(_) => emit_overrun(&mut out, 0),
        }
        notify(DEATHS_GROUP_ID, &out);
    }
}
