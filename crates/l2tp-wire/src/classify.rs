//! What a packet is: control or data, and for data whose.
//!
//! The tests and their order are the kernel's (`l2tp_udp_encap_recv`, `l2tp_ip_recv`).

use crate::flags::Flags;
use crate::{be16, be32};

/// The shortest UDP payload that is looked at; shorter ones belong to the socket's owner, whatever they are.
/// It is the longest L2TPv2 header without the offset padding.
pub const UDP_MIN: usize = 14;

/// What a UDP payload is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Udp {
    /// Below [`UDP_MIN`] bytes.
    Short,
    /// T is set. The version is not looked at.
    Control,
    /// An L2TPv2 data message.
    V2 {
        /// The receiver's tunnel id.
        tunnel_id: u16,
        /// The receiver's session id.
        session_id: u16,
    },
    /// A data message of any other version, which is read as L2TPv3.
    V3 {
        /// The version found, anything but 2.
        version: u8,
        /// The receiver's session id.
        session_id: u32,
    },
}

/// Says what a UDP payload is.
#[must_use]
pub fn udp(bytes: &[u8]) -> Udp {
    if bytes.len() < UDP_MIN {
        return Udp::Short;
    }
    udp_fields(bytes).unwrap_or(Udp::Short)
}

fn udp_fields(bytes: &[u8]) -> Option<Udp> {
    let flags = Flags(be16(bytes, 0)?);
    if flags.is_control() {
        return Some(Udp::Control);
    }
    if flags.version() == 2 {
        let at = if flags.has_length() { 4 } else { 2 };
        return Some(Udp::V2 { tunnel_id: be16(bytes, at)?, session_id: be16(bytes, at + 2)? });
    }
    Some(Udp::V3 { version: flags.version(), session_id: be32(bytes, 4)? })
}

/// What the payload of an IP packet of protocol 115 is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ip {
    /// Too short for a session id, or session id 0 without a control header behind it.
    Malformed,
    /// Session id 0: a control message, which starts behind those four bytes.
    Control {
        /// The receiver's control connection id.
        control_connection_id: u32,
    },
    /// An L2TPv3 data message.
    Data {
        /// The receiver's session id, not 0.
        session_id: u32,
    },
}

/// Says what the payload of an IP packet of protocol 115 is.
#[must_use]
pub fn ip(bytes: &[u8]) -> Ip {
    match be32(bytes, 0) {
        None => Ip::Malformed,
        Some(0) => ip_control(bytes).unwrap_or(Ip::Malformed),
        Some(session_id) => Ip::Data { session_id },
    }
}

/// The kernel asks for 12 bytes of header with T and L set and leaves the rest to the socket's owner.
fn ip_control(bytes: &[u8]) -> Option<Ip> {
    let header: &[u8; 12] = bytes.get(4..)?.first_chunk()?;
    let flags = Flags(be16(header, 0)?);
    (flags.is_control() && flags.has_length())
        .then_some(Ip::Control { control_connection_id: be32(header, 4)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ZLB_V3: [u8; 12] = [0xc8, 3, 0, 12, 0, 0, 0, 7, 0, 1, 0, 2];

    #[test]
    fn thirteen_bytes_are_short_whatever_they_say() {
        assert_eq!(udp(&[0xc8, 3, 0, 12, 0, 0, 0, 7, 0, 1, 0, 2, 0]), Udp::Short);
        assert_eq!(udp(&[]), Udp::Short);
    }

    #[test]
    fn v2_ids_stand_behind_the_length() {
        let mut packet = [0u8; 16];
        packet[..8].copy_from_slice(&[0, 2, 0x11, 0x11, 0x22, 0x22, 0, 0]);
        assert_eq!(udp(&packet), Udp::V2 { tunnel_id: 0x1111, session_id: 0x2222 });
        packet[..8].copy_from_slice(&[0x40, 2, 0, 16, 0x11, 0x11, 0x22, 0x22]);
        assert_eq!(udp(&packet), Udp::V2 { tunnel_id: 0x1111, session_id: 0x2222 });
    }

    #[test]
    fn any_other_version_is_read_as_v3() {
        for version in [0u8, 1, 3, 4, 15] {
            let mut packet = [0u8; 14];
            packet[..8].copy_from_slice(&[0x7f, 0xf0 | version, 9, 9, 1, 2, 3, 4]);
            assert_eq!(udp(&packet), Udp::V3 { version, session_id: 0x0102_0304 });
        }
    }

    #[test]
    fn over_ip_session_id_0_announces_control() {
        let mut packet = [0u8; 16];
        packet[4..].copy_from_slice(&ZLB_V3);
        assert_eq!(ip(&packet), Ip::Control { control_connection_id: 7 });
        packet[4] = 0x88;
        assert_eq!(ip(&packet), Ip::Malformed, "L is missing");
        assert_eq!(ip(&packet[..15]), Ip::Malformed);
        assert_eq!(ip(&[0, 0, 0]), Ip::Malformed);
        assert_eq!(ip(&[0, 0, 0, 1]), Ip::Data { session_id: 1 });
    }
}
