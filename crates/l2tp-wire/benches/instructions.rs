//! What reading and writing a header costs, in instructions: `cargo xtask bench instructions` runs this under valgrind.
//!
//! `instructions NAME COUNT` does one operation COUNT times; without words it lists the names.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a benchmark may stop and speaks")]

use std::hint::black_box;

use l2tp_wire::v3::{Carrier, Layout};
use l2tp_wire::{Cookie, classify, v2, v3};

type Operation = fn(u32);

const OPERATIONS: [(&str, Operation); 6] = [
    ("classify", classify),
    ("v2 parse", parse_v2),
    ("v2 emit", emit_v2),
    ("v3 parse, no cookie", |count| parse_v3(&[], count)),
    ("v3 parse, 8-byte cookie", |count| parse_v3(&[7; 8], count)),
    ("v3 emit, 8-byte cookie", |count| emit_v3(&[7; 8], count)),
];

fn main() {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    match words.as_slice() {
        [name, count] => {
            let operation =
                OPERATIONS.iter().find(|(other, _)| other == name).map(|(_, operation)| operation);
            operation.unwrap()(count.parse().unwrap());
        }
        _ => OPERATIONS.iter().for_each(|(name, _)| println!("{name}")),
    }
}

fn classify(count: u32) {
    let packet = [0, 3, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 2, 3];
    for _ in 0..count {
        black_box(classify::udp(black_box(&packet)));
    }
}

fn parse_v2(count: u32) {
    let packet = [0, 2, 0, 1, 0, 2, 0xff, 0x03, 0, 0x21];
    for _ in 0..count {
        black_box(v2::Header::parse(black_box(&packet)).unwrap());
    }
}

fn emit_v2(count: u32) {
    let mut out = [0; 16];
    for _ in 0..count {
        black_box(v2::Header::emit(black_box(&mut out), 1, 2, None));
    }
}

fn parse_v3(cookie: &[u8], count: u32) {
    let cookie = Cookie::new(cookie).unwrap();
    let layout = black_box(Layout { carrier: Carrier::Udp, cookie_len: cookie.len(), l2specific: true });
    let mut packet = [0; Layout::MAX];
    v3::emit(&mut packet, Carrier::Udp, 1, &cookie, Some(None)).unwrap();
    for _ in 0..count {
        let header = v3::Header::parse(&layout, black_box(&packet)).unwrap();
        assert!(cookie.matches(black_box(header).cookie));
    }
}

fn emit_v3(cookie: &[u8], count: u32) {
    let cookie = black_box(Cookie::new(cookie).unwrap());
    let mut out = [0; Layout::MAX];
    for _ in 0..count {
        black_box(v3::emit(black_box(&mut out), Carrier::Udp, 1, &cookie, Some(None)));
    }
}
