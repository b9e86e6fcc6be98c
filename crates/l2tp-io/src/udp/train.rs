//! Sending datagrams and trains (UDP_SEGMENT), with the two things that the kernel will not do: a train on a socket
//! whose checksums are off, and a train with segments above the path's MTU.

use crate::batch::{MAX_BATCH, Outgoing, SendReport};
use crate::cmsg::ControlSpace;
use crate::mmsg::{self, OutHeader};
use crate::sockaddr::SockAddr;
use crate::sockopt;
use std::io::{self, IoSlice};
use std::os::fd::BorrowedFd;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// SO_NO_CHECK or UDP_NO_CHECK6_TX of a socket that sends checksum 0. The kernel refuses trains while it is on, so it
/// is turned off for them, and on again for single datagrams, when they come.
pub(super) struct NoChecksum {
    switch: Mutex<Switch>,
}

impl NoChecksum {
    /// The option's name; it is on.
    pub(super) fn new(level: i32, option: i32) -> Self {
        Self { switch: Mutex::new(Switch { level, option, on: true }) }
    }

    /// To be held while sending: the option belongs to the whole socket.
    pub(super) fn lock(&self) -> MutexGuard<'_, Switch> {
        self.switch.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

pub(super) struct Switch {
    level: i32,
    option: i32,
    on: bool,
}

impl Switch {
    /// Turns the option, if it is not so already.
    pub(super) fn set(&mut self, socket: BorrowedFd<'_>, on: bool) {
        if self.on != on && sockopt::set(socket, self.level, self.option, on.into()).is_ok() {
            self.on = on;
        }
    }
}

/// Where messages go from an unconnected socket, and the address that they come from.
pub(super) struct Route {
    /// The peer; `None`: the one that the socket is connected to.
    pub(super) to: Option<SockAddr>,
    /// IP_PKTINFO or IPV6_PKTINFO, or nothing.
    pub(super) source: ControlSpace<40>,
}

impl Route {
    /// A connected socket's.
    pub(super) const CONNECTED: Self = Self { to: None, source: ControlSpace::EMPTY };

    /// Room for the source and the segment size.
    fn control(&self, segment: Option<u16>) -> ControlSpace<64> {
        let mut control = self.source.enlarged();
        if let Some(size) = segment {
            control.push(libc::SOL_UDP, libc::UDP_SEGMENT, &size.to_ne_bytes());
        }
        control
    }
}

/// Sends up to [`MAX_BATCH`] messages, in order, and goes on after one that fails. `no_checksum` is that of the socket.
pub(super) fn send_batch(
    socket: BorrowedFd<'_>,
    route: &Route,
    no_checksum: Option<&NoChecksum>,
    messages: &[Outgoing<'_>],
) -> SendReport {
    let messages = messages.get(..MAX_BATCH).unwrap_or(messages);
    let mut report = SendReport::default();
    let Some(no_checksum) = no_checksum else {
        send(socket, route, messages, 0, &mut report);
        return report.close(messages.len());
    };
    let mut switch = no_checksum.lock();
    let mut first = 0;
    for run in messages.chunk_by(|a, b| a.train().is_some() == b.train().is_some()) {
        let trains = run.first().is_some_and(|message| message.train().is_some());
        switch.set(socket, !trains);
        send(socket, route, run, first, &mut report);
        first += run.len();
    }
    report.close(messages.len())
}

/// Messages for which less memory is made ready: most calls have one or two trains.
const FEW: usize = 4;

/// Sends messages of which the first has index `first` in the report.
fn send(
    socket: BorrowedFd<'_>,
    route: &Route,
    messages: &[Outgoing<'_>],
    first: usize,
    report: &mut SendReport,
) {
    if messages.len() <= FEW {
        send_up_to::<FEW>(socket, route, messages, first, report);
    } else {
        send_up_to::<MAX_BATCH>(socket, route, messages, first, report);
    }
}

/// Sends the first `N` messages.
fn send_up_to<const N: usize>(
    socket: BorrowedFd<'_>,
    route: &Route,
    messages: &[Outgoing<'_>],
    first: usize,
    report: &mut SendReport,
) {
    let mut controls = [ControlSpace::<64>::EMPTY; N];
    let mut headers = [OutHeader::EMPTY; N];
    for ((header, control), message) in headers.iter_mut().zip(&mut controls).zip(messages) {
        *control = route.control(message.train());
        *header = OutHeader::new(message, route.to.as_ref(), control);
    }
    let headers = headers.get_mut(..messages.len()).unwrap_or_default();
    mmsg::send_each(socket, headers, |index, error| match messages.get(index) {
        Some(train) if train.train().is_some() && is_refusal(&error) => {
            report.refused_trains += 1;
            send_apart(socket, route, train, first + index, report);
        }
        _ => report.fail(first + index, error),
    });
}

/// Errors by which the kernel refuses a train but would take its segments: EINVAL or EMSGSIZE, by kernel version, for a
/// segment above the path's MTU; EIO for a way out without checksum offload (net/ipv4/udp.c udp_send_skb).
fn is_refusal(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::EINVAL | libc::EMSGSIZE | libc::EIO))
}

/// Sends the segments of a train as datagrams of their own, fragmented where they are too big.
fn send_apart(
    socket: BorrowedFd<'_>,
    route: &Route,
    train: &Outgoing<'_>,
    index: usize,
    report: &mut SendReport,
) {
    let Some(size) = train.train() else { return };
    let mut rest = Cursor { parts: train.parts, offset: 0 };
    let mut parts = [IoSlice::new(&[]); MAX_PARTS];
    while let Some(parts) = rest.take(usize::from(size), &mut parts) {
        if parts.len() == MAX_PARTS {
            return report.fail(index, io::Error::from_raw_os_error(libc::EMSGSIZE));
        }
        let segment = Outgoing { parts, segment: None };
        let mut header = [OutHeader::new(&segment, route.to.as_ref(), &route.source)];
        mmsg::send_each(socket, &mut header, |_, error| report.fail(index, error));
    }
}

/// A segment of a refused train is gathered from fewer parts than this (senders use two or three), or the train fails.
const MAX_PARTS: usize = 64;

/// A place in the parts of a message.
struct Cursor<'a> {
    parts: &'a [IoSlice<'a>],
    offset: usize,
}

