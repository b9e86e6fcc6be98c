//! A tunnel and its sessions as commands ask for them.

use l2tp_core::config::SocketConfig;
use l2tp_core::{Cookie, Encap, L2specType, PwType, SessionConfig, TunnelConfig};
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::Duration;

pub(crate) struct Setup {
    pub(crate) tunnel: TunnelConfig,
    pub(crate) sessions: Vec<SessionConfig>,
}

impl Setup {
    /// From the words of `ip l2tp add`, one tunnel first; `version` and `ppp` are words of ours.
    pub(crate) fn of_commands<'a>(commands: impl IntoIterator<Item = &'a str>) -> Self {
        let mut commands = commands.into_iter().map(Words::new);
        let tunnel = commands.next().unwrap().tunnel();
        let sessions = commands.map(|words| words.session(tunnel.version)).collect();
        Self { tunnel, sessions }
    }

    /// The other end.
    pub(crate) fn mirrored(&self) -> Self {
        let (mut tunnel, mut sessions) = (self.tunnel.clone(), self.sessions.clone());
        std::mem::swap(&mut tunnel.tunnel_id, &mut tunnel.peer_tunnel_id);
        if let SocketConfig::Addresses { local, peer, sport, dport, .. } = &mut tunnel.socket {
            std::mem::swap(local, peer);
            std::mem::swap(sport, dport);
        }
        for session in &mut sessions {
            std::mem::swap(&mut session.session_id, &mut session.peer_session_id);
            std::mem::swap(&mut session.cookie, &mut session.peer_cookie);
        }
        Self { tunnel, sessions }
    }
}

/// A command: what stands behind each word.
struct Words<'a>(HashMap<&'a str, &'a str>);

impl<'a> Words<'a> {
    fn new(command: &'a str) -> Self {
        let words: Vec<_> = command.split_whitespace().collect();
        Self(words.iter().zip(words.iter().skip(1).chain([&""])).map(|(word, next)| (*word, *next)).collect())
    }

    fn number(&self, word: &str) -> u32 {
        self.0.get(word).map_or(0, |value| value.parse().unwrap())
    }

    fn port(&self, word: &str) -> u16 {
        self.number(word).try_into().unwrap()
    }

    fn address(&self, word: &str) -> IpAddr {
        self.0[word].parse().unwrap()
    }

    fn is(&self, word: &str, values: &[&str]) -> bool {
        self.0.get(word).is_some_and(|value| values.contains(value))
    }

    fn cookie(&self, word: &str) -> Cookie {
        let hex = self.0.get(word).copied().unwrap_or_default();
        let bytes: Vec<_> =
            (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap()).collect();
        Cookie::new(&bytes).unwrap()
    }

    fn tunnel(&self) -> TunnelConfig {
        TunnelConfig {
            version: self.0.get("version").map_or(3, |version| version.parse().unwrap()),
            tunnel_id: self.number("tunnel_id"),
            peer_tunnel_id: self.number("peer_tunnel_id"),
            encap: if self.is("encap", &["ip"]) { Encap::Ip } else { Encap::Udp },
            socket: SocketConfig::Addresses {
                local: self.address("local"),
                peer: self.address("remote"),
                sport: self.port("udp_sport"),
                dport: self.port("udp_dport"),
                udp_csum: self.is("udp_csum", &["on"]),
                zero_csum6_tx: self.is("udp6_csum_tx", &["off"]),
                zero_csum6_rx: self.is("udp6_csum_rx", &["off"]),
            },
        }
    }

    fn session(&self, version: u8) -> SessionConfig {
        let is_ppp = self.0.contains_key("ppp");
        let has_sublayer = version != 2 && !self.is("l2spec_type", &["none"]);
        SessionConfig {
            pw_type: if is_ppp { PwType::Ppp } else { PwType::Eth },
            l2spec: if has_sublayer { L2specType::Default } else { L2specType::None },
            cookie: self.cookie("cookie"),
            peer_cookie: self.cookie("peer_cookie"),
            send_seq: self.is("seq", &["send", "both"]),
            recv_seq: self.is("seq", &["recv", "both"]),
            lns_mode: self.is("lns_mode", &["on"]),
            reorder_timeout: Duration::from_millis(self.number("reorder_timeout").into()),
            ..SessionConfig::ethernet(self.number("session_id"), self.number("peer_session_id"))
        }
    }
}
