//! A [`Session`] as the programs know it: headers ready to be written, patterns ready to be compared.

use std::net::IpAddr;

use crate::layout::{
    ARRIVE, ETHERNET_LEN, HEADERS_MAX, IPV6, LINK, PATTERN_LEN, PPP, RxKey, RxSession, TxSession, UDP, Words,
};
use crate::{Carrier, Deliver, Pattern, Payload, Refused, Rx, Session, Tx};

const PROTOCOL_UDP: u8 = 17;
const PROTOCOL_L2TP: u8 = 115;
/// The longest cookie, in bytes (RFC 3931 4.1).
const COOKIE_MAX: usize = 8;
/// PPP's address and control, and its protocol field of an IPv4 packet.
const PPP_IPV4: [u8; 4] = [0xff, 0x03, 0x00, 0x21];
/// `BPF_F_ADJ_ROOM_*`, include/uapi/linux/bpf.h.
mod room {
    pub(super) const FIXED_GSO: u64 = 1 << 0;
    pub(super) const ENCAP_L3_IPV4: u64 = 1 << 1;
    pub(super) const ENCAP_L3_IPV6: u64 = 1 << 2;
    pub(super) const ENCAP_L4_UDP: u64 = 1 << 4;
    pub(super) const NO_CSUM_RESET: u64 = 1 << 5;
    pub(super) const ENCAP_L2_ETH: u64 = 1 << 6;
    pub(super) const ENCAP_L2_SHIFT: u32 = 56;
}

/// What is common to both directions, checked.
pub(crate) fn check(session: &Session) -> Result<(), Refused> {
    if session.local.is_ipv4() != session.peer.is_ipv4() {
        return Err(Refused::Families);
    }
    if let Carrier::Udp { local_port, peer_port } = session.carrier
        && (local_port == 0 || peer_port == 0)
    {
        return Err(Refused::NoPort);
    }
    Ok(())
}

/// The way out of a session, and the device by which its frames find it.
pub(crate) fn tx_session(session: &Session, tx: &Tx, handle: u32) -> Result<(u32, TxSession), Refused> {
    if tx.header.is_empty() || tx.header.len() > Tx::HEADER_MAX {
        return Err(Refused::Header);
    }
    let mut headers = ethernet(session, tx);
    let ip = ip_header(session, tx);
    headers.extend_from_slice(&ip);
    let mut flags = flags(session);
    if let Carrier::Udp { local_port, peer_port } = session.carrier {
        headers.extend_from_slice(&local_port.to_be_bytes());
        headers.extend_from_slice(&peer_port.to_be_bytes());
        headers.extend_from_slice(&[0; 4]);
    }
    let message_at = headers.len();
    headers.extend_from_slice(&tx.header);
    if session.payload == Payload::Ppp {
        headers.extend_from_slice(&PPP_IPV4);
    }
    if tx.route.link.is_some() {
        flags |= LINK;
    }
    let headers_len = u32::try_from(headers.len()).map_err(|_| Refused::Header)?;
    // The frame's own Ethernet header is as long as that in front, which does not count.
    if tx.route.mtu <= headers_len {
        return Err(Refused::Mtu);
    }
    let mut padded = [0; HEADERS_MAX];
    padded.get_mut(..headers.len()).ok_or(Refused::Header)?.copy_from_slice(&headers);
    let value = TxSession {
        room_flags: room_flags(session),
        headers: padded,
        headers_len,
        counted_len: u32::try_from(headers.len() - message_at).map_err(|_| Refused::Header)?,
        mtu: tx.route.mtu,
        checksum: sum(&ip),
        mark: tx.mark,
        ifindex: tx.route.ifindex,
        handle,
        flags,
        padding: 0,
    };
    Ok((tx.device, value))
}

/// The way in of a session, and by what its messages find it.
pub(crate) fn rx_session(session: &Session, rx: &Rx, handle: u32) -> Result<(RxKey, RxSession), Refused> {
    let flags = flags(session);
    if session.local.is_ipv6() && flags & UDP != 0 && !rx.zero_csum6 {
        return Err(Refused::ZeroChecksum);
    }
    let mut message = Message::default();
    let (version, id) = match &rx.pattern {
        Pattern::V2 { tunnel_id, session_id } => {
            if flags & UDP == 0 || session.payload != Payload::Ppp {
                return Err(Refused::NotL2tpv2);
            }
            // T, L, S and O are clear.
            message.expect(&[0, 2], &[0xca, 0x0f])?;
            let ids = [tunnel_id.to_be_bytes(), session_id.to_be_bytes()].concat();
            message.expect(&ids, &[0xff; 4])?;
            (2, ids)
        }
        Pattern::V3 { cookie, .. } if cookie.len() > COOKIE_MAX => return Err(Refused::Header),
        Pattern::V3 { session_id, cookie, sublayer } => {
            let starts: [u8; 4] = if flags & UDP == 0 { [0; 4] } else { [0x80, 0x0f, 0, 0] };
            message.expect(&[0, 3, 0, 0], &starts)?;
            let id = session_id.to_be_bytes().to_vec();
            message.expect(&id, &[0xff; 4])?;
            message.expect(cookie, &vec![0xff; cookie.len()])?;
            if *sublayer {
                // No sequence number.
                message.expect(&[0; 4], &[0x40, 0, 0, 0])?;
            }
            (3, id)
        }
    };
    let (ifindex, arrive) = match rx.deliver {
        Deliver::At(ifindex) => (ifindex, ARRIVE),
        Deliver::Through(ifindex) => (ifindex, 0),
    };
    let [peer_port, local_port] = ports(session.carrier);
    let id = <[u8; 4]>::try_from(id.as_slice()).map_err(|_| Refused::Header)?;
    let key = RxKey {
        id: u32::from_ne_bytes(id),
        port: u16::from_ne_bytes(local_port),
        flags: key_flags(flags)?,
        version,
    };
    let value = RxSession {
        addresses: addresses(session.peer, session.local),
        pattern: words(message.pattern),
        mask: words(message.mask),
        ports: u32::from_ne_bytes(concat(peer_port, local_port)),
        frame_at: u32::try_from(message.len).map_err(|_| Refused::Header)?,
        ifindex,
        handle,
        flags: flags | arrive,
        padding: 0,
    };
    Ok((key, value))
}

