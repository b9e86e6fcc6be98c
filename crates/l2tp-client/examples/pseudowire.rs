//! Makes an Ethernet pseudowire, shows it and what happens to it, and takes it down again:
//! `cargo run -p l2tp-client --example pseudowire [-- kernel]`, as root beside a running `ferrowire daemon`, or on a kernel
//! with L2TP.
#![expect(clippy::print_stdout, reason = "an example shows what it does")]

use std::error::Error;
use std::net::{Ipv4Addr, UdpSocket};
use std::time::Duration;

use l2tp_client::{Connection, Events, SessionCreate, SessionKey, SessionModify, TunnelCreate};

fn main() -> Result<(), Box<dyn Error>> {
    let kernel = std::env::args().any(|word| word == "kernel");
    let mut events = if kernel { Events::kernel()? } else { Events::door()? };
    let mut connection = if kernel { Connection::kernel()? } else { Connection::door()? };

    // Two free ports: this program could as well hand its own socket over, with create_tunnel_on.
    let [local, peer] =
        [UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?, UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?]
            .map(|socket| socket.local_addr());
    connection.create_tunnel(&TunnelCreate::udp(1, 2, local?, peer?))?;
    let cookie = vec![1, 2, 3, 4];
    connection.create_session(&SessionCreate { cookie, ..SessionCreate::ethernet(1, 10, 20) })?;

    let key = SessionKey::Ids { conn_id: 1, session_id: 10 };
    let mut change = SessionModify::of(key.clone());
    change.send_seq = Some(true);
    connection.modify_session(&change)?;
    let session = connection.session(&key)?;
    println!("session {} is device {}", session.session_id, session.ifname.unwrap_or_default());
    for tunnel in connection.tunnels()? {
        let tunnel = tunnel?;
        println!("tunnel {} goes from {} to {}", tunnel.conn_id, tunnel.local, tunnel.peer);
    }
    connection.delete_tunnel(1)?;

    while let Some(event) = events.wait(Some(Duration::from_millis(200)))? {
        println!("{event:?}");
    }
    Ok(())
}
