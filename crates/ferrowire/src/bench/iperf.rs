//! TCP streams of iperf3, the program that others' figures are from. It sends and receives with one thread at each end, whatever the streams.

use std::io::{self, BufRead, BufReader, ErrorKind, Read};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use anyhow::{Context, anyhow, bail};
use serde_json::Value;

use super::cpu::Reading;
use super::measure::Sample;
use super::site::Site;

/// Lets streams flow from the near host to the far one for `duration`, in whole seconds, and counts what arrives, its beginning too.
pub(super) fn run(site: &Site, streams: u8, duration: Duration) -> anyhow::Result<Sample> {
    let mut server = site.stage.far.netns.within(Server::start)??;
    let seconds = duration.as_secs_f64().ceil().to_string();
    let before = Reading::take()?;
    let Output { status, stdout, .. } = site.stage.near.netns.within(|| {
        let mut client = Command::new("iperf3");
        client.args(["-J", "-c", &site.target.to_string(), "-t", &seconds, "-P", &streams.to_string()]);
        client.stdin(Stdio::null()).stderr(Stdio::null()).output().map_err(explain)
    })??;
    let elapsed = Reading::take()?.since(&before);
    server.end();
    let (bytes, seconds) = read(&stdout).with_context(|| format!("iperf3: {status}"))?;
    Ok(Sample { seconds, bytes, ..Sample::of(elapsed) })
}

/// Bytes and seconds, as the receiver saw them.
fn read(output: &[u8]) -> anyhow::Result<(u64, f64)> {
    let all: Value = serde_json::from_slice(output)?;
    if let Some(error) = all["error"].as_str() {
        bail!("{error}");
    }
    let received = &all["end"]["sum_received"];
    received["bytes"].as_u64().zip(received["seconds"].as_f64()).context("it does not say what was received")
}

/// The receiving end, for one client.
struct Server(Child);

impl Server {
    fn start() -> anyhow::Result<Self> {
        let mut command = Command::new("iperf3");
        command.args(["-s", "-1", "--forceflush"]).stdin(Stdio::null()).stdout(Stdio::piped());
        let mut server = Self(command.spawn().map_err(explain)?);
        let mut told = BufReader::new(server.0.stdout.take().context("iperf3 has no output")?);
        let mut line = String::new();
        while !line.contains("listening") {
            line.clear();
            if told.read_line(&mut line)? == 0 {
                bail!("iperf3 does not receive");
            }
        }
        // It goes on telling, and must not be stopped by that.
        std::thread::spawn(move || told.read_to_end(&mut Vec::new()));
        Ok(server)
    }

    fn end(&mut self) {
        // One that has ended by itself is only waited for.
        let _: io::Result<()> = self.0.kill();
        let _: io::Result<_> = self.0.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.end();
    }
}

fn explain(error: io::Error) -> anyhow::Error {
    match error.kind() {
        ErrorKind::NotFound => anyhow!("\"iperf3\" is not installed: apt install iperf3"),
        _ => anyhow!(error).context("cannot run \"iperf3\""),
    }
}

#[cfg(test)]
mod tests {
    use super::read;

    #[test]
    fn what_it_says_is_understood() {
        let told = br#"{"start": {}, "end": {"sum_sent": {"bytes": 9}, "sum_received": {"seconds": 1.5, "bytes": 7}}}"#;
        assert_eq!(read(told).unwrap(), (7, 1.5));
        let refused = br#"{"start": {}, "error": "unable to connect"}"#;
        assert_eq!(read(refused).unwrap_err().to_string(), "unable to connect");
        assert!(read(b"").is_err());
    }
}
