//! `setsockopt` and `getsockopt` at level `SOL_PPPOL2TP`.

use super::{Connection, Pppol2tp, SocketKey, Subsystem};
use alloc::vec::Vec;
use core::time::Duration;
use l2tp_abi::Errno;
use l2tp_abi::ppp::{
    PPPOL2TP_SO_DEBUG, PPPOL2TP_SO_LNSMODE, PPPOL2TP_SO_RECVSEQ, PPPOL2TP_SO_REORDERTO, PPPOL2TP_SO_SENDSEQ,
    SOL_PPPOL2TP,
};
use l2tp_core::config::SessionChange;
use l2tp_core::{Error, Host, SessionConfig, SessionSelector};

impl Pppol2tp {
    /// `setsockopt`. A management socket has the option `PPPOL2TP_SO_DEBUG` only.
    ///
    /// # Errors
    /// `EINVAL` for another level, for fewer than four bytes and for a flag that is neither 0 nor 1; `ENOTCONN`, also when the
    /// session is gone; `ENOPROTOOPT`.
    pub fn set_option<H: Host>(
        &mut self,
        on: &mut Subsystem<'_, H>,
        key: SocketKey,
        (level, option): (u32, u32),
        value: &[u8],
    ) -> Result<(), Errno>
    where
        H::Device: Clone,
    {
        let bytes = value.first_chunk().filter(|_| level == SOL_PPPOL2TP).ok_or(Errno::EINVAL)?;
        let value = i32::from_ne_bytes(*bytes);
        let connection = self.living(on, key)?;
        if option == PPPOL2TP_SO_DEBUG {
            return Ok(());
        }
        if connection.management {
            return Err(Errno::ENOPROTOOPT);
        }
        let change = change(option, value)?;
        let session = on.engine.session(connection.session).ok_or(Errno::ENOTCONN)?;
        let ids =
            SessionSelector::Ids { tunnel_id: session.tunnel_id, session_id: session.config.session_id };
        on.engine.modify_session(ids, &change).map(drop).map_err(Error::errno)
    }

    /// `getsockopt` into a buffer of `room` bytes: an `int`, or as much of it as there is room for.
    ///
    /// # Errors
    /// `EINVAL` for another level and for a negative room; `ENOTCONN`, also when the session is gone; `ENOPROTOOPT`.
    pub fn option<H: Host>(
        &self,
        on: &Subsystem<'_, H>,
        key: SocketKey,
        (level, option): (u32, u32),
        room: i32,
    ) -> Result<Vec<u8>, Errno>
    where
        H::Device: Clone,
    {
        let room = usize::try_from(room).ok().filter(|_| level == SOL_PPPOL2TP).ok_or(Errno::EINVAL)?;
        let connection = self.living(on, key)?;
        let session = on.engine.session(connection.session).ok_or(Errno::ENOTCONN)?;
        let value = match option {
            PPPOL2TP_SO_DEBUG => 0,
            _ if connection.management => return Err(Errno::ENOPROTOOPT),
            _ => value(option, &session.config)?,
        };
        let mut bytes = value.to_ne_bytes().to_vec();
        bytes.truncate(room);
        Ok(bytes)
    }

    /// The connection of a socket whose session is still there.
    pub(super) fn living<H: Host>(&self, on: &Subsystem<'_, H>, key: SocketKey) -> Result<Connection, Errno>
    where
        H::Device: Clone,
    {
        let connection = self.connection(key)?;
        on.engine.session(connection.session).map(|_| connection).ok_or(Errno::ENOTCONN)
    }
}

fn change(option: u32, value: i32) -> Result<SessionChange, Errno> {
    let flag = || match value {
        0 | 1 => Ok(Some(value == 1)),
        _ => Err(Errno::EINVAL),
    };
    let none = SessionChange::default();
    match option {
        PPPOL2TP_SO_RECVSEQ => Ok(SessionChange { recv_seq: flag()?, ..none }),
        PPPOL2TP_SO_SENDSEQ => Ok(SessionChange { send_seq: flag()?, ..none }),
        PPPOL2TP_SO_LNSMODE => Ok(SessionChange { lns_mode: flag()?, ..none }),
        // The kernel makes a negative time an endless one.
        PPPOL2TP_SO_REORDERTO => {
            let millis = u64::try_from(value).unwrap_or(i32::MAX.unsigned_abs().into());
            Ok(SessionChange { reorder_timeout: Some(Duration::from_millis(millis)), ..none })
        }
        _ => Err(Errno::ENOPROTOOPT),
    }
}

fn value(option: u32, config: &SessionConfig) -> Result<i32, Errno> {
    match option {
        PPPOL2TP_SO_RECVSEQ => Ok(config.recv_seq.into()),
        PPPOL2TP_SO_SENDSEQ => Ok(config.send_seq.into()),
        PPPOL2TP_SO_LNSMODE => Ok(config.lns_mode.into()),
        PPPOL2TP_SO_REORDERTO => Ok(i32::try_from(config.reorder_timeout.as_millis()).unwrap_or(i32::MAX)),
        _ => Err(Errno::ENOPROTOOPT),
    }
}
