//! Datagrams from the near host to the far one, as fast as the sender can.

use std::io::{self, IoSlice};
use std::net::SocketAddr;
use std::os::fd::AsFd;

use anyhow::Context;
use l2tp_io::batch::{MAX_BATCH, Outgoing, RecvBatch};
use l2tp_io::sockopt;
use l2tp_io::udp::{UdpConfig, UdpSocket};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::far::{Account, Far, Kind};
use super::load::Load;
use super::site::Site;
use super::threads::{Going, TICK};

/// Level and number of the option that joins received datagrams (include/uapi/linux/udp.h).
const SOL_UDP: i32 = 17;
const UDP_GRO: i32 = 104;
/// Room for any datagram that is sent.
const SLOT_BYTES: usize = 2048;

/// Starts a sender of datagrams with these lengths of payload in turn, and a receiver.
pub(super) fn start(site: &Site, lengths: &'static [usize]) -> anyhow::Result<Load> {
    let mut load = Load::new(Far::start(site, Kind::Udp)?);
    let config = UdpConfig { peer: Some(load.far.address), checksum: true, ..UdpConfig::default() };
    let opened = site.stage.near.netns.within(|| UdpSocket::open(&config))?;
    let socket = opened.context("cannot send datagrams")?;
    load.senders.spawn("sender", move |going| send(&socket, lengths, going))?;
    Ok(load)
}

fn send(socket: &UdpSocket, lengths: &[usize], going: &Going) {
    let bytes = [0x5a; SLOT_BYTES];
    let parts: Vec<_> = lengths
        .iter()
        .cycle()
        .take(MAX_BATCH / lengths.len() * lengths.len())
        .map(|length| [IoSlice::new(bytes.get(..*length).unwrap_or(&bytes))])
        .collect();
    let messages: Vec<_> = parts.iter().map(|parts| Outgoing { parts, segment: None }).collect();
    while going.on() {
        if socket.send_batch(&messages).last_error.is_some() {
            wait(socket, PollFlags::OUT);
        }
    }
}

/// At the far end: the socket of a program that knows nothing of datagrams joined by GRO.
pub(super) fn open_receiver(local: SocketAddr) -> io::Result<UdpSocket> {
    let config = UdpConfig { local: Some(local), checksum: true, ..UdpConfig::default() };
    let socket = UdpSocket::open(&config)?;
    sockopt::set(&socket, SOL_UDP, UDP_GRO, 0)?;
    Ok(socket)
}

/// At the far end: counts what comes.
pub(super) fn receive(socket: &UdpSocket, account: &Account) {
    let mut batch = RecvBatch::new(MAX_BATCH, SLOT_BYTES);
    loop {
        match socket.recv_batch(&mut batch) {
            Ok(0) | Err(_) => wait(socket, PollFlags::IN),
            Ok(count) => account.add(count, batch.iter().map(|received| received.bytes.len()).sum()),
        }
    }
}

fn wait(socket: &impl AsFd, event: PollFlags) {
    let tick = Timespec::try_from(TICK).ok();
    // It ends by a signal at worst, and then is begun anew.
    let _: rustix::io::Result<usize> = poll(&mut [PollFd::new(socket, event)], tick.as_ref());
}
