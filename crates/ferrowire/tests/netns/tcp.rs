//! A TCP stream whose every byte is compared.

use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use crate::host::Host;

/// Sends `bytes` bytes from one host to another's address; what arrives must be what was sent.
pub(crate) fn transfer(from: &Host, to: &Host, address: &str, bytes: usize) {
    let address: IpAddr = address.parse().unwrap();
    let listener = to.here(|| TcpListener::bind((address, 0)).unwrap());
    let mut sender = from.here(|| TcpStream::connect(listener.local_addr().unwrap()).unwrap());
    let (mut receiver, _) = listener.accept().unwrap();
    sender.set_write_timeout(Some(Duration::from_secs(20))).unwrap();
    receiver.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
    let content = content(bytes);
    let mut arrived = Vec::with_capacity(bytes);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            sender.write_all(&content).unwrap();
            sender.shutdown(Shutdown::Write).unwrap();
        });
        receiver.read_to_end(&mut arrived).unwrap();
    });
    assert_eq!(arrived.len(), content.len());
    assert!(arrived == content, "{bytes} bytes to {address} arrived changed");
}

/// Bytes without a pattern, the same each time (xorshift).
pub(crate) fn content(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut words = std::iter::repeat_with(|| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()
    });
    let mut content: Vec<u8> = words.by_ref().take(bytes.div_ceil(8)).flatten().collect();
    content.truncate(bytes);
    content
}
