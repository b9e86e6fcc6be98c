//! Super-frames, cut and joined.

use std::io::IoSlice;

use l2tp_io::offload::coalesce::coalesce as join;
use l2tp_io::offload::split::{Prepared, Train, prepare};
use l2tp_io::offload::vnet::VnetHeader;
use l2tp_io::offload::{HEADER_MAX, Link};

use crate::Input;

/// Bytes of a frame that are looked at; more would only take longer.
const FRAME_MAX: usize = 4096;

/// Slices of one write to the device.
const SLICES_MAX: usize = 65;

/// A vnet header and a frame, as they are read from a device.
pub fn split(data: &[u8]) {
    let Some((vnet, frame)) = VnetHeader::parse(data) else { return };
    assert_eq!(data.get(..VnetHeader::LEN), Some(&vnet.emit()[..]));
    let frame = frame.get(..FRAME_MAX).unwrap_or(frame);
    let mut prepared = frame.to_vec();
    match prepare(Link::Ethernet, &vnet, &mut prepared) {
        Ok(Prepared::Single) => assert_eq!(prepared.len(), frame.len()),
        Ok(Prepared::Train(train)) => check_train(&train, frame, &prepared),
        Err(_) => assert_eq!(prepared, frame),
    }
}

/// The payloads of the segments are the payload of the frame.
fn check_train(train: &Train, frame: &[u8], prepared: &[u8]) {
    assert_eq!(prepared, frame);
    assert!(train.segments() >= 2 && train.header_len() <= HEADER_MAX);
    let mut header = [0; HEADER_MAX];
    let mut end = train.header_len();
    for index in 0..train.segments() {
        let payload = train.emit(frame, index, &mut header);
        assert!(!payload.is_empty() && payload.len() <= train.payload_per_segment());
        assert_eq!(payload.start, end);
        end = payload.end;
    }
    assert_eq!(end, frame.len());
    assert!(train.emit(frame, train.segments(), &mut header).is_empty());
}

/// Frames as records, joined and cut again.
pub fn coalesce(data: &[u8]) {
    let mut input = Input(data);
    let mut frames = Vec::new();
    while !input.is_empty() {
        let record = input.record();
        frames.push(record.get(..FRAME_MAX).unwrap_or(record));
    }
    let mut again = Vec::new();
    join(Link::Ethernet, true, frames.iter().copied(), |slices| {
        again.extend(cut(slices).iter().map(|frame| masked(frame)));
    });
    let mut frames: Vec<Vec<u8>> = frames.into_iter().map(masked).collect();
    frames.sort_unstable();
    again.sort_unstable();
    assert!(again == frames, "other frames came out:\n{again:02x?}\n{frames:02x?}");
}

/// A frame without IPv4 identification and header checksum, which may change where the sender does not count.
fn masked(frame: &[u8]) -> Vec<u8> {
    let mut frame = frame.to_vec();
    let mut at = 12;
    while let Some([0x81, 0x00] | [0x88, 0xa8]) = frame.get(at..at + 2) {
        at += 4;
    }
    if let Some([0x08, 0x00]) = frame.get(at..at + 2) {
        for field in [at + 6..at + 8, at + 12..at + 14] {
            frame.get_mut(field).into_iter().flatten().for_each(|byte| *byte = 0);
        }
    }
    frame
}

/// The frames that a write stands for.
fn cut(slices: &[IoSlice<'_>]) -> Vec<Vec<u8>> {
    assert!(slices.len() <= SLICES_MAX);
    let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
    assert!(bytes.len() <= VnetHeader::LEN + 65_535);
    let Some((vnet, frame)) = VnetHeader::parse(&bytes) else { return Vec::new() };
    let mut frame = frame.to_vec();
    let prepared = prepare(Link::Ethernet, &vnet, &mut frame);
    assert!(prepared.is_ok(), "{prepared:?}");
    let Ok(Prepared::Train(train)) = prepared else { return vec![frame] };
    let segment = |index| {
        let mut header = [0; HEADER_MAX];
        let payload = train.emit(&frame, index, &mut header);
        [&header[..train.header_len()], &frame[payload]].concat()
    };
    (0..train.segments()).map(segment).collect()
}
