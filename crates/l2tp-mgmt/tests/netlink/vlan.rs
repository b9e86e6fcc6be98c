//! VLAN pseudowires, of which the kernel has none.

use crate::lab::Lab;
use l2tp_abi::Errno;
use l2tp_abi::genl::l2tp::{L2TP_PWTYPE_ETH, L2TP_PWTYPE_ETH_VLAN, Request, SessionCreate, TunnelCreate};
use std::net::{Ipv4Addr, SocketAddr};

/// A namespace with one tunnel.
fn lab(proto_version: u8) -> Lab {
    let mut lab = Lab::new();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 5002));
    let tunnel = TunnelCreate { proto_version, ..TunnelCreate::udp(1, 2, address, address) };
    assert_eq!(lab.request(&Request::TunnelCreate(tunnel)).errno, None);
    lab
}

/// A request for a session of a kind.
fn session(pw_type: u16, vlan_id: Option<u16>) -> Request {
    Request::SessionCreate(SessionCreate { pw_type, vlan_id, ..SessionCreate::ethernet(1, 5, 6) })
}

#[test]
fn the_vlan_is_shown_with_such_sessions_only() {
    for (pw_type, asked, shown) in [
        (L2TP_PWTYPE_ETH_VLAN, Some(1), Some(1)),
        (L2TP_PWTYPE_ETH_VLAN, Some(4094), Some(4094)),
        (L2TP_PWTYPE_ETH, Some(0), None),
        (L2TP_PWTYPE_ETH, None, None),
    ] {
        let mut lab = lab(3);
        assert_eq!(lab.request(&session(pw_type, asked)).errno, None);
        let sessions = lab.sessions();
        assert_eq!((sessions[0].pw_type, sessions[0].vlan_id), (pw_type, shown));
        assert!(sessions[0].ifname.is_some());
    }
}

#[test]
fn what_is_no_vlan_is_refused() {
    for (version, vlan_id, errno) in [
        (3, Some(0), Errno::EINVAL),
        (3, Some(4095), Errno::EINVAL),
        (3, Some(u16::MAX), Errno::EINVAL),
        (3, None, Errno::EPROTONOSUPPORT),
        (2, Some(5), Errno::EPROTONOSUPPORT),
    ] {
        let answer = lab(version).request(&session(L2TP_PWTYPE_ETH_VLAN, vlan_id));
        assert_eq!(answer.errno, Some(errno), "version {version}, VLAN {vlan_id:?}");
    }
}