impl<'a> Cursor<'a> {
    /// The next `size` bytes (fewer at the end, `None` after it), as slices put into `room`.
    fn take<'r>(&mut self, size: usize, room: &'r mut [IoSlice<'a>; MAX_PARTS]) -> Option<&'r [IoSlice<'a>]> {
        let mut wanted = size;
        let mut used = 0;
        for slot in &mut *room {
            let Some(piece) = self.next_piece(wanted) else { break };
            wanted -= piece.len();
            *slot = IoSlice::new(piece);
            used += 1;
        }
        room.get(..used).filter(|parts| !parts.is_empty())
    }

    /// At most `wanted` bytes of the part at hand, never none.
    fn next_piece(&mut self, wanted: usize) -> Option<&'a [u8]> {
        loop {
            let (part, others) = self.parts.split_first()?;
            let left = part.get(self.offset..).unwrap_or_default();
            if left.is_empty() {
                *self = Self { parts: others, offset: 0 };
                continue;
            }
            let piece = left.get(..wanted.min(left.len())).filter(|piece| !piece.is_empty())?;
            self.offset += piece.len();
            return Some(piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cursor, MAX_PARTS};
    use std::io::IoSlice;

    #[test]
    fn parts_are_cut_anew_at_segment_borders() {
        let bytes: Vec<u8> = (0..=99).collect();
        let (a, rest) = bytes.split_at(7);
        let (b, c) = rest.split_at(50);
        let parts = [IoSlice::new(a), IoSlice::new(&[]), IoSlice::new(b), IoSlice::new(c), IoSlice::new(&[])];
        for size in [1, 3, 7, 8, 57, 99, 100, 101] {
            let mut cursor = Cursor { parts: &parts, offset: 0 };
            let mut room = [IoSlice::new(&[]); MAX_PARTS];
            let mut cut = Vec::new();
            while let Some(segment) = cursor.take(size, &mut room) {
                cut.push(segment.iter().flat_map(|part| part.to_vec()).collect::<Vec<_>>());
            }
            assert_eq!(cut, bytes.chunks(size).map(<[u8]>::to_vec).collect::<Vec<_>>(), "size {size}");
        }
    }
}
