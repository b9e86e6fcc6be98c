//! Packets of a real kernel's tunnels, each as it was on the wire: the programs take off what that kernel has put there, leave what is not plain, and send
//! the same bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use l2tp_ebpf::Handle;
use l2tp_oracle::captures::{Capture, Packet, captures};

use crate::crafted::Crafted;
use crate::form::header;
use crate::require;
use crate::stage::{Stage, address, carrier, pattern};
use crate::up::Up;

const PATIENCE: Duration = Duration::from_secs(10);

/// PPP's address, control and protocol in front of an IPv4 packet.
const PPP_IPV4: [u8; 4] = [0xff, 0x03, 0x00, 0x21];

/// A capture on the stage.
struct Scene<'a> {
    stage: &'a Stage,
    capture: &'a Capture,
    handles: [Handle; 2],
    ups: [Up; 2],
    tally: &'a mut Tally,
}

/// How many packets were checked.
#[derive(Default)]
struct Tally {
    /// Those that are carried, by form.
    carried: BTreeMap<String, usize>,
    /// Those that are left to the user path.
    left: usize,
}

impl Tally {
    fn count(&mut self, capture: &Capture, packet: &Packet) {
        let carrier = if capture.over_ip { "ip" } else { "udp" };
        let family = if capture.is_ipv6 { 6 } else { 4 };
        let payload = if capture.is_ppp { "ppp" } else { "ethernet" };
        let cookie = capture.ends[packet.from].cookie.len();
        let sublayer = if capture.sublayer && capture.version == 3 { " sublayer" } else { "" };
        let form = format!("v{} {payload} {carrier}{family} cookie{cookie}{sublayer}", capture.version);
        *self.carried.entry(form).or_default() += 1;
    }

    /// Every form that the programs know of Ethernet, and three of PPP.
    fn is_complete(&self) {
        let ppp = ["v2 ppp udp4 cookie0", "v2 ppp udp6 cookie0", "v3 ppp udp4 cookie4 sublayer"];
        let mut forms = BTreeSet::from(ppp.map(str::to_owned));
        for carrier in ["ip4", "ip6", "udp4", "udp6"] {
            for cookie in [0, 4, 8] {
                forms.extend(
                    ["", " sublayer"].map(|end| format!("v3 ethernet {carrier} cookie{cookie}{end}")),
                );
            }
        }
        assert!(self.carried.keys().eq(&forms), "{:?}", self.carried);
        assert_eq!(self.carried.values().sum::<usize>(), 256);
    }
}

impl Scene<'_> {
    /// The packet, byte for byte, comes out as the frame that is in it.
    fn is_delivered(&self, packet: &Packet, bytes: &[u8], frame: &[u8]) {
        let (from, to) = (packet.from, 1 - packet.from);
        let before = self.received(to);
        self.stage.wires[from].send(bytes);
        let frames = self.stage.frames(self.capture, to);
        let delivered = frames.receive(PATIENCE, |delivered| delivered == frame);
        assert!(delivered.is_some(), "{}: {bytes:02x?} was not delivered", self.capture.name);
        assert_eq!(self.received(to), before + 1, "{}", self.capture.name);
    }

    /// The packet reaches the tunnel's socket with its message as it was.
    fn is_left(&mut self, what: &str, from: usize, packet: &Crafted) {
        let name = &self.capture.name;
        let before = self.received(1 - from);
        self.stage.wires[from].send(&packet.bytes());
        assert_eq!(self.ups[1 - from].receive().as_ref(), Some(&packet.message), "{name}: {what}");
        assert_eq!(self.received(1 - from), before, "{name}: {what}");
        self.tally.left += 1;
    }

    fn received(&self, end: usize) -> u64 {
        self.stage.hosts[end].fast.counters(self.handles[end]).rx_packets
    }

    fn receives(&mut self, packet: &Packet) {
        let mut crafted = Crafted::recorded(&packet.frame, packet.message());
        assert_eq!(crafted.bytes(), packet.frame, "{}", self.capture.name);
        if take_checksum_off(&mut crafted) {
            // In the capture it is what the card would have completed.
            let mut whole = crafted.clone();
            whole.fill_in_udp_checksum();
            self.is_left("a checksum", packet.from, &whole);
        }
        match carried(self.capture, packet) {
            Some(frame) => {
                self.is_delivered(packet, &crafted.bytes(), frame);
                self.tally.count(self.capture, packet);
            }
            None => self.is_left("control, negotiation or a number", packet.from, &crafted),
        }
    }

    /// The packet with one thing wrong is left, whatever that is.
    fn is_particular(&mut self, packet: &Packet) {
        let mut good = Crafted::recorded(&packet.frame, packet.message());
        take_checksum_off(&mut good);
        for byte in significant(self.capture, packet) {
            self.is_left_if_spoilt(packet, &good, "an id or a cookie", |packet| packet.message[byte] ^= 1);
        }
        let source = if self.capture.is_ipv6 { 8 + 15 } else { 12 + 3 };
        self.is_left_if_spoilt(packet, &good, "another address", |packet| packet.ip[source] ^= 8);
        if !self.capture.over_ip {
            self.is_left_if_spoilt(packet, &good, "another port", |packet| packet.udp[1] ^= 8);
        }
        if let Some(at) = number_bit(self.capture, packet) {
            self.is_left_if_spoilt(packet, &good, "a number", |packet| packet.message[at.0] |= at.1);
        }
        self.is_delivered(packet, &good.bytes(), carried(self.capture, packet).unwrap());
    }

    fn is_left_if_spoilt(
        &mut self,
        packet: &Packet,
        good: &Crafted,
        what: &str,
        spoil: impl FnOnce(&mut Crafted),
    ) {
        let mut spoilt = good.clone();
        spoil(&mut spoilt);
        self.is_left(what, packet.from, &spoilt);
    }

    /// The frame, sent by the device, is on the wire as in the capture, but for IPv4's identification, with the checksum that it makes, and UDP's checksum.
    fn sends(&mut self, packet: &Packet) {
        let Some(frame) = carried(self.capture, packet) else { return };
        self.stage.send(self.capture, packet.from, frame);
        let sent = self.stage.wires[1 - packet.from]
            .receive(PATIENCE, |sent| sent[6..12] == packet.frame[6..12] && sent.ends_with(frame));
        let sent = sent.unwrap_or_else(|| panic!("{}: {frame:02x?} was not sent", self.capture.name));
        let mut recorded = Crafted::recorded(&packet.frame, packet.message());
        take_checksum_off(&mut recorded);
        if !self.capture.is_ipv6 {
            recorded.ip[4..6].copy_from_slice(&sent[18..20]);
        }
        assert_eq!(sent, recorded.bytes(), "{}", self.capture.name);
        self.tally.count(self.capture, packet);
    }
}

