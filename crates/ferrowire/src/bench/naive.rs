//! What a simple program would do: read a frame from a TAP device, send a datagram; receive a datagram, write a frame. Nothing is
//! batched, and the device is told not to give super-frames.

use std::io::IoSlice;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;

use anyhow::Context;
use l2tp_io::rtnl::Rtnl;
use l2tp_io::tap::{Tap, VNET_HEADER_BYTES};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::ethtool;
use super::threads::{Going, TICK, Threads};
use crate::stage::MTU;
use crate::stage::host::Host;

/// Name of the device on either host.
pub(super) const DEVICE: &str = "naive";
const PORT: u16 = 5701;
/// A data message of L2TPv3 over UDP (RFC 3931 section 4.1.2.1): flags and version, reserved, session id, sublayer.
const HEADER: [u8; 12] = [0, 3, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];
/// Outer IP and UDP headers, and the frame's own.
const OUTER_BYTES: u32 = 20 + 8 + 14;

/// Starts both directions of one host.
pub(super) fn start(host: &Host, local: IpAddr, peer: IpAddr) -> anyhow::Result<Threads> {
    let (tap, udp) = host.netns.within(|| open(local, peer))??;
    ethtool::set(host, DEVICE, &["tso", "off", "gso", "off", "gro", "off", "tx", "off"])?;
    let (tap, udp) = (Arc::new(tap), Arc::new(udp));
    let mut threads = Threads::default();
    let ends = (Arc::clone(&tap), Arc::clone(&udp));
    threads.spawn("naive-tx", move |going| send(&ends.0, &ends.1, going))?;
    threads.spawn("naive-rx", move |going| receive(&tap, &udp, going))?;
    Ok(threads)
}

fn open(local: IpAddr, peer: IpAddr) -> anyhow::Result<(Tap, UdpSocket)> {
    let tap = Tap::create(DEVICE).context("cannot make a TAP device")?;
    let header = u32::try_from(HEADER.len())?;
    Rtnl::open()?.set_mtu(tap.index(), MTU - OUTER_BYTES - header)?;
    let udp = UdpSocket::bind((local, PORT))?;
    udp.connect(SocketAddr::new(peer, PORT))?;
    udp.set_read_timeout(Some(TICK))?;
    Ok((tap, udp))
}

/// From the device to the peer.
fn send(tap: &Tap, udp: &UdpSocket, going: &Going) {
    // The frame lands behind room for our header, over the device's own.
    const HEADROOM: usize = HEADER.len() - VNET_HEADER_BYTES;
    let mut buffer = [0; 2048];
    while going.on() {
        let (_, space) = buffer.split_at_mut(HEADROOM);
        let Ok(length) = tap.read(space) else {
            wait(tap);
            continue;
        };
        buffer.iter_mut().zip(HEADER).for_each(|(to, from)| *to = from);
        // A full queue or a peer that is not there yet loses a frame, as on any network.
        let _: std::io::Result<usize> = udp.send(buffer.get(..HEADROOM + length).unwrap_or_default());
    }
}

/// From the peer to the device.
fn receive(tap: &Tap, udp: &UdpSocket, going: &Going) {
    let mut buffer = [0; 2048];
    while going.on() {
        let Ok(length) = udp.recv(&mut buffer) else { continue };
        if let Some(frame) = buffer.get(..length).and_then(|datagram| datagram.strip_prefix(&HEADER)) {
            // A device that is not up yet takes none.
            let _: std::io::Result<usize> =
                tap.write(&[IoSlice::new(&[0; VNET_HEADER_BYTES]), IoSlice::new(frame)]);
        }
    }
}

fn wait(tap: &Tap) {
    let tick = Timespec::try_from(TICK).ok();
    // It ends by a signal at worst, and then is begun anew.
    let _: rustix::io::Result<usize> = poll(&mut [PollFd::new(tap, PollFlags::IN)], tick.as_ref());
}
