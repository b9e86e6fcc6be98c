//! What a tunnel and a session are asked to be. Values only; the names are those of `linux/l2tp.h`.

use alloc::string::String;
use core::net::IpAddr;
use core::time::Duration;

pub use l2tp_wire::Cookie;
use l2tp_wire::v3::{Carrier, Layout};
use l2tp_wire::vlan::TAG_LEN;
pub use l2tp_wire::vlan::VlanId;

use crate::error::Error;

/// `L2TP_ATTR_ENCAP_TYPE`: what carries the packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encap {
    /// `L2TP_ENCAPTYPE_UDP`.
    Udp,
    /// `L2TP_ENCAPTYPE_IP`: protocol 115.
    Ip,
}

impl Encap {
    /// The encapsulation of that number.
    ///
    /// # Errors
    /// [`Error::UnknownEncap`].
    pub fn from_number(number: u16) -> Result<Self, Error> {
        match number {
            0 => Ok(Self::Udp),
            1 => Ok(Self::Ip),
            _ => Err(Error::UnknownEncap),
        }
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> u16 {
        match self {
            Self::Udp => 0,
            Self::Ip => 1,
        }
    }

    /// The prefix that a v3 header has over it.
    #[must_use]
    pub fn carrier(self) -> Carrier {
        match self {
            Self::Udp => Carrier::Udp,
            Self::Ip => Carrier::Ip,
        }
    }
}

/// `L2TP_ATTR_PW_TYPE`: what the session carries. Only those that have a driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PwType {
    /// `L2TP_PWTYPE_ETH`, 5.
    Eth,
    /// `L2TP_PWTYPE_ETH_VLAN`, 4: one VLAN, for which the kernel has no driver.
    EthVlan(VlanId),
    /// `L2TP_PWTYPE_PPP`, 7.
    Ppp,
}

impl PwType {
    /// The pseudowire type of that number, judged in the kernel's order for a tunnel of `version`; `vlan_id` is
    /// `L2TP_ATTR_VLAN_ID`, at which only that of one VLAN looks.
    ///
    /// # Errors
    /// [`Error::PwTypeOutOfRange`] from 12 on, [`Error::PwTypeUnsupported`] for one without a driver, for anything
    /// but PPP in L2TPv2, and for that of one VLAN if none is named; [`Error::BadVlanId`].
    pub fn from_number(number: u16, version: u8, vlan_id: Option<u16>) -> Result<Self, Error> {
        match number {
            12.. => Err(Error::PwTypeOutOfRange),
            7 => Ok(Self::Ppp),
            5 if version != 2 => Ok(Self::Eth),
            4 if version != 2 => {
                let vlan = VlanId::new(vlan_id.ok_or(Error::PwTypeUnsupported)?);
                vlan.map(Self::EthVlan).ok_or(Error::BadVlanId)
            }
            _ => Err(Error::PwTypeUnsupported),
        }
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> u16 {
        match self {
            Self::EthVlan(_) => 4,
            Self::Eth => 5,
            Self::Ppp => 7,
        }
    }

    /// Whether it carries Ethernet frames, and so has a device.
    #[must_use]
    pub fn is_ethernet(self) -> bool {
        self != Self::Ppp
    }

    /// Bytes that its frames have on the wire beyond those of its device: the tag.
    #[must_use]
    pub fn tag_len(self) -> usize {
        self.vlan().map_or(0, |_| TAG_LEN)
    }

    /// The VLAN that it carries, if it is but one.
    #[must_use]
    pub fn vlan(self) -> Option<VlanId> {
        match self {
            Self::EthVlan(vlan) => Some(vlan),
            Self::Eth | Self::Ppp => None,
        }
    }
}

/// `L2TP_ATTR_L2SPEC_TYPE`: the sublayer of a v3 session.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum L2specType {
    /// No sublayer, and so no sequence numbers.
    None,
    /// The default sublayer, four bytes.
    #[default]
    Default,
}

impl L2specType {
    /// The sublayer of that number.
    ///
    /// # Errors
    /// [`Error::UnknownL2spec`].
    pub fn from_number(number: u8) -> Result<Self, Error> {
        match number {
            0 => Ok(Self::None),
            1 => Ok(Self::Default),
            _ => Err(Error::UnknownL2spec),
        }
    }
}

/// A tunnel that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TunnelConfig {
    /// 2 or 3; the kernel takes any number and treats all but 2 as 3.
    pub version: u8,
    /// Our id, by which the peer's control messages name the tunnel.
    pub tunnel_id: u32,
    /// The peer's id.
    pub peer_tunnel_id: u32,
    /// What carries the packets.
    pub encap: Encap,
    /// Where its socket comes from.
    pub socket: SocketConfig,
}

/// Where a tunnel's socket comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SocketConfig {
    /// An "unmanaged" tunnel: the subsystem makes the socket.
    Addresses {
        /// Local address.
        local: IpAddr,
        /// Address of the peer, of the same family.
        peer: IpAddr,
        /// Local UDP port; 0: any.
        sport: u16,
        /// UDP port of the peer; 0: the socket is left unconnected.
        dport: u16,
        /// Over IPv4: send UDP checksums.
        udp_csum: bool,
        /// Over IPv6: send no UDP checksums.
        zero_csum6_tx: bool,
        /// Over IPv6: take packets without UDP checksum.
        zero_csum6_rx: bool,
    },
    /// A "managed" tunnel: descriptor number `fd` of the calling program.
    Descriptor {
        /// The number in the table of the program that asks.
        fd: i32,
    },
}

