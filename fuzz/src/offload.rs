//! Super-frames, cut and joined.

use std::io::IoSlice;

use l2tp_io::offload::HEADER_MAX;
use l2tp_io::offload::coalesce::coalesce as join;
use l2tp_io::offload::split::{Prepared, Train, prepare};
use l2tp_io::offload::vnet::VnetHeader;

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
    match prepare(&vnet, &mut prepared) {
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
    let mut lengths = Vec::new();
    join(frames.iter().copied(), |slices| lengths.extend(cut(slices)));
    let mut expected: Vec<usize> = frames.iter().map(|frame| frame.len()).collect();
    expected.sort_unstable();
    lengths.sort_unstable();
    assert_eq!(lengths, expected);
}

/// The lengths of the frames that a write stands for.
fn cut(slices: &[IoSlice<'_>]) -> Vec<usize> {
    assert!(slices.len() <= SLICES_MAX);
    let bytes: Vec<u8> = slices.iter().flat_map(|slice| slice.iter().copied()).collect();
    assert!(bytes.len() <= VnetHeader::LEN + 65_535);
    let Some((vnet, frame)) = VnetHeader::parse(&bytes) else { return Vec::new() };
    let mut frame = frame.to_vec();
    let prepared = prepare(&vnet, &mut frame);
    assert!(prepared.is_ok(), "{prepared:?}");
    let Ok(Prepared::Train(train)) = prepared else { return vec![frame.len()] };
    let mut header = [0; HEADER_MAX];
    (0..train.segments()).map(|i| train.header_len() + train.emit(&frame, i, &mut header).len()).collect()
}
