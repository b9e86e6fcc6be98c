//! TCP streams from the near host to the far one.

use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use anyhow::Context;

use super::load::{Account, Load, TICK};
use super::site::Site;

/// Bytes a system call, as iperf3 has it.
const CHUNK_BYTES: usize = 128 << 10;
/// How long a connection may take.
const PATIENCE: Duration = Duration::from_secs(4);

/// Starts streams, each with a thread at either end.
pub(super) fn start(site: &Site, streams: usize) -> anyhow::Result<Load> {
    let stage = &site.stage;
    let listener =
        stage.far.netns.within(|| TcpListener::bind((site.target, 0)))?.context("cannot listen")?;
    let address = listener.local_addr()?;
    let mut load = Load::default();
    for _ in 0..streams {
        let sender = stage.near.netns.within(|| connect(&address))?.context("cannot connect a stream")?;
        let (receiver, _) = listener.accept().context("cannot accept a stream")?;
        receiver.set_read_timeout(Some(TICK))?;
        load.ends_with(&sender)?;
        load.ends_with(&receiver)?;
        load.spawn("receiver", move |account| receive(receiver, account))?;
        load.spawn("sender", move |account| send(sender, account))?;
    }
    Ok(load)
}

fn connect(address: &SocketAddr) -> std::io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(address, PATIENCE)?;
    stream.set_write_timeout(Some(TICK))?;
    Ok(stream)
}

fn send(mut stream: TcpStream, account: &Account) {
    let chunk = vec![0x5a; CHUNK_BYTES];
    while account.goes_on() {
        match stream.write(&chunk) {
            Err(error) if !waited_in_vain(&error) => return,
            _ => {}
        }
    }
}

fn receive(mut stream: TcpStream, account: &Account) {
    let mut buffer = vec![0; CHUNK_BYTES];
    while account.goes_on() {
        match stream.read(&mut buffer) {
            Ok(0) => return,
            Ok(length) => account.add(0, length),
            Err(error) if !waited_in_vain(&error) => return,
            Err(_) => {}
        }
    }
}

fn waited_in_vain(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
}
