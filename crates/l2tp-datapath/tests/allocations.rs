//! A frame on the user path costs no heap allocation in steady state, shown by counting them: in the whole process, while
//! datagrams cross a tunnel between two namespaces, single ones and trains.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test may stop and speak"
)]

use std::alloc::System;
use std::io;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::time::Duration;

use l2tp_core::{Encap, SessionConfig, SocketConfig, TunnelConfig};
use l2tp_datapath::{Datapath, SystemHost};
use l2tp_io::netns::NetNs;
use l2tp_io::rtnl::Rtnl;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// One end: its namespace and its data path.
struct End {
    netns: NetNs,
    datapath: Datapath,
    host: SystemHost,
}

impl End {
    fn new(netns: NetNs) -> Self {
        let started = netns.within(|| {
            let datapath = Datapath::start(2).unwrap();
            let host = datapath.host(l2tp_datapath::Path::User, None).unwrap();
            (datapath, host)
        });
        let (datapath, host) = started.unwrap();
        Self { netns, datapath, host }
    }

    fn add_tunnel(&mut self, encap: Encap, ids: (u32, u32)) {
        let (ours, peers) = ids;
        let address = |n| IpAddr::V4(Ipv4Addr::new(192, 0, 2, u8::try_from(n % 10).unwrap()));
        let port = |n| u16::try_from(5000 + n).unwrap();
        let socket = SocketConfig::Addresses {
            local: address(ours),
            peer: address(peers),
            sport: port(ours),
            dport: port(peers),
            udp_csum: false,
            zero_csum6_tx: false,
            zero_csum6_rx: false,
        };
        let tunnel = TunnelConfig { version: 3, tunnel_id: ours, peer_tunnel_id: peers, encap, socket };
        let session = SessionConfig {
            ifname: Some(format!("pw{}", ours / 10)),
            ..SessionConfig::ethernet(ours, peers)
        };
        let (datapath, host) = (&self.datapath, &mut self.host);
        let made = self.netns.within(|| {
            let mut engine = datapath.engine();
            engine.create_tunnel(host, tunnel, None).unwrap();
            engine.create_session(host, ours, session).unwrap();
            drop(engine);
            set_up(
                &format!("pw{}", ours / 10),
                Ipv4Addr::new(10, 9, u8::try_from(ours / 10).unwrap(), u8::try_from(ours % 10).unwrap()),
            );
        });
        made.unwrap();
    }
}

fn set_up(device: &str, address: Ipv4Addr) {
    let mut rtnl = Rtnl::open().unwrap();
    let index = rtnl.index_of(device).unwrap();
    rtnl.set_up(index, true).unwrap();
    rtnl.add_address(index, address.into(), 24).unwrap();
}

/// Two namespaces joined by a veth; `None` without the privilege to make them.
fn two_ends() -> Option<(End, End)> {
    let made = std::thread::spawn(|| -> io::Result<(NetNs, NetNs)> {
        let a = NetNs::unshare()?;
        let b = std::thread::spawn(NetNs::unshare).join().unwrap()?;
        Rtnl::open()?.create_veth("v", "v", Some(&b))?;
        set_up("v", Ipv4Addr::new(192, 0, 2, 1));
        b.within(|| set_up("v", Ipv4Addr::new(192, 0, 2, 2)))?;
        Ok((a, b))
    });
    match made.join().unwrap() {
        Ok((a, b)) => Some((End::new(a), End::new(b))),
        Err(error) => {
            assert!(std::env::var_os("FERROWIRE_REQUIRE_ALL").is_none(), "no namespaces: {error}");
            println!("SKIP: no privilege to make network namespaces: {error}");
            None
        }
    }
}

/// Sends `count` datagrams from a to b, each answered, in bursts.
fn exchange(near: &UdpSocket, far: &UdpSocket, count: usize) {
    let mut buffer = [0; 2048];
    for _ in 0..count {
        for size in [20, 200, 1200] {
            near.send(&[7; 2048][..size]).unwrap();
        }
        for _ in 0..3 {
            let (size, from) = far.recv_from(&mut buffer).unwrap();
            far.send_to(&buffer[..size], from).unwrap();
        }
        for _ in 0..3 {
            near.recv(&mut buffer).unwrap();
        }
    }
}

fn stream(near: &mut TcpStream, far: &mut TcpStream, megabytes: usize) {
    let block = [5; 1 << 16];
    let mut buffer = [0; 1 << 16];
    for _ in 0..megabytes * 16 {
        near.write_all(&block).unwrap();
        let mut left = block.len();
        while left > 0 {
            left -= far.read(&mut buffer[..left]).unwrap();
        }
    }
}

/// Runs `work` once to warm up, then counts what it allocates; the least of five, for the test harness and the system
/// library may allocate at any time, but a frame that allocates does so every time.
fn allocations(mut work: impl FnMut()) -> usize {
    work();
    let counted = |work: &mut dyn FnMut()| {
        let region = Region::new(ALLOCATOR);
        work();
        region.change().allocations + region.change().reallocations
    };
    (0..5).map(|_| counted(&mut work)).min().unwrap()
}

#[test]
fn frames_cost_no_allocation_in_steady_state() {
    let Some((mut a, mut b)) = two_ends() else { return };
    for (n, encap) in [(1, Encap::Udp), (2, Encap::Ip)] {
        a.add_tunnel(encap, (n * 10 + 1, n * 10 + 2));
        b.add_tunnel(encap, (n * 10 + 2, n * 10 + 1));
        let to = SocketAddr::from(([10, 9, u8::try_from(n).unwrap(), 2], 9000));
        let far = b.netns.within(|| UdpSocket::bind(to).unwrap()).unwrap();
        let near = a.netns.within(|| UdpSocket::bind("0.0.0.0:0").unwrap()).unwrap();
        near.connect(to).unwrap();
        for socket in [&near, &far] {
            socket.set_read_timeout(Some(Duration::from_secs(5))).unwrap();
        }
        assert_eq!(allocations(|| exchange(&near, &far, 100)), 0, "datagrams over {encap:?}");

        let listener = b.netns.within(|| TcpListener::bind(to).unwrap()).unwrap();
        let mut near = a.netns.within(|| TcpStream::connect(to).unwrap()).unwrap();
        let mut far = listener.accept().unwrap().0;
        assert_eq!(allocations(|| stream(&mut near, &mut far, 4)), 0, "a TCP stream over {encap:?}");
    }
}
