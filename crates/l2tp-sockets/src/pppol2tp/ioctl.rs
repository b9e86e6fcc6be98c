//! `ioctl` on a PPPoL2TP socket (`pppox_ioctl`, `pppol2tp_ioctl`).

use super::{Connection, Pppol2tp, SocketKey, Subsystem};
use alloc::vec::Vec;
use l2tp_abi::Errno;
use l2tp_abi::ppp::L2tpStats;
use l2tp_abi::ppp::ioctl::{
    PPPIOCGCHAN, PPPIOCGFLAGS, PPPIOCGL2TPSTATS, PPPIOCGMRU, PPPIOCSFLAGS, PPPIOCSMRU,
};
use l2tp_core::{Host, Instant, PwType, SessionSelector};

/// Bytes of an `int`.
const INT: usize = 4;

impl Pppol2tp {
    /// Carries out request `cmd`, whose argument points at the bytes `argument`: what is to be written there.
    ///
    /// # Errors
    /// `ENOTTY` for an unknown request; `ENOTCONN` for a known one, also when the session is gone; `ENOSYS` for size and flags of a
    /// management socket; `EBADR` for counters of a session that is not there; `EFAULT` for an argument that is too short.
    pub fn ioctl<H: Host>(
        &mut self,
        on: &mut Subsystem<'_, H>,
        key: SocketKey,
        (cmd, argument): (u32, &[u8]),
        now: Instant,
    ) -> Result<Vec<u8>, Errno>
    where
        H::Device: Clone,
    {
        if ![PPPIOCGCHAN, PPPIOCGMRU, PPPIOCSMRU, PPPIOCGFLAGS, PPPIOCSFLAGS, PPPIOCGL2TPSTATS].contains(&cmd)
        {
            return Err(Errno::ENOTTY);
        }
        let connection = self.living(on, key)?;
        match cmd {
            PPPIOCGCHAN => self.take_channel(on, key, connection, now),
            PPPIOCGL2TPSTATS => stats(on, connection, argument).map(|stats| stats.emit()),
            _ if connection.management => Err(Errno::ENOSYS),
            PPPIOCGMRU | PPPIOCGFLAGS => Ok([0; INT].to_vec()),
            _ if argument.len() < INT => Err(Errno::EFAULT),
            _ => Ok(Vec::new()),
        }
    }

    /// The index of the channel; -1 on a management socket. From now on frames go there, and those that wait already too.
    fn take_channel<H: Host>(
        &mut self,
        on: &mut Subsystem<'_, H>,
        key: SocketKey,
        connection: Connection,
        now: Instant,
    ) -> Result<Vec<u8>, Errno> {
        let socket = self.socket_mut(key)?;
        socket.bound = true;
        let waiting = core::mem::take(&mut socket.queue);
        self.queued_bytes -= core::mem::take(&mut self.socket_mut(key)?.queued_bytes);
        let Some(channel) = connection.channel else { return Ok((-1_i32).to_ne_bytes().to_vec()) };
        on.ppp.note_channel(channel);
        for frame in waiting {
            // Nobody knows the channel yet: all of it waits for its program.
            on.ppp.receive(channel, &frame, now);
        }
        on.ppp.channel_index(channel).map(|index| index.to_ne_bytes().to_vec()).ok_or(Errno::ENOTCONN)
    }
}

/// Of the session; of a management socket's tunnel, or of the session in it that the argument names.
fn stats<H: Host>(
    on: &mut Subsystem<'_, H>,
    connection: Connection,
    argument: &[u8],
) -> Result<L2tpStats, Errno>
where
    H::Device: Clone,
{
    if connection.management {
        on.engine.settle_tunnel(on.host, connection.tunnel);
    } else {
        on.engine.settle(on.host, connection.session);
    }
    let tunnel = on.engine.tunnel(connection.tunnel).ok_or(Errno::ENOTCONN)?;
    let tunnel_id = low16(tunnel.id());
    if !connection.management {
        let session = on.engine.session(connection.session).ok_or(Errno::ENOTCONN)?;
        let session_id = low16(session.config.session_id);
        return Ok(L2tpStats { tunnel_id, session_id, stats: session.stats });
    }
    let session_id = L2tpStats::asked_session(argument).ok_or(Errno::EFAULT)?;
    if session_id == 0 {
        return Ok(L2tpStats { tunnel_id, session_id, stats: tunnel.stats });
    }
    let ids = SessionSelector::Ids { tunnel_id: tunnel.id(), session_id: session_id.into() };
    let session = on.engine.find_session(ids).ok().and_then(|key| on.engine.session(key));
    let session = session.filter(|session| session.config.pw_type == PwType::Ppp).ok_or(Errno::EBADR)?;
    Ok(L2tpStats { tunnel_id, session_id, stats: session.stats })
}

/// What the structure has room for.
fn low16(id: u32) -> u16 {
    let [_, _, high, low] = id.to_be_bytes();
    u16::from_be_bytes([high, low])
}
