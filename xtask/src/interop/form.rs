//! The forms that a tunnel and a session can have: what is configured at either end, and what is to come of it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Which end of a tunnel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Ferrowire's.
    Ours,
    /// The kernel's.
    Kernel,
}

impl End {
    pub(super) fn other(self) -> Self {
        match self {
            Self::Ours => Self::Kernel,
            Self::Kernel => Self::Ours,
        }
    }

    fn pick<T>(self, ours: T, kernel: T) -> T {
        match self {
            Self::Ours => ours,
            Self::Kernel => kernel,
        }
    }
}

/// The addresses of the network between the two ends, one of each family.
#[derive(Clone, Copy, Debug)]
pub(super) struct Underlay {
    pub(super) ours: (Ipv4Addr, Ipv6Addr),
    pub(super) kernel: (Ipv4Addr, Ipv6Addr),
}

impl Underlay {
    pub(super) fn address(&self, end: End, v6: bool) -> IpAddr {
        let (v4, of_v6) = end.pick(self.ours, self.kernel);
        if v6 { of_v6.into() } else { v4.into() }
    }
}

/// What carries the sessions of a tunnel: encapsulation, address family and checksum setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Carrier {
    Udp4,
    Udp4Csum,
    Udp6,
    Udp6NoCsum,
    Ip4,
    Ip6,
}

impl Carrier {
    pub(super) const ALL: [Self; 6] =
        [Self::Udp4, Self::Udp4Csum, Self::Udp6, Self::Udp6NoCsum, Self::Ip4, Self::Ip6];

    pub(super) fn is_udp(self) -> bool {
        !matches!(self, Self::Ip4 | Self::Ip6)
    }

    pub(super) fn is_v6(self) -> bool {
        matches!(self, Self::Udp6 | Self::Udp6NoCsum | Self::Ip6)
    }

    /// The checksum words of `ip l2tp add tunnel`.
    pub(super) fn checksum_words(self) -> &'static str {
        match self {
            Self::Udp4Csum => "udp_csum on",
            Self::Udp6NoCsum => "udp6_csum_tx off udp6_csum_rx off",
            _ => "",
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Udp4 => "udp4",
            Self::Udp4Csum => "udp4+csum",
            Self::Udp6 => "udp6",
            Self::Udp6NoCsum => "udp6-csum",
            Self::Ip4 => "ip4",
            Self::Ip6 => "ip6",
        }
    }
}

/// A tunnel between the two ends.
#[derive(Clone, Debug)]
pub(super) struct Tunnel {
    /// Tells it from the other tunnels; ids and ports follow from it.
    pub(super) number: u16,
    pub(super) carrier: Carrier,
}

impl Tunnel {
    /// Its id at `end`.
    pub(super) fn id(&self, end: End) -> u32 {
        end.pick(77_000, 78_000) + u32::from(self.number)
    }

    /// Its UDP port at `end`.
    pub(super) fn port(&self, end: End) -> u16 {
        end.pick(17_000, 18_000) + self.number
    }

    /// The words after `l2tp` that make it at `end`, with `checksum_words` for the carrier's own.
    pub(super) fn add(&self, end: End, underlay: &Underlay, checksum_words: &str) -> String {
        let v6 = self.carrier.is_v6();
        let encap = match self.carrier.is_udp() {
            true => format!("udp udp_sport {} udp_dport {}", self.port(end), self.port(end.other())),
            false => "ip".to_owned(),
        };
        format!(
            "add tunnel tunnel_id {} peer_tunnel_id {} local {} remote {} encap {encap} {checksum_words}",
            self.id(end),
            self.id(end.other()),
            underlay.address(end, v6),
            underlay.address(end.other(), v6),
        )
    }

    /// The words after `l2tp` that remove it at `end`.
    pub(super) fn delete(&self, end: End) -> String {
        format!("del tunnel tunnel_id {}", self.id(end))
    }
}

/// The cookies that the ends send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cookies {
    None,
    Four,
    Eight,
    /// The kernel sends 4 bytes, Ferrowire 8.
    Asymmetric,
}

impl Cookies {
    /// The cookie that `end` sends, in hexadecimal; empty for none.
    fn sent_by(self, end: End) -> &'static str {
        match self {
            Self::None => "",
            Self::Four => end.pick("0f1e2d3c", "a1b2c3d4"),
            Self::Eight => end.pick("0f1e2d3c4b5a6978", "a1b2c3d4e5f60718"),
            Self::Asymmetric => end.pick("0f1e2d3c4b5a6978", "a1b2c3d4"),
        }
    }

    fn words(self, end: End) -> String {
        let word = |name: &str, value: &str| match value {
            "" => String::new(),
            value => format!(" {name} {value}"),
        };
        word("cookie", self.sent_by(end)) + &word("peer_cookie", self.sent_by(end.other()))
    }

    fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Four => "4",
            Self::Eight => "8",
            Self::Asymmetric => "8/4",
        }
    }
}

/// The sequence setting, the same at both ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seq {
    None,
    Send,
    Both,
}

impl Seq {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Send => "send",
            Self::Both => "both",
        }
    }
}

/// A session between the two ends, in a tunnel.
#[derive(Clone, Debug)]
pub(super) struct Form {
    pub(super) tunnel: Tunnel,
    /// Tells it from the other sessions; ids, names and addresses follow from it.
    pub(super) number: u8,
    pub(super) cookies: Cookies,
    /// The default L2-specific sublayer (RFC 3931 section 4.6), or none.
    pub(super) sublayer: bool,
    pub(super) seq: Seq,
}

