//! The server at work for one program.

use super::{Client, FERROWIRE_FAMILY_ID};
use alloc::vec::Vec;
use core::time::Duration;
use l2tp_abi::nl::{ExtAck, Message, Messages, NLM_F_ACK, emit_ack};
use l2tp_core::{Engine, Host};

/// The side that serves: where answers go, every call one datagram, and what only it can count. Its programs hand over and
/// are handed descriptors `D`.
pub trait ReplySink<D> {
    /// Sends to the program that asked, with a descriptor where the answer has one.
    fn reply(&mut self, datagram: &[u8], descriptor: Option<D>);

    /// Sends to every socket, of any network namespace, that hears `group` ([`Client::hears`]).
    fn notify(&mut self, group: u32, datagram: &[u8]);

    /// What was lost where the engine does not see it, counter by counter, to be told with the engine's own.
    fn losses(&self) -> Vec<(&'static str, u64)> {
        Vec::new()
    }

    /// The longest time for which packets had to wait for a command or a part of a dump.
    fn longest_hold(&self) -> Duration {
        Duration::ZERO
    }
}

/// The subsystem of a namespace, the program that asks and the way back to it, for the time of one call.
///
/// The server holds no state: what lasts is in the engine and in the [`Client`].
pub struct Server<'a, H: Host, R> {
    /// Tunnels and sessions.
    pub engine: &'a mut Engine<H::Socket, H::Device>,
    /// What they stand on.
    pub host: &'a mut H,
    /// Who asks.
    pub client: &'a mut Client,
    /// Where the answers go.
    pub replies: &'a mut R,
    /// The socket that came beside the datagram, for the descriptor that its first message to the l2tp family may name, or for
    /// its first call on a socket. Kernel: the number is looked up in the table of the program that asks, which nobody else
    /// can do for it.
    pub descriptor: Option<H::Descriptor>,
}

impl<H: Host, R: ReplySink<H::Descriptor>> Server<'_, H, R> {
    /// Answers every request of a datagram, in order (`netlink_rcv_skb`): replies and notifications, then an error, or an
    /// acknowledgement if one was asked for. Of a dump the first datagram is sent; the rest waits for
    /// [`Server::continue_dump`].
    pub fn handle_datagram(&mut self, datagram: &[u8]) {
        for message in Messages::new(datagram) {
            self.handle_message(&message);
            // Not for the next: whose it is must not depend on what became of this one.
            if message.header.kind != FERROWIRE_FAMILY_ID {
                self.descriptor = None;
            }
        }
    }

    fn handle_message(&mut self, message: &Message<'_>) {
        let mut ext = ExtAck::default();
        let error = match self.dispatch(message, &mut ext) {
            Ok(Answered::Fully) => None,
            // The end of the dump is the acknowledgement.
            Ok(Answered::InPart) => return,
            Err(errno) => Some(errno),
        };
        if error.is_some() || message.header.flags & NLM_F_ACK != 0 {
            let mut out = Vec::new();
            emit_ack(&mut out, message, self.client.port, self.client.options, error, &ext);
            self.replies.reply(&out, None);
        }
    }
}

/// What a request has got so far.
pub(super) enum Answered {
    /// All but the acknowledgement.
    Fully,
    /// The first part of a dump.
    InPart,
}