/// Those flags that a packet shows.
fn key_flags(flags: u32) -> Result<u8, Refused> {
    u8::try_from(flags & (IPV6 | UDP)).map_err(|_| Refused::Header)
}

/// The peer's port and ours, as they stand in a packet.
fn ports(carrier: Carrier) -> [[u8; 2]; 2] {
    match carrier {
        Carrier::Udp { local_port, peer_port } => [peer_port.to_be_bytes(), local_port.to_be_bytes()],
        Carrier::Ip => [[0; 2]; 2],
    }
}

fn concat([a, b]: [u8; 2], [c, d]: [u8; 2]) -> [u8; 4] {
    [a, b, c, d]
}

fn words(bytes: [u8; PATTERN_LEN]) -> Words {
    let mut words = Words::default();
    for (word, bytes) in words.iter_mut().zip(bytes.as_chunks().0) {
        *word = u32::from_ne_bytes(*bytes);
    }
    words
}

/// How a message starts.
#[derive(Default)]
struct Message {
    pattern: [u8; PATTERN_LEN],
    mask: [u8; PATTERN_LEN],
    len: usize,
}

impl Message {
    /// Goes on with `bytes`, of which those bits count that `mask` has; both are of one length.
    fn expect(&mut self, bytes: &[u8], mask: &[u8]) -> Result<(), Refused> {
        let end = self.len + bytes.len();
        for (place, (byte, mask)) in (self.len..end).zip(bytes.iter().zip(mask)) {
            *self.pattern.get_mut(place).ok_or(Refused::Header)? = byte & mask;
            *self.mask.get_mut(place).ok_or(Refused::Header)? = *mask;
        }
        self.len = end;
        Ok(())
    }
}

fn flags(session: &Session) -> u32 {
    let family = if session.local.is_ipv6() { IPV6 } else { 0 };
    let carrier = if session.carrier == Carrier::Ip { 0 } else { UDP };
    let payload = if session.payload == Payload::Ppp { PPP } else { 0 };
    family | carrier | payload
}

fn ethernet(session: &Session, tx: &Tx) -> Vec<u8> {
    let protocol: [u8; 2] = if session.local.is_ipv4() { [0x08, 0x00] } else { [0x86, 0xdd] };
    // Where the kernel fills in the addresses it wants to see some that are no group's.
    let (to, from) =
        tx.route.link.map_or(([0x02, 0, 0, 0, 0, 0], [0x02, 0, 0, 0, 0, 0]), |link| (link.to, link.from));
    [to.as_slice(), &from, &protocol].concat()
}

/// The IP header without length, id and checksum (RFC 791 3.1, RFC 8200 3).
fn ip_header(session: &Session, tx: &Tx) -> Vec<u8> {
    let protocol = if session.carrier == Carrier::Ip { PROTOCOL_L2TP } else { PROTOCOL_UDP };
    match (session.local, session.peer) {
        (IpAddr::V4(local), IpAddr::V4(peer)) => {
            // The kernel's tunnels do not set DF.
            let start = [0x45, tx.tos, 0, 0, 0, 0, 0, 0, tx.ttl, protocol, 0, 0];
            [start.as_slice(), &local.octets(), &peer.octets()].concat()
        }
        (local, peer) => {
            let word = 6 << 28 | u32::from(tx.tos) << 20 | tx.flow_label & 0xf_ffff;
            let rest = [0, 0, protocol, tx.ttl];
            [word.to_be_bytes().as_slice(), &rest, &octets(local), &octets(peer)].concat()
        }
    }
}

fn octets(address: IpAddr) -> Vec<u8> {
    match address {
        IpAddr::V4(address) => address.octets().to_vec(),
        IpAddr::V6(address) => address.octets().to_vec(),
    }
}

/// The ones' complement sum of an IP header, not folded.
fn sum(header: &[u8]) -> u32 {
    header.chunks_exact(2).map(|word| u32::from(u16::from_ne_bytes([word[0], word[1]]))).sum()
}

/// Source and destination as they stand in a packet.
fn addresses(from: IpAddr, to: IpAddr) -> [u64; 4] {
    let mut words = [0; 4];
    let octets = [octets(from), octets(to)].concat();
    for (word, bytes) in words.iter_mut().zip(octets.as_chunks().0) {
        *word = u64::from_ne_bytes(*bytes);
    }
    words
}

fn room_flags(session: &Session) -> u64 {
    let family = if session.local.is_ipv4() { room::ENCAP_L3_IPV4 } else { room::ENCAP_L3_IPV6 };
    let carrier = if session.carrier == Carrier::Ip { 0 } else { room::ENCAP_L4_UDP };
    let link = match session.payload {
        Payload::Ethernet => room::ENCAP_L2_ETH | u64::from(ETHERNET_LEN) << room::ENCAP_L2_SHIFT,
        Payload::Ppp => 0,
    };
    room::FIXED_GSO | room::NO_CSUM_RESET | family | carrier | link
}

#[cfg(test)]
mod tests;
