//! Datagrams from the near host to the far one, as fast as the sender can.

use std::io::IoSlice;
use std::os::fd::AsFd;

use anyhow::Context;
use l2tp_io::batch::{MAX_BATCH, Outgoing, RecvBatch};
use l2tp_io::sockopt;
use l2tp_io::udp::{UdpConfig, UdpSocket};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::load::{Account, Load, TICK};
use super::site::Site;

/// Level and number of the option that joins received datagrams (include/uapi/linux/udp.h).
const SOL_UDP: i32 = 17;
const UDP_GRO: i32 = 104;
/// Room for any datagram that is sent.
const SLOT_BYTES: usize = 2048;

/// Starts a sender of datagrams with these lengths of payload in turn, and a receiver.
pub(super) fn start(site: &Site, lengths: &'static [usize]) -> anyhow::Result<Load> {
    let stage = &site.stage;
    let config = UdpConfig { local: Some((site.target, 0).into()), checksum: true, ..UdpConfig::default() };
    let receiver =
        stage.far.netns.within(|| UdpSocket::open(&config))?.context("cannot receive datagrams")?;
    // As a program that knows nothing of it.
    sockopt::set(&receiver, SOL_UDP, UDP_GRO, 0)?;
    let peer = receiver.local_addr()?;
    let config = UdpConfig { peer: Some(peer), checksum: true, ..UdpConfig::default() };
    let sender = stage.near.netns.within(|| UdpSocket::open(&config))?.context("cannot send datagrams")?;
    let mut load = Load::default();
    load.spawn("receiver", move |account| receive(&receiver, account))?;
    load.spawn("sender", move |account| send(&sender, lengths, account))?;
    Ok(load)
}

fn send(socket: &UdpSocket, lengths: &[usize], account: &Account) {
    let bytes = [0x5a; SLOT_BYTES];
    let parts: Vec<_> = lengths
        .iter()
        .cycle()
        .take(MAX_BATCH / lengths.len() * lengths.len())
        .map(|length| [IoSlice::new(bytes.get(..*length).unwrap_or(&bytes))])
        .collect();
    let messages: Vec<_> = parts.iter().map(|parts| Outgoing { parts, segment: None }).collect();
    while account.goes_on() {
        if socket.send_batch(&messages).last_error.is_some() {
            wait(socket, PollFlags::OUT);
        }
    }
}

fn receive(socket: &UdpSocket, account: &Account) {
    let mut batch = RecvBatch::new(MAX_BATCH, SLOT_BYTES);
    while account.goes_on() {
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
