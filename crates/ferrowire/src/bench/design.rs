//! What is compared: ways to carry frames from one host to the other.

use std::fmt;

/// What carries a session: encapsulation and outer address family.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Carrier {
    /// L2TPv3 over UDP and IPv4, an Ethernet pseudowire as the next three.
    Udp4,
    Udp6,
    Ip4,
    Ip6,
    /// L2TPv2 over UDP and IPv4, a PPP session.
    Ppp,
}

/// A way from host to host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Design {
    /// The wire itself, with which all others are compared.
    Veth,
    /// The kernel's VXLAN, which carries super-frames.
    Vxlan,
    /// The same with super-frames off: a kernel tunnel that takes one frame at a time, as the kernel's L2TP does.
    VxlanFrames,
    /// A program that reads a frame and sends a datagram, and the other way round.
    Naive,
    /// Ferrowire's daemon, every frame through user space.
    User(Carrier),
    /// Ferrowire's daemon, frames by BPF in the kernel.
    Bpf(Carrier),
    /// The kernel's own L2TP.
    Kernel(Carrier),
}

impl Carrier {
    /// The outer addresses are of IPv6.
    pub(super) const fn is_v6(self) -> bool {
        matches!(self, Self::Udp6 | Self::Ip6)
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Udp4 => "udp4",
            Self::Udp6 => "udp6",
            Self::Ip4 => "ip4",
            Self::Ip6 => "ip6",
            Self::Ppp => "ppp",
        }
    }
}

impl Design {
    /// All of them, in the order in which they are shown.
    pub(super) const ALL: [Self; 18] = [
        Self::Veth,
        Self::Vxlan,
        Self::VxlanFrames,
        Self::Naive,
        Self::User(Carrier::Udp4),
        Self::User(Carrier::Udp6),
        Self::User(Carrier::Ip4),
        Self::User(Carrier::Ip6),
        Self::User(Carrier::Ppp),
        Self::Bpf(Carrier::Udp4),
        Self::Bpf(Carrier::Udp6),
        Self::Bpf(Carrier::Ip4),
        Self::Bpf(Carrier::Ip6),
        Self::Bpf(Carrier::Ppp),
        Self::Kernel(Carrier::Udp4),
        Self::Kernel(Carrier::Udp6),
        Self::Kernel(Carrier::Ip4),
        Self::Kernel(Carrier::Ip6),
    ];

    /// Whether a word of `--only` means it: its name, or what its name begins with up to a hyphen ("user").
    pub(super) fn is_meant_by(self, word: &str) -> bool {
        let name = self.to_string();
        name.strip_prefix(word).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    }
}

impl fmt::Display for Design {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, carrier) = match self {
            Self::Veth => ("veth", None),
            Self::Vxlan => ("vxlan", None),
            Self::VxlanFrames => ("vxlan-frames", None),
            Self::Naive => ("naive", None),
            Self::User(carrier) => ("user", Some(carrier)),
            Self::Bpf(carrier) => ("bpf", Some(carrier)),
            Self::Kernel(carrier) => ("kernel", Some(carrier)),
        };
        // As one word, so that a width is kept to.
        f.pad(&carrier.map_or_else(|| kind.to_owned(), |carrier| format!("{kind}-{}", carrier.name())))
    }
}

#[cfg(test)]
mod tests {
    use super::Design;
    use std::collections::BTreeSet;

    #[test]
    fn every_design_is_listed_once_under_its_own_name() {
        let names: BTreeSet<String> = Design::ALL.iter().map(Design::to_string).collect();
        assert_eq!(names.len(), Design::ALL.len());
        assert_eq!(format!("{:>11}|", Design::ALL[4]), "  user-udp4|");
    }

    #[test]
    fn a_word_means_one_design_or_a_kind() {
        let meant = |word: &str| Design::ALL.iter().filter(|design| design.is_meant_by(word)).count();
        assert_eq!(
            ["veth", "vxlan", "vxlan-frames", "user", "user-udp4", "use", ""].map(meant),
            [1, 2, 1, 5, 1, 0, 0]
        );
    }
}
