//! Packets as the peer might send them, made by hand or recorded.

use std::net::IpAddr;

use crate::form::Form;
use crate::host::Host;

/// A packet from the second host to the first, in parts that a test may spoil.
#[derive(Clone, Debug)]
pub(crate) struct Crafted {
    pub(crate) ethernet: Vec<u8>,
    /// The IP header; lengths and checksum are filled in by [`Self::bytes`].
    pub(crate) ip: Vec<u8>,
    /// The UDP header, or nothing; its length is filled in.
    pub(crate) udp: Vec<u8>,
    pub(crate) message: Vec<u8>,
    /// Bytes behind the IP packet.
    pub(crate) padding: Vec<u8>,
}

impl Crafted {
    /// As the first host's session wants it.
    pub(crate) fn new([to, from]: &[Host; 2], form: Form, payload: &[u8]) -> Self {
        let protocol = if form.over_ip { 115 } else { 17 };
        let ethertype = if form.is_ipv6 { [0x86, 0xdd] } else { [0x08, 0x00] };
        let start = if form.is_ipv6 {
            vec![0x60, 0, 0, 0, 0, 0, protocol, 64]
        } else {
            vec![0x45, 0, 0, 0, 0, 7, 0, 0, 64, protocol, 0, 0]
        };
        let udp = [1702_u16, 1701, 0, 0].map(u16::to_be_bytes).concat();
        Self {
            ethernet: [to.mac.as_slice(), &from.mac, &ethertype].concat(),
            ip: [start, octets(from.address(form.is_ipv6)), octets(to.address(form.is_ipv6))].concat(),
            udp: if form.over_ip { Vec::new() } else { udp },
            message: [form.header(1).as_slice(), payload].concat(),
            padding: Vec::new(),
        }
    }

    /// A frame without IP options that ends with this message.
    pub(crate) fn recorded(frame: &[u8], message: &[u8]) -> Self {
        let ip_len = if frame[14] >> 4 == 4 { 20 } else { 40 };
        let (headers, message) = frame.split_at(frame.len() - message.len());
        let (ethernet, headers) = headers.split_at(14);
        let (ip, udp) = headers.split_at(ip_len);
        let [ethernet, ip, udp, message] = [ethernet, ip, udp, message].map(<[u8]>::to_vec);
        Self { ethernet, ip, udp, message, padding: Vec::new() }
    }

    /// With the right lengths, and the right checksum of an IPv4 header.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let (mut ip, mut udp) = (self.ip.clone(), self.udp.clone());
        let payload_len = udp.len() + self.message.len();
        if !udp.is_empty() {
            udp[4..6].copy_from_slice(&u16::try_from(payload_len).unwrap().to_be_bytes());
        }
        if ip[0] >> 4 == 4 {
            let total = u16::try_from(ip.len() + payload_len).unwrap();
            ip[2..4].copy_from_slice(&total.to_be_bytes());
            ip[10..12].fill(0);
            let checksum = !sum(&ip);
            ip[10..12].copy_from_slice(&checksum.to_be_bytes());
        } else {
            let behind = u16::try_from(ip.len() - 40 + payload_len).unwrap();
            ip[4..6].copy_from_slice(&behind.to_be_bytes());
        }
        [&self.ethernet, &ip, &udp, &self.message, &self.padding].into_iter().flatten().copied().collect()
    }

    /// The right UDP checksum, over the headers as they are.
    pub(crate) fn fill_in_udp_checksum(&mut self) {
        let len = u16::try_from(self.udp.len() + self.message.len()).unwrap();
        let addresses = if self.ip[0] >> 4 == 4 { &self.ip[12..20] } else { &self.ip[8..40] };
        self.udp[4..6].copy_from_slice(&len.to_be_bytes());
        self.udp[6..8].copy_from_slice(&[0; 2]);
        let pseudo = [addresses, &[0, 17], &len.to_be_bytes(), &self.udp, &self.message].concat();
        self.udp[6..8].copy_from_slice(&(!sum(&pseudo)).to_be_bytes());
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// The ones' complement sum of big-endian 16-bit words.
fn sum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0)));
    let sum: u32 = words.sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap()
}
