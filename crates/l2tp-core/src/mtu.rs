//! The MTU that a new Ethernet device gets (`l2tp_eth_adjust_mtu`). Computed once; nothing changes it later.

use core::net::IpAddr;

use crate::config::Encap;

const ETHERNET_HEADER: u32 = 14;
const ETHERNET_DATA: u32 = 1500;
const MTU_MAX: u32 = 65535;

/// MTU for a session whose packets go to `peer` over `encap` with an L2TP header (and VLAN tag) of `header_len` bytes, on a route of
/// `route_mtu` (0: unknown).
#[must_use]
pub fn device_mtu(route_mtu: u32, peer: IpAddr, encap: Encap, header_len: u32) -> u32 {
    let ip = if peer.is_ipv4() { 20 } else { 40 };
    let udp = if encap == Encap::Udp { 8 } else { 0 };
    let overhead = ip + udp + header_len + ETHERNET_HEADER;
    match route_mtu.checked_sub(overhead) {
        Some(mtu) if mtu <= MTU_MAX => mtu,
        _ => ETHERNET_DATA - overhead,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use core::net::{Ipv4Addr, Ipv6Addr};

    const V4: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
    const V6: IpAddr = IpAddr::V6(Ipv6Addr::LOCALHOST);

    /// The table of a real kernel, underlay 1500: sublayer default with cookies of 0, 4, 8, then sublayer none.
    #[test]
    fn the_kernels_table() {
        let rows = [
            (V4, Encap::Udp, [1446, 1442, 1438, 1450, 1446, 1442]),
            (V6, Encap::Udp, [1426, 1422, 1418, 1430, 1426, 1422]),
            (V4, Encap::Ip, [1458, 1454, 1450, 1462, 1458, 1454]),
            (V6, Encap::Ip, [1438, 1434, 1430, 1442, 1438, 1434]),
        ];
        for (peer, encap, expected) in rows {
            let prefix = if encap == Encap::Udp { 4 } else { 0 };
            let headers = [8, 12, 16, 4, 8, 12].map(|rest| prefix + rest);
            assert_eq!(headers.map(|len| device_mtu(1500, peer, encap, len)), expected);
        }
    }

    #[test]
    fn other_links() {
        assert_eq!(device_mtu(9000, V4, Encap::Udp, 12), 8946);
        assert_eq!(device_mtu(1280, V4, Encap::Udp, 12), 1226);
        assert_eq!(device_mtu(65535, V6, Encap::Ip, 8), 65473);
        assert_eq!(device_mtu(0, V4, Encap::Udp, 12), 1446, "no route");
        assert_eq!(device_mtu(65536, V4, Encap::Udp, 12), 65482);
        assert_eq!(device_mtu(u32::MAX, V4, Encap::Udp, 12), 1446);
    }
}
