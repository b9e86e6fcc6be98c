//! The rate of a TCP stream.

use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::host::Host;

/// How long is sent.
const DURATION: Duration = Duration::from_secs(1);
/// Bytes a system call of the stream's own ends.
const CHUNK: usize = 256 << 10;

/// Sends from the first host to the second one's address: Gbit/s until the receiver has all.
pub(crate) fn rate(hosts: &[Host; 2], address: IpAddr) -> f64 {
    let listener = hosts[1].here(|| TcpListener::bind((address, 0)).unwrap());
    let mut sender = hosts[0].here(|| TcpStream::connect(listener.local_addr().unwrap()).unwrap());
    let (mut receiver, _) = listener.accept().unwrap();
    let start = Instant::now();
    let received = std::thread::scope(|scope| {
        let received = scope.spawn(move || {
            let (mut buffer, mut bytes) = (vec![0; CHUNK], 0.0);
            loop {
                match receiver.read(&mut buffer).unwrap() {
                    0 => return bytes,
                    length => bytes += f64::from(u32::try_from(length).unwrap()),
                }
            }
        });
        let chunk = vec![0x5a; CHUNK];
        while start.elapsed() < DURATION {
            sender.write_all(&chunk).unwrap();
        }
        sender.shutdown(Shutdown::Write).unwrap();
        received.join().unwrap()
    });
    received * 8.0 / 1e9 / start.elapsed().as_secs_f64()
}