impl Form {
    /// The plainest session in a tunnel of its own.
    pub(super) fn plain(number: u8, carrier: Carrier) -> Self {
        let tunnel = Tunnel { number: number.into(), carrier };
        Self { tunnel, number, cookies: Cookies::None, sublayer: true, seq: Seq::None }
    }

    pub(super) fn session_id(&self, end: End) -> u32 {
        end.pick(770_000, 780_000) + u32::from(self.number)
    }

    /// The device's name at either end.
    pub(super) fn device(&self) -> String {
        format!("fwi{}", self.number)
    }

    /// The device's IPv4 address, of 198.18.0.0/15: kept for tests of networks (RFC 2544 appendix C).
    pub(super) fn ipv4(&self, end: End) -> Ipv4Addr {
        Ipv4Addr::new(198, 18, self.number, end.pick(1, 2))
    }

    /// The device's IPv6 address, unique local (RFC 4193).
    pub(super) fn ipv6(&self, end: End) -> Ipv6Addr {
        Ipv6Addr::new(0xfd77, 0, 0, self.number.into(), 0, 0, 0, end.pick(1, 2))
    }

    /// The words after `l2tp` that make the session at `end`.
    pub(super) fn add(&self, end: End) -> String {
        format!(
            "add session name {} tunnel_id {} session_id {} peer_session_id {} seq {} l2spec_type {}{}",
            self.device(),
            self.tunnel.id(end),
            self.session_id(end),
            self.session_id(end.other()),
            self.seq.name(),
            if self.sublayer { "default" } else { "none" },
            self.cookies.words(end),
        )
    }

    /// What `ip -batch` needs to give the device its addresses.
    pub(super) fn addresses(&self, end: End) -> String {
        let device = self.device();
        format!(
            "link set {device} up\naddr add {}/24 dev {device}\naddr add {}/64 dev {device} nodad\n",
            self.ipv4(end),
            self.ipv6(end),
        )
    }

    /// The MTU that the device has to have: what is left of the underlay's after all headers. It counts the cookie that
    /// the end sends.
    pub(super) fn mtu(&self, end: End, underlay_mtu: usize) -> usize {
        let ip = if self.tunnel.carrier.is_v6() { 40 } else { 20 };
        let udp = if self.tunnel.carrier.is_udp() { 8 + 4 } else { 0 };
        let sublayer = if self.sublayer { 4 } else { 0 };
        let cookie = self.cookies.sent_by(end).len() / 2;
        underlay_mtu - (ip + udp + 4 + cookie + sublayer + 14)
    }

    /// Whether nothing can come through: without the sublayer no packet has a number, and both ends insist on one.
    pub(super) fn is_refused(&self) -> bool {
        !self.sublayer && self.seq == Seq::Both
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sublayer = if self.sublayer { "default" } else { "none" };
        let (carrier, cookies) = (self.tunnel.carrier.name(), self.cookies.name());
        write!(f, "{carrier:<10} {cookies:<7} {sublayer:<9} {:<5}", self.seq.name())
    }
}

/// Every form there is: 24 sessions in each of the six tunnels.
pub(super) fn all() -> Vec<Form> {
    let mut forms = Vec::new();
    for (tunnel_number, carrier) in (0..).zip(Carrier::ALL) {
        let tunnel = Tunnel { number: tunnel_number, carrier };
        for cookies in [Cookies::None, Cookies::Four, Cookies::Eight, Cookies::Asymmetric] {
            for sublayer in [true, false] {
                for seq in [Seq::None, Seq::Send, Seq::Both] {
                    // 144 forms: the number cannot be too large.
                    let number = u8::try_from(forms.len()).unwrap_or(u8::MAX);
                    forms.push(Form { tunnel: tunnel.clone(), number, cookies, sublayer, seq });
                }
            }
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::{Cookies, End, Form, all};
    use std::collections::BTreeSet;

    #[test]
    fn forms_share_no_id_and_no_address() {
        let forms = all();
        assert_eq!(forms.len(), 144);
        let ids: BTreeSet<u32> =
            forms.iter().flat_map(|form| [End::Ours, End::Kernel].map(|end| form.session_id(end))).collect();
        assert_eq!(ids.len(), 288);
        let names: BTreeSet<String> = forms.iter().map(ToString::to_string).collect();
        assert_eq!(names.len(), 144);
    }

    #[test]
    fn mtus_are_those_that_a_kernel_showed() {
        let mtu = |carrier: &str, cookies: Cookies, sublayer| {
            let fits = |form: &&Form| form.tunnel.carrier.name() == carrier && form.cookies == cookies;
            let form = all().into_iter().find(|form| fits(&form) && form.sublayer == sublayer).unwrap();
            [form.mtu(End::Ours, 1500), form.mtu(End::Kernel, 1500)]
        };
        assert_eq!(mtu("udp4", Cookies::None, true), [1446, 1446]);
        assert_eq!(mtu("udp6", Cookies::Eight, false), [1422, 1422]);
        assert_eq!(mtu("ip4", Cookies::Four, false), [1458, 1458]);
        assert_eq!(mtu("ip6", Cookies::Asymmetric, true), [1430, 1434]);
    }

    #[test]
    fn the_ends_mirror_each_other() {
        let form = all().into_iter().find(|form| form.cookies == Cookies::Asymmetric).unwrap();
        assert!(form.add(End::Ours).ends_with(" cookie 0f1e2d3c4b5a6978 peer_cookie a1b2c3d4"));
        assert!(form.add(End::Kernel).ends_with(" cookie a1b2c3d4 peer_cookie 0f1e2d3c4b5a6978"));
    }
}
