//! What the program must not take off the wire: it reaches the socket that it would have reached without, as it was.

use std::net::{SocketAddr, UdpSocket};
use std::os::fd::AsFd;
use std::time::Duration;

use l2tp_ebpf::Counters;
use nix::sys::socket::{setsockopt, sockopt};

use crate::crafted::Crafted;
use crate::form::{Form, PLAIN};
use crate::host::UNDERLAY;
use crate::packet::{PacketSocket, frame, ipv4_frame};
use crate::require;
use crate::tunnel::{DEVICE, Tunnel};

/// The first host, and the second as its peer.
struct Scene {
    tunnel: Tunnel,
    wire: PacketSocket,
    device: PacketSocket,
    socket: UdpSocket,
    good: Crafted,
    /// What it carries, as the device gets it.
    frame: Vec<u8>,
    carried: u64,
}

impl Scene {
    /// `frame` is one that is carried, behind `protocol` if that is PPP's.
    fn new(form: Form, protocol: &[u8], frame: &[u8]) -> Self {
        let tunnel = Tunnel::silent(form);
        let [a, b] = &tunnel.hosts;
        let socket = a.here(|| UdpSocket::bind(SocketAddr::new(a.address(form.is_ipv6), 1701)).unwrap());
        socket.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let (wire, device) = (PacketSocket::open(b, UNDERLAY), PacketSocket::open(a, DEVICE));
        let good = Crafted::new(&tunnel.hosts, form, &[protocol, frame].concat());
        let frame = frame.to_vec();
        let mut scene = Self { tunnel, wire, device, socket, good, frame, carried: 0 };
        scene.is_carried();
        scene
    }

    /// The packet that all others differ from in one thing is carried.
    fn is_carried(&mut self) {
        self.wire.send(&self.good.bytes());
        let is_delivered = |frame: &[u8]| frame == self.frame;
        self.device.receive(Duration::from_secs(10), is_delivered).expect("it was not delivered");
        self.carried += 1;
        assert_eq!(self.counters().rx_packets, self.carried);
    }

    fn counters(&self) -> Counters {
        self.tunnel.counters()[0]
    }

    /// The spoilt packet reaches the socket with its message as it was, and is not counted.
    fn is_left(&self, what: &str, spoil: impl FnOnce(&mut Crafted)) {
        let mut packet = self.good.clone();
        spoil(&mut packet);
        self.wire.send(&packet.bytes());
        self.arrives(what, &packet.message);
    }

    fn arrives(&self, what: &str, message: &[u8]) {
        let mut buffer = [0; 2048];
        let len = self.socket.recv(&mut buffer).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(buffer[..len], *message, "{what}");
        assert_eq!(self.counters().rx_packets, self.carried, "{what} was carried");
    }

    /// The packet reaches nobody, and is not counted.
    fn is_lost(&self, what: &str, packet: &[u8]) {
        self.wire.send(packet);
        // What comes behind it shows that it has been looked at.
        self.is_left(what, |packet| packet.message[0] = 0x80);
        assert_eq!(self.counters().rx_packets, self.carried, "{what} was carried");
    }
}

#[test]
fn version_3_over_udp() {
    if !require::met(&[]) {
        return;
    }
    let mut scene = Scene::new(Form { sublayer: true, ..PLAIN }, &[], &ipv4_frame(100, 1));
    scene.is_left("a control message", |packet| packet.message[0] = 0x80);
    scene.is_left("version 4", |packet| packet.message[1] = 4);
    scene.is_left("version 2", |packet| packet.message[1] = 2);
    for byte in 4..8 {
        scene.is_left("another session", |packet| packet.message[byte] ^= 1);
    }
    for byte in 8..16 {
        scene.is_left("another cookie", |packet| packet.message[byte] ^= 0x80);
    }
    scene.is_left("a sequence number", |packet| packet.message[16] = 0x40);
    scene.is_left("another port of the peer", |packet| packet.udp[1] ^= 1);
    scene.is_left("another address of the peer", |packet| packet.ip[15] = 9);
    scene.is_left("a right checksum", Crafted::fill_in_udp_checksum);
    scene.is_left("options", |packet| {
        packet.ip[0] = 0x46;
        packet.ip.extend_from_slice(&[1; 4]);
    });
    scene.is_left("padding", |packet| packet.padding = vec![0; 3]);
    scene.is_left("a runt", |packet| packet.message.truncate(20 + 13));
    scene.is_left("half a cookie", |packet| packet.message.truncate(12));
    scene.is_left("nothing", |packet| packet.message.clear());
    scene.is_left("an Ethernet header alone", |packet| packet.message.truncate(20 + 14));
    // What the receiver does not look at changes nothing.
    scene.good.message[0] = 0x7f;
    scene.good.message[2] = 0xff;
    scene.good.message[17] = 0xff;
    scene.is_carried();
    scene.good.ip[6] = 0x40;
    scene.good.ip[1] = 0xfc;
    scene.is_carried();
}

