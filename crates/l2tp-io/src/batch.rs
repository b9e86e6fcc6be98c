//! Many datagrams per system call: the buffers of `recvmmsg(2)`, the messages of `sendmmsg(2)`.

use crate::cmsg::ControlSpace;
use crate::sockaddr::SockAddr;
use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Datagrams that one call receives or sends at most.
pub const MAX_BATCH: usize = 64;

/// Preallocated room for received datagrams. One batch serves any number of sockets, one after the other.
pub struct RecvBatch {
    pub(crate) buffers: Box<[u8]>,
    pub(crate) slot_bytes: usize,
    pub(crate) slots: Box<[Slot]>,
    pub(crate) filled: usize,
    pub(crate) faults: RecvFaults,
}

/// What went wrong while receiving, counted from the making of the batch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RecvFaults {
    /// Errors that a packet of ours caused elsewhere and that the socket reported here (ICMP: connection refused,
    /// host unreachable …). No datagram is lost by them.
    pub reported: u64,
    /// Kind of the last of those.
    pub last_reported: Option<io::ErrorKind>,
    /// Datagrams longer than a slot: dropped.
    pub truncated: u64,
    /// Packets of a raw socket without a whole IP header: dropped.
    pub malformed: u64,
}

/// The kernel's notes on one datagram.
pub(crate) struct Slot {
    pub(crate) name: SockAddr,
    pub(crate) control: ControlSpace<96>,
    /// Where the payload begins in the slot's buffer, and its length; `None` when the datagram is not to be used.
    pub(crate) payload: Option<(usize, usize)>,
    pub(crate) local: Option<IpAddr>,
}

impl RecvBatch {
    /// Room for `slots` datagrams (1 to [`MAX_BATCH`]) of `slot_bytes` each. A socket with GRO needs 65,535 bytes a
    /// slot. Memory that is never received into is never touched.
    #[must_use]
    pub fn new(slots: usize, slot_bytes: usize) -> Self {
        let (count, slot_bytes) = (slots.clamp(1, MAX_BATCH), slot_bytes.max(1));
        Self {
            buffers: vec![0; count * slot_bytes].into_boxed_slice(),
            slot_bytes,
            slots: (0..count).map(|_| Slot::EMPTY).collect(),
            filled: 0,
            faults: RecvFaults::default(),
        }
    }

    /// The datagrams of the last receive, in order of arrival.
    pub fn iter(&self) -> impl Iterator<Item = Received<'_>> {
        let filled = self.slots.iter().take(self.filled);
        self.buffers.chunks_exact(self.slot_bytes).zip(filled).filter_map(|(buffer, slot)| slot.view(buffer))
    }

    /// The bytes of a datagram of the last receive, by its place in [`Self::iter`]; none where there is no such.
    pub fn payload_mut(&mut self, index: usize) -> &mut [u8] {
        let used = self.slots.iter().take(self.filled).enumerate();
        let place = used.filter_map(|(slot, notes)| Some((slot, notes.payload?))).nth(index);
        let buffer = place.and_then(|(slot, (start, length))| {
            let start = slot * self.slot_bytes + start;
            self.buffers.get_mut(start..)?.get_mut(..length)
        });
        buffer.unwrap_or_default()
    }

    /// The faults met so far.
    #[must_use]
    pub fn faults(&self) -> RecvFaults {
        self.faults
    }
}

impl Slot {
    const EMPTY: Self =
        Self { name: SockAddr::EMPTY, control: ControlSpace::EMPTY, payload: None, local: None };

