//! What passes a device, recorded by tcpdump and decoded by tshark, which knows nothing of us.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use pcap_file::pcap::PcapReader;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::host::Host;
use crate::wait;

/// The lowest severity of tshark's that says a packet is wrong (PI_ERROR of Wireshark's epan/proto.h).
pub(crate) const ERROR: u32 = 0x0080_0000;

/// Where tunnels over UDP are: at the ports of host a.
const UDP_PORTS: &str = "udp.port==5000-5099,l2tp";

/// What tshark is asked for, in this order.
const FIELDS: [&str; 14] = [
    "frame.len",
    "frame.protocols",
    "l2tp.sid",
    "l2tp.cookie",
    "l2tp.l2_spec_s",
    "l2tp.l2_spec_sequence",
    "ip.flags.mf",
    "ip.frag_offset",
    "ipv6.fraghdr.nxt",
    "udp.checksum",
    "udp.checksum.status",
    "vlan.id",
    "_ws.malformed",
    "_ws.expert.severity",
];

/// A running tcpdump.
pub(crate) struct Capture {
    tcpdump: Child,
    directory: TempDir,
}

/// What was recorded.
pub(crate) struct Recording {
    directory: TempDir,
}

/// How tshark shall read L2TPv3 data, which does not say so itself.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading {
    /// Bytes of the cookie: 0, 4 or 8.
    pub(crate) cookie: usize,
    pub(crate) sublayer: bool,
}

/// A frame as tshark understands it.
#[derive(Clone, Debug)]
pub(crate) struct Decoded {
    fields: Vec<String>,
}

impl Capture {
    /// Records what passes a device of a host, in the filter's words (pcap-filter(7)).
    pub(crate) fn start(host: &Host, device: &str, filter: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let mut tcpdump = Command::new("tcpdump");
        tcpdump.args(["-i", device, "-n", "-s", "0", "-U", "--immediate-mode", "-Z", "root", "-w"]);
        tcpdump.arg(file(&directory)).args(filter.split_whitespace());
        let mut tcpdump = host.here(|| tcpdump.stderr(Stdio::piped()).spawn().unwrap());
        let said = BufReader::new(tcpdump.stderr.take().unwrap()).lines();
        let mut said = said.map_while(Result::ok);
        assert!(said.any(|line| line.contains("listening on")), "tcpdump does not listen on {device}");
        Self { tcpdump, directory }
    }

    /// Waits until nothing more comes, and ends.
    pub(crate) fn stop(mut self) -> Recording {
        let mut size = None;
        wait::until("the capture comes to rest", || {
            std::thread::sleep(Duration::from_millis(100));
            let now = fs::metadata(file(&self.directory)).map(|file| file.len()).ok();
            std::mem::replace(&mut size, now) == now
        });
        kill_process(Pid::from_child(&self.tcpdump), Signal::INT).unwrap();
        self.tcpdump.wait().unwrap();
        Recording { directory: self.directory }
    }
}

impl Recording {
    /// The frames as they were.
    pub(crate) fn frames(&self) -> Vec<Vec<u8>> {
        let mut reader = PcapReader::new(File::open(file(&self.directory)).unwrap()).unwrap();
        let packets =
            std::iter::from_fn(|| reader.next_packet().map(|packet| packet.unwrap().data.into_owned()));
        packets.collect()
    }

    /// What tshark makes of each frame of its own accord: these fields of it.
    pub(crate) fn told(&self, fields: &[&str]) -> Vec<Vec<String>> {
        let mut tshark = Command::new("tshark");
        tshark.arg("-n").arg("-r").arg(file(&self.directory)).args(["-T", "fields"]);
        for field in fields {
            tshark.args(["-e", field]);
        }
        let output = tshark.output().unwrap();
        assert!(output.status.success(), "tshark: {}", String::from_utf8_lossy(&output.stderr));
        let lines = String::from_utf8(output.stdout).unwrap();
        lines.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect()
    }

