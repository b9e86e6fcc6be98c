//! TAP devices in namespaces of our own.

use super::{READ_BYTES, Tap, VNET_HEADER_BYTES};
use crate::batch::{Outgoing, RecvBatch};
use crate::netns::NetNs;
use crate::rtnl::{Link, Rtnl};
use crate::testns::{configure, in_fresh_netns_with_taps, skip};
use crate::udp::{UdpConfig, UdpSocket};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt;
use std::io::{ErrorKind, IoSlice};
use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;

fn link(tap: &Tap) -> Link {
    Rtnl::open().unwrap().link(tap.index()).unwrap()
}

fn wait(fd: impl AsFd) -> bool {
    let timeout = Timespec { tv_sec: 2, tv_nsec: 0 };
    poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&timeout)).unwrap() > 0
}

fn errno(result: std::io::Result<Tap>) -> Option<i32> {
    result.err().and_then(|error| error.raw_os_error())
}

#[test]
fn names_are_chosen_or_filled_in() {
    in_fresh_netns_with_taps(|| {
        let taps = [Tap::create("l2tpeth%d").unwrap(), Tap::create("l2tpeth%d").unwrap()];
        assert_eq!(taps.each_ref().map(Tap::name), ["l2tpeth0", "l2tpeth1"]);
        assert_eq!(taps[1].current_name().unwrap(), "l2tpeth1");
        assert_eq!(link(&taps[1]).name, "l2tpeth1");
        assert_eq!(Tap::create("fifteen_letters").unwrap().name().len(), 15);
        assert_eq!(errno(Tap::create("l2tpeth1")), Some(libc::EEXIST));
        assert_eq!(errno(Tap::create("lo")), Some(libc::EEXIST));
        for name in ["", "sixteen_letters_", "a/b", "a b", ".", "..", "nul\0", "a%d%d"] {
            assert_eq!(errno(Tap::create(name)), Some(libc::EINVAL), "{name:?}");
        }
    });
}

#[test]
fn a_new_device_looks_as_the_kernels() {
    in_fresh_netns_with_taps(|| {
        let tap = Tap::create("t").unwrap();
        let created = link(&tap);
        assert_eq!((created.up, created.mtu, created.master), (false, 1500, None));
        assert_eq!(created.address.len(), 6);
        assert_eq!(created.address[0] & 3, 2, "locally administered, unicast");
        Rtnl::open().unwrap().set_up(tap.index(), true).unwrap();
        let up = link(&tap);
        assert_eq!((up.up, up.carrier, up.operstate), (true, true, 0));
    });
}

/// Flags of a device (include/uapi/linux/if.h).
const IFF_POINTOPOINT: u32 = 0x10;
const IFF_NOARP: u32 = 0x80;
const IFF_MULTICAST: u32 = 0x1000;

#[test]
fn a_device_for_ppp_looks_as_the_kernels_and_carries_packets() {
    in_fresh_netns_with_taps(|| {
        let ppp = Tap::create_ppp("ppp%d", None).unwrap();
        let sys =
            |file: &str| std::fs::read_to_string(format!("/sys/class/net/ppp0/{file}")).unwrap_or_default();
        assert_eq!((ppp.name(), ppp.link()), ("ppp0", crate::offload::Link::Ip));
        let created = link(&ppp);
        assert_eq!((created.up, created.mtu), (false, 1500));
        // /sys may be of another namespace.
        if let Ok(flags) = u32::from_str_radix(sys("flags").trim().trim_start_matches("0x"), 16) {
            let wanted = IFF_POINTOPOINT | IFF_NOARP | IFF_MULTICAST;
            assert_eq!((flags & wanted, sys("type").trim()), (wanted, "512"));
        }
        configure("ppp0", 1, 1400);
        let receiver = std::net::UdpSocket::bind("10.0.0.1:1701").unwrap();
        receiver.set_read_timeout(Some(std::time::Duration::from_secs(5))).unwrap();
        let builder = etherparse::PacketBuilder::ipv4([10, 0, 0, 9], [10, 0, 0, 1], 64).udp(7, 1701);
        let mut packet = vec![0; VNET_HEADER_BYTES];
        builder.write(&mut packet, b"by ppp").unwrap();
        ppp.write(&[IoSlice::new(&packet)]).unwrap();
        let mut buffer = [0; 100];
        let (length, from) = receiver.recv_from(&mut buffer).unwrap();
        assert_eq!((&buffer[..length], from), (&b"by ppp"[..], SocketAddr::from(([10, 0, 0, 9], 7))));
        receiver.send_to(b"back", from).unwrap();
        let mut buffer = vec![0; READ_BYTES];
        let is_udp = |packet: &[u8]| packet.first() == Some(&0x45) && packet.get(9) == Some(&17);
        let found = (0..20).any(|_| {
            assert!(wait(&ppp));
            let length = ppp.read(&mut buffer).unwrap();
            is_udp(&buffer[VNET_HEADER_BYTES..length])
        });
        assert!(found);
    });
}

#[test]
fn the_device_lives_as_long_as_its_owner() {
    in_fresh_netns_with_taps(|| {
        let mut rtnl = Rtnl::open().unwrap();
        let tap = Tap::create("t").unwrap();
        let index = tap.index();
        drop(tap);
        assert_eq!(rtnl.link(index).unwrap_err().raw_os_error(), Some(libc::ENODEV));
        let tap = Tap::create("t").unwrap();
        rtnl.delete(tap.index()).unwrap();
        let read = tap.read(&mut [0; 100]).unwrap_err();
        assert_eq!(read.raw_os_error(), Some(libc::EBADFD));
        assert_eq!(tap.set_mtu(1000).unwrap_err().raw_os_error(), Some(libc::EBADFD));
    });
}