    fn view<'a>(&self, buffer: &'a [u8]) -> Option<Received<'a>> {
        let (start, length) = self.payload?;
        let bytes = buffer.get(start..)?.get(..length)?;
        let stride = self.gro_stride().filter(|stride| *stride > 0).unwrap_or(length);
        let local = self.local.or_else(|| self.local_of_control());
        Some(Received { bytes, segment_size: stride, from: self.name.decode(), local })
    }

    /// UDP_GRO: size of all segments but the last, an `int` (udp(7), include/uapi/linux/udp.h).
    fn gro_stride(&self) -> Option<usize> {
        let size = self.control.find(libc::SOL_UDP, libc::UDP_GRO)?;
        usize::try_from(i32::from_ne_bytes(*size.first_chunk()?)).ok()
    }

    /// `struct in6_pktinfo`: the address first (RFC 3542 section 6).
    fn local_of_control(&self) -> Option<IpAddr> {
        let info = self.control.find(libc::IPPROTO_IPV6, libc::IPV6_PKTINFO)?;
        Some(Ipv6Addr::from(*info.first_chunk::<16>()?).into())
    }
}

/// A received datagram, or several of one sender that GRO has joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Received<'a> {
    /// The payload: after the UDP header, or after the IP header of a raw socket.
    pub bytes: &'a [u8],
    /// Length of each joined datagram but the last, which may be shorter. All of `bytes` when nothing was joined.
    pub segment_size: usize,
    /// The sender. Raw sockets give port 0.
    pub from: Option<SocketAddr>,
    /// The address that it was sent to: raw sockets only.
    pub local: Option<IpAddr>,
}

impl<'a> Received<'a> {
    /// The datagrams as they were sent, one or more; an empty datagram is one empty slice.
    pub fn segments(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let stride = self.segment_size.max(1);
        let (first, rest) = self.bytes.split_at_checked(stride).unwrap_or((self.bytes, &[]));
        std::iter::once(first).chain(rest.chunks(stride))
    }
}

/// One message to send, gathered from its parts.
#[derive(Clone, Copy, Debug)]
pub struct Outgoing<'a> {
    /// The payload in pieces (headers, frame …); at most 1,024.
    pub parts: &'a [IoSlice<'a>],
    /// Send it as a train: cut after every so many bytes, one datagram each, by the kernel or the network card
    /// (UDP_SEGMENT). At most 64 segments and 65,507 bytes in all. `None`: one datagram.
    pub segment: Option<u16>,
}

impl Outgoing<'_> {
    /// Bytes of all parts.
    #[must_use]
    pub fn size(&self) -> usize {
        self.parts.iter().map(|part| part.len()).sum()
    }

    /// The segment size, if there is more than one segment.
    pub(crate) fn train(&self) -> Option<u16> {
        self.segment.filter(|size| *size > 0 && usize::from(*size) < self.size())
    }
}

/// What became of a batch of messages.
#[derive(Debug, Default)]
pub struct SendReport {
    /// Messages looked at: the first [`MAX_BATCH`] of those given. Send the rest in another batch.
    pub accepted: usize,
    /// Messages handed to the network whole.
    pub sent: usize,
    /// Bit `i` is set when message `i` was not sent, or a train not whole.
    pub failed: u64,
    /// Trains that the kernel refused (a segment above the path's MTU, no checksum offload) and that were sent one
    /// datagram at a time instead. A sender that sees them does better with smaller or no trains.
    pub refused_trains: usize,
    /// The last error; `WouldBlock` when the socket's queue was full and the rest of the batch was dropped.
    pub last_error: Option<io::Error>,
}

impl SendReport {
    /// Whether the message with this index in the batch was not sent.
    #[must_use]
    pub fn has_failed(&self, index: usize) -> bool {
        u32::try_from(index).is_ok_and(|index| self.failed.checked_shr(index).unwrap_or(0) & 1 == 1)
    }

    /// The report of a batch of which nothing was sent.
    #[must_use]
    pub fn refused(messages: usize, error: io::Error) -> Self {
        let mut report = Self::default();
        let accepted = messages.min(MAX_BATCH);
        report.failed = u64::MAX.checked_shr(u32::try_from(MAX_BATCH - accepted).unwrap_or(0)).unwrap_or(0);
        report.last_error = Some(error);
        report.close(accepted)
    }

