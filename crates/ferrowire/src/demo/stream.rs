//! A bounded TCP stream from one host to the other, every byte compared where it arrives.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use l2tp_io::netns::NetNs;
use serde::Serialize;

/// The longest stream in bytes.
pub(super) const BYTES_MAX: u64 = 256 << 20;
/// How long either side waits for the other before it gives up.
const PATIENCE: Duration = Duration::from_secs(4);
const CHUNK_BYTES: usize = 256 << 10;

/// A stream that arrived whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub(super) struct Flow {
    pub(super) bytes: u64,
    /// From the first byte sent to the receiver's word that it has the last.
    pub(super) seconds: f64,
    pub(super) gbit_per_second: f64,
}

/// Sends for `duration`, or [`BYTES_MAX`], from the calling thread's namespace to `target`, an address in `far`.
pub(super) fn send(target: IpAddr, far: &NetNs, duration: Duration) -> anyhow::Result<Flow> {
    let listener = far.within(|| TcpListener::bind((target, 0)))?.context("cannot listen for the stream")?;
    let address: SocketAddr = listener.local_addr()?;
    let stream = TcpStream::connect_timeout(&address, PATIENCE).context("cannot connect the stream")?;
    let (peer, _) = listener.accept().context("cannot accept the stream")?;
    for socket in [&stream, &peer] {
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.set_write_timeout(Some(PATIENCE))?;
    }
    let pattern = Pattern::new();
    let (sent, received) = std::thread::scope(|scope| {
        let receiver = scope.spawn(|| receive(peer, &pattern));
        let sent = transmit(stream, &pattern, duration);
        (sent, receiver.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    });
    let received = received.context("the receiving end of the stream")?;
    let flow = sent.context("the sending end of the stream")?;
    ensure!(flow.bytes == received, "{} bytes were sent and {received} arrived", flow.bytes);
    Ok(flow)
}

/// Sends, ends the stream, and waits for the receiver's count of bytes.
fn transmit(mut stream: TcpStream, pattern: &Pattern, duration: Duration) -> anyhow::Result<Flow> {
    let start = Instant::now();
    let mut bytes = 0;
    while bytes < BYTES_MAX && start.elapsed() < duration {
        bytes += as_bytes(stream.write(pattern.at(bytes)).map_err(stalled)?);
    }
    stream.shutdown(Shutdown::Write)?;
    let mut count = [0; 8];
    stream.read_exact(&mut count).map_err(stalled)?;
    let seconds = start.elapsed().as_secs_f64();
    let count = u64::from_be_bytes(count);
    ensure!(count == bytes, "{bytes} bytes were sent and {count} confirmed");
    #[expect(clippy::cast_precision_loss, reason = "below 2^53")]
    let gbit_per_second = bytes as f64 * 8.0 / 1e9 / seconds;
    Ok(Flow { bytes, seconds, gbit_per_second })
}

/// Compares all that comes with what was sent, and confirms its length.
fn receive(mut stream: TcpStream, pattern: &Pattern) -> anyhow::Result<u64> {
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut bytes = 0_u64;
    loop {
        let length = stream.read(&mut buffer).map_err(stalled)?;
        let chunk = buffer.get(..length).unwrap_or_default();
        if chunk.is_empty() {
            stream.write_all(&bytes.to_be_bytes())?;
            return Ok(bytes);
        }
        ensure!(pattern.matches(bytes, chunk), "a byte after the first {bytes} was changed on its way");
        bytes += as_bytes(length);
    }
}

/// A socket that has waited in vain says `EAGAIN`.
fn stalled(error: io::Error) -> io::Error {
    match error.kind() {
        ErrorKind::WouldBlock => {
            io::Error::new(ErrorKind::TimedOut, format!("nothing moved for {} s", PATIENCE.as_secs()))
        }
        _ => error,
    }
}

fn as_bytes(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// What the stream carries: a block without order inside, again and again. Its length is a prime number, so that
/// packets or buffers in a wrong place do not match.
struct Pattern {
    block: Vec<u8>,
}

const BLOCK_BYTES: usize = 1_048_573;

impl Pattern {
    fn new() -> Self {
        // Multiplication by an odd constant, and the upper byte of it: Knuth's hash, as good as noise for this.
        let byte = |n: u32| n.wrapping_mul(2_654_435_761).to_be_bytes()[0];
        Self { block: (0..).map(byte).take(BLOCK_BYTES).collect() }
    }

    /// What follows the first `offset` bytes of the stream: a chunk, and never nothing.
    fn at(&self, offset: u64) -> &[u8] {
        let start = usize::try_from(offset % as_bytes(BLOCK_BYTES)).unwrap_or_default();
        let rest = self.block.get(start..).unwrap_or_default();
        rest.get(..CHUNK_BYTES).unwrap_or(rest)
    }

    fn matches(&self, mut offset: u64, mut chunk: &[u8]) -> bool {
        while !chunk.is_empty() {
            let expected = self.at(offset);
            let (head, tail) = chunk.split_at(expected.len().min(chunk.len()));
            if !expected.starts_with(head) {
                return false;
            }
            offset += as_bytes(head.len());
            chunk = tail;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::{BLOCK_BYTES, Pattern, as_bytes, receive, send, transmit};
    use l2tp_io::netns::NetNs;
    use std::io::Write;
    use std::net::{Ipv4Addr, TcpListener, TcpStream};
    use std::time::Duration;

    fn pair() -> (TcpStream, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let near = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        (near, listener.accept().unwrap().0)
    }

    #[test]
    fn the_pattern_finds_what_is_changed_or_in_a_wrong_place() {
        let pattern = Pattern::new();
        let block = as_bytes(BLOCK_BYTES);
        let mut stream = Vec::new();
        while stream.len() < 2 * BLOCK_BYTES + 99 {
            stream.extend(pattern.at(as_bytes(stream.len())));
        }
        assert!(pattern.matches(0, &stream));
        assert!(pattern.matches(5, &stream[5..]));
        assert!(pattern.matches(block + 7, &stream[7..]), "it repeats");
        for shift in [1, 2, 256, 1400, 1446, 4096, 65_536, 1 << 20] {
            assert!(!pattern.matches(shift, &stream[..64]), "{shift}");
        }
        let last = stream.len() - 1;
        stream[last] ^= 1;
        assert!(!pattern.matches(0, &stream));
    }

    #[test]
    fn a_stream_arrives_and_is_counted() {
        let netns = NetNs::current().unwrap();
        let flow = send(Ipv4Addr::LOCALHOST.into(), &netns, Duration::from_millis(50)).unwrap();
        assert!(flow.bytes > 0 && flow.bytes <= super::BYTES_MAX + as_bytes(super::CHUNK_BYTES));
        assert!(flow.seconds > 0.0 && flow.gbit_per_second > 0.0);
    }

    #[test]
    fn a_changed_byte_is_seen() {
        let (mut near, far) = pair();
        let pattern = Pattern::new();
        let mut bytes = pattern.at(0)[..1000].to_vec();
        bytes[999] ^= 0x80;
        near.write_all(&bytes).unwrap();
        drop(near);
        let error = receive(far, &pattern).unwrap_err();
        assert!(error.to_string().contains("changed"), "{error}");
    }

    #[test]
    fn a_wrong_count_is_seen() {
        let (near, mut far) = pair();
        far.write_all(&7_u64.to_be_bytes()).unwrap();
        let error = transmit(near, &Pattern::new(), Duration::ZERO).unwrap_err();
        assert_eq!(error.to_string(), "0 bytes were sent and 7 confirmed");
    }
}
