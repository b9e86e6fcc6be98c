//! TCP streams from the near host to the far one.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;

use super::far::{Account, Far, Kind, spawn};
use super::load::Load;
use super::site::Site;
use super::threads::{Going, TICK};

/// Bytes a system call. Many super-frames: the last of each call is a short one, and how many there are of 128 KiB, which iperf3 has, depends on the MTU.
const CHUNK_BYTES: usize = 1 << 20;
/// How long a connection may take.
const PATIENCE: Duration = Duration::from_secs(4);

/// Starts streams, each with a thread at either end.
pub(super) fn start(site: &Site, streams: usize) -> anyhow::Result<Load> {
    let mut load = Load::new(Far::start(site, Kind::Tcp)?);
    let address = load.far.address;
    for _ in 0..streams {
        let connected = site.stage.near.netns.within(|| connect(&address))?;
        let stream = connected.context("cannot connect a stream")?;
        load.senders.end_with(&stream)?;
        load.senders.spawn("sender", move |going| send(stream, going))?;
    }
    Ok(load)
}

fn connect(address: &SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(address, PATIENCE)?;
    stream.set_write_timeout(Some(TICK))?;
    Ok(stream)
}

fn send(mut stream: TcpStream, going: &Going) {
    let chunk = vec![0x5a; CHUNK_BYTES];
    while going.on() {
        match stream.write(&chunk) {
            Err(error) if !waited_in_vain(&error) => return,
            _ => {}
        }
    }
}

fn waited_in_vain(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}

/// At the far end: takes every stream, and counts what comes.
pub(super) fn receive_all(listener: &TcpListener, account: &Arc<Account>) {
    for stream in listener.incoming().flatten() {
        let account = Arc::clone(account);
        // A stream that has no thread stands still, and its test fails.
        let _: std::io::Result<()> = spawn(move || receive(stream, &account));
    }
}

fn receive(mut stream: TcpStream, account: &Account) {
    let mut buffer = vec![0; CHUNK_BYTES];
    while let Ok(length @ 1..) = stream.read(&mut buffer) {
        account.add(0, length);
    }
}
