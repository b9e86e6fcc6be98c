//! The forms of tunnels and sessions.

use l2tp_ebpf::{Carrier, Pattern, Payload};

/// What a tunnel and its session look like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Form {
    pub(crate) version: u8,
    /// Whether it carries PPP, as version 2 always does; otherwise Ethernet.
    pub(crate) is_ppp: bool,
    pub(crate) over_ip: bool,
    pub(crate) is_ipv6: bool,
    /// Bytes of the cookies.
    pub(crate) cookie: usize,
    pub(crate) sublayer: bool,
    pub(crate) arrangement: Arrangement,
    /// Which session of its tunnel: 0 or 1.
    pub(crate) nth: u8,
}

/// Which device has the session's frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrangement {
    /// A TAP, or the TUN of a PPP session; the program is at its egress.
    Tap,
    /// A veth; the program is at the ingress of its hidden end.
    Veth,
}

/// L2TPv3 over UDP over IPv4, with 8-byte cookies and no sublayer, a TAP.
pub(crate) const PLAIN: Form = Form {
    version: 3,
    is_ppp: false,
    over_ip: false,
    is_ipv6: false,
    cookie: 8,
    sublayer: false,
    arrangement: Arrangement::Tap,
    nth: 0,
};

impl Form {
    /// L2TPv2 with PPP.
    pub(crate) const PPP: Self = Self { version: 2, is_ppp: true, cookie: 0, ..PLAIN };

    pub(crate) fn payload(&self) -> Payload {
        if self.is_ppp { Payload::Ppp } else { Payload::Ethernet }
    }

    /// The names of the user's device, and of a veth's hidden end.
    pub(crate) fn devices(&self) -> [String; 2] {
        ["pw", "hidden"].map(|name| format!("{name}{}", self.nth))
    }

    /// The ports of host `number`: 1 or 2.
    pub(crate) fn carrier(&self, number: u8) -> Carrier {
        let port = |number: u8| 1700 + u16::from(number);
        if self.over_ip {
            Carrier::Ip
        } else {
            Carrier::Udp { local_port: port(number), peer_port: port(3 - number) }
        }
    }

    /// What host `number` expects.
    pub(crate) fn pattern(&self, number: u8) -> Pattern {
        if self.version == 2 {
            return Pattern::V2 {
                tunnel_id: u16::from(number) + 100,
                session_id: u16::from(number) + 200 + u16::from(self.nth),
            };
        }
        let cookie = (0..self.cookie).map(|place| number * 16 + u8::try_from(place).unwrap()).collect();
        Pattern::V3 {
            session_id: u32::from(number) + (u32::from(self.nth) << 8) + 0x0102_0300,
            cookie,
            sublayer: self.sublayer,
        }
    }

    /// The L2TP header of what host `number` expects.
    pub(crate) fn header(&self, number: u8) -> Vec<u8> {
        header(&self.pattern(number), self.over_ip)
    }

    /// Bytes of IP, UDP, L2TP and PPP in front of a frame.
    pub(crate) fn overhead(&self) -> u32 {
        let ip = if self.is_ipv6 { 40 } else { 20 };
        let udp = if self.over_ip { 0 } else { 8 };
        let ppp = if self.is_ppp { 4 } else { 0 };
        ip + udp + u32::try_from(self.header(1).len()).unwrap() + ppp
    }

    /// The largest packet in it over an underlay of 1500.
    pub(crate) fn mtu(&self) -> u32 {
        let ethernet = if self.is_ppp { 0 } else { 14 };
        1500 - self.overhead() - ethernet
    }
}

/// The L2TP header of what looks so.
pub(crate) fn header(pattern: &Pattern, over_ip: bool) -> Vec<u8> {
    match pattern {
        Pattern::V2 { tunnel_id, session_id } => {
            [[0, 2], tunnel_id.to_be_bytes(), session_id.to_be_bytes()].concat()
        }
        Pattern::V3 { session_id, cookie, sublayer } => {
            let mut header = if over_ip { vec![] } else { vec![0, 3, 0, 0] };
            header.extend_from_slice(&session_id.to_be_bytes());
            header.extend_from_slice(cookie);
            header.extend_from_slice(if *sublayer { &[0; 4] } else { &[] });
            header
        }
    }
}
