//! Header parsers.

use l2tp_wire::v3::{Carrier, Layout};
use l2tp_wire::{Cookie, classify, control, ppp, v2, v3};

/// A packet, read in every way that there is.
pub fn wire(data: &[u8]) {
    let udp = classify::udp(data);
    let ip = classify::ip(data);
    v2_header(data, udp);
    for carrier in [Carrier::Udp, Carrier::Ip] {
        for cookie_len in 0..=Cookie::MAX {
            for l2specific in [false, true] {
                v3_header(&Layout { carrier, cookie_len, l2specific }, data, udp, ip);
            }
        }
    }
    assert_eq!(control::Header::parse(data).is_ok(), data.len() >= control::LEN);
    let frame = ppp::strip_address_control(data);
    assert!(data.ends_with(frame) && data.len() - frame.len() <= ppp::ADDRESS_CONTROL.len());
}

fn v2_header(data: &[u8], udp: classify::Udp) {
    let Ok(header) = v2::Header::parse(data) else { return };
    if let classify::Udp::V2 { tunnel_id, session_id } = udp {
        assert_eq!((header.tunnel_id, header.session_id), (tunnel_id, session_id));
    }
    let mut out = [0; v2::LEN + v2::SEQUENCE_LEN];
    let len = v2::Header::emit(&mut out, header.tunnel_id, header.session_id, header.ns);
    let again = len.and_then(|len| v2::Header::parse(out.get(..len)?).ok());
    assert_eq!(
        again.map(|h| (h.tunnel_id, h.session_id, h.ns, Some(h.payload))),
        Some((header.tunnel_id, header.session_id, header.ns, len))
    );
}

fn v3_header(layout: &Layout, data: &[u8], udp: classify::Udp, ip: classify::Ip) {
    let header = v3::Header::parse(layout, data);
    assert_eq!(header.is_ok(), data.len() >= layout.header_len());
    let Ok(header) = header else { return };
    match (layout.carrier, udp, ip) {
        (Carrier::Udp, classify::Udp::V3 { session_id, .. }, _)
        | (Carrier::Ip, _, classify::Ip::Data { session_id }) => assert_eq!(header.session_id, session_id),
        _ => {}
    }
    let cookie = Cookie::new(header.cookie).unwrap_or_default();
    assert!(cookie.matches(header.cookie));
    let mut out = [0; Layout::MAX];
    let sublayer = layout.l2specific.then_some(header.ns);
    let len = v3::emit(&mut out, layout.carrier, header.session_id, &cookie, sublayer);
    assert_eq!(len, Some(layout.header_len()));
    assert_eq!(v3::Header::parse(layout, &out), Ok(header));
}