    /// The frames as tshark reads them.
    pub(crate) fn decode(&self, reading: Reading) -> Vec<Decoded> {
        let mut tshark = Command::new("tshark");
        tshark.arg("-n").arg("-r").arg(file(&self.directory));
        let cookie = ["None", "4 Byte Cookie", "8 Byte Cookie"][reading.cookie / 4];
        let sublayer = if reading.sublayer { "Default L2-Specific" } else { "None" };
        // The streams within are noise, on ports that may be those of a protocol.
        tshark.args(["-d", "tcp.port==1-65535,data"]);
        tshark.args(["-d", UDP_PORTS, "-d", "l2tp.pw_type==0,eth", "-o", "udp.check_checksum:TRUE"]);
        tshark.arg("-o").arg(format!("l2tp.cookie_size:{cookie}"));
        tshark.arg("-o").arg(format!("l2tp.l2_specific:{sublayer}"));
        tshark.args(["-T", "fields"]);
        for field in FIELDS {
            tshark.args(["-e", field]);
        }
        let output = tshark.output().unwrap();
        assert!(output.status.success(), "tshark: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().lines().map(Decoded::read).collect()
    }
}

impl Decoded {
    fn read(line: &str) -> Self {
        Self { fields: line.split('\t').map(str::to_owned).collect() }
    }

    /// A field's value; the first where it is there more than once (the outer packet's before the inner one's).
    fn field(&self, name: &str) -> &str {
        let index = FIELDS.iter().position(|field| *field == name).unwrap();
        let all = self.fields.get(index).map_or("", String::as_str);
        all.split_once(',').map_or(all, |(first, _)| first)
    }

    /// Bytes of the frame.
    pub(crate) fn len(&self) -> u32 {
        self.field("frame.len").parse().unwrap()
    }

    /// The session id, in a packet of L2TP.
    pub(crate) fn session(&self) -> Option<u32> {
        u32::from_str_radix(self.field("l2tp.sid").strip_prefix("0x")?, 16).ok()
    }

    /// The cookie in hexadecimal, or nothing.
    pub(crate) fn cookie(&self) -> &str {
        self.field("l2tp.cookie")
    }

    /// The sublayer's sequence number; `None` where its S bit is clear, or where there is no sublayer.
    pub(crate) fn sequence(&self) -> Option<u32> {
        (self.field("l2tp.l2_spec_s") == "1").then(|| self.field("l2tp.l2_spec_sequence").parse().unwrap())
    }

    /// Whether the payload is an Ethernet frame with `protocol` in it.
    pub(crate) fn carries(&self, protocol: &str) -> bool {
        let protocols = self.fields.get(1).map_or("", String::as_str);
        protocols.split_once("l2tp:").is_some_and(|(_, inner)| inner.split(':').any(|name| name == protocol))
    }

    /// The VLAN of the payload's outermost tag; `None` where it has none.
    pub(crate) fn vlan(&self) -> Option<u16> {
        self.field("vlan.id").parse().ok()
    }

    /// Whether the outer packet is a fragment.
    pub(crate) fn is_fragment(&self) -> bool {
        let v4 = self.field("ip.flags.mf") == "1" || !matches!(self.field("ip.frag_offset"), "" | "0");
        v4 || !self.field("ipv6.fraghdr.nxt").is_empty()
    }

    /// The outer UDP checksum, as on the wire.
    pub(crate) fn udp_checksum(&self) -> u32 {
        u32::from_str_radix(self.field("udp.checksum").trim_start_matches("0x"), 16).unwrap()
    }

    /// Whether tshark finds the outer UDP checksum right.
    pub(crate) fn udp_checksum_is_good(&self) -> bool {
        self.field("udp.checksum.status") == "1"
    }

    /// Whether tshark finds nothing wrong with the packet.
    pub(crate) fn is_well_formed(&self) -> bool {
        let severities = self.fields.last().map_or("", String::as_str).split(',');
        let wrong =
            severities.filter_map(|severity| severity.parse::<u32>().ok()).any(|level| level >= ERROR);
        self.field("_ws.malformed").is_empty() && !wrong
    }
}

fn file(directory: &TempDir) -> PathBuf {
    directory.path().join("capture.pcap")
}
