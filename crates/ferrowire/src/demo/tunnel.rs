//! The tunnels of the demo: one of each encapsulation and family, each with another kind of session.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use l2tp_abi::genl::l2tp::{
    L2TP_ENCAPTYPE_IP, L2TP_ENCAPTYPE_UDP, L2TP_L2SPECTYPE_DEFAULT, L2TP_L2SPECTYPE_NONE, L2TP_PWTYPE_ETH,
    Request, SessionCreate, TunnelCreate, TunnelSocket,
};

use crate::stage::underlay;

/// The port of both ends of a UDP tunnel (RFC 3931 section 4.1.2).
const L2TP_PORT: u16 = 1701;

/// What a tunnel and its one session are to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) name: &'static str,
    pub(super) session: &'static str,
    /// MTU that the kernel's L2TP gives such a session's device on a link of 1500.
    pub(super) mtu: u32,
    number: u8,
    udp: bool,
    v6: bool,
    cookie_bytes: usize,
    sublayer: bool,
    sequence: bool,
}

/// Every tunnel of the demo.
pub(super) const PLANS: [Plan; 4] = [
    Plan {
        name: "UDP/IPv4",
        session: "8-byte cookies",
        mtu: 1438,
        number: 1,
        udp: true,
        v6: false,
        cookie_bytes: 8,
        sublayer: true,
        sequence: false,
    },
    Plan {
        name: "UDP/IPv6",
        session: "no sublayer",
        mtu: 1430,
        number: 2,
        udp: true,
        v6: true,
        cookie_bytes: 0,
        sublayer: false,
        sequence: false,
    },
    Plan {
        name: "IP/IPv4",
        session: "sequence numbers",
        mtu: 1458,
        number: 3,
        udp: false,
        v6: false,
        cookie_bytes: 0,
        sublayer: true,
        sequence: true,
    },
    Plan {
        name: "IP/IPv6",
        session: "4-byte cookies",
        mtu: 1434,
        number: 4,
        udp: false,
        v6: true,
        cookie_bytes: 4,
        sublayer: true,
        sequence: false,
    },
];

/// One of the two hosts, as a tunnel sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Near,
    Far,
}

impl Side {
    /// Number of the host in its addresses and ids.
    pub(super) const fn host(self) -> u8 {
        match self {
            Self::Near => 1,
            Self::Far => 2,
        }
    }

    const fn other(self) -> Self {
        match self {
            Self::Near => Self::Far,
            Self::Far => Self::Near,
        }
    }
}

impl Plan {
    /// The tunnel id, and the session id, of a side: 31 is the near end of tunnel 3.
    pub(super) fn id(&self, side: Side) -> u32 {
        u32::from(self.number) * 10 + u32::from(side.host())
    }

    /// What one side's daemon is asked for.
    pub(super) fn requests(&self, side: Side) -> [Request; 2] {
        [Request::TunnelCreate(self.tunnel(side)), Request::SessionCreate(self.pseudowire(side))]
    }

    fn tunnel(&self, side: Side) -> TunnelCreate {
        TunnelCreate {
            conn_id: self.id(side),
            peer_conn_id: self.id(side.other()),
            proto_version: 3,
            encap_type: if self.udp { L2TP_ENCAPTYPE_UDP } else { L2TP_ENCAPTYPE_IP },
            socket: TunnelSocket::Addresses {
                local: underlay(self.v6, side.host()),
                peer: underlay(self.v6, side.other().host()),
                ports: self.udp.then_some((L2TP_PORT, L2TP_PORT)),
            },
            udp_csum: false,
            udp_zero_csum6_tx: false,
            udp_zero_csum6_rx: false,
        }
    }

    fn pseudowire(&self, side: Side) -> SessionCreate {
        SessionCreate {
            conn_id: self.id(side),
            peer_conn_id: self.id(side.other()),
            session_id: self.id(side),
            peer_session_id: self.id(side.other()),
            pw_type: L2TP_PWTYPE_ETH,
            l2spec_type: Some(if self.sublayer { L2TP_L2SPECTYPE_DEFAULT } else { L2TP_L2SPECTYPE_NONE }),
            send_seq: self.sequence,
            recv_seq: self.sequence,
            cookie: self.cookie(side),
            peer_cookie: self.cookie(side.other()),
            ..SessionCreate::default()
        }
    }

    /// The cookie that a side sends; each its own.
    fn cookie(&self, side: Side) -> Vec<u8> {
        (1..).map(|byte| byte << 4 | side.host()).take(self.cookie_bytes).collect()
    }

    /// Addresses of a side inside the tunnel, with the lengths of their prefixes: 10.115.T.H/24 and fd00:115:T::H/64.
    pub(super) fn inside(&self, side: Side) -> [(IpAddr, u8); 2] {
        let (tunnel, host) = (self.number, side.host());
        [
            (Ipv4Addr::new(10, 115, tunnel, host).into(), 24),
            (Ipv6Addr::new(0xfd00, 0x115, tunnel.into(), 0, 0, 0, 0, host.into()).into(), 64),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::{PLANS, Side};
    use std::collections::BTreeSet;

    #[test]
    fn the_two_sides_fit_together() {
        for plan in PLANS {
            let (near, far) = (plan.pseudowire(Side::Near), plan.pseudowire(Side::Far));
            assert_eq!((near.session_id, &near.cookie), (far.peer_session_id, &far.peer_cookie));
            assert_eq!((far.session_id, &far.cookie), (near.peer_session_id, &near.peer_cookie));
            assert!(near.cookie.is_empty() || near.cookie != far.cookie);
            assert_eq!(plan.tunnel(Side::Near).conn_id, plan.tunnel(Side::Far).peer_conn_id);
            assert_ne!(plan.inside(Side::Near), plan.inside(Side::Far));
        }
    }

    #[test]
    fn each_tunnel_is_of_its_own_kind() {
        let kinds: BTreeSet<_> = PLANS.iter().map(|plan| (plan.udp, plan.v6)).collect();
        let ids: BTreeSet<_> = PLANS.iter().map(|plan| plan.id(Side::Near)).collect();
        let names: BTreeSet<_> = PLANS.iter().map(|plan| plan.name).collect();
        assert_eq!((kinds.len(), ids.len(), names.len()), (4, 4, 4));
    }

    /// `device_mtu` of the subsystem is what the daemon computes with; the demo holds it to the kernel's table.
    #[test]
    fn the_mtus_are_those_of_the_kernel() {
        let expected = PLANS.map(|plan| {
            let outer = if plan.v6 { 40 } else { 20 } + if plan.udp { 8 + 4 } else { 0 };
            let header = 4 + if plan.sublayer { 4 } else { 0 } + u32::try_from(plan.cookie_bytes).unwrap();
            1500 - 14 - outer - header
        });
        assert_eq!(PLANS.map(|plan| plan.mtu), expected);
    }
}
