//! Frames as they are (packet(7)): sent by a device, or seen at it.

use std::os::fd::{AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use etherparse::PacketBuilder;
use l2tp_io::offload::checksum::Checksum;
use l2tp_io::offload::vnet::VnetHeader;
use l2tp_io::sockopt;
use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::sockopt::{RcvBufForce, ReceiveTimeout};
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, bind, recv, send, setsockopt, socket,
};
use nix::sys::time::TimeVal;

use crate::host::Host;

/// A socket of a device, for whole Ethernet frames.
pub(crate) struct PacketSocket {
    descriptor: OwnedFd,
}

impl PacketSocket {
    /// From now on it sees what arrives at the device and what leaves by it; of one without link layer what does so at any device.
    pub(crate) fn open(host: &Host, device: &str) -> Self {
        host.here(|| {
            let every = SockProtocol::EthAll;
            let descriptor =
                socket(AddressFamily::Packet, SockType::Raw, SockFlag::SOCK_CLOEXEC, every).unwrap();
            setsockopt(&descriptor, RcvBufForce, &(64 << 20)).unwrap();
            if let Some(address) = link_address(device) {
                bind(descriptor.as_raw_fd(), &address).unwrap();
            }
            Self { descriptor }
        })
    }

    /// One that sends with a vnet header before each frame, and has one before each that it sees.
    pub(crate) fn with_vnet_headers(host: &Host, device: &str) -> Self {
        let socket = Self::open(host, device);
        // `SOL_PACKET` and `PACKET_VNET_HDR` of include/linux/socket.h and include/uapi/linux/if_packet.h.
        sockopt::set(&socket.descriptor, 263, 15, 1).unwrap();
        socket
    }

    pub(crate) fn send(&self, frame: &[u8]) {
        let sent = send(self.descriptor.as_raw_fd(), frame, MsgFlags::empty());
        assert_eq!(sent, Ok(frame.len()), "{} bytes", frame.len());
    }

    /// The next frame that `is_wanted`; none if none comes within `patience`. What has come already is looked at however long that takes.
    pub(crate) fn receive(&self, patience: Duration, is_wanted: impl Fn(&[u8]) -> bool) -> Option<Vec<u8>> {
        let deadline = Instant::now() + patience;
        let mut buffer = vec![0; 0x2_0000];
        setsockopt(&self.descriptor, ReceiveTimeout, &TimeVal::new(0, 20_000)).unwrap();
        loop {
            match recv(self.descriptor.as_raw_fd(), &mut buffer, MsgFlags::empty()) {
                Ok(len) if is_wanted(&buffer[..len]) => return Some(buffer[..len].to_vec()),
                Err(Errno::EAGAIN) if Instant::now() >= deadline => return None,
                Ok(_) | Err(Errno::EAGAIN | Errno::EINTR) => {}
                Err(error) => panic!("{error}"),
            }
        }
    }

    /// The next frame that ends so; it has to come.
    pub(crate) fn receive_ending(&self, end: &[u8]) -> Vec<u8> {
        self.receive(Duration::from_secs(10), |frame| frame.ends_with(end)).expect("the frame did not come")
    }
}

fn link_address(device: &str) -> Option<LinkAddr> {
    let mut addresses = getifaddrs().unwrap().filter(|entry| entry.interface_name == device);
    addresses.find_map(|entry| entry.address?.as_link_addr().copied())
}

/// Addresses of frames that no host takes for its own.
const TO: [u8; 6] = [0x02, 1, 2, 3, 4, 5];
const FROM: [u8; 6] = [0x02, 6, 7, 8, 9, 10];

/// A frame of this protocol, with `payload` in it.
pub(crate) fn frame(protocol: u16, payload: &[u8]) -> Vec<u8> {
    [TO.as_slice(), &FROM, &protocol.to_be_bytes(), payload].concat()
}

/// A frame with an IPv4 packet of `len` bytes in it, at least 28; those behind the headers are `seed`s.
pub(crate) fn ipv4_frame(len: usize, seed: u8) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2(FROM, TO).ipv4([10, 9, 0, 77], [10, 9, 0, 78], 64).udp(7, 8);
    write(builder, len - 28, seed)
}

/// The same of IPv6, at least 48.
pub(crate) fn ipv6_frame(len: usize, seed: u8) -> Vec<u8> {
    let builder = PacketBuilder::ethernet2(FROM, TO).ipv6([1; 16], [2; 16], 64).udp(7, 8);
    write(builder, len - 48, seed)
}

/// A frame with a VLAN tag, and an IPv4 packet of `len` bytes in it.
pub(crate) fn tagged_frame(len: usize, seed: u8) -> Vec<u8> {
    tagged(&ipv4_frame(len, seed))
}

/// What a frame has between addresses and protocol in the VLAN 7, with the priority 3.
pub(crate) const TAG: [u8; 4] = [0x81, 0x00, 0x60, 0x07];

fn tagged(frame: &[u8]) -> Vec<u8> {
    [&frame[..12], &TAG, &frame[12..]].concat()
}

/// A frame of the VLAN with so many bytes of TCP, and how it is to be cut: into segments of this size.
pub(crate) fn super_frame(is_ipv6: bool, bytes: usize, segment: u16) -> (VnetHeader, Vec<u8>) {
    let payload: Vec<u8> = (0..bytes).map(|at| (at * 7 + (at >> 8)).to_le_bytes()[0]).collect();
    let builder = PacketBuilder::ethernet2(FROM, TO);
    let builder = if is_ipv6 {
        builder.ipv6([1; 16], [2; 16], 64)
    } else {
        builder.ipv4([10, 9, 0, 77], [10, 9, 0, 78], 64)
    };
    let mut frame = Vec::new();
    builder.tcp(7, 8, 1_000_000, 4000).ack(1).write(&mut frame, &payload).unwrap();
    let tcp = frame.len() - bytes - 20;
    let addresses = if is_ipv6 { &frame[22..54] } else { &frame[26..34] };
    // Whoever cuts it completes the checksums.
    let checksum = Checksum::pseudo_header(addresses, 6, u32::try_from(bytes + 20).unwrap()).partial();
    frame[tcp + 16..tcp + 18].copy_from_slice(&checksum);
    let tcp = u16::try_from(tcp + TAG.len()).unwrap();
    let header = VnetHeader {
        flags: VnetHeader::NEEDS_CSUM,
        gso_type: if is_ipv6 { VnetHeader::GSO_TCPV6 } else { VnetHeader::GSO_TCPV4 },
        hdr_len: tcp + 20,
        gso_size: segment,
        csum_start: tcp,
        csum_offset: 16,
    };
    (header, tagged(&frame))
}

fn write(builder: etherparse::PacketBuilderStep<etherparse::UdpHeader>, len: usize, seed: u8) -> Vec<u8> {
    let mut frame = Vec::new();
    builder.write(&mut frame, &vec![seed; len]).unwrap();
    frame
}
