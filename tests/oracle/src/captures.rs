//! Conversations of a real kernel's tunnels as they were on the wire (`tests/vectors/kernel/*.pcap`), each with the configuration that made it.

use std::fs::File;

use etherparse::{IpNumber, SlicedPacket, TransportSlice};
use pcap_file::pcap::PcapReader;
use serde::Deserialize;
use serde_json::Value;

use crate::unhex;

/// A conversation between two ends, a and b.
#[derive(Clone, Debug)]
pub struct Capture {
    /// The name of the file.
    pub name: String,
    /// Of L2TP: 2 or 3.
    pub version: u8,
    /// Whether the packets are those of IP protocol 115; otherwise they are UDP's.
    pub over_ip: bool,
    /// Whether they are IPv6.
    pub is_ipv6: bool,
    /// Whether the session carries PPP; otherwise Ethernet.
    pub is_ppp: bool,
    /// What a and b chose.
    pub ends: [End; 2],
    /// Whether there is a default sublayer.
    pub sublayer: bool,
    /// Whether both ends send sequence numbers, where there is a place for them.
    pub send_seq: bool,
    /// Whether both ends want sequence numbers.
    pub recv_seq: bool,
    /// The MTU of the kernel's device, where that was written down.
    pub mtu: Option<u32>,
    /// Whether a's pings were answered; `None` where pppd's were.
    pub ping_ok: Option<bool>,
    /// What was on the wire, the first first.
    pub packets: Vec<Packet>,
}

/// What one end chose.
#[derive(Clone, Debug)]
pub struct End {
    /// Its tunnel id.
    pub tunnel_id: u32,
    /// Its session id.
    pub session_id: u32,
    /// The cookie that it sends.
    pub cookie: Vec<u8>,
}

/// A packet, data or control.
#[derive(Clone, Debug)]
pub struct Packet {
    /// Which end sent it: 0 is a, 1 is b.
    pub from: usize,
    /// All of it: Ethernet, IP, UDP, L2TP.
    pub frame: Vec<u8>,
    message_at: usize,
}

impl Packet {
    /// What UDP or IP carried: the L2TP packet.
    #[must_use]
    pub fn message(&self) -> &[u8] {
        &self.frame[self.message_at..]
    }
}

/// A row of `vectors.json`. Ethernet rows name their encapsulation, PPP rows their version.
#[derive(Deserialize)]
struct Row {
    name: String,
    encap: Option<String>,
    version: Option<u8>,
    cookie_sent_by_a: Option<String>,
    cookie_sent_by_b: Option<String>,
    l2spec: Option<String>,
    #[serde(default)]
    seq: Value,
    mtu: Option<u32>,
    ping_ok: Option<bool>,
    packets: usize,
    /// The `ip l2tp` commands of side a.
    #[serde(default)]
    a: Vec<String>,
}

/// All conversations.
///
/// # Panics
/// If a recording cannot be read.
#[must_use]
pub fn captures() -> Vec<Capture> {
    let mut vectors: Value = serde_json::from_str(include_str!("../../vectors/kernel/vectors.json")).unwrap();
    let rows: Vec<Row> = serde_json::from_value(vectors["captures"].take()).unwrap();
    assert!(rows.len() >= 49);
    rows.iter().map(Row::read).collect()
}

impl Row {
    fn read(&self) -> Capture {
        let packets = self.packets();
        assert_eq!(packets.len(), self.packets, "{}", self.name);
        let encap = self.encap.as_deref().unwrap_or("udp");
        Capture {
            name: self.name.clone(),
            version: self.version.unwrap_or(3),
            over_ip: encap.starts_with("ip"),
            is_ipv6: packets[0].frame[12..14] == [0x86, 0xdd],
            is_ppp: self.encap.is_none(),
            ends: self.ends(),
            sublayer: self.l2spec.as_deref() != Some("none"),
            send_seq: self.seq == "both" || self.seq == "send" || self.seq == true,
            recv_seq: self.seq == "both" || self.seq == "recv" || self.seq == true,
            mtu: self.mtu.filter(|_| self.encap.is_some()),
            ping_ok: self.ping_ok,
            packets,
        }
    }

    fn ends(&self) -> [End; 2] {
        let [tunnel_ids, session_ids] = self.ids();
        let cookies = self.cookies();
        [0, 1].map(|end| End {
            tunnel_id: tunnel_ids[end],
            session_id: session_ids[end],
            cookie: cookies[end].clone(),
        })
    }

    /// The tunnel ids of a and b, then their session ids.
    fn ids(&self) -> [[u32; 2]; 2] {
        let of =
            |keyword: &str| [keyword.to_owned(), format!("peer_{keyword}")].map(|k| self.number_after(&k));
        match self.name.as_str() {
            _ if self.encap.is_some() => [of("tunnel_id"), of("session_id")],
            "v2-xl2tpd-full-session" => [[25730, 32315], [23140, 51648]],
            _ => [[0x1111, 0x2222], [0x3333, 0x4444]],
        }
    }

    /// Whatever `keyword` introduces in the commands of side a.
    fn number_after(&self, keyword: &str) -> u32 {
        let commands = self.a.join(" ");
        let mut words = commands.split_whitespace().skip_while(|word| *word != keyword);
        words.nth(1).unwrap().parse().unwrap()
    }

    /// Cookies that a and b send. The PPP row with cookies tells them by its name only.
    fn cookies(&self) -> [Vec<u8>; 2] {
        if self.name == "v3-udp4-ppp-cookie4-noseq" {
            return [(); 2].map(|()| unhex("a1a2a3a4"));
        }
        [&self.cookie_sent_by_a, &self.cookie_sent_by_b].map(|hex| unhex(hex.as_deref().unwrap_or_default()))
    }

    fn packets(&self) -> Vec<Packet> {
        let path = format!("{}/../vectors/kernel/{}.pcap", env!("CARGO_MANIFEST_DIR"), self.name);
        let mut reader = PcapReader::new(File::open(path).unwrap()).unwrap();
        let frames =
            std::iter::from_fn(|| reader.next_packet().map(|packet| packet.unwrap().data.into_owned()));
        frames.map(packet).collect()
    }
}

/// Side a's MAC address is 02:00:00:00:0a:01.
fn packet(frame: Vec<u8>) -> Packet {
    let message_at = frame.len() - message_len(&frame);
    let from = usize::from(frame[6..12] != [2, 0, 0, 0, 0x0a, 1]);
    Packet { from, frame, message_at }
}

fn message_len(frame: &[u8]) -> usize {
    let outer = SlicedPacket::from_ethernet(frame).unwrap();
    if let Some(TransportSlice::Udp(udp)) = &outer.transport {
        return udp.payload().len();
    }
    let payload = outer.net.as_ref().unwrap().ip_payload_ref().unwrap();
    assert_eq!(payload.ip_number, IpNumber(115));
    payload.payload.len()
}