#[test]
fn the_mtu_is_set_also_from_another_namespace() {
    in_fresh_netns_with_taps(|| {
        let home = NetNs::current().unwrap();
        let tap = Tap::create("t").unwrap();
        tap.set_mtu(1446).unwrap();
        assert_eq!(link(&tap).mtu, 1446);
        NetNs::unshare().unwrap();
        tap.set_mtu(1438).unwrap();
        assert_eq!(home.within(|| link(&tap).mtu).unwrap(), 1438);
        for mtu in [68, 65_521] {
            tap.set_mtu(mtu).unwrap();
        }
        for mtu in [0, 67, 65_522] {
            assert_eq!(tap.set_mtu(mtu).unwrap_err().raw_os_error(), Some(libc::EINVAL), "{mtu}");
        }
    });
}

#[test]
fn a_device_that_is_down_passes_nothing() {
    in_fresh_netns_with_taps(|| {
        let tap = Tap::create("t").unwrap();
        assert!(tap.read(&mut [0; READ_BYTES]).is_err());
        let written = tap.write(&[IoSlice::new(&[0; VNET_HEADER_BYTES + 60])]).unwrap_err();
        assert_eq!(written.raw_os_error(), Some(libc::EIO));
        Rtnl::open().unwrap().set_up(tap.index(), true).unwrap();
        while let Ok(size) = tap.read(&mut [0; READ_BYTES]) {
            assert!(size > VNET_HEADER_BYTES);
        }
        assert_eq!(tap.read(&mut [0; READ_BYTES]).unwrap_err().kind(), ErrorKind::WouldBlock);
        assert_eq!(tap.write(&[IoSlice::new(&[0; 5])]).unwrap_err().raw_os_error(), Some(libc::EINVAL));
        assert_eq!(tap.write(&[IoSlice::new(&[0; 10]), IoSlice::new(&[0; 60])]).unwrap(), 70);
    });
}

const GROUP: Ipv4Addr = Ipv4Addr::new(224, 0, 0, 99);
const VIRTIO_NET_HDR_GSO_UDP_L4: u8 = 5;

/// One read, one write: a UDP train stays one super-frame from the sender's stack to the receiver's.
#[test]
fn a_super_frame_goes_through_a_pair_of_devices() {
    in_fresh_netns_with_taps(|| {
        let far = std::thread::scope(|scope| scope.spawn(|| NetNs::unshare().unwrap()).join().unwrap());
        let near_tap = Tap::create("near").unwrap();
        let far_tap = far.within(|| Tap::create("far")).unwrap().unwrap();
        configure("near", 1, 1400);
        far.within(|| configure("far", 2, 1400)).unwrap();

        let socket = |local: SocketAddr, peer| {
            let config = UdpConfig { local: Some(local), peer, checksum: true, ..UdpConfig::default() };
            UdpSocket::open(&config).unwrap()
        };
        let receiver = far.within(|| socket((Ipv4Addr::UNSPECIFIED, 9).into(), None)).unwrap();
        sockopt::set_ip_add_membership(&receiver, &GROUP, &Ipv4Addr::new(10, 0, 0, 2)).unwrap();
        let sender = socket(([10, 0, 0, 1], 9).into(), Some((GROUP, 9).into()));

        let payload: Vec<u8> = (0..40_000_u32).map(|index| u8::try_from(index % 251).unwrap()).collect();
        let parts = [IoSlice::new(&payload)];
        let report = sender.send_batch(&[Outgoing { parts: &parts, segment: Some(1000) }]);
        assert_eq!((report.sent, report.refused_trains), (1, 0), "{:?}", report.last_error);

        let frame = next_super_frame(&near_tap);
        if frame.len() < payload.len() {
            return skip("UDP super-frames on TAP devices (Linux 6.2)");
        }
        assert_eq!(frame.len(), VNET_HEADER_BYTES + 14 + 20 + 8 + payload.len());
        assert_eq!(u16::from_ne_bytes([frame[4], frame[5]]), 1000);
        let (head, tail) = frame.split_at(VNET_HEADER_BYTES + 14);
        assert_eq!(far_tap.write(&[IoSlice::new(head), IoSlice::new(tail)]).unwrap(), frame.len());

        let mut batch = RecvBatch::new(4, 65_535);
        assert!(wait(&receiver));
        assert_eq!(receiver.recv_batch(&mut batch).unwrap(), 1);
        let received = batch.iter().next().unwrap();
        assert_eq!((received.bytes, received.segment_size), (&payload[..], 1000));
        assert_eq!(received.segments().count(), 40);
    });
}

/// The first frame of the train, past what else the stack sends (router solicitations, group reports).
fn next_super_frame(tap: &Tap) -> Vec<u8> {
    let mut buffer = vec![0; READ_BYTES];
    loop {
        assert!(wait(tap), "no frame came");
        let size = tap.read(&mut buffer).unwrap();
        let to_group = buffer[VNET_HEADER_BYTES + 14..].get(16..20) == Some(&GROUP.octets());
        if buffer[1] == VIRTIO_NET_HDR_GSO_UDP_L4 || (to_group && buffer[VNET_HEADER_BYTES + 23] == 17) {
            return buffer[..size].to_vec();
        }
    }
}
