//! Crafted packets and what a real kernel did with them: the programs deliver nothing that it did not deliver, and leave the rest as it is to the tunnel's
//! socket.

use std::time::Duration;

use l2tp_ebpf::{Pattern, Session};
use l2tp_oracle::crafted::{Case, Ids, crafted, marks, packet_bytes};
use l2tp_oracle::unhex;

use crate::crafted::Crafted;
use crate::form::{Form, PLAIN};
use crate::host::UNDERLAY;
use crate::packet::PacketSocket;
use crate::require;
use crate::tunnel::{DEVICE, Tunnel};
use crate::up::Up;

/// The cases that the programs carry whole. The others have numbers, are no data, or wrong, or PPP's negotiation, or have less than two bytes behind an
/// Ethernet header.
const CARRIED: [&str; 19] = [
    "v3.ok",
    "v3.ok-three",
    "v3.body-1500",
    "v3.flag-bit-0010",
    "v3.flag-bit-0020",
    "v3.flag-bit-0040",
    "v3.flag-bit-0100",
    "v3.flag-bit-0200",
    "v3.flag-bit-0400",
    "v3.flag-bit-1000",
    "v3.flag-bit-2000",
    "v3.flag-bit-4000",
    "v3.reserved-nonzero",
    "v3.cookie4.ok",
    "v3.cookie8.ok",
    "v3.cookie3.ok",
    // What they expect a sublayer or the frame to be, the kernel and the programs alike.
    "v3.cookie.unexpected",
    "v3.l2spec-none.got-sublayer",
    "ip.ok",
];

/// The receiver of the cases of one form, and their sender.
struct Judge {
    tunnel: Tunnel,
    wire: PacketSocket,
    device: PacketSocket,
    up: Up,
}

/// What became of the packets of a case.
#[derive(Default)]
struct Fate {
    frames: Vec<Vec<u8>>,
    left: usize,
}

impl Judge {
    fn new(form: Form) -> Self {
        let tunnel = Tunnel::silent(form);
        let [a, b] = &tunnel.hosts;
        // The longest is longer than a link's packets.
        for (host, device) in [(a, UNDERLAY), (a, DEVICE), (b, UNDERLAY)] {
            host.call(&["ip", "link", "set", device, "mtu", "2000"]);
        }
        let up = Up::open(a, a.address(false), form.carrier(1));
        let (wire, device) = (PacketSocket::open(b, UNDERLAY), PacketSocket::open(a, DEVICE));
        Self { tunnel, wire, device, up }
    }

    fn play(&mut self, case: &Case, ids: &Ids) -> Fate {
        let end = &self.tunnel.ends[0];
        let mut session = end.session.clone();
        expect(&mut session, case, ids);
        self.tunnel.hosts[0].fast.replace(end.handle, &session).unwrap();
        let mut fate = Fate::default();
        for packet in &case.packets {
            let mut crafted = Crafted::new(&self.tunnel.hosts, self.tunnel.form, &[]);
            crafted.message = packet_bytes(packet);
            match self.receive(&case.id, &crafted) {
                Some(frame) => fate.frames.push(frame),
                None => fate.left += 1,
            }
        }
        fate
    }

    /// The frame of a packet that was carried, `None` for one that was left.
    fn receive(&self, id: &str, packet: &Crafted) -> Option<Vec<u8>> {
        let before = self.tunnel.counters()[0];
        self.wire.send(&packet.bytes());
        for _ in 0..10_000 {
            if let Some(message) = self.up.take() {
                assert_eq!((message, self.tunnel.counters()[0]), (packet.message.clone(), before), "{id}");
                return None;
            }
            if self.tunnel.counters()[0].rx_packets > before.rx_packets {
                return Some(self.device.receive(Duration::from_secs(10), |_| true).expect(id));
            }
            std::thread::sleep(Duration::from_millis(1));
        }
        panic!("{id}: the packet was neither carried nor left");
    }
}

/// Changes what a session expects.
fn expect(session: &mut Session, case: &Case, ids: &Ids) {
    let low = |id: u32| u16::try_from(id).unwrap();
    let text = |name: &str| case.session.iter().find(|(known, _)| known == name).map(|(_, value)| value);
    let cookie = text("PEER_COOKIE").map_or_else(Vec::new, |hex| unhex(hex.as_str().unwrap()));
    let sublayer = text("L2SPEC_TYPE").is_none_or(|kind| kind != 0);
    session.rx.as_mut().unwrap().pattern = match case.version {
        2 => Pattern::V2 { tunnel_id: low(ids.tunnel), session_id: low(ids.session) },
        _ => Pattern::V3 { session_id: ids.session, cookie, sublayer },
    };
}

/// Whether the session gets to the programs: those of which the engine has to remember numbers do not.
fn is_plain(case: &Case) -> bool {
    let numbers = ["RECV_SEQ", "SEND_SEQ", "RECV_TIMEOUT"];
    !case.session.iter().any(|(name, _)| numbers.contains(&name.as_str()))
}

/// The kernel delivered what the programs did, in that order, and nothing else if they carried all.
fn check(case: &Case, fate: &Fate) {
    let received = case.result.session_stats.get("RX_PACKETS").copied().unwrap_or(0);
    assert!(fate.frames.len() as u64 <= received, "{}: the kernel took {received}", case.id);
    let Some(kernels) = &case.result.delivered_marks else { return assert!(fate.frames.is_empty()) };
    let ours = marks(&fate.frames);
    if fate.left == 0 {
        assert_eq!(&ours, kernels, "{}", case.id);
    }
    let mut kernels = kernels.iter();
    assert!(ours.iter().all(|mark| kernels.any(|kernels| kernels == mark)), "{}: {ours:?}", case.id);
}

#[test]
fn every_packet_that_a_kernel_has_judged() {
    if !require::met(&[]) {
        return;
    }
    let crafted = crafted();
    let mut whole = Vec::new();
    let mut judged = 0;
    for (prefix, form) in
        [("v3.", Form { cookie: 0, ..PLAIN }), ("v2.", Form::PPP), ("ip.", Form { over_ip: true, ..PLAIN })]
    {
        let mut judge = Judge::new(form);
        for case in crafted.cases.iter().filter(|case| case.id.starts_with(prefix) && is_plain(case)) {
            let fate = judge.play(case, &crafted.ids);
            check(case, &fate);
            if fate.left == 0 {
                whole.push(case.id.as_str());
            }
            judged += 1;
        }
    }
    assert_eq!(whole, CARRIED);
    assert_eq!(judged, 98);
}