#[test]
fn version_3_over_udp_and_ipv6() {
    if !require::met(&[]) {
        return;
    }
    let mut scene = Scene::new(Form { is_ipv6: true, ..PLAIN }, &[], &ipv4_frame(100, 1));
    scene.good.fill_in_udp_checksum();
    scene.is_left("a right checksum", |_| ());
    for byte in 8..16 {
        scene.is_left("another cookie", |packet| {
            packet.message[byte] ^= 0x80;
            packet.fill_in_udp_checksum();
        });
    }
    scene.is_left("another address of the peer", |packet| {
        packet.ip[23] = 9;
        packet.fill_in_udp_checksum();
    });
    scene.is_left("an extension header", |packet| {
        packet.fill_in_udp_checksum();
        packet.ip[6] = 60;
        packet.ip.extend_from_slice(&[17, 0, 1, 4, 0, 0, 0, 0]);
    });
    scene.good.udp[6..8].copy_from_slice(&[0; 2]);
    scene.is_carried();
}

#[test]
fn version_2() {
    if !require::met(&[]) {
        return;
    }
    let packet = &ipv4_frame(100, 1)[14..];
    let mut scene = Scene::new(Form::PPP, &[0xff, 0x03, 0x00, 0x21], packet);
    scene.is_left("a control message", |packet| packet.message[0] = 0xc8);
    for (what, bit) in [("a length", 0x40), ("a sequence number", 0x08), ("an offset", 0x02)] {
        scene.is_left(what, |packet| packet.message[0] = bit);
    }
    for byte in 2..6 {
        scene.is_left("another session", |packet| packet.message[byte] ^= 1);
    }
    scene.is_left("version 3", |packet| packet.message[1] = 3);
    for protocol in [[0xc0, 0x21], [0x80, 0x21], [0x00, 0xfd], [0x00, 0x2d]] {
        scene.is_left("another protocol", |packet| packet.message[8..10].copy_from_slice(&protocol));
    }
    scene.is_left("a compressed protocol", |packet| {
        packet.message.remove(8);
    });
    // Without address and control it is as good as with them.
    scene.good.message.drain(6..8);
    scene.is_carried();
    // Priority and reserved bits.
    scene.good.message[0] = 0x35;
    scene.good.message[1] = 0xf2;
    scene.is_carried();
}

#[test]
fn fragments_are_put_together_by_the_kernel() {
    if !require::met(&[]) {
        return;
    }
    let mut scene = Scene::new(PLAIN, &[], &ipv4_frame(1000, 1));
    let whole = [scene.good.udp.clone(), scene.good.message.clone()].concat();
    let mut whole_udp = whole.clone();
    whole_udp[4..6].copy_from_slice(&u16::try_from(whole.len()).unwrap().to_be_bytes());
    let (first, second) = whole_udp.split_at(640);
    for (part, flags) in [(first, [0x20, 0]), (second, [0, 80])] {
        let mut packet = scene.good.clone();
        packet.ip[6..8].copy_from_slice(&flags);
        packet.udp.clear();
        packet.message = part.to_vec();
        scene.wire.send(&packet.bytes());
    }
    scene.arrives("fragments", &scene.good.message);
    scene.is_carried();
}

#[test]
fn what_the_kernel_drops_is_not_carried() {
    if !require::met(&[]) {
        return;
    }
    let mut scene = Scene::new(PLAIN, &[], &ipv4_frame(100, 1));
    let mut broken = scene.good.bytes();
    broken[14 + 10] ^= 1;
    scene.is_lost("a wrong IP checksum", &broken);
    let mut astray = scene.good.clone();
    astray.ethernet[5] ^= 1;
    scene.is_lost("a frame for another host", &astray.bytes());
    let mut tagged = scene.good.bytes();
    tagged.splice(12..12, [0x81, 0x00, 0x00, 0x05]);
    scene.is_lost("a packet in a VLAN", &tagged);
    scene.is_carried();
}

#[test]
fn trains_of_datagrams_reach_the_socket() {
    if !require::met(&[]) {
        return;
    }
    for is_ipv6 in [false, true] {
        let mut scene = Scene::new(Form { is_ipv6, ..PLAIN }, &[], &ipv4_frame(100, 1));
        let [a, b] = &scene.tunnel.hosts;
        let sender = b.here(|| UdpSocket::bind(SocketAddr::new(b.address(is_ipv6), 1702)).unwrap());
        let size = scene.good.message.len();
        setsockopt(&sender.as_fd(), sockopt::UdpGsoSegment, &i32::try_from(size).unwrap()).unwrap();
        let target = SocketAddr::new(a.address(is_ipv6), 1701);
        sender.send_to(&scene.good.message.repeat(20), target).unwrap();
        for _ in 0..20 {
            scene.arrives("a train", &scene.good.message);
        }
        scene.is_carried();
    }
}

#[test]
fn version_3_over_ip() {
    if !require::met(&[]) {
        return;
    }
    for is_ipv6 in [false, true] {
        let mut scene = Scene::new(Form { over_ip: true, is_ipv6, ..PLAIN }, &[], &frame(0x88b5, &[3; 60]));
        let lost = |scene: &Scene, spoil: &dyn Fn(&mut Crafted)| {
            let mut packet = scene.good.clone();
            spoil(&mut packet);
            scene.wire.send(&packet.bytes());
        };
        lost(&scene, &|packet| packet.message[..4].copy_from_slice(&[0; 4]));
        lost(&scene, &|packet| packet.message[3] ^= 1);
        lost(&scene, &|packet| packet.message[4] ^= 1);
        lost(&scene, &|packet| packet.message[11] ^= 1);
        lost(&scene, &|packet| packet.message.truncate(12 + 13));
        scene.is_carried();
    }
}
