//! What a simple program would do: read a packet from a TUN device, write a datagram; read a datagram, write a packet. Nothing
//! is batched, and the device is told not to give super-frames.

use std::io::{ErrorKind, IoSlice};
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use l2tp_io::tap::{Tap, VNET_HEADER_BYTES};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::MTU;
use crate::host::{Host, outer};

const PORT: u16 = 5701;
/// What a session of L2TPv2 without numbers puts before a packet: flags and version, tunnel id, session id, FF 03, IPv4.
const HEADER: [u8; 10] = [0, 2, 0, 1, 0, 1, 0xff, 0x03, 0, 0x21];
/// How often the end is looked for.
const TICK: Duration = Duration::from_millis(100);

/// Both directions of one host, until dropped.
pub(crate) struct Naive {
    ends: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

/// The address of a host in this tunnel.
pub(crate) fn address(host: u8) -> IpAddr {
    Ipv4Addr::new(10, 65, 0, host).into()
}

impl Naive {
    pub(crate) fn start(host: &Host, number: u8) -> Self {
        let tun = Arc::new(host.here(|| Tap::create_ppp("simple", None).unwrap()));
        let off = ["-K", "simple", "tso", "off", "gso", "off", "gro", "off", "tx", "off"];
        let told = host.here(|| Command::new("ethtool").args(off).status().unwrap());
        assert!(told.success());
        host.configure("simple", address(number), 24, MTU);
        let udp = Arc::new(host.here(|| UdpSocket::bind((outer(number), PORT)).unwrap()));
        udp.connect((outer(3 - number), PORT)).unwrap();
        udp.set_read_timeout(Some(TICK)).unwrap();
        let ends = Arc::new(AtomicBool::new(false));
        let out = (Arc::clone(&tun), Arc::clone(&udp), Arc::clone(&ends));
        let back = (tun, udp, Arc::clone(&ends));
        let threads = vec![
            std::thread::spawn(move || send(&out.0, &out.1, &out.2)),
            std::thread::spawn(move || receive(&back.0, &back.1, &back.2)),
        ];
        Self { ends, threads }
    }
}

/// From the device to the peer.
fn send(tun: &Tap, udp: &UdpSocket, ends: &AtomicBool) {
    let tick = Timespec::try_from(TICK).unwrap();
    // The packet lands behind room for the header, over the device's own.
    let mut buffer = [0; 2048];
    while !ends.load(Ordering::Relaxed) {
        match tun.read(&mut buffer) {
            Ok(length) => {
                buffer[..VNET_HEADER_BYTES].copy_from_slice(&HEADER);
                // A full queue or a peer that is not there yet loses a packet, as on any network.
                let _: std::io::Result<usize> = udp.send(&buffer[..length]);
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                poll(&mut [PollFd::new(tun, PollFlags::IN)], Some(&tick)).unwrap();
            }
            Err(error) => panic!("{error}"),
        }
    }
}

/// From the peer to the device.
fn receive(tun: &Tap, udp: &UdpSocket, ends: &AtomicBool) {
    let mut buffer = [0; 2048];
    while !ends.load(Ordering::Relaxed) {
        let Ok(length) = udp.recv(&mut buffer) else { continue };
        assert_eq!(buffer[..HEADER.len()], HEADER);
        let parts = [IoSlice::new(&[0; VNET_HEADER_BYTES]), IoSlice::new(&buffer[HEADER.len()..length])];
        tun.write(&parts).unwrap();
    }
}

impl Drop for Naive {
    fn drop(&mut self) {
        self.ends.store(true, Ordering::Relaxed);
        for thread in self.threads.drain(..) {
            thread.join().unwrap();
        }
    }
}
