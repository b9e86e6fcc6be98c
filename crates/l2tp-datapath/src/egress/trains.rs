//! Segments gathered to messages: over UDP, neighbours of one size leave as one train, cut again by the kernel or the
//! network card. Over IP each is a message of its own.

use std::io::IoSlice;

use l2tp_core::tx::Sent;
use l2tp_io::batch::{MAX_BATCH, Outgoing, SendReport};

use super::Segment;
use crate::loss::Loss;
use crate::shared::Shared;
use crate::socket::TunnelSocket;

/// Segments sent in one go at most: two trains of the most segments, and two batches of single messages. What points at
/// them is laid out anew for each go, so more would cost a lone acknowledgement more than it would save anybody.
pub(super) const SEGMENTS: usize = 128;

/// Segments of a train at most (UDP_MAX_SEGMENTS of Linux before 6.6).
const TRAIN_SEGMENTS: usize = 64;
/// Bytes of a train at most: the largest UDP payload over IPv4.
const TRAIN_BYTES: usize = 65_507;

/// Sends `segments`, at most [`SEGMENTS`], in order, their headers in `headers` and their payloads in `frames`, and adds up
/// what became of them.
pub(super) fn send(
    socket: &TunnelSocket,
    headers: &[u8],
    segments: &[Segment],
    frames: &[u8],
    shared: &Shared,
    sent: &mut Sent,
) {
    let mut parts = [IoSlice::new(&[]); 2 * SEGMENTS];
    for (pair, segment) in parts.as_chunks_mut::<2>().0.iter_mut().zip(segments) {
        let header = headers.get(segment.header.clone()).unwrap_or_default();
        let payload = frames.get(segment.payload.clone()).unwrap_or_default();
        *pair = [IoSlice::new(header), IoSlice::new(payload)];
    }
    let mut rest = segments;
    let mut parts = &parts[..];
    while !rest.is_empty() {
        let mut messages = [Outgoing { parts: &[], segment: None }; MAX_BATCH];
        let mut lens = [0; MAX_BATCH];
        let mut count = 0;
        let start = rest;
        for (message, len) in messages.iter_mut().zip(&mut lens) {
            *len = if socket.has_trains() { train_len(rest) } else { rest.len().min(1) };
            if *len == 0 {
                break;
            }
            let (own, others) = parts.split_at(2 * *len);
            let segment = rest.first().and_then(|first| u16::try_from(first.len()).ok());
            *message = Outgoing { parts: own, segment: segment.filter(|_| *len > 1) };
            (rest, parts) = (rest.get(*len..).unwrap_or_default(), others);
            count += 1;
        }
        let report = socket.send_batch(messages.get(..count).unwrap_or_default());
        shared.losses.add(Loss::TrainsRefused, report.refused_trains as u64);
        account(&report, start, lens.get(..count).unwrap_or_default(), sent);
    }
}

/// How many segments from the first on make a train: of one size, but for a shorter last one.
fn train_len(segments: &[Segment]) -> usize {
    let Some(size) = segments.first().map(Segment::len) else { return 0 };
    let most = (TRAIN_BYTES / size.max(1)).clamp(1, TRAIN_SEGMENTS);
    let equal = segments.iter().take(most).take_while(|segment| segment.len() == size).count();
    let shorter = segments.get(equal).is_some_and(|next| equal < most && next.len() < size);
    equal + usize::from(shorter)
}

fn account(report: &SendReport, segments: &[Segment], lens: &[usize], sent: &mut Sent) {
    let mut rest = segments;
    for (index, len) in lens.iter().enumerate() {
        let (own, others) = rest.split_at(*len);
        if report.has_failed(index) {
            sent.errors += own.len() as u64;
        } else {
            sent.packets += own.len() as u64;
            sent.bytes += own.iter().map(Segment::len).sum::<usize>() as u64;
        }
        rest = others;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn segments(sizes: &[usize]) -> Vec<Segment> {
        sizes.iter().map(|size| Segment { header: 0..10, payload: 0..*size - 10 }).collect()
    }

    #[test]
    fn a_train_ends_with_its_first_shorter_segment() {
        assert_eq!(train_len(&segments(&[])), 0);
        assert_eq!(train_len(&segments(&[100])), 1);
        assert_eq!(train_len(&segments(&[100, 100, 60, 100])), 3);
        assert_eq!(train_len(&segments(&[100, 120])), 1);
        assert_eq!(train_len(&segments(&[100; 100])), 64);
        assert_eq!(train_len(&segments(&[1500; 100])), 43);
        assert_eq!(train_len(&segments(&[65_000, 65_000])), 1);
    }

    #[test]
    fn a_failed_train_fails_with_all_its_segments() {
        let report = SendReport { accepted: 2, sent: 1, failed: 1, ..SendReport::default() };
        let mut sent = Sent::default();
        account(&report, &segments(&[100, 100, 60]), &[2, 1], &mut sent);
        assert_eq!(sent, Sent { packets: 1, bytes: 60, errors: 2 });
    }
}