    pub(crate) fn fail(&mut self, index: usize, error: io::Error) {
        self.failed |= u32::try_from(index).ok().and_then(|index| 1_u64.checked_shl(index)).unwrap_or(0);
        self.last_error = Some(error);
    }

    /// Closes the account: everything accepted that has not failed was sent.
    pub(crate) fn close(mut self, accepted: usize) -> Self {
        let failed = usize::try_from(self.failed.count_ones()).unwrap_or(MAX_BATCH);
        self.accepted = accepted;
        self.sent = accepted.saturating_sub(failed);
        self
    }
}

#[cfg(test)]
mod tests {
    use super::{Outgoing, Received, RecvBatch, SendReport};
    use std::io::{self, IoSlice};

    fn received(bytes: &[u8], segment_size: usize) -> Received<'_> {
        Received { bytes, segment_size, from: None, local: None }
    }

    #[test]
    fn segments_are_cut_at_the_stride() {
        let bytes = [0, 1, 2, 3, 4, 5, 6];
        let cut: Vec<_> = received(&bytes, 3).segments().collect();
        assert_eq!(cut, [&[0, 1, 2][..], &[3, 4, 5], &[6]]);
        assert_eq!(received(&bytes, 7).segments().count(), 1);
        assert_eq!(received(&bytes, 100).segments().collect::<Vec<_>>(), [&bytes[..]]);
        assert_eq!(received(&[], 0).segments().collect::<Vec<_>>(), [&[][..]]);
        assert_eq!(received(&bytes, 0).segments().count(), 7);
    }

    /// A slot that is not to be used has no place among the datagrams.
    #[test]
    fn the_bytes_of_a_datagram_can_be_changed_by_its_place() {
        let mut batch = RecvBatch::new(3, 8);
        batch.filled = 3;
        for (slot, payload) in batch.slots.iter_mut().zip([Some((2, 3)), None, Some((0, 8))]) {
            slot.payload = payload;
        }
        for (index, mark) in [(0, 1), (1, 2), (2, 3)] {
            batch.payload_mut(index).fill(mark);
        }
        let seen: Vec<_> = batch.iter().map(|received| received.bytes.to_vec()).collect();
        assert_eq!(seen, [vec![1; 3], vec![2; 8]]);
        assert_eq!(&*batch.buffers, [&[0, 0, 1, 1, 1, 0, 0, 0][..], &[0; 8], &[2; 8]].concat());
    }

    #[test]
    fn a_train_has_two_segments_or_more() {
        let parts = [IoSlice::new(&[0; 10]), IoSlice::new(&[0; 5])];
        let train = |segment| Outgoing { parts: &parts, segment }.train();
        assert_eq!(train(Some(14)), Some(14));
        assert_eq!((train(Some(15)), train(Some(0)), train(None)), (None, None, None));
    }

    #[test]
    fn a_report_counts_what_failed() {
        let mut report = SendReport::default();
        report.fail(3, io::ErrorKind::Other.into());
        report.fail(63, io::ErrorKind::WouldBlock.into());
        report.fail(64, io::ErrorKind::WouldBlock.into());
        let report = report.close(64);
        assert_eq!((report.sent, report.accepted), (62, 64));
        assert!(
            report.has_failed(3) && report.has_failed(63) && !report.has_failed(4) && !report.has_failed(64)
        );
    }

    #[test]
    fn of_a_refused_batch_nothing_was_sent() {
        for messages in [0, 1, 63, 64, 100] {
            let report = SendReport::refused(messages, io::ErrorKind::NotConnected.into());
            assert_eq!((report.accepted, report.sent), (messages.min(64), 0));
            assert_eq!((0..64).filter(|index| report.has_failed(*index)).count(), messages.min(64));
        }
    }

    #[test]
    fn a_batch_has_at_least_one_slot_and_at_most_the_maximum() {
        assert_eq!(RecvBatch::new(0, 0).slots.len(), 1);
        assert_eq!(RecvBatch::new(1000, 10).buffers.len(), 640);
        assert_eq!(RecvBatch::new(4, 10).iter().count(), 0);
    }
}