/// The frame in a packet that the programs carry, of PPP the packet in it. They leave control messages, what has a number, and PPP's negotiation.
fn carried<'a>(capture: &Capture, packet: &'a Packet) -> Option<&'a [u8]> {
    let message = packet.message();
    let is_control = !capture.over_ip && message[0] & 0x80 != 0;
    if is_control || capture.send_seq && capture.sublayer {
        return None;
    }
    let payload = &message[header_len(capture, packet)..];
    if capture.is_ppp { payload.strip_prefix(&PPP_IPV4) } else { Some(payload) }
}

fn header_len(capture: &Capture, packet: &Packet) -> usize {
    header(&pattern(capture, 1 - packet.from), capture.over_ip).len()
}

/// The bytes of a message that are ids and cookie.
fn significant(capture: &Capture, packet: &Packet) -> std::ops::Range<usize> {
    let start = match capture.version {
        2 => 2,
        _ if capture.over_ip => 0,
        _ => 4,
    };
    let sublayer = if capture.version == 3 && capture.sublayer { 4 } else { 0 };
    start..header_len(capture, packet) - sublayer
}

/// The byte of a message, and the bit in it, that says that it has a number, if there is one.
fn number_bit(capture: &Capture, packet: &Packet) -> Option<(usize, u8)> {
    match capture.version {
        2 => Some((0, 0x08)),
        _ => capture.sublayer.then(|| (significant(capture, packet).end, 0x40)),
    }
}

/// Whether there was one.
fn take_checksum_off(packet: &mut Crafted) -> bool {
    let Some(checksum) = packet.udp.get_mut(6..8) else { return false };
    let had_one = checksum != [0; 2];
    checksum.fill(0);
    had_one
}

/// Captures whose sessions get to the programs, or would if they sent no numbers. Those which demand numbers that never come are the engine's, which drops all.
fn playable() -> Vec<Capture> {
    let (playable, refused): (Vec<_>, Vec<_>) =
        captures().into_iter().partition(|capture| capture.ping_ok != Some(false));
    assert_eq!(refused.len(), 2);
    playable
}

fn play(mut each: impl FnMut(&mut Scene<'_>)) -> Tally {
    let mut stage = Stage::new();
    let mut tally = Tally::default();
    for capture in &playable() {
        let handles = stage.insert(capture);
        let ups = [0, 1]
            .map(|end| Up::open(&stage.hosts[end], address(end, capture.is_ipv6), carrier(capture, end)));
        each(&mut Scene { stage: &stage, capture, handles, ups, tally: &mut tally });
        stage.remove(handles);
    }
    tally
}

#[test]
fn what_a_kernel_sent_is_received() {
    if !require::met(&[]) {
        return;
    }
    let tally = play(|scene| scene.capture.packets.iter().for_each(|packet| scene.receives(packet)));
    tally.is_complete();
    // 104 with checksums, and 131 with numbers, of control or of negotiation.
    assert_eq!(tally.left, 104 + 131);
}

#[test]
fn what_a_kernel_would_drop_is_left() {
    if !require::met(&[]) {
        return;
    }
    let tally = play(|scene| {
        for end in [0, 1] {
            let of_end = scene.capture.packets.iter().filter(|packet| packet.from == end);
            if let Some(packet) = of_end.into_iter().find(|packet| carried(scene.capture, packet).is_some()) {
                scene.is_particular(packet);
            }
        }
    });
    // Of each end of each conversation: every byte of the ids and the cookie, the address, the port, a number where one has a place.
    assert_eq!(tally.left, 634);
}

#[test]
fn what_is_sent_is_what_a_kernel_sent() {
    if !require::met(&[]) {
        return;
    }
    let tally = play(|scene| scene.capture.packets.iter().for_each(|packet| scene.sends(packet)));
    tally.is_complete();
}
