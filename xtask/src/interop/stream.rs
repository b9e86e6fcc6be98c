//! A TCP connection between the ends. The kernel's end connects, by the means of bash.

use std::io::{Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};

use super::kernel::Kernel;

/// How long a connection may stand still.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends `bytes` bytes to the kernel's end and back again; every byte has to come back in its place.
pub(super) fn echo(kernel: &mut Kernel, address: IpAddr, bytes: usize) -> anyhow::Result<()> {
    let sent = noise(bytes);
    let script = "cat <&3 >/tmp/fwi && cat /tmp/fwi >&3; rm /tmp/fwi";
    let returned = converse(kernel, address, script, |stream| {
        stream.write_all(&sent).context("sending")?;
        stream.shutdown(Shutdown::Write).context("sending")?;
        let mut returned = Vec::with_capacity(bytes);
        stream.read_to_end(&mut returned).context("receiving")?;
        Ok(returned)
    })?;
    ensure!(returned.len() == sent.len(), "{} of {} bytes came back", returned.len(), sent.len());
    ensure!(returned == sent, "other bytes came back than were sent");
    Ok(())
}

/// Bits a second of one stream to the kernel's end, as far as its program has read.
pub(super) fn rate_out(kernel: &mut Kernel, address: IpAddr, bytes: usize) -> anyhow::Result<f64> {
    let block = noise(1 << 20);
    let script = "cat <&3 >/dev/null; echo >&3";
    converse(kernel, address, script, |stream| {
        let start = Instant::now();
        for _ in 0..bytes.div_ceil(block.len()) {
            stream.write_all(&block)?;
        }
        stream.shutdown(Shutdown::Write)?;
        stream.read_exact(&mut [0])?;
        Ok(rate(bytes, start))
    })
}

/// Bits a second of one stream from the kernel's end; `bytes` in whole MiB.
pub(super) fn rate_in(kernel: &mut Kernel, address: IpAddr, bytes: usize) -> anyhow::Result<f64> {
    let script = format!("dd if=/dev/zero bs=1M count={} status=none >&3", bytes >> 20);
    converse(kernel, address, &script, |stream| {
        let mut block = vec![0; 1 << 20];
        let mut left = bytes - stream.read(&mut block)?;
        let start = Instant::now();
        let counted = left;
        while left > 0 {
            match stream.read(&mut block)? {
                0 => bail!("the stream ended {left} bytes too early"),
                length => left = left.saturating_sub(length),
            }
        }
        Ok(rate(counted, start))
    })
}

#[expect(clippy::cast_precision_loss, reason = "a rate is shown with three digits")]
fn rate(bytes: usize, start: Instant) -> f64 {
    bytes as f64 * 8.0 / start.elapsed().as_secs_f64()
}

/// Listens at `address`, has the kernel's end connect and run `script` with the connection as descriptor 3, and does
/// `work` meanwhile.
fn converse<R: Send>(
    kernel: &mut Kernel,
    address: IpAddr,
    script: &str,
    work: impl FnOnce(&mut TcpStream) -> anyhow::Result<R> + Send,
) -> anyhow::Result<R> {
    let listener = TcpListener::bind(SocketAddr::new(address, 0)).context("cannot listen")?;
    let port = listener.local_addr()?.port();
    listener.set_nonblocking(true)?;
    std::thread::scope(|scope| {
        let ours = scope.spawn(|| work(&mut accept(&listener)?));
        let line = format!("timeout 50 bash -c 'exec 3<>/dev/tcp/{address}/{port} && {{ {script}; }}'");
        let theirs = kernel.sh(&line);
        let ours = ours.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)).context("our end");
        match (ours, theirs) {
            (Ok(result), Ok(_)) => Ok(result),
            (Err(error), Ok(_)) | (_, Err(error)) => Err(error),
        }
    })
}

fn accept(listener: &TcpListener) -> anyhow::Result<TcpStream> {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        if let Ok((stream, _)) = listener.accept() {
            stream.set_nonblocking(false)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            stream.set_write_timeout(Some(PATIENCE))?;
            return Ok(stream);
        }
        std::thread::sleep(Duration::from_millis(1));
    }
    bail!("nobody connects")
}

/// Bytes without a pattern that a fault could hide in: xorshift64 (Marsaglia 2003), always the same.
fn noise(bytes: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut noise = Vec::with_capacity(bytes + 8);
    while noise.len() < bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        noise.extend_from_slice(&state.to_le_bytes());
    }
    noise.truncate(bytes);
    noise
}
