//! Two hosts that stand for the ends of a recorded conversation, with their addresses.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::num::NonZero;

use l2tp_ebpf::{Carrier, Counters, Deliver, Handle, Hook, Link, Pattern, Payload, Route, Rx, Session, Tx};
use l2tp_io::rtnl::Rtnl;
use l2tp_io::tap::Tap;
use l2tp_oracle::captures::{Capture, Packet};
use rustix::net::{AddressFamily, Protocol, SocketFlags, SocketType, socket_with};

use crate::form::{Form, PLAIN, header};
use crate::host::{Host, UNDERLAY, bring_up};
use crate::packet::PacketSocket;
use crate::tunnel::make_device;

/// The link-layer addresses of a and b.
const MACS: [[u8; 6]; 2] = [[2, 0, 0, 0, 0x0a, 1], [2, 0, 0, 0, 0x0b, 2]];

pub(crate) struct Stage {
    pub(crate) hosts: [Host; 2],
    /// Sockets of the underlay's devices.
    pub(crate) wires: [PacketSocket; 2],
    taps: [Device; 2],
    tuns: [Device; 2],
}

/// The device of a session.
struct Device {
    tap: Tap,
    /// Sees its frames.
    frames: PacketSocket,
    /// Sends IPv4 packets by the table of routes.
    packets: UdpSocket,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let mut hosts = Host::two();
        for (end, host) in hosts.iter_mut().enumerate() {
            host.mac = MACS[end];
            host.here(|| {
                let mut rtnl = Rtnl::open().unwrap();
                rtnl.set_address(host.underlay, MACS[end]).unwrap();
                rtnl.add_address(host.underlay, address(end, false), 24).unwrap();
                rtnl.add_address(host.underlay, address(end, true), 64).unwrap();
            });
        }
        let [a, b] = &mut hosts;
        let taps = [&mut *a, &mut *b].map(|host| Device::new(host, PLAIN));
        let tuns = [&mut *a, &mut *b].map(|host| Device::new(host, Form { nth: 1, ..Form::PPP }));
        for host in [&*a, b] {
            host.call(&["ip", "route", "add", "10.9.0.0/16", "dev", tuns[0].tap.name()]);
        }
        let wires = [&*a, b].map(|host| PacketSocket::open(host, UNDERLAY));
        Self { hosts, wires, taps, tuns }
    }

    fn device(&self, capture: &Capture, end: usize) -> &Device {
        if capture.is_ppp { &self.tuns[end] } else { &self.taps[end] }
    }

    /// Sees what arrives at the device of an end.
    pub(crate) fn frames(&self, capture: &Capture, end: usize) -> &PacketSocket {
        &self.device(capture, end).frames
    }

    /// Has the network of an end send a frame, of PPP its packet, by the device.
    pub(crate) fn send(&self, capture: &Capture, end: usize, frame: &[u8]) {
        let device = self.device(capture, end);
        if !capture.is_ppp {
            return device.frames.send(frame);
        }
        let to = Ipv4Addr::new(frame[16], frame[17], frame[18], frame[19]);
        assert_eq!(device.packets.send_to(frame, (to, 0)).unwrap(), frame.len());
    }

    /// Carries the session of a capture at both ends.
    pub(crate) fn insert(&mut self, capture: &Capture) -> [Handle; 2] {
        let sessions = [0, 1].map(|end| self.session(capture, end));
        let [a, b] = &mut self.hosts;
        [a.fast.insert(&sessions[0]).unwrap(), b.fast.insert(&sessions[1]).unwrap()]
    }

    /// Carries it no more; what was carried.
    pub(crate) fn remove(&mut self, handles: [Handle; 2]) -> [Counters; 2] {
        let [a, b] = &mut self.hosts;
        [a.fast.remove(handles[0])[0].1, b.fast.remove(handles[1])[0].1]
    }

    fn session(&self, capture: &Capture, end: usize) -> Session {
        let device = self.device(capture, end).tap.index();
        let link = Link { to: MACS[1 - end], from: MACS[end] };
        Session {
            local: address(end, capture.is_ipv6),
            peer: address(1 - end, capture.is_ipv6),
            carrier: carrier(capture, end),
            payload: if capture.is_ppp { Payload::Ppp } else { Payload::Ethernet },
            tx: Some(Tx {
                device,
                header: header(&pattern(capture, 1 - end), capture.over_ip),
                route: Route { ifindex: self.hosts[end].underlay, link: Some(link), mtu: 1500 },
                tos: 0,
                ttl: 64,
                flow_label: flow_label(capture, end),
                mark: 0,
                cutter: None,
            }),
            rx: Some(Rx { pattern: pattern(capture, end), deliver: Deliver::At(device), zero_csum6: true }),
        }
    }
}

impl Device {
    fn new(host: &mut Host, form: Form) -> Self {
        let (index, _, tap) = host.here(|| make_device(form));
        let fast = &mut host.fast;
        host.netns.within(|| fast.attach_device(index, Hook::Egress)).unwrap().unwrap();
        let tap = tap.unwrap();
        let packets = host.here(|| {
            bring_up(tap.name(), &[]);
            // `IPPROTO_RAW`: packets with their headers.
            let protocol = NonZero::new(255).map(Protocol::from_raw);
            socket_with(AddressFamily::INET, SocketType::RAW, SocketFlags::CLOEXEC, protocol).unwrap()
        });
        let frames = PacketSocket::open(host, tap.name());
        Self { tap, frames, packets: packets.into() }
    }
}

/// The address of an end.
pub(crate) fn address(end: usize, is_ipv6: bool) -> IpAddr {
    let number = [1, 2][end];
    if is_ipv6 {
        [0x2001, 0xdb8, 0, 0, 0, 0, 0, number].into()
    } else {
        [192, 0, 2, number.to_be_bytes()[1]].into()
    }
}

/// What carries the messages, as an end sees it.
pub(crate) fn carrier(capture: &Capture, end: usize) -> Carrier {
    if capture.over_ip {
        return Carrier::Ip;
    }
    let frame = &first(capture, end).frame;
    let udp = if capture.is_ipv6 { 14 + 40 } else { 14 + 20 };
    let port = |at: usize| u16::from_be_bytes([frame[at], frame[at + 1]]);
    Carrier::Udp { local_port: port(udp), peer_port: port(udp + 2) }
}

/// The flow label that an end has chosen.
fn flow_label(capture: &Capture, end: usize) -> u32 {
    let frame = &first(capture, end).frame;
    let word = u32::from_be_bytes([frame[14], frame[15], frame[16], frame[17]]);
    if capture.is_ipv6 { word & 0xf_ffff } else { 0 }
}

fn first(capture: &Capture, end: usize) -> &Packet {
    capture.packets.iter().find(|packet| packet.from == end).unwrap()
}

/// What an end expects.
pub(crate) fn pattern(capture: &Capture, end: usize) -> Pattern {
    let own = &capture.ends[end];
    if capture.version == 2 {
        return Pattern::V2 {
            tunnel_id: own.tunnel_id.try_into().unwrap(),
            session_id: own.session_id.try_into().unwrap(),
        };
    }
    let cookie = capture.ends[1 - end].cookie.clone();
    Pattern::V3 { session_id: own.session_id, cookie, sublayer: capture.sublayer }
}
