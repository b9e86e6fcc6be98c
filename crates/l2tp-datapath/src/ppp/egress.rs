//! Frames to peers: one by one from programs, in batches from units' devices.

use std::io::IoSlice;

use l2tp_core::SessionKey;
use l2tp_core::tx::{HEADER_MAX, Sent};
use l2tp_io::batch::Outgoing;

use crate::shared::Shared;

/// Sends one frame, from its protocol on, to the peer of a session, if it is there.
pub(crate) fn transmit(shared: &Shared, session: SessionKey, frame: &[u8]) {
    let Some(transmit) = shared.engine().handle_tx(session, 1) else { return };
    let mut header = [0; HEADER_MAX];
    let len = transmit.emit_header(0, &mut header);
    let parts = [IoSlice::new(header.get(..len).unwrap_or_default()), IoSlice::new(frame)];
    let report = transmit.socket.send_batch(&[Outgoing { parts: &parts, segment: None }]);
    let sent = if report.sent == 1 {
        Sent { packets: 1, bytes: (len + frame.len()) as u64, errors: 0 }
    } else {
        Sent { packets: 0, bytes: 0, errors: 1 }
    };
    shared.engine().finish_tx(session, &sent);
}
