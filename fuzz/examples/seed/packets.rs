//! Seeds from captures of a real kernel and from the packets that it was tried with.

use std::collections::BTreeSet;
use std::fs::File;
use std::time::Duration;

use etherparse::{SlicedPacket, TransportSlice};
use ferrowire_fuzz::Input;
use l2tp_wire::{Cookie, v2, v3};
use pcap_file::pcap::PcapReader;
use serde_json::Value;

use crate::{Corpus, json, unhex, vectors};

/// Bytes of a recorded packet that are kept: all headers, ours and the inner ones.
const KEPT: usize = 96;

/// Of every capture the packets that differ in sender and length.
pub(crate) fn wire() {
    let mut corpus = Corpus::new("wire");
    let mut names: Vec<_> =
        std::fs::read_dir(vectors()).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.retain(|path| path.extension().is_some_and(|extension| extension == "pcap"));
    names.sort();
    for path in names {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let mut reader = PcapReader::new(File::open(&path).unwrap()).unwrap();
        let (mut number, mut seen) = (0, BTreeSet::new());
        while let Some(packet) = reader.next_packet() {
            let packet = packet.unwrap();
            let l2tp = l2tp(&packet.data);
            if seen.insert((packet.data[6..12].to_vec(), l2tp.len())) {
                corpus.add(&format!("{name}-{number}"), &l2tp[..l2tp.len().min(KEPT)]);
            }
            number += 1;
        }
    }
}

/// What UDP or IP carries in an outer frame.
fn l2tp(frame: &[u8]) -> Vec<u8> {
    let outer = SlicedPacket::from_ethernet(frame).expect("outer headers");
    match outer.transport {
        Some(TransportSlice::Udp(udp)) => udp.payload().to_vec(),
        _ => outer.net.unwrap().ip_payload_ref().unwrap().payload.to_vec(),
    }
}

/// Every case of the receive path's oracle.
pub(crate) fn engine() {
    let mut corpus = Corpus::new("engine");
    for case in json("rx-oracle.json")["cases"].as_array().unwrap() {
        let mut seed = configuration(case);
        for packet in case["packets"].as_array().unwrap() {
            let packet = packet.as_str().unwrap();
            if let Some(wait) = packet.strip_prefix("wait ") {
                let seconds: f64 = wait.trim_end_matches(" s").parse().unwrap();
                waiting(&mut seed, seconds);
            } else if !packet.contains("...") {
                seed.push(0);
                Input::put_record(&mut seed, &unhex(packet));
            }
        }
        // A change, a wait, the end of the session and one more packet's worth of nothing.
        seed.extend([6, 0b11_10, 50, 0, 5, 200, 7]);
        corpus.add(case["id"].as_str().unwrap(), &seed);
    }
    for (name, numbers) in REORDERED {
        corpus.add(&format!("v2-{name}"), &reordered(true, numbers));
        corpus.add(&format!("v3-{name}"), &reordered(false, numbers));
    }
}

/// Numbers in the order of their arrival.
const REORDERED: [(&str, &[u16]); 5] = [
    ("overtaken", &[0, 2, 1, 3, 6, 5, 4]),
    ("doubled-while-held", &[0, 2, 2, 4, 2, 4, 1, 3, 3]),
    ("late", &[5, 4, 6, 0, 7]),
    ("far-ahead", &[0, 30_000, 32_000, 1, 33_000]),
    ("wraps", &[0, 32_000, 64_000, 65_534, 65_535, 1, 0, 2]),
];

/// Packets of a session that reorders; time passes between the third and the fourth.
fn reordered(v2: bool, numbers: &[u16]) -> Vec<u8> {
    let mut seed = vec![if v2 { 1 } else { 0 } | 8 | 16, 0, 0, 0, 0, 100];
    for (index, ns) in numbers.iter().enumerate() {
        if index == 3 {
            waiting(&mut seed, 0.08);
        }
        let mut header = [0; v3::Layout::MAX];
        let len = if v2 {
            v2::Header::emit(&mut header, 0x1111, 0x3333, Some(*ns))
        } else {
            v3::emit(&mut header, v3::Carrier::Udp, 0x3333, &Cookie::NONE, Some(Some((*ns).into())))
        };
        let frame = [&header[..len.unwrap()], &[0x5a; 14], &ns.to_be_bytes()].concat();
        seed.push(0);
        Input::put_record(&mut seed, &frame);
    }
    waiting(&mut seed, 0.3);
    seed
}

fn configuration(case: &Value) -> Vec<u8> {
    let mut flags = u8::from(case["version"] == 2) | if case["encap"] == "ip" { 2 } else { 0 };
    let (mut cookie, mut peer_cookie, mut timeout) = (Vec::new(), Vec::new(), 0);
    for pair in case["session"].as_array().unwrap() {
        let value = &pair[1];
        let number = value.as_u64().unwrap_or(0);
        let bytes = || unhex(value.as_str().unwrap().trim_start_matches("raw:"));
        match pair[0].as_str().unwrap() {
            "COOKIE" => cookie = bytes(),
            "PEER_COOKIE" => peer_cookie = bytes(),
            "L2SPEC_TYPE" if number == 0 => flags |= 4,
            "RECV_SEQ" if number & 1 == 1 => flags |= 8,
            "SEND_SEQ" if number & 1 == 1 => flags |= 16,
            "LNS_MODE" if number & 1 == 1 => flags |= 32,
            "RECV_TIMEOUT" => timeout = u8::try_from(number).unwrap_or(u8::MAX),
            _ => {}
        }
    }
    let mut seed = vec![flags];
    Input::put_record(&mut seed, &cookie);
    Input::put_record(&mut seed, &peer_cookie);
    seed.push(timeout);
    seed
}

fn waiting(seed: &mut Vec<u8>, seconds: f64) {
    let mut millis = Duration::from_secs_f64(seconds).as_millis();
    while millis > 0 {
        let step = u8::try_from(millis).unwrap_or(u8::MAX);
        seed.extend([5, step]);
        millis -= u128::from(step);
    }
}
