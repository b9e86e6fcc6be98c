//! What listeners of the group "l2tp" hear: creation, change and deletion by a command, in the form of a reply.
//!
//! As in the kernel, nothing else is told to this group: not the death of sessions with their tunnel, nor of a tunnel with
//! its socket. What a command did is done whether or not anybody heard of it.

use super::{L2TP_GROUP_ID, ReplySink, Server};
use alloc::vec::Vec;
use l2tp_abi::Errno;
use l2tp_abi::nl::{Header, NLM_F_ACK};
use l2tp_core::{Host, SessionKey, TunnelKey};

impl<H: Host, R: ReplySink<H::Descriptor>> Server<'_, H, R> {
    /// Tells what `cmd` of the request `header` does to a tunnel.
    pub(super) fn notify_tunnel(&mut self, header: &Header, key: TunnelKey, cmd: u8) -> Result<(), Errno> {
        let mut out = Vec::new();
        self.tunnel_message(key)?.emit(&mut out, self.answer_header(header, NLM_F_ACK), cmd);
        self.replies.notify(L2TP_GROUP_ID, &out);
        Ok(())
    }

    /// Tells what `cmd` of the request `header` does to a session.
    pub(super) fn notify_session(&mut self, header: &Header, key: SessionKey, cmd: u8) -> Result<(), Errno> {
        let mut out = Vec::new();
        self.session_message(key)?.emit(&mut out, self.answer_header(header, NLM_F_ACK), cmd);
        self.replies.notify(L2TP_GROUP_ID, &out);
        Ok(())
    }
}
