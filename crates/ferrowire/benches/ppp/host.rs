//! Two hosts on one link, and the daemons that serve them.

use std::io::{BufRead, BufReader};
use std::net::{IpAddr, Ipv4Addr};
use std::process::{Child, Command, Stdio};

use l2tp_io::netns::NetNs;
use l2tp_io::rtnl::Rtnl;

/// A network namespace.
pub(crate) struct Host {
    pub(crate) number: u8,
    netns: NetNs,
}

/// Their addresses on the link.
pub(crate) fn outer(number: u8) -> IpAddr {
    Ipv4Addr::new(192, 0, 2, number).into()
}

/// Hosts 1 and 2.
pub(crate) fn pair() -> [Host; 2] {
    let hosts = [1, 2].map(|number| {
        let netns = std::thread::spawn(NetNs::unshare).join().unwrap().expect("run as root");
        Host { number, netns }
    });
    let far = &hosts[1].netns;
    hosts[0].here(|| Rtnl::open().unwrap().create_veth("wan", "wan", Some(far)).unwrap());
    for host in &hosts {
        host.configure("wan", outer(host.number), 24, 1500);
    }
    hosts
}

impl Host {
    /// Runs `work` in this namespace, on this thread.
    pub(crate) fn here<R>(&self, work: impl FnOnce() -> R) -> R {
        let home = NetNs::current().unwrap();
        self.netns.enter().unwrap();
        let result = work();
        home.enter().unwrap();
        result
    }

    /// Gives a device its address and MTU, and brings it up.
    pub(crate) fn configure(&self, device: &str, address: IpAddr, prefix_len: u8, mtu: u32) {
        self.here(|| {
            let mut rtnl = Rtnl::open().unwrap();
            let index = rtnl.index_of(device).unwrap();
            rtnl.set_mtu(index, mtu).unwrap();
            rtnl.add_address(index, address, prefix_len).unwrap();
            rtnl.set_up(index, true).unwrap();
        });
    }

    pub(crate) fn start_daemon(&self) -> Daemon {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ferrowire"));
        command.args(["daemon", "--die-with-parent"]).stdout(Stdio::piped());
        let mut daemon = self.here(|| command.spawn().unwrap());
        let mut ready = String::new();
        BufReader::new(daemon.stdout.take().unwrap()).read_line(&mut ready).unwrap();
        assert!(ready.contains("ready"), "{ready}");
        Daemon(daemon)
    }
}

/// It ends with this value.
pub(crate) struct Daemon(Child);

impl Daemon {
    /// Memory in use (/proc/PID/status).
    pub(crate) fn resident_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.0.id())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim_matches(|c: char| !c.is_ascii_digit()).parse::<u64>().unwrap() << 10
    }

    /// Asks it to end, and waits.
    pub(crate) fn end(mut self) {
        Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status().unwrap();
        assert!(self.0.wait().unwrap().success());
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended before.
        let _: std::io::Result<()> = self.0.kill();
        let _: std::io::Result<_> = self.0.wait();
    }
}
