//! Streams of TCP.

use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use l2tp_io::netns::NetNs;

use crate::host::within;

/// Sends `megabytes` from one namespace to an address of another and compares each byte; nothing of it waits longer than 20 seconds.
pub(crate) fn transfer(from: &NetNs, to: &NetNs, address: IpAddr, megabytes: usize) {
    let listener = within(to, || TcpListener::bind(SocketAddr::new(address, 0)).unwrap());
    let target = listener.local_addr().unwrap();
    let block: Vec<u8> = (0..1_048_576_u32).map(|at| (at * 7 + (at >> 8)).to_le_bytes()[0]).collect();
    std::thread::scope(|scope| {
        let receiver = scope.spawn(|| {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let mut received = vec![0; block.len()];
            for number in 0..megabytes {
                stream.read_exact(&mut received).unwrap();
                assert!(received == block, "megabyte {number} differs");
            }
            assert_eq!(stream.read(&mut received).unwrap(), 0);
        });
        let mut stream =
            within(from, || TcpStream::connect_timeout(&target, Duration::from_secs(20)).unwrap());
        stream.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
        for _ in 0..megabytes {
            stream.write_all(&block).unwrap();
        }
        stream.shutdown(Shutdown::Write).unwrap();
        receiver.join().unwrap();
    });
}
