//! Two hosts on one link, and the daemon of the first.

use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};

use l2tp_client::{Connection, Path, SessionCreate, TunnelCreate};
use l2tp_io::netns::NetNs;
use l2tp_io::rtnl::Rtnl;

/// The pseudowire type of PPP (include/uapi/linux/l2tp.h).
const PPP: u16 = 7;

/// A daemon on a host, and the host at the other end of its link. This thread is on the first.
pub(crate) struct Hosts {
    daemon: Child,
    pub(crate) far: NetNs,
    pub(crate) connection: Connection,
}

/// The address of a host on the link.
pub(crate) fn address(number: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, number).into()
}

impl Hosts {
    /// Starts a daemon whose sessions `path` is to carry, on a new host with a new neighbour.
    pub(crate) fn new(path: &str) -> Self {
        let near = NetNs::unshare().expect("making a network namespace takes root");
        let far = NetNs::unshare().unwrap();
        near.enter().unwrap();
        Rtnl::open().unwrap().create_veth("wan", "wan", Some(&far)).unwrap();
        configure(1);
        far.enter().unwrap();
        configure(2);
        near.enter().unwrap();
        UdpSocket::bind((address(1), 0)).unwrap().send_to(b"who is there", (address(2), 9)).unwrap();
        let daemon = start_daemon(path);
        Self { daemon, far, connection: Connection::door().unwrap() }
    }

    /// Makes a tunnel to the other host, with the ports 10,000 + `id` at both ends.
    pub(crate) fn add_tunnel(&mut self, id: u32) {
        let at = |host| SocketAddr::new(address(host), port(id));
        self.connection.create_tunnel(&TunnelCreate::udp(id, id, at(1), at(2))).unwrap();
    }

    /// Makes a session of Ethernet.
    pub(crate) fn add_ethernet(&mut self, tunnel: u32, id: u32) {
        let session = SessionCreate { l2spec_type: Some(0), ..SessionCreate::ethernet(tunnel, id, id) };
        self.connection.create_session(&session).unwrap();
    }

    /// Makes a session of PPP.
    pub(crate) fn add_ppp(&mut self, tunnel: u32, id: u32) {
        let session = SessionCreate { pw_type: PPP, ..SessionCreate::ethernet(tunnel, id, id) };
        self.connection.create_session(&session).unwrap();
    }

    /// How many sessions BPF carries.
    pub(crate) fn on_bpf(&mut self) -> usize {
        self.connection.paths().unwrap().iter().filter(|report| report.carried_by == Path::Bpf).count()
    }

    pub(crate) fn counter(&mut self, name: &str) -> u64 {
        self.connection.counters().unwrap().iter().find(|(found, _)| found == name).unwrap().1
    }

    pub(crate) fn daemon(&self) -> u32 {
        self.daemon.id()
    }

    /// The daemon's resident memory, in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        kib(&format!("/proc/{}/smaps_rollup", self.daemon.id()), "Rss:")
    }

    /// Asks the daemon to end, and waits.
    pub(crate) fn end(mut self) {
        Command::new("kill").args(["-TERM", &self.daemon.id().to_string()]).status().unwrap();
        assert!(self.daemon.wait().unwrap().success());
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        // It may have ended before.
        let _: std::io::Result<()> = self.daemon.kill();
        let _: std::io::Result<_> = self.daemon.wait();
    }
}

/// The port of a tunnel, at both ends.
pub(crate) fn port(tunnel: u32) -> u16 {
    u16::try_from(10_000 + tunnel).unwrap()
}

/// A line of a file of /proc, in KiB.
pub(crate) fn kib(file: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(file).unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_matches(|c: char| !c.is_ascii_digit()).parse().unwrap()
}

fn configure(number: u8) {
    let mut rtnl = Rtnl::open().unwrap();
    let (lo, wan) = (rtnl.index_of("lo").unwrap(), rtnl.index_of("wan").unwrap());
    rtnl.set_up(lo, true).unwrap();
    rtnl.add_address(wan, address(number), 24).unwrap();
    rtnl.set_up(wan, true).unwrap();
}

fn start_daemon(path: &str) -> Child {
    let mut command = Command::new(env!("CARGO_BIN_EXE_ferrowire"));
    command.args(["daemon", "--die-with-parent", "--path", path]).stdout(Stdio::piped());
    let mut daemon = command.spawn().unwrap();
    let mut ready = String::new();
    BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut ready).unwrap();
    assert!(ready.contains("ready"), "{ready}");
    daemon
}
