//! Crafted packets and what a real kernel did with them (`tests/vectors/kernel/rx-oracle.json`).

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::unhex;

/// The recording.
#[derive(Debug, Deserialize)]
pub struct Crafted {
    /// The ids of every case.
    pub ids: Ids,
    /// The cases.
    pub cases: Vec<Case>,
}

/// The ids of the receiving tunnel and session, and their peers'.
#[derive(Debug, Deserialize)]
#[expect(missing_docs, reason = "named as the kernel names them")]
pub struct Ids {
    pub tunnel: u32,
    pub peer_tunnel: u32,
    pub session: u32,
    pub peer_session: u32,
}

/// Packets to one session.
#[derive(Debug, Deserialize)]
pub struct Case {
    /// Its name.
    pub id: String,
    /// `udp` or `ip`.
    pub encap: String,
    /// Of L2TP: 2 or 3.
    pub version: u8,
    /// Attributes of the session beside the ids, without their prefix.
    pub session: Vec<(String, Value)>,
    /// What UDP or IP carried, in hexadecimal digits, or `wait N s`; [`packet_bytes`] reads a packet.
    pub packets: Vec<String>,
    /// What became of them.
    pub result: Outcome,
}

/// What the kernel did.
#[derive(Debug, Deserialize)]
pub struct Outcome {
    /// Byte 15 of every frame that the device received, nothing for one without; frames of [`ETHERTYPE`] only.
    pub delivered_marks: Option<Vec<String>>,
    /// What a reader of the PPPoL2TP socket got.
    pub delivered_hex: Option<Vec<String>>,
    /// As `delivered_marks`, packet by packet.
    pub delivered_marks_after_each_packet: Option<Vec<Vec<String>>>,
    /// What was left to the owner of the tunnel's socket.
    pub to_tunnel_socket: Vec<Value>,
    /// Counters of the session that are not 0, by the attributes' names.
    pub session_stats: BTreeMap<String, u64>,
    /// Those of the tunnel.
    pub tunnel_stats: BTreeMap<String, u64>,
    /// Settings of the session afterwards: the peer can change some.
    pub after: BTreeMap<String, u64>,
}

/// The recorded kernel's device was read for this Ethernet type only: frames that a missing or unexpected header field
/// has shifted came out of it too, unseen.
pub const ETHERTYPE: [u8; 2] = [0x88, 0xb5];

/// The recording.
///
/// # Panics
/// If it cannot be read.
#[must_use]
pub fn crafted() -> Crafted {
    let crafted: Crafted = serde_json::from_str(include_str!("../../vectors/kernel/rx-oracle.json")).unwrap();
    assert!(crafted.cases.len() >= 141);
    crafted
}

/// The marks that [`Outcome::delivered_marks`] would have of these frames.
#[must_use]
pub fn marks<T: AsRef<[u8]>>(frames: &[T]) -> Vec<String> {
    let seen = frames.iter().map(AsRef::as_ref).filter(|frame| frame.get(12..14) == Some(&ETHERTYPE[..]));
    seen.map(|frame| frame.get(14).map(|byte| format!("{byte:02x}")).unwrap_or_default()).collect()
}

/// A recorded packet. A long one is cut after the inner addresses and says its length: its frame goes on as all others.
///
/// # Panics
/// If it is none.
#[must_use]
pub fn packet_bytes(text: &str) -> Vec<u8> {
    let Some((start, len)) = text.split_once("... (") else { return unhex(text) };
    let mut bytes = [unhex(start), vec![0x88, 0xb5, 0x01]].concat();
    bytes.resize(len.trim_end_matches(" bytes)").parse().unwrap(), 0);
    bytes
}
