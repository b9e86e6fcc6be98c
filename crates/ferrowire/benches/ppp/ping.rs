//! An echo request to each of many addresses (RFC 792).

use std::collections::HashSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_recv_buffer_size, set_socket_timeout};
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType, ipproto, recvfrom, sendto, socket_with,
};

/// Type 8, code 0, checksum of these eight bytes, identifier 0xf3f3, sequence number 0.
const REQUEST: [u8; 8] = [8, 0, 0x04, 0x0c, 0xf3, 0xf3, 0, 0];
/// Times that those without answer are asked.
const ATTEMPTS: usize = 5;

/// How many did not answer.
pub(crate) fn all(addresses: impl Iterator<Item = IpAddr>) -> u64 {
    let mut waiting: HashSet<IpAddr> = addresses.collect();
    let flags = SocketFlags::CLOEXEC;
    let socket =
        socket_with(AddressFamily::INET, SocketType::RAW, flags, Some(ipproto::ICMP)).expect("run as root");
    set_socket_recv_buffer_size(&socket, 4 << 20).unwrap();
    set_socket_timeout(&socket, Timeout::Recv, Some(Duration::from_secs(1))).unwrap();
    for _ in 0..ATTEMPTS {
        let asked: Vec<IpAddr> = waiting.iter().copied().collect();
        for address in asked {
            sendto(&socket, &REQUEST, SendFlags::empty(), &SocketAddr::new(address, 0)).unwrap();
        }
        let mut packet = [0; 128];
        while !waiting.is_empty() {
            match recvfrom(&socket, &mut packet[..], RecvFlags::empty()) {
                Ok((28, _, Some(from))) if packet[20..].starts_with(&[0, 0]) => {
                    let from = SocketAddr::try_from(from).unwrap();
                    waiting.remove(&from.ip());
                }
                Ok(_) => {}
                Err(Errno::AGAIN) => break,
                Err(error) => panic!("{error}"),
            }
        }
    }
    waiting.len() as u64
}