/// The name of a device for which none was asked.
pub const DEFAULT_IFNAME: &str = "l2tpeth%d";

/// A session that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionConfig {
    /// Our id, which the peer puts in its packets.
    pub session_id: u32,
    /// The peer's id, which we put in ours.
    pub peer_session_id: u32,
    /// What it carries.
    pub pw_type: PwType,
    /// The sublayer (v3).
    pub l2spec: L2specType,
    /// The cookie that we send (v3).
    pub cookie: Cookie,
    /// The cookie that we expect (v3).
    pub peer_cookie: Cookie,
    /// Refuse packets without sequence number.
    pub recv_seq: bool,
    /// Send sequence numbers. A LAC's follows its peer.
    pub send_seq: bool,
    /// We are the LNS: we decide about sequence numbers.
    pub lns_mode: bool,
    /// How long a packet may wait for an earlier one; zero: no reordering.
    pub reorder_timeout: Duration,
    /// Name or template (`abc%d`) of the device (Ethernet); `None`: `l2tpeth%d`.
    pub ifname: Option<String>,
}

impl SessionConfig {
    /// An Ethernet session with the kernel's defaults.
    #[must_use]
    pub fn ethernet(session_id: u32, peer_session_id: u32) -> Self {
        Self {
            session_id,
            peer_session_id,
            pw_type: PwType::Eth,
            l2spec: L2specType::Default,
            cookie: Cookie::NONE,
            peer_cookie: Cookie::NONE,
            recv_seq: false,
            send_seq: false,
            lns_mode: false,
            reorder_timeout: Duration::ZERO,
            ifname: None,
        }
    }

    /// The layout of a v3 header that carries `cookie`.
    #[must_use]
    pub fn layout(&self, encap: Encap, cookie: &Cookie) -> Layout {
        Layout {
            carrier: encap.carrier(),
            cookie_len: cookie.len(),
            l2specific: self.l2spec == L2specType::Default,
        }
    }
}

/// What `L2TP_CMD_SESSION_MODIFY` can change; `None` leaves it as it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SessionChange {
    /// Refuse packets without sequence number.
    pub recv_seq: Option<bool>,
    /// Send sequence numbers.
    pub send_seq: Option<bool>,
    /// We are the LNS.
    pub lns_mode: Option<bool>,
    /// How long a packet may wait for an earlier one.
    pub reorder_timeout: Option<Duration>,
}

/// How a command names a session.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionSelector<'a> {
    /// By the name that its device had at creation; ids in the same request are ignored.
    Name(&'a str),
    /// By ids.
    Ids {
        /// Our tunnel id.
        tunnel_id: u32,
        /// Our session id.
        session_id: u32,
    },
}

/// Checks a device name or template as the kernel does (`dev_valid_name`, `dev_alloc_name`).
///
/// # Errors
/// [`Error::BadName`].
pub fn check_device_name(name: &str) -> Result<(), Error> {
    let bytes = name.as_bytes();
    let forbidden = |b: &u8| *b == b'/' || *b == b':' || b.is_ascii_whitespace() || *b == 0x0b;
    let reserved = matches!(name, "" | "." | "..");
    let template_ok = match name.split_once('%') {
        Some((_, rest)) => rest.strip_prefix('d').is_some_and(|rest| !rest.contains('%')),
        None => true,
    };
    if reserved || bytes.len() > 15 || bytes.iter().any(forbidden) || !template_ok {
        return Err(Error::BadName);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn device_names() {
        for good in ["l2tpeth0", "abc%d", "%d", "a.b", "exactly15chars_"] {
            assert_eq!(check_device_name(good), Ok(()), "{good}");
        }
        for bad in ["", ".", "..", "a/b", "a b", "a:b", "a%s", "a%", "a%d%d", "a\tb", "sixteen_chars_xx"] {
            assert_eq!(check_device_name(bad), Err(Error::BadName), "{bad}");
        }
    }

    #[test]
    fn pseudowire_types_in_the_kernels_order() {
        let of = |number, version| PwType::from_number(number, version, None);
        assert_eq!(of(5, 3), Ok(PwType::Eth));
        assert_eq!(of(5, 2), Err(Error::PwTypeUnsupported));
        assert_eq!(of(7, 2), Ok(PwType::Ppp));
        assert_eq!(of(12, 2), Err(Error::PwTypeOutOfRange));
        assert_eq!(of(0, 3), Err(Error::PwTypeUnsupported));
    }

    #[test]
    fn a_vlan_pseudowire_names_its_vlan() {
        let of = |version, vlan_id| PwType::from_number(4, version, vlan_id);
        for number in [1, 4094] {
            let vlan = of(3, Some(number)).unwrap();
            assert_eq!((vlan.number(), vlan.vlan().map(VlanId::number)), (4, Some(number)));
        }
        assert_eq!([0, 4095].map(|number| of(3, Some(number))), [Err(Error::BadVlanId); 2]);
        assert_eq!([of(3, None), of(2, Some(1))], [Err(Error::PwTypeUnsupported); 2]);
        assert_eq!(PwType::from_number(5, 3, Some(0)), Ok(PwType::Eth), "nobody looks at it");
    }
}
