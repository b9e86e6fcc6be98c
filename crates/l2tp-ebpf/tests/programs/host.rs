//! A host: a network namespace with one end of the underlay, and a fast path.

use std::net::IpAddr;
use std::process::Command;
use std::time::Duration;

use l2tp_ebpf::FastPath;
use l2tp_io::netns::NetNs;
use l2tp_io::rtnl::Rtnl;

/// The name of the underlay's devices.
pub(crate) const UNDERLAY: &str = "under";

/// `IF_OPER_UP`, include/uapi/linux/if.h.
const OPER_UP: u8 = 6;

pub(crate) struct Host {
    pub(crate) netns: NetNs,
    /// 1 or 2.
    pub(crate) number: u8,
    pub(crate) underlay: u32,
    pub(crate) mac: [u8; 6],
    pub(crate) fast: FastPath,
}

impl Host {
    /// Two hosts, 10.0.0.1 and fd00::1, 10.0.0.2 and fd00::2, whose programs watch the underlay between them.
    pub(crate) fn two() -> [Self; 2] {
        let [a, b] = [(); 2]
            .map(|()| std::thread::scope(|scope| scope.spawn(NetNs::unshare).join()).unwrap().unwrap());
        within(&a, || Rtnl::open().unwrap().create_veth(UNDERLAY, UNDERLAY, Some(&b)).unwrap());
        let mut hosts = [Self::new(a, 1), Self::new(b, 2)];
        for host in &mut hosts {
            let underlay = host.underlay;
            host.await_running(underlay);
            let fast = &mut host.fast;
            within(&host.netns, || fast.watch_underlay(underlay).unwrap());
        }
        hosts
    }

    fn new(netns: NetNs, number: u8) -> Self {
        let (underlay, mac, fast) = within(&netns, || {
            let underlay = bring_up(UNDERLAY, &underlay_addresses(number));
            let mac = Rtnl::open().unwrap().link(underlay).unwrap().address.try_into().unwrap();
            (underlay, mac, FastPath::load().unwrap())
        });
        Self { netns, number, underlay, mac, fast }
    }

    /// Runs `work` on this thread, in this namespace. The sockets that it opens stay there.
    pub(crate) fn here<R>(&self, work: impl FnOnce() -> R) -> R {
        within(&self.netns, work)
    }

    /// Calls a program here, which must succeed.
    pub(crate) fn call(&self, words: &[&str]) {
        let output = self.here(|| Command::new(words[0]).args(&words[1..]).output().unwrap());
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Its address on the underlay.
    pub(crate) fn address(&self, is_ipv6: bool) -> IpAddr {
        underlay_addresses(self.number)[usize::from(is_ipv6)]
    }

    /// Waits for the queue of a veth whose carrier has just come: until then the kernel drops what is sent. Before Linux 6.7 its state may be unknown
    /// so long.
    pub(crate) fn await_running(&self, index: u32) {
        let up = self.here(|| {
            let mut rtnl = Rtnl::open().unwrap();
            (0..5000).any(|_| {
                let link = rtnl.link(index).unwrap();
                let running = link.carrier && link.operstate == OPER_UP;
                if !running {
                    std::thread::sleep(Duration::from_millis(1));
                }
                running
            })
        });
        assert!(up, "device {index} did not come up within five seconds");
    }
}

fn underlay_addresses(number: u8) -> [IpAddr; 2] {
    [IpAddr::from([10, 0, 0, number]), IpAddr::from([0xfd00, 0, 0, 0, 0, 0, 0, number.into()])]
}

/// Brings a device up with these addresses; its index. It says nothing by itself but what its addresses ask for.
pub(crate) fn bring_up(device: &str, addresses: &[IpAddr]) -> u32 {
    let no_ipv6 = if addresses.is_empty() { "1" } else { "0" };
    for (setting, value) in [("disable_ipv6", no_ipv6), ("accept_ra", "0"), ("addr_gen_mode", "1")] {
        std::fs::write(format!("/proc/sys/net/ipv6/conf/{device}/{setting}"), value).unwrap();
    }
    let mut rtnl = Rtnl::open().unwrap();
    let index = rtnl.index_of(device).unwrap();
    rtnl.set_up(index, true).unwrap();
    for address in addresses {
        rtnl.add_address(index, *address, if address.is_ipv4() { 24 } else { 64 }).unwrap();
    }
    index
}

/// Runs `work` on this thread in another namespace.
pub(crate) fn within<R>(netns: &NetNs, work: impl FnOnce() -> R) -> R {
    let home = NetNs::current().unwrap();
    netns.enter().unwrap();
    let result = work();
    home.enter().unwrap();
    result
}
